"""Each check fails on a component that breaks its rule, and on that component no other check fails."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Literal

import numpy as np
import pytest

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, FeatureFailed
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.testing import SAMPLE_CASES, check_component, component_checks
from cxr_rewards.testing.component_rules import COMPONENT_RULES
from cxr_rewards.types import Failure, Score

NUMBER = itertools.count()
PRIOR, DOTS, ODD, HUGE = (SAMPLE_CASES[i].candidate for i in (4, 9, 11, 12))


class Good(Component):
    """Share of the candidate's words that the reference holds."""

    name = "good"
    summary = "shared words"
    corpus_details = ("shared",)
    power: float = setting(1.0, "Exponent of the share.")

    def score_case(self, case, features):
        words = case.candidate.split()
        shared = sum(word in case.reference for word in words)
        return Score((shared / len(words)) ** self.power if words else 0.0, {"shared": shared, "words": len(words)})

    def corpus(self, scores):
        return {"shared": float(sum(score.details["shared"] for score in scores))}


class Text(Feature):
    name = "text"

    def compute(self, items, upstream):
        return items


class Words(Feature):
    """Cannot be stored as it is."""

    name = "words"

    def compute(self, items, upstream):
        return [frozenset(text.split()) for text in items]


class StoredWords(Words):
    name = "stored_words"

    def encode(self, value):
        return sorted(value)

    def decode(self, stored):
        return frozenset(stored)


class ForgottenWords(StoredWords):
    """Its `decode` does not invert `encode`."""

    name = "forgotten_words"

    def decode(self, stored):
        return frozenset(stored[1:])


class Undecodable(StoredWords):
    name = "undecodable"

    def decode(self, stored):
        raise ValueError("lost")


class Vocabulary(Feature):
    """Computed from words, cheap itself."""

    name = "vocabulary"
    persistent = False
    source = Words()

    @property
    def needs(self):
        return (self.source,)

    def compute(self, items, upstream):
        return [upstream.value(self.source, text) for text in items]


def variant(**attributes):
    """Good, with other attributes."""
    name = f"Variant{next(NUMBER)}"
    cls = type(name, (Good,), {"__doc__": Good.__doc__, "__module__": __name__, **attributes})
    globals()[name] = cls  # where pickle looks for it
    return cls


def scorer(function, **attributes):
    """Good, if `function` returns None for a case; its score otherwise."""

    def score_case(self, case, features):
        score = function(case)
        return Good.score_case(self, case, features) if score is None else score

    return variant(score_case=score_case, **attributes)


def for_dots(returned):
    """Good, but for one case."""
    return scorer(lambda case: returned if case.candidate == DOTS else None)


def reader(feature):
    """Good, on words that come from a feature."""

    def score_case(self, case, features):
        words, known = features.value(feature, case.candidate), features.value(feature, case.reference)
        return Score(len(words & known) / len(words) if words else 0.0, {"shared": len(words & known)})

    return variant(needs=property(lambda self: (feature,)), score_case=score_case)


def _empty_is(score):
    return lambda case: None if case.candidate.strip() else score


def _differing(**changes):
    """Good, and worth 0 if one of the `changes` is seen in the case."""
    return lambda case: Score(0.0, {"shared": 0}) if any(getattr(case, k) != v for k, v in changes.items()) else None


def _odd_letters(case):
    case.candidate.encode()


def _changes_the_case(case):
    case.context.update(x="y")


def _in_another_thread(case):
    return None if threading.current_thread() is threading.main_thread() else Score(0.25, {"shared": 0})


class Warming(Good):
    """Good, but one case scores otherwise if it is not the first that an instance sees."""

    def score_case(self, case, features):
        first = self.__dict__.setdefault("_first", case.candidate)
        score = super().score_case(case, features)
        return score if case.candidate != PRIOR or first == PRIOR else Score(0.125, score.details)


