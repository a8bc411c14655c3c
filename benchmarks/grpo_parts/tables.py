"""The result as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grpo_parts.results import MAIN, READER, RULES

SHOWN = {
    MAIN: "index F1, keywords",
    RULES: "index F1, plain rules",
    READER: "index F1, own reader",
    "reward": "reward `rules`",
    "above_constant": "above a normal report",
    "rouge_l": "ROUGE-L",
    "words": "words",
    "all_normal": "all normal",
    "contradicted": "contradicts itself",
    "hedged": "hedged",
    "open_end": "no full stop at the end",
    "unread": "sentences unread",
    "lost_words": "unknown words",
    "copied": "copy of a training report",
}
"""The measures of the short tables, in words."""


def text_of(result: Mapping[str, Any]) -> str:
    """Return all tables."""
    parts = []
    for how, policies in result["policies"].items():
        parts += [f"## Policies, {how}", _table(("policy", *SHOWN.values()), _policies(policies))]
    heads = ("arm", "less", "seeds", "measure", "difference", "by seed", "mean by seed")
    for how in result["policies"]:
        parts += [f"## Differences, {how}", _table(heads, _differences(result, how))]
    parts += ["## Training", _table(("policy", "steps", "minutes", "scoring, share of the time"), _training(result))]
    parts += ["## Conditions, sampled", _conditions(result)]
    return "\n\n".join(parts) + "\n"


def number(value: float | None, signed: bool = False) -> str:
    """Return a number with two decimals, or a dash."""
    return "-" if value is None else f"{value:{'+' if signed else ''}.2f}"


def with_interval(value: float | None, low: float | None, high: float | None, signed: bool = False) -> str:
    """Return a number and its interval."""
    ends = "" if low is None or high is None else f" [{number(low, signed)}, {number(high, signed)}]"
    return number(value, signed) + ends


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _policies(policies: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, measures in policies.items():
        cells = []
        for measure in SHOWN:
            one = measures.get(measure, {"value": None, "low": None, "high": None})
            whole = measure in (MAIN, RULES, READER, "reward", "above_constant")
            cells.append(with_interval(**one) if whole else number(one["value"]))
        yield name, *cells


def _differences(result: Mapping[str, Any], how: str) -> Iterator[Sequence[str]]:
    measures = list(SHOWN)
    for one in sorted(result["differences"], key=lambda one: (*measures, one["measure"]).index(one["measure"])):
        if one["how"] == how and one["measure"] in SHOWN:
            ends = (one["seed_low"], one["seed_high"])
            middle = sum(one["by_seed"]) / len(one["by_seed"])
            yield (
                one["first"],
                one["second"],
                ", ".join(one["seeds"]),
                SHOWN[one["measure"]],
                with_interval(one["value"], one["low"], one["high"], signed=True),
                ", ".join(number(value, signed=True) for value in one["by_seed"]),
                with_interval(middle, *ends, signed=True) if None not in ends else "one seed: no interval",
            )


def _training(result: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, one in result["training"].items():
        share = one.get("scoring_share")
        yield name, str(one["steps"]), f"{one['seconds'] / 60:.1f}", "-" if share is None else f"{share:.2%}"


def _conditions(result: Mapping[str, Any]) -> str:
    arms = result["conditions"].get("sampled", {})
    names = [row["name"] for row in next(iter(arms.values()))["conditions"]] if arms else []

    def rows() -> Iterator[Sequence[str]]:
        for i, name in enumerate(names):
            found = [table["conditions"][i] for table in arms.values()]
            if found[0]["support"]:
                yield name, str(found[0]["support"]), *(number(row["f1"]["value"]) for row in found)
        if names:
            micro = [table["averages"][0] for table in arms.values()]
            for what in ("precision", "recall", "f1"):
                yield f"all: {what}", str(micro[0]["support"]), *(number(row[what]["value"]) for row in micro)

    return _table(("condition", "indexed", *arms), rows())
