"""Features that come from elsewhere: asked for first, kept as they come, waited for last."""

from __future__ import annotations

import threading
import time

import pytest

from cxr_rewards.cache import MemoryCache, SqliteCache
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import CaseItem, Feature, StreamedFeature, case_item, item_of
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, JudgeStopped
from cxr_rewards.types import Case, Failure, Score

LOG: list[str] = []


class Echo(StreamedFeature):
    """Yields each text's length, one at a time."""

    name = "echo"
    over = "text"
    pause_s: float = setting(0.0, "Seconds for each.")
    dies_at: str = setting("", "Text at which it raises.")
    stops_at: str = setting("", "Text at which it stops the run.")
    skips: str = setting("", "Text for which no value comes.")

    def stream(self, items, upstream):
        LOG.append("stream begins")
        for item in items:
            time.sleep(self.pause_s)
            if item == self.dies_at:
                raise RuntimeError("died")
            if item == self.stops_at:
                raise JudgeStopped("enough")
            if item == self.skips:
                continue
            yield [(item, Failure("echo", "no") if item == "fails" else len(item))]
        LOG.append("stream ends")


class Twice(StreamedFeature):
    """Needs another streamed feature."""

    name = "twice"

    @property
    def needs(self):
        return (Echo(),)

    def stream(self, items, upstream):
        yield [(item, 2 * upstream.value(Echo(), item)) for item in items]


class Local(Feature):
    name = "local"
    persistent = False
    seconds: float = setting(0.0, "Seconds it takes.")

    def compute(self, items, upstream):
        LOG.append("local begins")
        time.sleep(self.seconds)
        LOG.append("local ends")
        return [1 for _ in items]


def scorer(*features):
    class Sum(Component):
        """Sums features."""

        name = "sum"
        summary = "sum"
        bounds = (0.0, float("inf"))
        reads = ("candidate",)

        @property
        def needs(self):
            return features

        def score_case(self, case, table):
            return Score(float(sum(table.value(feature, case.candidate) for feature in features)))

    return Engine({"sum": Sum()})


def run(engine, *texts, cache=None):
    LOG.clear()
    return [row[0] for row in engine.run([Case(candidate=text, reference="") for text in texts], cache)]


def test_what_comes_from_elsewhere_is_asked_for_before_local_work_and_overlaps_it():
    engine = scorer(Local(seconds=0.3), Echo(pause_s=0.1))
    assert [score.value for score in run(engine, "a", "bb", "ccc")] == [2.0, 3.0, 4.0]
    assert LOG[0] == "stream begins"
    assert LOG.index("local begins") < LOG.index("stream ends")


def test_a_stream_may_need_a_stream():
    scores = run(scorer(Twice()), "a", "fails", "ccc")
    assert [score.value for score in scores] == [2.0, None, 6.0]
    assert str(scores[1].failure) == "echo: no"


def test_compute_returns_what_streams():
    assert Echo().compute(["a", "bb"], None) == [1, 2]


def test_an_error_in_the_middle_costs_what_has_not_come():
    scores = run(scorer(Echo(dies_at="bb")), "a", "bb", "ccc")
    assert [score.value for score in scores] == [1.0, None, None]
    assert str(scores[1].failure) == "echo: RuntimeError: died"


def test_a_value_that_does_not_come_is_a_failure():
    scores = run(scorer(Echo(skips="bb")), "a", "bb")
    assert [score.value for score in scores] == [1.0, None]
    assert str(scores[1].failure) == "echo: no value came"


@pytest.mark.parametrize("cache", ["memory", "file"])
def test_what_came_before_the_end_is_kept(cache, tmp_path):
    store = MemoryCache() if cache == "memory" else SqliteCache(tmp_path / "c.sqlite")
    cases = [Case(candidate="x" * i, reference="") for i in range(1, 30)]
    with pytest.raises(JudgeStopped, match="enough"):
        scorer(Echo(stops_at="x" * 20)).run(cases, store)
    feature = Echo(stops_at="x" * 20)
    kept = store.get_many(feature, [case.candidate for case in cases])
    assert "x" * 20 not in kept
    assert len(kept) == 19 if cache == "memory" else True  # in a shared cache the order is another each time
    assert all(kept[text] == len(text) for text in kept)


def test_an_error_of_a_local_feature_ends_the_streams():
    class Broken(Local):
        name = "broken"

        def compute(self, items, upstream):
            raise ConfigError("no")

    started = threading.active_count()
    start = time.perf_counter()
    with pytest.raises(ConfigError, match="no"):
        scorer(Echo(pause_s=0.3), Broken()).run([Case(candidate="x" * i, reference="") for i in range(1, 200)])
    assert time.perf_counter() - start < 30  # all of them would take 60 s
    assert threading.active_count() == started


def test_what_another_process_has_answered_meanwhile_is_not_asked(tmp_path):
    asked = []

    class Slow(Echo):
        __module__ = Feature.__module__  # a test's own class would stay out of the file
        name = "slow"

        def stream(self, items, upstream):
            for item in items:
                asked.append(item)
                if len(asked) == 1:  # meanwhile another process answers all
                    with SqliteCache(tmp_path / "c.sqlite") as other:
                        other.put_many(self, {text: 7 for text in ("a", "bb", "ccc") if text != item})
                yield [(item, 7)]

    with SqliteCache(tmp_path / "c.sqlite") as cache:
        scores = run(scorer(Slow()), "a", "bb", "ccc", cache=cache)
        assert [score.value for score in scores] == [7.0] * 3
    assert len(asked) == 1


def test_nothing_is_asked_twice_in_a_later_call():
    cache, engine = MemoryCache(), scorer(Echo())
    run(engine, "a", "bb", cache=cache)
    run(engine, "a", "bb", cache=cache)
    assert LOG == []


def test_items_over_cases_keep_the_context_that_matters_alone():
    class OfAge(Feature):
        name = "of_age"
        over = "case"
        context = ("age",)

        def compute(self, items, upstream):
            return [dict(item.context).get("age", "") for item in items]

    case = Case(candidate="a", reference="b", context={"site": "x", "age": "60"})
    assert item_of(OfAge(), case) == CaseItem("a", "b", (), (("age", "60"),))
    assert item_of(OfAge(), case_item(case)) == item_of(OfAge(), case)
    assert len(case_item(case).context) == 2
