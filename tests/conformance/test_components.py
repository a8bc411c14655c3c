"""Every registered component keeps the rules; and the check that says so fails where a rule is broken."""

from __future__ import annotations

import itertools
import random
from typing import Literal

import numpy as np
import pytest

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, FeatureFailed
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ModelLoadError
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.testing import check_component
from cxr_rewards.types import Failure, Score

NEEDED = {"external": {"metric": "tests.conformance.test_components:overlap"}}


def overlap(candidates, references):
    return [len(set(a.split()) & set(b.split())) for a, b in zip(candidates, references, strict=True)]


@pytest.mark.parametrize("name", component_names())
def test_component_conforms(name, models, minilm, judge, tmp_path):
    cls = load_component(name)
    settings = {"model": str(minilm)} if name == "sentence_set" else NEEDED.get(name, {})
    component = cls(**settings)
    same = {"device": "cpu", "batch_tokens": 300, "idf_corpus": "", "model": getattr(component, "model", "")}
    other = {"metric": "difflib:get_close_matches", "options": '{"cutoff": 0.5}', "low": -1.0, "high": 1e6}
    if name == "bertscore":
        component = cls(baseline=0.5)  # of any measure and layer
    if issubclass(cls, JudgeComponent):
        (tmp_path / "template.txt").write_text("--- system\nTask: " + name + ". By these criteria\n- accuracy: x\n--- user\n"
                                               "{{reference}} {{candidate}}")  # fmt: skip
        component = cls(temperature=0.5)  # so that several votes may be
        same = {"model": "other", "base_url": f"{judge.url}/", "template": "", "api_key_file": "/nowhere"}
        # As many as not to wait for.
        other = dict.fromkeys(("requests_per_minute", "tokens_per_minute"), 10**9) | {"extra_body": '{"top_k": 1}'}
        other |= {"usd_per_million_input": 0.5, "budget_usd": 0.0, "top_p": 0.5, "vote": "mean", "structured": "off"}
        other |= {
            "criteria": ("a: one", "b: two"),
            "low": -1.0,
            "high": 20.0,
            "budget_calls": 10**9,
            "budget_tokens": 10**9,
        }
    known = {key: value for key, value in {**same, **other}.items() if key in cls.settings()}
    if name in ("radgraph_f1", "radgraph_combined"):
        del known["model"]  # another model, not the same at another place
    check_component(component, alternatives=known)


class Good(Component):
    """Share of the candidate's words that the reference holds."""

    name = "good"
    summary = "shared words"
    power: float = setting(1.0, "Exponent of the share.")

    def score_case(self, case, features):
        words = case.candidate.split()
        shared = sum(word in case.reference for word in words)
        return Score((shared / len(words)) ** self.power if words else 0.0, {"shared": shared})


NUMBER = itertools.count()


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
    name = f"Variant{next(NUMBER)}"
    cls = type(name, (Good,), {"__doc__": Good.__doc__, "__module__": __name__, **attributes})
    globals()[name] = cls  # where pickle looks for it
    return cls


def scorer(function):
    return variant(score_case=lambda self, case, features: function(case))


def reader(feature):
    """Good, on words that come from a feature."""

    def score_case(self, case, features):
        words, known = features.value(feature, case.candidate), features.value(feature, case.reference)
        return Score(len(words & known) / len(words) if words else 0.0)

    return variant(needs=property(lambda self: (feature,)), score_case=score_case)


def _remembers(self, case, features):
    first = self.__dict__.setdefault("_first", case.reference)
    return Score(float(bool(case.candidate.strip()) and case.candidate in (case.reference, first)))


def _none_if_empty(case):
    if not case.candidate.strip():
        return Score(None, failure=Failure("good", "is empty"))
    return Score(float(case.candidate == case.reference))


def _kept(case, **changes):
    """Good in short, and worth 0 where one of the `changes` is seen in the case."""
    seen = any(getattr(case, key) != value for key, value in changes.items())
    return Score(float(bool(case.candidate.strip()) and case.candidate == case.reference and not seen))


def _score_of(value):
    return lambda case: Score(value if case.candidate.strip() else 0.0)


COUNTER = itertools.count()


class Unsigned(Good):
    """Good, but a setting that moves scores is kept out of the signature."""

    scale: float = setting(1.0, "Multiplies.", changes_scores=False)
    signature = property(lambda self: f"{self.scale}")


class Rescaled(Good):
    """Good, but a setting that moves scores is declared not to."""

    scale: float = setting(1.0, "Multiplies, 0 to 1.", changes_scores=False)

    def score_case(self, case, features):
        return Score(self.scale * super().score_case(case, features).value)


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


def _hides(self, case, features):
    try:
        features.value(self.needs[0], case.candidate)
    except FeatureFailed:
        return Score(0.0)
    return Score(1.0 if case.candidate.strip() else 0.0)


class Unpicklable(Good):
    """Good, but pickling loses its setting."""

    def __reduce__(self):
        return Unpicklable, ()


