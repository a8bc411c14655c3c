"""The rules that every component keeps: each function below is one check, and its name is the check's."""

from __future__ import annotations

import json
import pickle
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import isfinite
from tempfile import TemporaryDirectory
from typing import Any, Literal

from cxr_rewards.cache import CacheWarning, SqliteCache
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine, score_cases
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.errors import CacheError, SetupError, shorten
from cxr_rewards.testing.checks import Check, CheckResult, rule_of, run_checks
from cxr_rewards.testing.component_under_test import ROUNDING, ComponentUnderTest, run, shown
from cxr_rewards.testing.sample_cases import CLEAR, OTHER, REPORT, SAMPLE_CASES
from cxr_rewards.types import Case, Failure, Score


def component_checks(
    component: Component, *, alternatives: Mapping[str, object] | None = None, cases: Sequence[Case] = SAMPLE_CASES
) -> list[Check]:
    """Return the checks of one component, not yet run.

    Args:
        component: an instance with the settings to check.
        alternatives: for a setting whose other values cannot be guessed from its type: one other valid value by name.
        cases: what to score; all their texts are texts.

    Example:
        >>> from cxr_rewards.components.bleu import Bleu
        >>> check = component_checks(Bleu())[0]
        >>> check.subject, check.name, check.rule
        ('bleu', 'has_a_plain_name', 'The name is lower-case words joined by `_`.')
        >>> check()
    """
    under_test = ComponentUnderTest(component, alternatives=alternatives, cases=cases)
    return [Check(under_test.name, rule.__name__, rule_of(rule), partial(rule, under_test)) for rule in COMPONENT_RULES]


def check_component(
    component: Component,
    *,
    alternatives: Mapping[str, object] | None = None,
    cases: Sequence[Case] = SAMPLE_CASES,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "return"] = "raise",
) -> list[CheckResult]:
    """Check that a component keeps the rules that the engine and the trainers rely on.

    `docs/adding-a-component.md` lists the rules. To see each as a pytest test, use `parametrize_with_checks`.

    Args:
        component: an instance with the settings to check.
        alternatives: for a setting whose other values cannot be guessed from its type: one other valid value by name.
        cases: what to score; all their texts are texts.
        expected_failed_checks: why a check is expected to fail, by its name. It is a breach if such a check passes.
        on_fail: `raise` an error that lists all breaches, or `return` the results and leave it to the caller.

    Returns:
        One result a check, in order.

    Raises:
        AssertionError: lists every rule that is broken.
        ConfigError: `expected_failed_checks` names an unknown check.
        SetupError: the component cannot work here at all.

    Example:
        >>> from cxr_rewards.components.temporal_f1 import TemporalF1
        >>> results = check_component(TemporalF1())
        >>> all(result.status == "passed" for result in results)
        True
    """
    checks = component_checks(component, alternatives=alternatives, cases=cases)
    return run_checks(checks, expected_failed_checks=expected_failed_checks, on_fail=on_fail)


# What a component says of itself


def has_a_plain_name(it: ComponentUnderTest) -> None:
    """The name is lower-case words joined by `_`."""
    it.expect(it.name.isidentifier() and it.name == it.name.lower(), "a name is lower case words joined by _")


def has_a_summary(it: ComponentUnderTest) -> None:
    """The summary says in a few words what the component measures."""
    it.expect(it.component.summary, "summary is empty; say in a few words what it measures")


def has_a_docstring(it: ComponentUnderTest) -> None:
    """The class has a docstring."""
    cls = type(it.component)
    it.expect(cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), "the class has no docstring")


def has_ordered_bounds(it: ComponentUnderTest) -> None:
    """The bounds are the smallest value and a larger one."""
    low, high = it.component.bounds
    it.expect(low < high, f"bounds {it.component.bounds} are not (smallest, largest)")


def documents_each_setting(it: ComponentUnderTest) -> None:
    """Each setting is declared with the sentence that explains it."""
    for key, spec in type(it.component).settings().items():
        it.expect(spec.metadata.get("doc"), f"setting {key} has no doc; declare it as setting(default, doc)")


# Copies


