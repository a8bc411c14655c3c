"""The engine: each item once, longest first, in chunks; one exception boundary; neighbours keep their scores."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from cxr_rewards.cache import MemoryCache
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import CaseItem, Feature, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.types import Case, Failure, Score

CALLS: list[list[object]] = []


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


class Length(Feature):
    """Characters of a text; fails for texts that hold 'bad', raises for a whole chunk that holds 'boom'."""

    name = "text_length"
    chunk_size = 4
    scale: float = setting(1.0, "Multiplies the length.")

    def compute(self, items, upstream):
        CALLS.append(list(items))
        if any("boom" in item for item in items):
            raise RuntimeError("boom in chunk")
        if any("fatal" in item for item in items):
            raise ModelLoadError("no weights")
        return [Failure(self.name, "bad text") if "bad" in item else self.scale * len(item) for item in items]


class Ratio(Feature):
    """Length of the candidate over that of the reference."""

    name = "ratio"
    over = "pair"

    @property
    def needs(self):
        return (Length(),)

    def compute(self, items, upstream):
        CALLS.append(list(items))
        (length,) = self.needs
        return [upstream.value(length, c) / upstream.value(length, r) for c, r in items]


class Longest(Component):
    name = "longest"
    summary = "length of the candidate"
    bounds = (0.0, math.inf)
    scale: float = setting(1.0, "Multiplies the length.")

    @property
    def needs(self):
        return (Length(scale=self.scale),)

    def score_case(self, case, features):
        return Score(features.value(self.needs[0], case.candidate))


class Ratios(Component):
    name = "ratios"
    summary = "ratio"
    bounds = (0.0, math.inf)

    @property
    def needs(self):
        return (Ratio(),)

    def score_case(self, case, features):
        return Score(features.value(self.needs[0], case))


class UntoldError(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


class Plain(Component):
    name = "plain"
    summary = "candidate only"
    reads = ("candidate",)

    def score_case(self, case, features):
        if case.candidate == "nan":
            return Score(float("nan"))
        if case.candidate == "none":
            return Score(None)
        if case.candidate == "both":
            return Score(0.0, {"why": "refused"}, Failure("judge", "refused"))
        if case.candidate == "beyond":
            return Score(17.0)
        if case.candidate == "long":
            raise ValueError("x" * 10_000)
        if case.candidate == "untold":
            raise UntoldError
        if case.candidate == "numpy":
            return Score(np.float32(0.5))
        if case.candidate == "raise":
            raise ZeroDivisionError
        if case.candidate == "fatal":
            raise ModelLoadError("no weights")
        return Score(1.0)


def cases(*pairs):
    return [Case(candidate=c, reference=r) for c, r in pairs]


def values(rows):
    return [[s.value for s in row] for row in rows]


def test_each_distinct_text_is_computed_once_longest_first_in_chunks():
    engine = Engine({"longest": Longest(), "again": Longest(), "ratios": Ratios()})
    rows = engine.run(cases(("a" * 7, "rr"), ("bbb", "rr"), ("a" * 7, "rrrr"), ("c" * 9, "a" * 7), ("d", "rr")))
    assert values(rows) == [[7, 7, 3.5], [3, 3, 1.5], [7, 7, 1.75], [9, 9, 9 / 7], [1, 1, 0.5]]
    texts = [call for call in CALLS if isinstance(call[0], str)]
    assert [len(item) for call in texts for item in call] == [9, 7, 4, 3, 2, 1]
    assert [len(call) for call in texts] == [4, 2]
    pairs = [item for call in CALLS for item in call if not isinstance(item, str)]
    assert len(pairs) == 5
    assert all(type(item) is PairItem for item in pairs)


def test_features_with_other_settings_are_other_features():
    rows = Engine({"one": Longest(), "two": Longest(scale=2.0)}).run(cases(("abc", "r")))
    assert values(rows) == [[3.0, 6.0]]


def test_a_failing_item_keeps_its_neighbours_scores_and_names_its_reason():
    engine = Engine({"longest": Longest(), "ratios": Ratios(), "plain": Plain()})
    rows = engine.run(cases(("good", "rr"), ("a bad one", "rr"), ("fine", "so bad"), ("boom", "rr"), ("ok", "rr")))
    assert values(rows) == [[4, 2, 1], [None, None, 1], [4, None, 1], [None, None, 1], [2, 1, 1]]
    assert rows[1][0].failure == Failure("text_length", "bad text")
    assert rows[1][1].failure == Failure("text_length", "bad text"), "what fails upstream keeps its first reason"
    assert rows[3][0].failure == Failure("text_length", "RuntimeError: boom in chunk")


def test_what_failed_upstream_is_not_computed_downstream():
    Engine({"ratios": Ratios()}).run(cases(("a bad one", "rr"), ("good", "rr")))
    assert [PairItem("good", "rr")] in CALLS
    assert not any(PairItem("a bad one", "rr") in call for call in CALLS)


def test_a_setup_error_is_raised_not_scored():
    with pytest.raises(ModelLoadError, match="no weights"):
        Engine({"longest": Longest()}).run(cases(("fatal", "r"), ("fine", "r")))
    with pytest.raises(ModelLoadError, match="no weights"):
        Engine({"plain": Plain()}).run(cases(("fatal", "r")))


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ("nan", "plain: OutOfBoundsError: score_case returned nan, which is not within (0.0, 1.0)"),
        ("none", "plain: ValueError: score_case returned no value and no failure"),
        ("raise", "plain: ZeroDivisionError"),
        ("both", "judge: refused"),
        ("beyond", "plain: OutOfBoundsError: score_case returned 17.0, which is not within (0.0, 1.0)"),
        ("long", "plain: ValueError: " + "x" * 300 + "..."),
        ("untold", "plain: UntoldError"),
    ],
)
def test_a_component_that_returns_nonsense_or_raises_fails_for_that_case_only(candidate, reason):
    bad, good = Engine({"plain": Plain()}).run(cases((candidate, "r"), ("fine", "r")))
    assert bad[0].value is None
    assert str(bad[0].failure) == reason
    assert good[0].value == 1.0


@pytest.mark.parametrize("number", [0, 3])
def test_wrong_number_of_values_becomes_a_failure_of_each_item(number):
    class Wrong(Length):
        name = "wrong"

        def compute(self, items, upstream):
            return [1.0] * number

    class Uses(Longest):
        name = "uses"

        @property
        def needs(self):
            return (Wrong(),)

    (row,) = Engine({"uses": Uses()}).run(cases(("abc", "r")))
    assert str(row[0].failure) == f"wrong: ValueError: returned {number} values for 1 items"  # each asked again alone


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_is_a_failure_also_without_bounds(value):
    class Unbounded(Plain):
        name = "unbounded"
        bounds = (-math.inf, math.inf)

        def score_case(self, case, features):
            return Score(value)

    ((score,),) = Engine({"unbounded": Unbounded()}).run(cases(("a", "r")))
    assert score.value is None
    assert (
        str(score.failure)
        == f"unbounded: OutOfBoundsError: score_case returned {value!r}, which is not within (-inf, inf)"
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"candidate": None}, "candidate: expected text, got None"),
        ({"candidate": float("nan")}, "candidate: expected text, got nan"),
        ({"reference": 3}, "reference: expected text, got 3"),
        ({"priors": (None,)}, "priors[0]: expected text, got None"),
        ({"context": "age 60"}, "context: expected values by name, got 'age 60'"),
        ({"context": []}, "context: expected values by name, got []"),
        ({"priors": {"a": 1}}, "priors: expected a tuple of texts, got {'a': 1}"),
        ({"priors": 5.0}, "priors: expected a tuple of texts, got 5.0"),
        ({"candidate": "x" * 11}, "candidate: has 11 characters, more than max_chars = 10"),
    ],
)
def test_a_case_that_is_no_case_fails_everywhere_and_alone(fields, reason):
    engine = Engine({"longest": Longest(), "plain": Plain()}, max_chars=10)
    bad = Case(**{"candidate": "c", "reference": "r", **fields})
    rows = engine.run([*cases(("ab", "r")), bad, *cases(("abc", "r"))])
    assert values(rows) == [[2, 1], [None, None], [3, 1]]
    assert [str(s.failure) for s in rows[1]] == [reason, reason]


def test_numbers_of_other_libraries_become_floats():
    ((score,),) = Engine({"plain": Plain()}).run(cases(("numpy", "r")))
    assert type(score.value) is float
    assert score.value == 0.5


class Unknown:
    """Like pandas.NA: its truth is an error."""

    def __bool__(self):
        raise TypeError("ambiguous")

    def __repr__(self):
        return "<NA>"


@pytest.mark.parametrize("field", ["candidate", "reference", "priors", "context"])
def test_a_missing_value_of_a_table_costs_its_own_case_only(field):
    bad = Case(**{"candidate": "c", "reference": "r", field: Unknown()})
    rows = Engine({"longest": Longest(), "plain": Plain()}).run([*cases(("ab", "r")), bad])
    assert values(rows) == [[2, 1], [None, None]]
    assert "got <NA>" in str(rows[1][0].failure)


class Unprintable:
    def __str__(self):
        raise RuntimeError("not even this")

    __repr__ = __str__


@pytest.mark.parametrize(("field", "value"), [("candidate", Unprintable()), ("context", {"a": Unprintable()})])
def test_a_value_that_cannot_be_shown_costs_its_own_case_only(field, value):
    bad = Case(**{"candidate": "c", "reference": "r", field: value})
    rows = Engine({"longest": Longest(), "plain": Plain()}).run([*cases(("ab", "r")), bad])
    assert values(rows) == [[2, 1], [None, None]]
    assert rows[1][0].failure.where == field


def test_long_reasons_are_cut():
    class Wordy(Length):
        name = "wordy"

        def compute(self, items, upstream):
            return [Failure("wordy", "y" * 9999) for _ in items]

    class Uses(Longest):
        name = "uses"
        needs = property(lambda self: (Wordy(),))

    ((score,),) = Engine({"uses": Uses()}).run(cases(("a", "r")))
    assert score.failure == Failure("wordy", "y" * 300 + "...")


def test_empty_cells_of_a_table_are_no_priors_and_no_context():
    case = Case(candidate="ab", reference="r", priors=float("nan"), context=None)
    assert (case.priors, case.context) == ((), {})


def test_pairs_without_a_reference_are_not_computed():
    Engine({"ratios": Ratios()}).run(cases(("ab", " "), ("abc", "r")))
    assert [item for call in CALLS for item in call if type(item) is PairItem] == [PairItem("abc", "r")]


def test_two_features_that_look_alike_are_refused():
    def twin(factor):
        class Twin(Length):
            name = "twin"

            def compute(self, items, upstream):
                return [factor * len(item) for item in items]

        return type("Uses", (Longest,), {"name": "uses", "needs": property(lambda self: (Twin(),))})

    with pytest.raises(
        ConfigError, match="two features of different classes have one signature, twin/1@.*: rename one"
    ):
        Engine({"a": twin(1)(), "b": twin(2)()})


@pytest.mark.parametrize("max_chars", [0, -1, 1.5, True, None])
def test_a_wrong_limit_is_refused(max_chars):
    with pytest.raises(ConfigError, match="max_chars must be a whole number above 0, got"):
        Engine({"plain": Plain()}, max_chars=max_chars)


def test_a_blank_reference_fails_only_what_reads_it():
    ((longest, plain),) = Engine({"longest": Longest(), "plain": Plain()}).run(cases(("ab", " \n")))
    assert str(longest.failure) == "reference: is empty: there is nothing to compare with"
    assert plain.value == 1.0


def test_values_come_from_the_cache_and_failures_do_not_go_in():
    cache = MemoryCache()
    engine = Engine({"longest": Longest()})
    engine.run(cases(("abc", "bad")), cache)
    engine.run(cases(("abc", "bad")), cache)
    assert CALLS == [["abc", "bad"], ["bad"]] or CALLS == [["bad", "abc"], ["bad"]]


def test_priors_are_read_only_where_a_component_reads_them():
    case = Case(candidate="c", reference="r", priors=("prior",))
    Engine({"longest": Longest()}).run([case])
    assert all("prior" not in call for call in CALLS)

    class WithPriors(Longest):
        name = "with_priors"
        reads = ("candidate", "reference", "priors")

    CALLS.clear()
    Engine({"with_priors": WithPriors(), "longest": Longest()}).run([case])
    assert "prior" in CALLS[0]


def test_a_case_feature_sees_priors_and_context_as_a_canonical_item():
    seen = []

    class Whole(Feature):
        name = "whole"
        over = "case"

        @property
        def needs(self):
            return (Length(),)

        def compute(self, items, upstream):
            seen.extend(items)
            return [sum(upstream.value(Length(), t) for t in item.priors) for item in items]

    class UsesWhole(Longest):
        name = "uses_whole"

        @property
        def needs(self):
            return (Whole(),)

        def score_case(self, case, features):
            return Score(float(features.value(self.needs[0], case)))

    one = Case(candidate="c", reference="r", priors=["pp", "ppp"], context={"sex": "F", "age": 60})
    two = Case(candidate="c", reference="r", priors=("pp", "ppp"), context={"age": "60", "sex": "F"}, case_id="other")
    rows = Engine({"uses_whole": UsesWhole()}).run([one, two])
    assert values(rows) == [[5.0], [5.0]]
    assert seen == [CaseItem("c", "r", ("pp", "ppp"), (("age", "60"), ("sex", "F")))]


def test_features_in_a_circle_or_over_wider_items_are_refused_at_construction():
    class Circle(Feature):
        name = "circle"

        @property
        def needs(self):
            return (Circle(),)

        def compute(self, items, upstream):
            return items

    class Backwards(Feature):
        name = "backwards"

        @property
        def needs(self):
            return (Ratio(),)

        def compute(self, items, upstream):
            return items

    for feature, message in (
        (Circle, "circle -> circle"),
        (Backwards, "backwards, over text, cannot need ratio, over pair"),
    ):

        class Uses(Longest):
            name = "uses"
            needs = property(lambda self, feature=feature: (feature(),))

        with pytest.raises(ConfigError, match=message):
            Engine({"uses": Uses()})


def test_interruption_is_not_swallowed():
    class Interrupts(Plain):
        name = "interrupts"

        def score_case(self, case, features):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Engine({"interrupts": Interrupts()}).run(cases(("a", "r")))


def test_one_engine_serves_many_threads():
    engine = Engine({"longest": Longest(), "ratios": Ratios()})
    batch = cases(*((f"{'x' * n} c", "ref") for n in range(50)))
    expected, wrong = values(engine.run(batch)), []

    def work():
        if values(engine.run(batch)) != expected:
            wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Halved(Feature):
    """Half of a text's length, from its length."""

    name = "halved"

    @property
    def needs(self):
        return (Length(),)

    def compute(self, items, upstream):
        CALLS.append([f"half of {item}" for item in items])
        return [upstream.value(Length(), item) / 2 for item in items]


