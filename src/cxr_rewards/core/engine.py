"""Plan, fill, score: the only loop over cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from math import isfinite, isnan
from typing import TYPE_CHECKING, NamedTuple, cast

from cxr_rewards.core.feature import (
    Feature,
    FeatureFailed,
    FeatureTable,
    Item,
    StreamedFeature,
    case_item,
    collector_paused,
    item_of,
)
from cxr_rewards.core.filling import cut, failure_of, fill
from cxr_rewards.core.stopwatch import Stopwatch
from cxr_rewards.errors import ConfigError, OutOfBoundsError, SetupError, shorten
from cxr_rewards.types import Case, Failure, FailureKind, Score

if TYPE_CHECKING:
    from cxr_rewards.cache import Cache
    from cxr_rewards.core.component import Component, TextRole

MAX_CHARS = 100_000
"""Longest text that is scored, in characters: about 30 times the longest real report."""


_OVERS = ("text", "pair", "case")


class _Step(NamedTuple):
    feature: Feature
    asked: frozenset[tuple[TextRole, bool]]
    """The texts that components ask it for directly, each with whether cases without a reference count too."""
    reads: frozenset[TextRole]
    """The texts that components or other features read through it."""


def _plan(components: Iterable[Component]) -> list[_Step]:
    """Order the features so that each comes after its needs, and join the texts that components read through them."""
    order: dict[str, Feature] = {}
    reads: dict[str, set[TextRole]] = {}
    asked: dict[str, set[tuple[TextRole, bool]]] = {}

    def visit(feature: Feature, texts: set[TextRole], path: tuple[str, ...]) -> None:
        if feature.name in path:
            raise ConfigError(f"features need each other in a circle: {' -> '.join((*path, feature.name))}")
        texts = _read_by(feature, texts)
        for need in feature.needs:
            if _OVERS.index(need.over) > _OVERS.index(feature.over):
                raise ConfigError(f"{feature.name}, over {feature.over}, cannot need {need.name}, over {need.over}")
            visit(need, texts, (*path, feature.name))
        if type(order.setdefault(feature.signature, feature)) is not type(feature):
            raise ConfigError(f"two features of different classes have one signature, {feature.signature}: rename one")
        reads.setdefault(feature.signature, set()).update(texts)

    for component in components:
        for feature in component.needs:
            visit(feature, set(component.reads), ())
            blank = "reference" not in component.reads
            asked.setdefault(feature.signature, set()).update((text, blank) for text in component.reads)
    return [_Step(f, frozenset(asked.get(key, ())), frozenset(reads[key])) for key, f in order.items()]


def _read_by(feature: Feature, texts: set[TextRole]) -> set[TextRole]:
    """Return the texts that a feature may read: if it is over more than a text, all texts of its items."""
    if feature.over == "text":
        return texts
    return {"candidate", "reference"} if feature.over == "pair" else {"candidate", "reference", "priors"}


def problem_of(case: Case, max_chars: int) -> Failure | None:
    """Return why the texts of a case cannot be scored at all; None if they can."""
    # By type, because the truth value of a foreign object (pandas.NA) may be an error.
    plain = type(case.candidate) is type(case.reference) is str and type(case.priors) is tuple and not case.priors
    short = plain and max(len(case.candidate), len(case.reference)) <= max_chars
    if short and type(case.context) is dict and not case.context:
        return None
    texts: list[tuple[str, object]] = [("candidate", case.candidate), ("reference", case.reference)]
    if type(case.priors) is not tuple:
        return Failure("priors", f"expected a tuple of texts, got {shorten(case.priors)}", "invalid_input")
    if not (type(case.context) is dict and not case.context) and not _can_be_item(case):
        return Failure("context", f"expected values by name, got {shorten(case.context)}", "invalid_input")
    for i, prior in enumerate(case.priors):
        texts.append((f"priors[{i}]", prior))
    for where, text in texts:
        if isinstance(text, Failure):  # an adapter could not read it and gives the reason
            return text
        if not isinstance(text, str):
            kind: FailureKind = "missing_text" if is_absent(text) else "invalid_input"
            return Failure(where, f"expected text, got {shorten(text)}", kind)
        if len(text) > max_chars:
            return Failure(where, f"has {len(text):,} characters, more than max_chars = {max_chars:,}", "too_long")
    return None


def is_absent(value: object) -> bool:
    """Return whether a value stands for a missing text: None, NaN, or pandas' NA and NaT."""
    is_nan = issubclass(type(value), float) and isnan(cast("float", value))  # by type, see `problem_of`
    return value is None or is_nan or type(value).__name__ in {"NAType", "NaTType"}