BROKEN = {
    "no docstring": (variant(__doc__=None), "the class has no docstring"),
    "no summary": (variant(summary=""), "summary is empty"),
    "bad name": (variant(name="Good-One"), "a name is lower case words"),
    "bounds turned": (variant(bounds=(1.0, 0.0)), "bounds .* are not"),
    "outside bounds": (scorer(lambda case: Score(1.5)), "1.5 is outside"),
    "just outside bounds": (scorer(lambda case: Score(1 + 1e-6)), "1.000001 is outside"),
    "text for a number": (scorer(lambda case: Score("1.0")), "'1.0' is no finite number"),
    "not finite": (scorer(lambda case: Score(float("nan"))), "nan is no finite number"),
    "no Score": (scorer(lambda case: 1.0), "returns 1.0, expected a Score"),
    "value and failure": (scorer(lambda case: Score(1.0, failure=Failure("x", "y"))), "a value and a failure at once"),
    "no value, no reason": (scorer(lambda case: Score(None)), "no value and no reason"),
    "raises": (
        scorer(lambda case: Score(float(case.candidate == case.reference) / len(case.candidate.split()))),
        "must bear any text, but raises ZeroDivisionError: float division by zero, for Case\\(candidate=''",
    ),
    "raises on odd letters": (
        scorer(lambda case: Score(float(case.candidate.encode().strip() == case.reference.encode()))),
        "must bear any text, but raises UnicodeEncodeError",
    ),
    "feature of an undeclared text": (
        variant(
            reads=("candidate",),
            needs=property(lambda self: (Text(),)),
            score_case=lambda self, case, features: Score(float(features.value(Text(), case.reference) == "")),
        ),
        "must bear any text, but raises KeyError",
    ),
    "details no JSON": (scorer(lambda case: Score(1.0, {"x": {1, 2}})), "details are not JSON"),
    "random": (scorer(lambda case: Score(random.random())), "alone and in a batch differ"),
    "stateful": (scorer(lambda case: Score(min(1.0, next(COUNTER) / 1e6))), "alone and in a batch differ"),
    "remembers the first case": (variant(score_case=_remembers), "alone and in a batch differ"),
    "empty unscored": (scorer(_none_if_empty), "an empty candidate has no score: good: is empty"),
    "blank differs": (
        scorer(lambda case: Score(float(case.candidate == "" or case.candidate == case.reference))),
        "empty and blank candidates differ",
    ),
    "identical not best": (scorer(lambda case: Score(0.5)), "identical texts score 0.5, not the best bound"),
    "direction turned": (
        variant(identical="it is strict", higher_is_better=False),
        "identical texts score 1.0, an empty candidate 0.0, which is better where higher_is_better is False",
    ),
    "reference undeclared": (variant(reads=("candidate",)), "depends on reference .declare it in `reads`"),
    "candidate undeclared": (variant(reads=("reference",)), "depends on candidate .declare it in `reads`"),
    "priors undeclared": (scorer(lambda case: _kept(case, priors=())), "depends on priors .declare it in `reads`"),
    "reads case_id": (scorer(lambda case: _kept(case, case_id="")), "depends on case_id .it is no more than a name"),
    "reads group": (scorer(lambda case: _kept(case, group="")), "depends on group .it is no more than a name"),
    "feature cannot be stored": (reader(Words()), "cannot go through a cache file: .* frozenset cannot be stored"),
    "needed feature cannot be stored": (reader(Vocabulary()), "words: .* frozenset cannot be stored"),
    "feature cannot be decoded": (reader(Undecodable()), "cannot go through a cache file: .*ValueError: lost"),
    "feature comes back changed": (reader(ForgottenWords()), "changes when features come from a cache file"),
    "changes the case": (
        scorer(lambda case: case.context.update(x="y") or Score(float(bool(case.candidate.strip())))),
        "changed a case",
    ),
    "hides failures": (
        variant(needs=property(lambda self: (Text(),)), score_case=_hides),
        "hides the failure of a feature",
    ),
    "undocumented setting": (Undocumented, "setting scale has no doc"),
    "unguessable setting": (Unguessable, "found no other valid value for setting nothing; pass alternatives"),
    "setting moves scores": (Rescaled, "setting scale=0.5 changes the score from 1.0 to 0.5 in spite of"),
    "signature without setting": (Unsigned, "setting power=.* does not change the signature"),
}


def test_a_good_component_passes():
    check_component(Good())


def test_a_number_of_any_kind_passes():
    for one in (1, np.float32(1), np.int64(1)):
        check_component(scorer(_score_of(one))())


def test_rounding_beyond_the_bounds_passes():
    check_component(scorer(_score_of(1 + 1e-12))())


def test_a_feature_that_can_be_stored_passes():
    check_component(reader(StoredWords())())


def test_settings_that_move_nothing_pass_even_where_their_other_value_cannot_work():
    check_component(Placed())


def test_a_component_that_cannot_work_here_is_no_broken_rule():
    with pytest.raises(ModelLoadError, match="no such device"):
        check_component(Placed(device="cuda"))


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_found(case):
    cls, message = BROKEN[case]
    with pytest.raises(AssertionError, match=message):
        check_component(cls())


def test_settings_lost_in_pickling_are_found():
    with pytest.raises(AssertionError, match="is not equal to itself after pickling"):
        check_component(Unpicklable(power=2.0))


def test_what_is_no_setting_and_moves_scores_is_found():
    def score_case(self, case, features):
        return Score(vars(self).get("factor", 1.0) * Good.score_case(self, case, features).value)

    component = variant(score_case=score_case)()
    vars(component)["factor"] = 0.5
    with pytest.raises(AssertionError, match="scores change through pickling"):
        check_component(component)