def is_its_settings(it: ComponentUnderTest) -> None:
    """A component rebuilt from the settings is equal and gives the same scores: there is no other state."""
    it.expect(it.fresh() == it.component, "is not equal to a copy that is built with its settings")
    own = it.score(it.cases, by=it.component)
    it.expect_same(it.scores, own, "a copy that is built with its settings gives other scores")


def survives_pickling(it: ComponentUnderTest) -> None:
    """A pickled copy is equal, has the same signature and gives the same scores."""
    copy = pickle.loads(pickle.dumps(it.fresh()))  # noqa: S301 - our own bytes
    it.expect(copy == it.fresh(), "is not equal to itself after pickling")
    it.expect(copy.signature == it.fresh().signature, "signature changes through pickling")
    it.expect_same(it.scores, it.score(it.cases, by=copy), "scores change through pickling")


# What `score_case` returns


def bears_any_text(it: ComponentUnderTest) -> None:
    """`score_case` raises for no text, however odd; only the failure of a feature may pass through."""
    for case, score in it.returned:
        if isinstance(score, Exception):
            reason = f"{type(score).__name__}: {score}"
            message = f"{it.name}: score_case must bear any text, but raises {reason}, for {shown(case)}"
            raise AssertionError(message) from score


def returns_a_number_or_a_reason(it: ComponentUnderTest) -> None:
    """`score_case` returns a `Score` with a finite number, or with a failure that says why there is none."""
    for case, score in it.returned:
        if isinstance(score, Exception):
            continue
        what = f"for {shown(case)}"
        it.expect(isinstance(score, Score), f"score_case returns {shorten(score)}, expected a Score, {what}")
        if score.value is None:
            it.expect(score.failure, f"no value and no reason {what}")
        else:
            it.expect(score.failure is None, f"a value and a failure at once {what}")
            it.expect(_is_finite(score.value), f"{score.value!r} is not a finite number {what}")


def stays_within_bounds(it: ComponentUnderTest) -> None:
    """Each value is within `bounds`, but for rounding."""
    low, high = it.component.bounds
    low, high = min(low, high), max(low, high)
    for case, score in it.returned:
        if isinstance(score, Score) and _is_finite(score.value):
            within = low - ROUNDING <= float(score.value or 0) <= high + ROUNDING
            it.expect(within, f"{score.value} is outside {it.component.bounds} for {shown(case)}")


