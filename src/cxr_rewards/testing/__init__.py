"""Checks for components, yours and ours: `check_component` runs one conformance suite on any of them."""

from __future__ import annotations

import json
import pickle
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import isfinite
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_origin, get_type_hints

from cxr_rewards.cache import Cache, CacheWarning, SqliteCache
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine, score_one
from cxr_rewards.core.feature import Feature, FeatureFailed, FeatureTable
from cxr_rewards.errors import CacheError, ConfigError, SetupError
from cxr_rewards.types import Case, Failure, Score

_PRIOR = "FINDINGS: Small left pleural effusion. Heart size is normal. IMPRESSION: Small left effusion."
_REPORT = (
    "FINDINGS: The left pleural effusion has increased and is now moderate. New patchy opacity at the left base. "
    "No pneumothorax. Heart size is normal.\nIMPRESSION: Larger left effusion; possible left basal pneumonia."
)
_CLEAR = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."
_OTHER = "Left chest tube removed. Large right pneumothorax, worse since the last film."
_ROUNDING = 1e-9

SAMPLE_CASES: tuple[Case, ...] = (
    Case(candidate=_REPORT, reference=_REPORT, priors=(_PRIOR,), context={"age": "63", "sex": "F"}),
    Case(candidate=_CLEAR, reference=_CLEAR),
    Case(candidate=_CLEAR, reference=_REPORT, priors=(_PRIOR,)),
    Case(candidate=_REPORT, reference=_CLEAR),
    Case(candidate=_PRIOR, reference=_REPORT, priors=(_PRIOR, _CLEAR)),
    Case(candidate="Cardiomegaly without edema. Right chest tube in place.", reference="MILD CARDIOMEGALY. NO EDEMA."),
    Case(candidate="No pneumothorax. " * 40, reference="Tiny right apical pneumothorax, unchanged."),
    Case(candidate="", reference=_CLEAR),
    Case(candidate=" \r\n\t\u00a0", reference=_CLEAR),
    Case(candidate="...", reference=_REPORT),
    Case(candidate="Thorax unauffällig. 胸部正常。 \U0001fa7b", reference=_CLEAR),
    Case(candidate="\x00\x1b[31m<|im_end|>\ud800", reference=_REPORT),
    Case(candidate="word " * 3000, reference=_REPORT, priors=("",)),
    Case(candidate=_REPORT, reference="   "),
)
"""Cases that a component must bear: ordinary, perfect, wrong, degenerate, empty, hostile; the last has no reference."""


def _expect(holds: object, rule: str) -> None:
    if not holds:  # not an assert statement, which `python -O` leaves out
        raise AssertionError(rule)


def _same(component: Component, a: Score, b: Score) -> bool:
    tolerance = component.batch_tolerance
    return a.failure == b.failure and _near(a.value, b.value, tolerance) and _near(a.details, b.details, tolerance)