class OfReferences(Length):
    """Length, worth keeping for references alone."""

    name = "of_references"
    keeps = "references"


def reader(*features, of=("candidate", "reference")):
    class Sum(Component):
        name = "sum"
        summary = "sum of features"
        bounds = (0.0, math.inf)
        reads = of
        needs = property(lambda self: features)

        def score_case(self, case, table):
            return Score(sum(table.value(f, getattr(case, text)) for f in features for text in of))

    return Sum()


def test_what_a_cached_value_was_made_of_is_not_computed_again():
    cache = MemoryCache()
    engine = Engine({"sum": reader(Halved())})
    case = Case(candidate="aaaa", reference="bb")
    assert engine.run([case], cache)[0][0].value == 3.0
    upstream = MemoryCache()
    upstream.put_many(Halved(), cache.get_many(Halved(), ["aaaa", "bb"]))
    CALLS.clear()
    assert engine.run([case], upstream)[0][0].value == 3.0
    assert CALLS == []


def test_what_is_asked_for_itself_too_is_computed_although_the_rest_is_cached():
    cache = MemoryCache()
    cache.put_many(Halved(), {"aaaa": 2.0, "bb": 1.0})
    assert Engine({"sum": reader(Halved(), Length())}).run([Case(candidate="aaaa", reference="bb")], cache)[0][
        0
    ].value == pytest.approx(9.0)
    assert CALLS == [["aaaa", "bb"]]