class Echoing(Good):
    """Good, but one case scores otherwise after another."""

    def score_case(self, case, features):
        last = self.__dict__.setdefault("_last", threading.local())
        before, last.candidate = getattr(last, "candidate", ""), case.candidate
        score = super().score_case(case, features)
        return Score(0.125, score.details) if (before, case.candidate) == (HUGE, ODD) else score


class Shifted(Good):
    """Good, but its settings do not say what it was built with."""

    def __post_init__(self):
        object.__setattr__(self, "power", {7.0: 2.0, 2.0: 3.0}.get(self.power, self.power))


class Unpicklable(Good):
    """Good, but pickling loses its setting."""

    def __reduce__(self):
        return Unpicklable, ()


class Otherwise(Good):
    """Good, but a pickled copy scores otherwise."""

    def __reduce__(self):
        return Otherwise._copy, ({"power": self.power},)

    @classmethod
    def _copy(cls, values):
        copy = cls(**values)
        copy.__dict__["_copied"] = True
        return copy

    def score_case(self, case, features):
        score = super().score_case(case, features)
        return Score(score.value / 2, score.details) if "_copied" in self.__dict__ else score


class Unsigned(Good):
    """Good, but a setting that moves scores is kept out of the signature."""

    signature = property(lambda self: "unsigned")


class Oversigned(Good):
    """Good, but a setting that moves nothing is in the signature."""

    batch_size: int = setting(8, "Texts at a time.", changes_scores=False)
    signature = property(lambda self: f"{self.power} {self.batch_size}")


class Rescaled(Good):
    """Good, but a setting that moves scores is declared not to."""

    scale: float = setting(1.0, "Multiplies, 0 to 1.", changes_scores=False)

    def score_case(self, case, features):
        score = super().score_case(case, features)
        return Score(self.scale * score.value, score.details)


class Placed(Good):
    """Good, and has settings that move nothing, the second of which works on few machines."""

    batch_size: int = setting(8, "Texts at a time.", changes_scores=False)
    device: Literal["cpu", "cuda"] = setting("cpu", "Where it runs.", changes_scores=False)

    def score_case(self, case, features):
        if self.device == "cuda":
            raise ModelLoadError("placed: there is no such device")
        return super().score_case(case, features)


class Undocumented(Good):
    """Good, but a setting has no doc."""

    scale: float = 1.0


class Unguessable(Good):
    """Good, but a setting has no other value."""

    nothing: None = setting(None, "Only None.")


class Strict(Good):
    """Good, but one setting takes only texts that nobody guesses."""

    mode: str = setting("a", "One of a and b.")

    def __post_init__(self):
        if self.mode not in ("a", "b"):
            raise self.invalid("mode", "a or b")


def _hides(self, case, features):
    try:
        features.value(self.needs[0], case.candidate)
    except FeatureFailed:
        return Score(0.0)
    return Good.score_case(self, case, features)


def _score_never_fails(self, candidate, reference, priors=()):
    score = Component.score(self, candidate, reference, priors)
    return Score(0.0) if score.value is None else score


def _more_than_named(self, scores):
    return {"words": float(sum(score.details.get("words", 0) for score in scores))}


def _unnamed(self, scores):
    return {"words": float(sum(score.details["words"] for score in scores))}


