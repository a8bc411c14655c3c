"""Settings, signatures and pickling of components and features."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from cxr_rewards.components.bleu import Bleu
from cxr_rewards.components.length import Length
from cxr_rewards.components.rouge_l import RougeL
from cxr_rewards.core.component import Component
from cxr_rewards.core.settings import Configurable, setting
from cxr_rewards.errors import ConfigError


class Thing(Configurable):
    name = "thing"
    version = 3
    size: int = setting(1, "A size.")
    mode: str = setting("a b", "A mode.")
    device: str = setting("cpu", "Where to run.", changes_scores=False)


class Holder(Configurable):
    name = "holder"

    @property
    def needs(self):
        return (Thing(size=7),)


def test_signature_holds_name_version_settings_and_needs_but_not_what_cannot_move_a_score():
    home = Thing.__module__
    assert Thing().signature == f'thing/3@{home}.Thing?size=1&mode="a b"'
    assert Thing(device="cuda").signature == Thing().signature
    assert Holder().signature == f'holder/1@{home}.Holder(thing/3@{home}.Thing?size=7&mode="a b")'


def test_a_class_that_takes_the_name_of_ours_has_another_signature():
    class Mine(Bleu):
        pass

    assert Mine().signature != Bleu().signature == "bleu/1?max_order=2"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Bleu(max_order="4"), "bleu: max_order must be a whole number, got '4'"),
        (lambda: Bleu(max_order=2.0), "bleu: max_order must be a whole number, got 2.0"),
        (lambda: Bleu(max_order=True), "bleu: max_order must be a whole number, got True"),
        (lambda: RougeL(stemmer="no"), "rouge_l: stemmer must be true or false, got 'no'"),
        (lambda: Length(halving="2"), "length: halving must be a number, got '2'"),
        (lambda: Thing(mode=3), "thing: mode must be a text, got 3"),
    ],
)
def test_a_setting_of_the_wrong_type_is_refused_at_construction(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_equal_numbers_give_equal_signatures():
    assert Length(halving=3).signature == Length(halving=3.0).signature
    assert Length(halving=3) == Length(halving=3.0)


def test_settings_are_frozen_keyword_arguments():
    with pytest.raises(AttributeError):
        Thing().size = 2
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        Thing(sise=2)
    assert Thing(size=2) == Thing(size=2) != Thing()
    assert len({Thing(), Thing(), Thing(size=2)}) == 2


def test_only_settings_travel_through_pickle():
    thing = Thing(size=5)
    assert thing.signature
    vars(thing)["expensive"] = lambda: None  # what an instance caches need not be picklable
    copy = pickle.loads(pickle.dumps(thing))
    assert copy == thing
    assert "expensive" not in vars(copy)


def test_a_name_written_as_a_setting_is_refused():
    with pytest.raises(TypeError, match=r"write \['name'\] without annotation"):

        class Wrong(Configurable):
            name: str = "wrong"


def test_a_component_that_reads_an_unknown_text_is_refused():
    with pytest.raises(TypeError, match="unknown \\['prior'\\]; known: candidate, reference, priors"):

        class Wrong(Component):
            name = "wrong"
            reads = ("prior",)


def test_a_child_keeps_the_checks_of_its_parent():
    class Child(Bleu):
        name = "child"

    class Grandchild(Child):
        extra: int = setting(0, "One more.")

    for cls in (Child, Grandchild):
        assert cls(max_order=4).max_order == 4
        with pytest.raises(ConfigError, match=r"child: max_order must be 1, 2, 3 or 4, got -1"):
            cls(max_order=-1)


def test_numbers_of_numpy_are_numbers():
    assert Length(halving=np.float64(3)).signature == Length(halving=3).signature