def test_a_feature_of_references_outlives_the_call_for_references_and_priors_alone():
    cache = MemoryCache()
    engine = Engine({"sum": reader(OfReferences())})
    engine.run(
        [Case(candidate="cand", reference="ref", priors=("earlier",)), Case(candidate="ref", reference="r")], cache
    )
    assert cache.get_many(OfReferences(), ["cand", "ref", "r"]) == {"ref": 3.0, "r": 1.0}


def test_warming_computes_what_references_will_be_asked_for_and_nothing_twice():
    class Fleeting(Length):
        name = "fleeting"
        persistent = False

    class OfCandidates(Length):
        name = "of_candidates"

    cache = MemoryCache()
    engine = Engine({"a": reader(OfReferences(), Fleeting(), Halved()), "b": reader(OfCandidates(), of=("candidate",))})
    assert engine.warm(["one", "three", "one"], cache) == {"of_references": 2, "text_length": 2, "halved": 2}
    assert sum(engine.warm(["one", "three"], cache).values()) == 0
    CALLS.clear()
    engine.run([Case(candidate="three", reference="one")], cache)
    # A candidate's, kept for references alone; the fleeting ones; a candidate's own.
    assert CALLS == [["three"], ["three", "one"], ["three"]]


def test_texts_compared_with_a_blank_reference_are_not_computed():
    engine = Engine({"sum": reader(Length())})
    assert engine.run([Case(candidate="costly", reference=" "), Case(candidate="a", reference="b")])[0][0].value is None
    assert CALLS == [["a", "b"]]