def _near(a: Any, b: Any, tolerance: float) -> bool:
    """Return whether two values are equal, their numbers within the tolerance."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) <= tolerance
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_near(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_near(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _alternatives(current: Any, hint: Any) -> Iterator[Any]:
    """Yield other values that a setting might take, judging by its type."""
    options: Sequence[Any] = get_args(hint) if get_origin(hint) is not None else ()
    yield from (option for option in options if isinstance(option, str | int | float) and option != current)
    if isinstance(current, bool):
        yield not current
    elif isinstance(current, int):
        yield from (current + 1, current - 1)
    elif isinstance(current, float):
        yield from (other for other in (current / 2, current + 0.25, current * 2 + 1) if other != current)
    elif isinstance(current, str):
        yield current + "x"


def check_component(
    component: Component, *, alternatives: Mapping[str, Any] | None = None, cases: Sequence[Case] = SAMPLE_CASES
) -> None:
    """Check that a component keeps the rules that the engine and the trainers rely on.

    Checked, mostly on copies made by pickling:

    - It names and documents itself and each setting.
    - `score_case` raises for no case; each value is a finite number within `bounds`, or missing with a reason; details
      are JSON.
    - A score is the same (to `batch_tolerance`) alone, in a batch, in any order, in several threads and after pickling.
      Alone is each time on a new copy, so that what an instance keeps of the first case shows. The inputs stay as
      they were.
    - A score does not depend on texts that are not in `reads`, on `case_id` or on `group`.
    - Empty and blank candidates have the same, defined score. Identical texts reach the best bound (unless the
      component says in `identical` why not) and, where the reference is read, never score worse than an empty one.
    - A failed feature, a blank reference and a candidate that is no text give `None` with a reason.
    - Values of persistent features can be stored in a cache file, and score the same when they come back from it.
    - Every setting that changes scores changes the signature; no other setting changes either (scores to 1e-6, and
      unless its other value cannot work on this machine, as a device).

    Args:
        component: an instance with the settings to check.
        alternatives: for settings whose other values cannot be guessed from their type: one other valid value by name.
        cases: what to score; all their texts are texts.

    Raises:
        AssertionError: the first rule that is broken, in words.
        SetupError: the component cannot work here at all.

    Example:
        >>> from cxr_rewards.components.temporal_f1 import TemporalF1
        >>> check_component(TemporalF1())
    """
    name = component.name
    _check_declaration(component)
    copy = _fresh(component)
    _expect(copy == component, f"{name}: is not equal to itself after pickling")
    _expect(copy.signature == component.signature, f"{name}: signature changes through pickling")

    before = [repr(case) for case in cases]
    _check_values(component, cases)
    scores = _scores(component, cases)
    _check_sameness(component, cases, scores)
    _expect([repr(case) for case in cases] == before, f"{name}: changed a case")

    _check_reads(component, cases, scores)
    _check_edges(component)
    _check_disk(component, cases, scores)
    _check_settings(component, alternatives or {}, cases, scores)
    # Last, for the original is not to have seen a case before it is copied.
    own = [row[0] for row in Engine({name: component}).run(cases)]
    _expect(all(map(partial(_same, component), scores, own)), f"{name}: scores change through pickling")


def _fresh(component: Component) -> Component:
    """Return a copy that has seen no case."""
    copy: Component = pickle.loads(pickle.dumps(component))  # noqa: S301 - our own bytes
    return copy


def _scores(component: Component, cases: Sequence[Case], cache: Cache | None = None) -> list[Score]:
    """Return the scores of a fresh copy."""
    return [row[0] for row in Engine({component.name: _fresh(component)}).run(cases, cache)]


def _check_declaration(component: Component) -> None:
    cls, name = type(component), component.name
    _expect(name.isidentifier() and name == name.lower(), f"{name}: a name is lower case words joined by _")
    _expect(component.summary, f"{name}: summary is empty; say in a few words what it measures")
    _expect(cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), f"{name}: the class has no docstring")
    low, high = component.bounds
    _expect(low < high, f"{name}: bounds {component.bounds} are not (smallest, largest)")
    for key, spec in cls.settings().items():
        _expect(spec.metadata.get("doc"), f"{name}: setting {key} has no doc; declare it as setting(default, doc)")
    _expect(
        component == cls(**{key: getattr(component, key) for key in cls.settings()}),
        f"{name}: settings do not rebuild it",
    )


def _check_values(component: Component, cases: Sequence[Case]) -> None:
    """Call `score_case` itself, for the engine turns what breaks these rules into failures."""
    name, component = component.name, _fresh(component)
    if "reference" in component.reads:
        cases = [case for case in cases if case.reference.strip()]  # the engine passes on no others
    table = Engine({name: component}).features(cases)
    for case in cases:
        try:
            score = component.score_case(case, table)
        except SetupError:
            raise
        except FeatureFailed:
            continue
        except Exception as error:  # whatever it is, it breaks the rule
            reason = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{name}: score_case must bear any text, but raises {reason}, for {case!r}") from error
        _check_score(component, case, score)


def _check_score(component: Component, case: Case, score: Score) -> None:
    name = component.name
    low, high = component.bounds
    _expect(isinstance(score, Score), f"{name}: score_case returns {score!r}, expected a Score, for {case!r}")
    if score.value is None:
        _expect(score.failure, f"{name}: no value and no reason for {case!r}")
    else:
        _expect(score.failure is None, f"{name}: a value and a failure at once for {case!r}")
        _expect(_is_finite(score.value), f"{name}: {score.value!r} is no finite number for {case!r}")
        within = low - _ROUNDING <= score.value <= high + _ROUNDING
        _expect(within, f"{name}: {score.value} is outside {component.bounds} for {case!r}")
    try:
        json.dumps(score.details, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{name}: details are not JSON ({error}) for {case!r}") from error


def _is_finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _check_sameness(component: Component, cases: Sequence[Case], scores: Sequence[Score]) -> None:
    name = component.name
    for case, score in zip(cases, scores, strict=True):
        alone = _scores(component, [case])[0]
        _expect(_same(component, alone, score), f"{name}: score alone and in a batch differ for {case!r}")
    backwards = _scores(component, cases[::-1])[::-1]
    _expect(all(map(partial(_same, component), scores, backwards)), f"{name}: scores depend on the order of cases")
    engine = Engine({name: _fresh(component)})
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(lambda _: engine.run(cases), range(4)):
            own = [row[0] for row in rows]
            _expect(all(map(partial(_same, component), scores, own)), f"{name}: scores differ between threads")


def _check_reads(component: Component, cases: Sequence[Case], scores: Sequence[Score]) -> None:
    name = component.name
    texts: dict[str, Any] = {"candidate": _OTHER, "reference": _OTHER, "priors": (_OTHER, _OTHER)}
    undeclared = {key: other for key, other in texts.items() if key not in component.reads}
    for key, other in {**undeclared, "case_id": "other", "group": "other"}.items():
        cure = "declare it in `reads`, or leave it alone" if key in undeclared else "it is no more than a name"
        changed = _scores(component, [replace(case, **{key: other}) for case in cases])
        for case, before, after in zip(cases, scores, changed, strict=True):
            _expect(_same(component, before, after), f"{name}: the score depends on {key} ({cure}) for {case!r}")


def _check_edges(component: Component) -> None:
    name = component.name
    empty, blank, perfect, no_reference, not_text = _scores(
        component,
        [
            Case(candidate="", reference=_CLEAR),
            Case(candidate=" \n ", reference=_CLEAR),
            Case(candidate=_REPORT, reference=_REPORT),
            Case(candidate=_REPORT, reference=" "),
            Case(candidate=None, reference=_REPORT),  # type: ignore[arg-type]
        ],
    )
    _expect(empty.value is not None, f"{name}: an empty candidate has no score: {empty.failure}")
    _expect(
        _near(empty.value, blank.value, component.batch_tolerance),
        f"{name}: empty and blank candidates differ: {empty.value}, {blank.value}",
    )
    if not component.identical:
        best = component.bounds[1 if component.higher_is_better else 0]
        _expect(
            perfect.value is not None and abs(perfect.value - best) <= max(_ROUNDING, component.batch_tolerance),
            f"{name}: identical texts score {perfect.value}, not the best bound {best}; explain in `identical` why",
        )
    if "reference" in component.reads:
        _check_direction(component)
        _expect(no_reference.value is None, f"{name}: scores against a blank reference")
    _expect(not_text.value is None, f"{name}: scores a candidate that is no text")
    if component.needs:
        broken = Failure("broken_feature", "made to fail")
        table = FeatureTable(defaultdict(lambda: defaultdict(lambda: broken)))
        score = score_one(name, _fresh(component), SAMPLE_CASES[0], table)
        _expect(score.value is None and score.failure == broken, f"{name}: hides the failure of a feature")


def _check_direction(component: Component) -> None:
    for reference in (_REPORT, _CLEAR):
        pair = [Case(candidate=candidate, reference=reference) for candidate in (reference, "")]
        same, empty = (score.value for score in _scores(component, pair))
        if same is None or empty is None:
            continue  # there is a reason, which is no worse score
        worse = empty - same if component.higher_is_better else same - empty
        _expect(
            worse <= max(_ROUNDING, component.batch_tolerance),
            f"{component.name}: identical texts score {same}, an empty candidate {empty}, which is better where "
            f"higher_is_better is {component.higher_is_better}",
        )


class _AnyHome(SqliteCache):
    """A cache file that takes values of a test's own feature, too: the file lives as long as the test."""

    def _goes_into_file(self, feature: Feature) -> bool:
        return feature.persistent