BROKEN = {
    "bad name": ("has_a_plain_name", variant(name="Good-One"), "a name is lower case words"),
    "no summary": ("has_a_summary", variant(summary=""), "summary is empty"),
    "no docstring": ("has_a_docstring", variant(__doc__=None), "the class has no docstring"),
    "bounds that are one": (
        "has_ordered_bounds",
        scorer(lambda case: Score(1.0, {"shared": 0}), bounds=(1.0, 1.0)),
        r"bounds \(1.0, 1.0\) are not \(smallest, largest\)",
    ),
    "undocumented setting": ("documents_each_setting", Undocumented, "setting scale has no doc"),
    "settings not kept": (
        "is_its_settings",
        lambda: Shifted(power=7.0),
        "not equal to a copy that is built with its settings",
    ),
    "setting lost in pickling": (
        "survives_pickling",
        lambda: Unpicklable(power=2.0),
        "is not equal to itself after pickling",
    ),
    "scores otherwise when pickled": ("survives_pickling", Otherwise, "scores change through pickling"),
    "raises on odd letters": (
        "bears_any_text",
        scorer(_odd_letters),
        "must bear any text, but raises UnicodeEncodeError",
    ),
    "no Score": ("returns_a_number_or_a_reason", for_dots(1.0), "returns 1.0, expected a Score"),
    "no value, no reason": ("returns_a_number_or_a_reason", for_dots(Score(None)), "no value and no reason"),
    "value and failure": (
        "returns_a_number_or_a_reason",
        for_dots(Score(1.0, failure=Failure("x", "y"))),
        "a value and a failure at once for Case.candidate='...'",
    ),
    "not finite": ("returns_a_number_or_a_reason", for_dots(Score(float("nan"))), "nan is not a finite number"),
    "text for a number": (
        "returns_a_number_or_a_reason",
        for_dots(Score("1.0", {"shared": 0})),
        "'1.0' is not a finite number",
    ),
    "above the bounds": ("stays_within_bounds", for_dots(Score(1 + 1e-6)), "1.000001 is outside"),
    "below the bounds": ("stays_within_bounds", for_dots(Score(-1e-6)), "-1e-06 is outside"),
    "details not JSON": (
        "gives_details_as_json",
        for_dots(Score(1.0, {"shared": 0, "x": {1}})),
        "details are not JSON",
    ),
    "details hold NaN": (
        "gives_details_as_json",
        for_dots(Score(1.0, {"shared": 0, "x": [float("inf")]})),
        "details are not JSON",
    ),
    "changes the case": ("leaves_cases_unchanged", scorer(_changes_the_case), "changed a case"),
    "warming": ("scores_alone_as_in_a_batch", Warming, "alone and in a batch differ"),
    "echo": ("ignores_the_order_of_cases", Echoing, "scores depend on the order of cases"),
    "thread": ("scores_alike_in_threads", scorer(_in_another_thread), "scores differ between threads"),
    "reference undeclared": (
        "reads_only_what_it_declares",
        variant(reads=("candidate",)),
        "depends on reference .declare it in `reads`",
    ),
    "candidate undeclared": (
        "reads_only_what_it_declares",
        variant(reads=("reference",)),
        "depends on candidate .declare it in `reads`",
    ),
    "priors undeclared": (
        "reads_only_what_it_declares",
        scorer(lambda case: Score(0.0, {"shared": 0}) if len(case.priors) > 1 else None),
        "depends on priors .declare it in `reads`",
    ),
    "reads case_id": ("ignores_case_id_and_group", scorer(_differing(case_id="")), "depends on case_id"),
    "reads group": ("ignores_case_id_and_group", scorer(_differing(group="")), "depends on group"),
    "empty unscored": (
        "scores_an_empty_candidate",
        scorer(_empty_is(Score(None, failure=Failure("good", "is empty")))),
        "an empty candidate has no score: good: is empty",
    ),
    "blank differs": (
        "scores_a_blank_candidate_as_an_empty_one",
        scorer(lambda case: Score(1.0, {"shared": 0}) if case.candidate == "" else None),
        "empty and blank candidates differ: 1.0, 0.0",
    ),
    "identical not best": (
        "gives_identical_texts_the_best_bound",
        scorer(lambda case: Score(0.5, {"shared": 0})),
        "identical texts score 0.5, not the best bound 1.0",
    ),
    "direction turned": (
        "prefers_identical_texts_to_an_empty_candidate",
        variant(identical="it is strict", higher_is_better=False),
        "identical texts score 1.0, an empty candidate 0.0, which is better: higher_is_better is False",
    ),
    "fails as 0": (
        "leaves_the_unscorable_unscored",
        variant(score=_score_never_fails),
        "a candidate that is not a text scores 0.0, expected None with a reason",
    ),
    "hides failures": (
        "passes_on_the_failure_of_a_feature",
        variant(needs=property(lambda self: (Text(),)), score_case=_hides),
        "hides the failure of a feature",
    ),
    "feature cannot be stored": (
        "scores_alike_from_a_cache_file",
        reader(Words()),
        "cannot go through a cache file: .* frozenset cannot be stored",
    ),
    "needed feature cannot be stored": (
        "scores_alike_from_a_cache_file",
        reader(Vocabulary()),
        "words: .* frozenset cannot be stored",
    ),
    "feature cannot be decoded": (
        "scores_alike_from_a_cache_file",
        reader(Undecodable()),
        "cannot go through a cache file: .*ValueError: lost",
    ),
    "feature comes back changed": (
        "scores_alike_from_a_cache_file",
        reader(ForgottenWords()),
        "changes when features come from a cache file",
    ),
    "signature without setting": (
        "signs_the_settings_that_move_scores",
        Unsigned,
        "setting power=.* does not change the signature",
    ),
    "signature with too much": (
        "signs_the_settings_that_move_scores",
        Oversigned,
        "setting batch_size=9 changes the signature",
    ),
    "unguessable setting": (
        "signs_the_settings_that_move_scores",
        Unguessable,
        "found no other valid value for setting nothing; pass alternatives={'nothing'",
    ),
    "setting moves scores": (
        "moves_no_score_by_its_other_settings",
        Rescaled,
        "setting scale=0.5 changes the score from 1.0 to 0.5 in spite of",
    ),
    "corpus reads an unnamed detail": (
        "summarises_a_corpus_by_the_details_it_names",
        variant(corpus=_unnamed),
        "corpus reads the detail 'words'; name it in `corpus_details`",
    ),
    "corpus depends on more": (
        "summarises_a_corpus_by_the_details_it_names",
        variant(corpus=_more_than_named),
        "corpus depends on more than `corpus_details`",
    ),
}


