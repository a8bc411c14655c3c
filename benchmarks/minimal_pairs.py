"""Does a reward tell reports apart that differ in one clinical respect? Minimal pairs, in families.

Run: `python benchmarks/minimal_pairs.py [--folder FOLDER] [--preset rules] [--component NAME] [--family F]
[--show-failures] [--json FILE]`. Each family is a file of the folder, by default `benchmarks/minimal_pairs`. A pair has
a reference, perhaps `priors` and `context`, the reason (`why`), and two candidates on which radiologists would not
argue: `better` and `worse`, which passes if the first scores higher, or `alike`, which passes if their scores differ by
no more than `tolerance` (larger where the wording differs, for a lexical part of a reward may move a little). A
candidate without a score fails its pair. With `--component` that component scores alone, and lower counts as higher
where lower is better.

All reports are made up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards import CompositeReward
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.types import Case
from report import options_of, report

FOLDER = Path(__file__).with_suffix("")
DEFAULT_TOLERANCE = 0.02
MARGIN = 1e-6
"""What `better` must be ahead by: less is rounding."""

_KEYS = {"reference", "better", "worse", "alike", "tolerance", "priors", "context", "why"}


class PairError(ValueError):
    """A file of pairs is not as it should be; the message names file, pair and what is wrong."""


class Pair(NamedTuple):
    """Two candidates for one reference, and what must hold of their scores.

    Attributes:
        family: the name of the file.
        number: the place in the file, from 1.
        reference: the radiologist's report.
        candidates: `better` and `worse`, or the two that are `alike`.
        tolerance: by how much the scores of candidates alike may differ; None if the first must score higher.
        priors: earlier reports, oldest first.
        context: age, sex, indication.
        why: what the candidates differ in.
    """

    family: str
    number: int
    reference: str
    candidates: tuple[str, str]
    tolerance: float | None
    priors: tuple[str, ...]
    context: Mapping[str, str]
    why: str

    def passes(self, first: float | None, second: float | None) -> bool:
        """Return whether these scores of the candidates are as they must be."""
        if first is None or second is None:
            return False
        if self.tolerance is None:
            return first - second > MARGIN
        return abs(first - second) <= self.tolerance


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _pair(entry: Any, family: str, number: int) -> Pair:
    """Check one table of a file.

    Raises:
        PairError: a key is unknown, missing or of the wrong type, or both candidates are the same.
    """

    def need(right: bool, message: str) -> None:
        if not right:
            raise PairError(f"{family}.toml, pair {number}: {message}")

    need(isinstance(entry, dict), "expected a table")
    need(not (unknown := sorted(entry.keys() - _KEYS)), f"unknown key {', '.join(unknown)}")
    for key in ("reference", "why"):
        need(_is_text(entry.get(key)), f"{key}: expected a text that is not empty")
    graded = {"better", "worse"} & entry.keys()
    need(len(graded) == (0 if "alike" in entry else 2), "expected better and worse, or alike")
    candidates = entry["alike"] if "alike" in entry else [entry["better"], entry["worse"]]
    need(_is_texts(candidates) and len(candidates) == 2, "expected two candidates, texts that are not empty")
    need(candidates[0] != candidates[1], "both candidates are the same text")
    tolerance = None
    if "alike" in entry:
        tolerance = entry.get("tolerance", DEFAULT_TOLERANCE)
        need(isinstance(tolerance, float) and 0 < tolerance < 1, "tolerance: expected a number between 0 and 1")
    else:
        need("tolerance" not in entry, "tolerance: only candidates alike have one")
    priors, context = entry.get("priors", []), entry.get("context", {})
    need(_is_texts(priors), "priors: expected a list of texts that are not empty")
    need(isinstance(context, dict) and all(map(_is_text, context.values())), "context: expected texts by name")
    first, second = candidates
    return Pair(family, number, entry["reference"], (first, second), tolerance, tuple(priors), context, entry["why"])


def load_pairs(folder: Path = FOLDER) -> list[Pair]:
    """Return the pairs of all files of a folder, families in alphabetical order.

    Raises:
        PairError: there is no file, a file is no TOML or has no `[[pairs]]`, or a pair is not well formed.
    """
    pairs: list[Pair] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise PairError(f"{path.name}: is no TOML: {error}") from None
        entries = content.get("pairs")
        if content.keys() != {"pairs"} or not isinstance(entries, list) or not entries:
            raise PairError(f"{path.name}: expected [[pairs]] and nothing else")
        pairs += [_pair(entry, path.stem, number) for number, entry in enumerate(entries, start=1)]
    if not pairs:
        raise PairError(f"{folder}: has no TOML files")
    return pairs


def score_pairs(pairs: Iterable[Pair], reward: CompositeReward) -> list[tuple[Pair, float | None, float | None]]:
    """Score both candidates of each pair."""
    pairs = list(pairs)
    results = reward.score_batch(
        Case(candidate=candidate, reference=pair.reference, priors=pair.priors, context=pair.context)
        for pair in pairs
        for candidate in pair.candidates
    )
    values = [result.value for result in results]
    return list(zip(pairs, values[::2], values[1::2], strict=True))


def summarize(scored: Sequence[tuple[Pair, float | None, float | None]]) -> dict[str, tuple[int, int]]:
    """Return passes and pairs of each family."""
    families: dict[str, tuple[int, int]] = {}
    for pair, first, second in scored:
        passed, of = families.get(pair.family, (0, 0))
        families[pair.family] = passed + pair.passes(first, second), of + 1
    return families


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def main() -> None:
    """Score the pairs and tell passes and failures."""
    parser = options_of(__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--preset", default="rules")
    parser.add_argument("--component", choices=component_names(), help="score with this component alone")
    parser.add_argument("--family", help="only this family")
    parser.add_argument("--show-failures", action="store_true", help="list the pairs that fail, with both scores")
    options = parser.parse_args()
    pairs = load_pairs(options.folder)
    if options.family is not None:
        if options.family not in {pair.family for pair in pairs}:
            parser.error(f"--family: there is no {options.family}; {', '.join(sorted({p.family for p in pairs}))}")
        pairs = [pair for pair in pairs if pair.family == options.family]
    if options.component is None:
        reward = CompositeReward.from_preset(options.preset)
    else:
        sign = 1.0 if load_component(options.component).higher_is_better else -1.0
        reward = CompositeReward([options.component], weights={options.component: sign})
    scored = score_pairs(pairs, reward)
    families = summarize(scored)
    passed = sum(passes for passes, _ in families.values())
    result: dict[str, Any] = {
        "scored_by": options.component or f"preset {options.preset}",
        "passed": f"{passed}/{len(pairs)}",
        "share": round(passed / len(pairs), 4),
        "families": {family: f"{passes}/{of}" for family, (passes, of) in families.items()},
    }
    if options.show_failures:
        result["failures"] = [
            {
                "pair": f"{pair.family} {pair.number}",
                "why": pair.why,
                "reference": pair.reference,
                "alike" if pair.tolerance is not None else "better": [pair.candidates[0], _rounded(first)],
                "and" if pair.tolerance is not None else "worse": [pair.candidates[1], _rounded(second)],
            }
            for pair, first, second in scored
            if not pair.passes(first, second)
        ]
    report(result, options.json)


if __name__ == "__main__":
    main()