def _check_disk(component: Component, cases: Sequence[Case], scores: Sequence[Score]) -> None:
    name = component.name
    if not any(feature.persistent for feature in _all_needs(component.needs)):
        return
    with TemporaryDirectory() as folder:
        try:
            for _ in range(2):  # the second time nothing is in memory
                with _AnyHome(f"{folder}/cache.sqlite") as cache, warnings.catch_warnings():
                    warnings.simplefilter("error", CacheWarning)  # an entry that cannot be read would be computed again
                    again = _scores(component, cases, cache)
        except (CacheError, CacheWarning) as error:
            raise AssertionError(f"{name}: a feature's value cannot go through a cache file: {error}") from error
    for case, score, stored in zip(cases, scores, again, strict=True):
        _expect(
            _same(component, score, stored),
            f"{name}: the score changes when features come from a cache file, for {case!r}",
        )


def _all_needs(features: Iterable[Feature]) -> Iterator[Feature]:
    for feature in features:
        yield feature
        yield from _all_needs(feature.needs)


def _check_settings(
    component: Component, alternatives: Mapping[str, Any], cases: Sequence[Case], scores: Sequence[Score]
) -> None:
    cls, name = type(component), component.name
    hints = get_type_hints(cls)
    values = {key: getattr(component, key) for key in cls.settings()}
    for key, spec in cls.settings().items():
        tries = [alternatives[key]] if key in alternatives else list(_alternatives(values[key], hints[key]))
        for value in tries:
            try:
                other = cls(**{**values, key: value})
            except ConfigError:
                continue
            changes_scores = spec.metadata.get("changes_scores", True)
            changed = other.signature != component.signature
            _expect(
                changed == changes_scores,
                f"{name}: setting {key}={value!r} {'changes' if changed else 'does not change'} the signature",
            )
            if not changes_scores:
                _check_harmless(other, f"{key}={value!r}", cases, scores)
            break
        else:
            raise AssertionError(
                f"{name}: found no other valid value for setting {key}; pass alternatives={{{key!r}: ...}}"
            )


def _check_harmless(other: Component, setting: str, cases: Sequence[Case], scores: Sequence[Score]) -> None:
    try:
        changed = _scores(other, cases)
    except SetupError:
        return  # such as a device that this machine lacks
    for case, a, b in zip(cases, scores, changed, strict=True):
        same = a.failure == b.failure
        if a.value is not None and b.value is not None:
            same = abs(a.value - b.value) <= max(1e-6, other.batch_tolerance)  # a device rounds in its own way
        _expect(
            same,
            f"{other.name}: setting {setting} changes the score from {a.value} to {b.value} in spite of "
            f"changes_scores=False, for {case!r}",
        )