def gives_details_as_json(it: ComponentUnderTest) -> None:
    """The details of a score can be written as JSON."""
    for case, score in it.returned:
        if isinstance(score, Score):
            try:
                json.dumps(score.details, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise AssertionError(f"{it.name}: details are not JSON ({error}) for {shown(case)}") from error


def leaves_cases_unchanged(it: ComponentUnderTest) -> None:
    """Scoring changes no case."""
    cases = deepcopy(it.cases)
    run(it.fresh(), cases)
    it.expect(list(map(repr, cases)) == list(map(repr, it.cases)), "changed a case")


# One case, one score


def scores_alone_as_in_a_batch(it: ComponentUnderTest) -> None:
    """A case scored alone, by a copy that has seen no other, scores as it does among others."""
    alone = [it.score([case])[0] for case in it.cases]
    it.expect_same(alone, it.scores, "score alone and in a batch differ")


def ignores_the_order_of_cases(it: ComponentUnderTest) -> None:
    """The order of the cases changes no score."""
    backwards = it.score(it.cases[::-1])[::-1]
    it.expect_same(it.scores, backwards, "scores depend on the order of cases")


def scores_alike_in_threads(it: ComponentUnderTest) -> None:
    """Four threads that share one instance get the same scores."""
    shared = Engine({it.name: it.fresh()})
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(lambda _: shared.run(deepcopy(it.cases)), range(4)):
            it.expect_same(it.scores, [row[0] for row in rows], "scores differ between threads")


# What a score may depend on


def reads_only_what_it_declares(it: ComponentUnderTest) -> None:
    """A score does not depend on a text that `reads` leaves out."""
    texts: dict[str, Any] = {"candidate": OTHER, "reference": OTHER, "priors": (OTHER, OTHER)}
    for key, other in texts.items():
        if key not in it.component.reads:
            changed = it.score([replace(case, **{key: other}) for case in it.cases])
            it.expect_same(it.scores, changed, f"the score depends on {key} (declare it in `reads`, or leave it alone)")


def ignores_case_id_and_group(it: ComponentUnderTest) -> None:
    """A score does not depend on `case_id` or `group`, which are only names."""
    others: dict[str, Any] = {"case_id": "other", "group": "other"}
    for key, other in others.items():
        changed = it.score([replace(case, **{key: other}) for case in it.cases])
        it.expect_same(it.scores, changed, f"the score depends on {key} (which is only a name)")


# Edges


def scores_an_empty_candidate(it: ComponentUnderTest) -> None:
    """An empty candidate has a score."""
    (empty,) = it.score([Case(candidate="", reference=CLEAR)])
    it.expect(empty.value is not None, f"an empty candidate has no score: {empty.failure}")


def scores_a_blank_candidate_as_an_empty_one(it: ComponentUnderTest) -> None:
    """A candidate of white space scores as an empty one does."""
    empty, blank = it.score([Case(candidate=text, reference=CLEAR) for text in ("", " \n ")])
    it.expect(it.near(empty.value, blank.value), f"empty and blank candidates differ: {empty.value}, {blank.value}")


def gives_identical_texts_the_best_bound(it: ComponentUnderTest) -> None:
    """A candidate equal to its reference reaches the best bound, unless `identical` says why it may not."""
    if it.component.identical:
        return
    (perfect,) = it.score([Case(candidate=REPORT, reference=REPORT)])
    best = it.component.bounds[1 if it.component.higher_is_better else 0]
    it.expect(
        perfect.value is not None and abs(perfect.value - best) <= it.tolerance,
        f"identical texts score {perfect.value}, not the best bound {best}; explain in `identical` why",
    )


def prefers_identical_texts_to_an_empty_candidate(it: ComponentUnderTest) -> None:
    """If the reference is read, a candidate equal to it never scores worse than an empty one."""
    for reference in (REPORT, CLEAR) if it.reads_reference else ():
        pair = [Case(candidate=candidate, reference=reference) for candidate in (reference, "")]
        same, empty = (score.value for score in it.score(pair))
        if same is None or empty is None:
            continue  # there is a reason, which is not a worse score
        better = it.component.higher_is_better
        worse = empty - same if better else same - empty
        it.expect(
            worse <= it.tolerance,
            f"identical texts score {same}, an empty candidate {empty}, which is better: higher_is_better is {better}",
        )


def leaves_the_unscorable_unscored(it: ComponentUnderTest) -> None:
    """`score` gives `None` with a reason for a candidate that is not a text, and for a blank reference that is read."""
    unscorable: list[tuple[str, Any, str]] = [("a candidate that is not a text", None, REPORT)]
    if it.reads_reference:
        unscorable.append(("a blank reference", REPORT, " "))
    for what, candidate, reference in unscorable:
        score = it.fresh().score(candidate, reference)
        it.expect(score.value is None and score.failure, f"{what} scores {score.value}, expected None with a reason")


def passes_on_the_failure_of_a_feature(it: ComponentUnderTest) -> None:
    """If a feature that the component needs has failed, the score is `None` with the feature's reason."""
    if it.component.needs:
        broken = Failure("broken_feature", "made to fail")
        table = FeatureTable(defaultdict(lambda: defaultdict(lambda: broken)))
        (score,) = score_cases(it.name, it.fresh(), SAMPLE_CASES[:1], table)
        it.expect(score.value is None and score.failure == broken, "hides the failure of a feature")


# Features in a file


class _AnyHome(SqliteCache):
    """A cache file that also takes values of a test's own feature, because it lives no longer than the test."""

    def _goes_into_file(self, feature: Feature) -> bool:
        return feature.persistent


def scores_alike_from_a_cache_file(it: ComponentUnderTest) -> None:
    """The values of persistent features can be stored in a file, and score the same when they come back from it."""
    if not any(feature.persistent for feature in _all_needs(it.component.needs)):
        return
    with TemporaryDirectory() as folder:
        try:
            for _ in range(2):  # the second time nothing is in memory
                with _AnyHome(f"{folder}/cache.sqlite") as cache, warnings.catch_warnings():
                    warnings.simplefilter("error", CacheWarning)  # an entry that cannot be read would be recomputed
                    stored = it.score(it.cases, cache)
        except (CacheError, CacheWarning) as error:
            raise AssertionError(f"{it.name}: a feature's value cannot go through a cache file: {error}") from error
    it.expect_same(it.scores, stored, "the score changes when features come from a cache file")


# Settings


def signs_the_settings_that_move_scores(it: ComponentUnderTest) -> None:
    """Another value of a setting changes the signature if the setting moves scores, and only then."""
    for key, spec in type(it.component).settings().items():
        other = it.with_other_value(key)
        if other is None:
            it.expect(False, f"found no other valid value for setting {key}; pass alternatives={{{key!r}: ...}}")
            continue
        changes = other.signature != it.component.signature
        it.expect(
            changes == spec.metadata.get("changes_scores", True),
            f"setting {key}={getattr(other, key)!r} {'changes' if changes else 'does not change'} the signature",
        )


def moves_no_score_by_its_other_settings(it: ComponentUnderTest) -> None:
    """A setting declared with `changes_scores=False` moves no score by more than 1e-6.

    Another value that cannot work on this machine, such as a device, is not tried.
    """
    for key, spec in type(it.component).settings().items():
        if spec.metadata.get("changes_scores", True):
            continue
        other = it.with_other_value(key)
        if other is not None:
            try:
                changed = it.score(it.cases, by=other)
            except SetupError:
                continue
            _expect_unmoved(it, f"{key}={getattr(other, key)!r}", changed)


def summarises_a_corpus_by_the_details_it_names(it: ComponentUnderTest) -> None:
    """`corpus` needs no more of a score than its value and the details named in `corpus_details`."""
    scores = [score for score in it.scores if score.failure is None]
    named = it.component.corpus_details
    less = [replace(s, details={key: s.details[key] for key in named if key in s.details}) for s in scores]
    try:
        whole, part = it.fresh().corpus(iter(scores)), it.fresh().corpus(iter(less))
    except KeyError as error:
        raise AssertionError(f"{it.name}: corpus reads the detail {error}; name it in `corpus_details`") from error
    it.expect(it.near(whole, part), f"corpus depends on more than `corpus_details`: {shorten(whole)}, {shorten(part)}")


COMPONENT_RULES: tuple[Callable[[ComponentUnderTest], None], ...] = (
    has_a_plain_name,
    has_a_summary,
    has_a_docstring,
    has_ordered_bounds,
    documents_each_setting,
    is_its_settings,
    survives_pickling,
    bears_any_text,
    returns_a_number_or_a_reason,
    stays_within_bounds,
    gives_details_as_json,
    leaves_cases_unchanged,
    scores_alone_as_in_a_batch,
    ignores_the_order_of_cases,
    scores_alike_in_threads,
    reads_only_what_it_declares,
    ignores_case_id_and_group,
    scores_an_empty_candidate,
    scores_a_blank_candidate_as_an_empty_one,
    gives_identical_texts_the_best_bound,
    prefers_identical_texts_to_an_empty_candidate,
    leaves_the_unscorable_unscored,
    passes_on_the_failure_of_a_feature,
    scores_alike_from_a_cache_file,
    signs_the_settings_that_move_scores,
    moves_no_score_by_its_other_settings,
    summarises_a_corpus_by_the_details_it_names,
)
"""The rules in the order in which they are checked."""


def _is_finite(value: float | None) -> bool:
    try:
        return value is not None and isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _all_needs(features: Iterable[Feature]) -> Iterator[Feature]:
    for feature in features:
        yield feature
        yield from _all_needs(feature.needs)


def _expect_unmoved(it: ComponentUnderTest, setting: str, changed: Sequence[Score]) -> None:
    for case, a, b in zip(it.cases, it.scores, changed, strict=True):
        same = a.failure == b.failure
        if a.value is not None and b.value is not None:
            same = abs(a.value - b.value) <= max(1e-6, it.tolerance)  # a device rounds in its own way
        it.expect(
            same,
            f"setting {setting} changes the score from {a.value} to {b.value} in spite of changes_scores=False, "
            f"for {shown(case)}",
        )