def test_a_detail_that_is_measured_may_differ_each_time():
    def score_case(self, case, features):
        return Score(0.5, {"seconds": float(next(NUMBER))})

    attributes = {"score_case": score_case, "corpus": Component.corpus, "corpus_details": ()}
    breach = "a copy that is built with its settings gives other scores"
    assert breach in failed(variant(**attributes)())["is_its_settings"]
    measured = variant(**attributes, measured_details=("seconds",))
    assert "is_its_settings" not in failed(measured())


def failed(component, **arguments):
    """The checks that fail, with their messages."""
    results = check_component(component, on_fail="return", **arguments)
    return {result.check.name: result.breach for result in results if result.status == "failed"}


@pytest.mark.parametrize("case", BROKEN)
def test_the_check_of_a_broken_rule_fails_and_no_other(case):
    check, cls, message = BROKEN[case]
    component = cls()
    breaches = failed(component)
    assert list(breaches) == [check]
    with pytest.raises(AssertionError, match=f"{component.name}: .*{message}"):
        raise AssertionError(breaches[check])


def test_each_check_is_seen_to_fail():
    assert {check for check, _, _ in BROKEN.values()} == {rule.__name__ for rule in COMPONENT_RULES}


def test_every_message_begins_with_check_and_component():
    for check, cls, _ in BROKEN.values():
        component = cls()
        assert failed(component)[check].startswith(f"{check}: {component.name}: ")


