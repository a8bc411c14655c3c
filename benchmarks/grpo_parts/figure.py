"""The main measure of every policy as one drawing, for light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from cxr_rewards.evaluation.report.blocks import axis_of, tick
from grpo_parts.results import CONSTANT_NAME, MAIN, REFERENCE, START, TERMS
from grpo_parts.settings import CONTROLS

_WORDS = {
    START: "start: supervised",
    "random": "random reward",
    "more_sft": "more supervised steps",
    "rules_judge": "rules + judge",
    CONSTANT_NAME: "one normal report for all",
    TERMS: "the prompt's index terms",
    REFERENCE: "the radiologist's report",
}
_ROW, _TOP, _LEFT, _WIDTH, _FOOT = 26, 44, 210, 470, 40
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.small { font-size: 11px; fill: #57606a; }
.grid { stroke: #d0d7de; }
.trained { stroke: #0f766e; fill: #0f766e; }
.control { stroke: #b45309; fill: #b45309; }
.given { stroke: #57606a; fill: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9da7b3; } .grid { stroke: #3d444d; }
  .trained { stroke: #2dd4bf; fill: #2dd4bf; } .control { stroke: #f0a350; fill: #f0a350; }
  .given { stroke: #9da7b3; fill: #9da7b3; }
}
"""


def figure_of(result: Mapping[str, Any]) -> str:
    """Return the drawing as SVG: a row for each arm, in it each seed with its interval over studies."""
    found: dict[str, list[Mapping[str, float | None]]] = {}
    for name, measures in result["policies"]["sampled"].items():
        arm, _, seed = name.rpartition("-")
        found.setdefault(arm if seed.isdecimal() else name, []).append(measures[MAIN])
    given = (START, CONSTANT_NAME, TERMS, REFERENCE)
    arms = [arm for arm in found if arm not in (*given, *CONTROLS)]
    rows = [name for name in (CONSTANT_NAME, START, *CONTROLS, *arms, TERMS, REFERENCE) if name in found]
    height = _TOP + _ROW * len(rows) + _FOOT
    x = axis_of([0.0, *(one["high"] for mine in found.values() for one in mine)], ticks=5)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 30} {height}" role="img">',
        "<title>Findings in the generated reports against human index terms: micro F1, sampled</title>",
        f"<style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="20">Findings against human index terms, not read by the reward (F1)</text>',
    ]
    bottom = _TOP + _ROW * len(rows)
    for at in x.ticks:
        place = _LEFT + _WIDTH * x.place(at) / 100
        lines.append(f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP - 8}" y2="{bottom}"/>')
        lines.append(f'<text class="small" x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{tick(at)}</text>')
    note = "Sampled at temperature 1. A dot is a policy of one seed; bars: 95% over held-out studies."
    lines.append(f'<text class="small" x="{_LEFT}" y="{bottom + 34}">{note}</text>')
    for i, name in enumerate(rows):
        kind = "control" if name in CONTROLS else "given" if name in given else "trained"
        middle = _TOP + _ROW * (i + 0.5)
        lines.append(
            f'<text x="{_LEFT - 12}" y="{middle + 4:.1f}" text-anchor="end">{escape(_WORDS.get(name, name))}</text>'
        )
        lines += _dots(found[name], middle, kind, x)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _dots(policies: list[Mapping[str, float | None]], middle: float, kind: str, x: Any) -> Iterator[str]:
    for j, one in enumerate(policies):
        y = middle + (j - (len(policies) - 1) / 2) * 6
        value, low, high = (
            None if one[k] is None else _LEFT + _WIDTH * x.place(one[k]) / 100 for k in ("value", "low", "high")
        )
        if low is not None and high is not None:
            yield f'<line class="{kind}" stroke-width="2" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        if value is not None:
            yield f'<circle class="{kind}" cx="{value:.1f}" cy="{y:.1f}" r="4"/>'
