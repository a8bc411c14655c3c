"""Every registered component keeps the rules; and the check that says so fails where a rule is broken."""

from __future__ import annotations

import itertools
import random

import pytest

from cxr_rewards.component import Component
from cxr_rewards.feature import Feature, FeatureFailed
from cxr_rewards.registry import component_names, load_component
from cxr_rewards.settings import setting
from cxr_rewards.testing import check_component
from cxr_rewards.types import Score


@pytest.mark.parametrize("name", component_names())
def test_component_conforms(name):
    check_component(load_component(name)())


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


def variant(**attributes):
    name = f"Variant{next(NUMBER)}"
    cls = type(name, (Good,), {"__doc__": Good.__doc__, "__module__": __name__, **attributes})
    globals()[name] = cls  # where pickle looks for it
    return cls


def scorer(function):
    return variant(score_case=lambda self, case, features: function(case))


COUNTER = itertools.count()


class Unsigned(Good):
    """Good, but a setting that moves scores is kept out of the signature."""

    scale: float = setting(1.0, "Multiplies.", changes_scores=False)
    signature = property(lambda self: f"{self.scale}")


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
    "an int": (scorer(lambda case: Score(1)), "value is a int, expected float"),
    "details no JSON": (scorer(lambda case: Score(1.0, {"x": {1, 2}})), "details are not JSON"),
    "random": (scorer(lambda case: Score(random.random())), "alone and in a batch differ"),
    "stateful": (scorer(lambda case: Score(min(1.0, next(COUNTER) / 1e6))), "alone and in a batch differ"),
    "empty unscored": (scorer(lambda case: Score(1.0 / len(case.candidate or ()))), "an empty candidate has no score"),
    "blank differs": (
        scorer(lambda case: Score(float(case.candidate == "" or case.candidate == case.reference))),
        "empty and blank candidates differ",
    ),
    "identical not best": (scorer(lambda case: Score(0.5)), "identical texts score 0.5, not the best bound"),
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
    "signature without setting": (Unsigned, "setting power=.* does not change the signature"),
}


def test_a_good_component_passes():
    check_component(Good())


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_found(case):
    cls, message = BROKEN[case]
    with pytest.raises(AssertionError, match=message):
        check_component(cls())


def test_settings_lost_in_pickling_are_found():
    with pytest.raises(AssertionError, match="is not equal to itself after pickling"):
        check_component(Unpicklable(power=2.0))