def _can_be_item(case: Case) -> bool:
    try:
        case_item(case)
    except Exception:  # noqa: BLE001 - an unreadable value affects its own case only
        return False
    return True


_SLACK = 1e-9
"""Tolerance for values that rounding moved beyond their bounds."""
_NO_REFERENCE = Failure("reference", "is empty: there is nothing to compare with", "missing_text")


class Engine:
    """Runs components over cases: first each feature once for each distinct item, then the scores.

    Its only state between calls is the seconds they took, so many threads may use one engine at once, and it can be
    pickled.
    """

    def __init__(self, components: Mapping[str, Component], *, max_chars: int = MAX_CHARS) -> None:
        """Args: components: by the label their scores appear under.  max_chars: longer texts are unscored."""
        if type(max_chars) is not int or max_chars < 1:
            raise ConfigError(f"max_chars must be a whole number above 0, got {max_chars!r}")
        self.components = dict(components)
        self.max_chars = max_chars
        self.watch = Stopwatch()
        self._steps = _plan(self.components.values())
        self._order = [step.feature for step in self._steps]

    def run(
        self, cases: Sequence[Case], cache: Cache | None = None, is_gone: Callable[[Case], bool] | None = None
    ) -> list[tuple[Score, ...]]:
        """Return, for each case in order, one `Score` per component in the order of `components`.

        A case's scores do not depend on the other cases. Anything that goes wrong for one case becomes a `Failure`
        in its scores; only a `SetupError`, which no case has caused, is raised. If `is_gone` returns True when a
        case's turn comes, nobody waits for it any more: it fails without a request to a judge or another machine.
        """
        return self.run_with_features(cases, cache, is_gone)[0]

    def run_with_features(
        self, cases: Sequence[Case], cache: Cache | None = None, is_gone: Callable[[Case], bool] | None = None
    ) -> tuple[list[tuple[Score, ...]], FeatureTable]:
        """Return the scores, as `run` does, and the features they were computed from."""
        problems = [problem_of(case, self.max_chars) for case in cases]
        good = [case for case, problem in zip(cases, problems, strict=True) if problem is None]
        table = self.features(good, cache, is_gone)
        columns = []
        with collector_paused():
            for label, component in self.components.items():
                with self.watch.time(label):
                    columns.append(score_cases(label, component, good, table))
        if len(good) == len(cases):
            return list(zip(*columns, strict=True)), table
        rows = iter(zip(*columns, strict=True))
        width = len(self.components)
        every = [next(rows) if problem is None else (Score(None, failure=problem),) * width for problem in problems]
        return every, table

    def features(
        self, cases: Sequence[Case], cache: Cache | None = None, is_gone: Callable[[Case], bool] | None = None
    ) -> FeatureTable:
        """Return the features of the cases, as `score_case` will see them; texts must be strings.

        A feature that no component needs directly has values only for items that another feature was computed from.
        """
        wanted = {step.feature.signature: _items(step, cases) for step in self._steps}
        lasting = {text for case in cases for text in (case.reference, *case.priors)}
        skip = None if is_gone is None else partial(_nobody_waits, is_gone, _waiting(self._order, cases))
        return FeatureTable(fill(self._order, wanted, lasting, cache, self.watch, skip)[0])

    def warm(self, texts: Iterable[str], cache: Cache) -> dict[str, int]:
        """Fill a cache with every persistent feature over texts of references (and priors), before they are scored.

        Returns:
            Number of values computed now, by name of the feature; cached values are not counted.
        """
        items = dict.fromkeys(texts)
        lasting: dict[str, str] = {}
        wanted: dict[str, dict[Item, None]] = {}
        for step in self._steps:
            stays = step.feature.persistent and step.feature.code_home is not None
            lasts = step.feature.over == "text" and stays and not step.reads <= {"candidate"}
            wanted[step.feature.signature] = dict.fromkeys(items) if lasts else {}
            if lasts:
                lasting[step.feature.signature] = step.feature.name
        computed = fill(self._order, wanted, items.keys(), cache, self.watch)[1]
        return {name: computed[signature] for signature, name in lasting.items()}