def test_all_breaches_are_listed_and_not_only_the_first():
    worse = variant(summary="", higher_is_better=False)()
    with pytest.raises(AssertionError) as caught:
        check_component(worse)
    assert str(caught.value).startswith("good: 3 of 27 checks failed\n- has_a_summary: good: summary is empty")
    assert "\n- gives_identical_texts_the_best_bound: good: identical texts score 1.0" in str(caught.value)
    assert "\n- prefers_identical_texts_to_an_empty_candidate: good: " in str(caught.value)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (scorer(lambda case: Score(random.random())), "scores_alone_as_in_a_batch"),
        (scorer(lambda case: Score(float(case.candidate == case.reference) / len(case.candidate.split()))),
         "bears_any_text"),
        (variant(bounds=(1.0, 0.0)), "has_ordered_bounds"),
        (
            variant(
                reads=("candidate",),
                needs=property(lambda self: (Text(),)),
                score_case=lambda self, case, features: Score(float(features.value(Text(), case.reference) == "")),
            ),
            "bears_any_text",
        ),
    ],
)  # fmt: skip
def test_a_component_that_breaks_several_rules_is_found(broken, check):
    assert check in failed(broken())


def test_a_check_that_cannot_run_has_failed_and_the_others_still_run():
    def reduce(self):
        raise TypeError("cannot pickle a lock")

    breaches = failed(variant(__reduce__=reduce)())
    assert breaches == {"survives_pickling": "survives_pickling: TypeError('cannot pickle a lock')"}


def test_a_good_component_passes():
    assert failed(Good()) == {}


@pytest.mark.parametrize("one", [1, np.float32(1), np.int64(1), 1 + 1e-12])
def test_a_number_of_any_kind_and_rounding_beyond_the_bounds_pass(one):
    assert failed(scorer(lambda case: Score(one if case.candidate.strip() else 0.0, {"shared": 0}))()) == {}


def test_a_feature_that_can_be_stored_passes():
    assert failed(reader(StoredWords())()) == {}


def test_settings_that_move_nothing_pass_even_if_their_other_value_cannot_work():
    assert failed(Placed()) == {}


def test_an_alternative_is_taken_for_a_setting_whose_other_values_cannot_be_guessed():
    assert list(failed(Strict())) == ["signs_the_settings_that_move_scores"]
    assert failed(Strict(), alternatives={"mode": "b"}) == {}


def test_a_component_that_cannot_work_here_breaks_no_rule():
    with pytest.raises(ModelLoadError, match="no such device"):
        check_component(Placed(device="cuda"))


def test_state_beside_the_settings_is_found():
    def score_case(self, case, features):
        score = Good.score_case(self, case, features)
        return Score(vars(self).get("factor", 1.0) * score.value, score.details)

    component = variant(score_case=score_case)()
    vars(component)["factor"] = 0.5
    assert list(failed(component)) == ["is_its_settings"]


def test_checks_of_one_component_may_run_alone_and_in_any_order():
    checks = component_checks(variant(summary="")())
    for check in reversed(checks):
        if check.name == "has_a_summary":
            with pytest.raises(AssertionError, match="good: summary is empty"):
                check()
        else:
            check()


def test_sample_cases_stay_as_they_are():
    before = repr(SAMPLE_CASES)
    failed(scorer(_changes_the_case)())
    assert repr(SAMPLE_CASES) == before


def test_an_expected_failure_is_no_breach():
    broken = variant(summary="")()
    results = check_component(broken, expected_failed_checks={"has_a_summary": "it has no words"})
    statuses = {result.check.name: result.status for result in results}
    assert statuses.pop("has_a_summary") == "failed as expected"
    assert set(statuses.values()) == {"passed"}


def test_an_expected_failure_that_passes_is_a_breach():
    with pytest.raises(AssertionError, match=r"has_a_summary: passes, but is expected to fail \(it has no words\)"):
        check_component(Good(), expected_failed_checks={"has_a_summary": "it has no words"})


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"has_summary": "x"}, "unknown check 'has_summary'.*Did you mean 'has_a_summary'"),
        ({"has_a_summary": ""}, "has_a_summary needs a reason, got ''"),
    ],
)
def test_a_wrong_expectation_is_an_error(expected, message):
    with pytest.raises(ConfigError, match=message):
        check_component(Good(), expected_failed_checks=expected)