def _waiting(order: Sequence[Feature], cases: Sequence[Case]) -> dict[str, dict[Item, list[Case]]]:
    """Return the cases that wait for each item of each streamed feature, by its signature."""
    waiting: dict[str, dict[Item, list[Case]]] = {}
    for feature in order:
        if not isinstance(feature, StreamedFeature):
            continue
        by_item = waiting[feature.signature] = {}
        for case in cases:
            texts = {case.candidate, case.reference, *case.priors}
            for item in texts if feature.over == "text" else (item_of(feature, case),):
                by_item.setdefault(item, []).append(case)
    return waiting


def _nobody_waits(
    is_gone: Callable[[Case], bool], waiting: Mapping[str, Mapping[Item, Sequence[Case]]], feature: Feature, item: Item
) -> bool:
    return all(map(is_gone, waiting[feature.signature].get(item, ())))


def _items(step: _Step, cases: Sequence[Case]) -> dict[Item, None]:
    """Return the distinct items that components ask a feature for, in order of appearance."""
    always = {text for text, blank in step.asked if blank}
    asked = {text for text, _ in step.asked}
    if not asked:
        return {}
    # Without a reference there is nothing to compare with, so these features are not needed.
    usable = [case for case in cases if always or case.reference.strip()]
    if step.feature.over != "text":
        return dict.fromkeys([item_of(step.feature, case) for case in usable])
    items: dict[Item, None] = {}
    for text, of in _OF.items():
        if text in always:
            items.update(dict.fromkeys(chain.from_iterable(map(of, usable))))
        elif text in asked:
            items.update(dict.fromkeys(chain.from_iterable(of(case) for case in usable if case.reference.strip())))
    return items


_OF: Mapping[TextRole, Callable[[Case], tuple[str, ...]]] = {
    "candidate": lambda case: (case.candidate,),
    "reference": lambda case: (case.reference,),
    "priors": lambda case: case.priors,
}


def score_cases(label: str, component: Component, cases: Iterable[Case], table: FeatureTable) -> list[Score]:
    """Return one component's score of each case; any error becomes the case's failure."""
    score_case, bounds, compares = component.score_case, component.bounds, "reference" in component.reads
    low, high = bounds
    scores: list[Score] = []
    for case in cases:
        if compares and not case.reference.strip():
            scores.append(Score(None, failure=_NO_REFERENCE))
            continue
        try:
            score = score_case(case, table)
            value = score.value
            if not (score.failure is None and type(value) is float and low <= value <= high and isfinite(value)):
                score = checked(score, bounds, "score_case")
        except SetupError:
            raise
        except FeatureFailed as failed:
            score = Score(None, failure=failed.failure)
        except Exception as error:  # noqa: BLE001 - the one boundary: a case's error becomes its Failure
            score = Score(None, failure=failure_of(label, error))
        scores.append(score)
    return scores


def checked(score: Score, bounds: tuple[float, float], source: str) -> Score:
    """Return a component's score, its value a float; `source` returned it.

    Raises:
        OutOfBoundsError: the value is not within the bounds, or not finite.
        ValueError: the value is missing without a failure.
        TypeError, OverflowError: it is not a number.
    """
    if score.failure is not None:
        return Score(None, score.details, cut(score.failure))
    if score.value is None:
        raise ValueError(f"{source} returned no value and no failure")
    value = score.value if type(score.value) is float else float(score.value)
    low, high = bounds
    if not low - _SLACK <= value <= high + _SLACK or not isfinite(value):
        raise OutOfBoundsError(f"{source} returned {value!r}, which is not within {bounds}")
    return score if value is score.value else Score(value, score.details)
