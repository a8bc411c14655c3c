"""Metrics of others: what they return, how they fail, what they are known by."""

from __future__ import annotations

import math
import sys
import types

import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import MemoryCache
from cxr_rewards.components.external import External
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import ConfigError, MissingDependencyError

HERE = "tests.unit.features.test_external"
CALLS: list[list[str]] = []


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def overlap(candidates, references, *, scale=1.0):
    CALLS.append(list(candidates))
    if any("boom" in text for text in candidates):
        raise RuntimeError("boom")
    odd = {"none": None, "nan": math.nan, "text": "high", "high": 5.0}
    return [
        odd.get(c, scale * len(set(c.split()) & set(r.split())) / len(r.split()))
        for c, r in zip(candidates, references, strict=True)
    ]


def copied(candidates, references, priors):
    return [float(c in p) for c, p in zip(candidates, priors, strict=True)]


def short(candidates, references):
    return [1.0]


def run(component, *candidates, cache=None):
    cases = [Case(candidate=text, reference="left effusion", priors=("left",)) for text in candidates]
    return [row[0] for row in Engine({"external": component}).run(cases, cache)]


def test_a_function_is_a_component():
    scored = run(External(metric=f"{HERE}:overlap", low=0.0, high=1.0), "left effusion", "left")
    assert [score.value for score in scored] == [1.0, 0.5]
    assert CALLS == [["left effusion", "left"]]


def test_options_are_passed_and_signed():
    plain, scaled = External(metric=f"{HERE}:overlap"), External(metric=f"{HERE}:overlap", options='{"scale": 0.5}')
    assert run(scaled, "left")[0].value == 0.25
    assert plain.signature != scaled.signature
    assert plain.signature != External(metric=f"{HERE}:overlap", revision="2").signature
    assert plain.signature == External(metric=f"{HERE}:overlap", batch=3).signature


def test_priors_are_a_third_list():
    component = External(metric=f"{HERE}:copied", priors=True)
    assert [score.value for score in run(component, "left", "right")] == [1.0, 0.0]
    assert component.reads == ("candidate", "reference", "priors")


@pytest.mark.parametrize(
    ("text", "reason", "kind"),
    [
        ("none", "returned None: unscored", "error"),
        ("nan", "returned nan, expected a finite number", "out_of_bounds"),
        ("text", "returned 'high', expected a finite number", "error"),
        ("high", "which is not within (0.0, 1.0)", "out_of_bounds"),
        ("boom", "RuntimeError: boom", "error"),
    ],
)
def test_what_is_no_score_fails_alone(text, reason, kind):
    lost, good = run(External(metric=f"{HERE}:overlap", low=0.0, high=1.0), text, "left")
    assert lost.value is None
    assert reason in lost.failure.error
    assert lost.failure.kind == kind
    assert good.value == 0.5


def test_a_wrong_number_of_values_is_reported():
    lost = run(External(metric=f"{HERE}:short"), "left", "right")
    assert {score.value for score in lost} == {1.0}  # one by one it is right
    assert run(External(metric=f"{HERE}:short", batch=1), "left")[0].value == 1.0


def test_values_are_kept_and_failures_are_not():
    cache = MemoryCache()
    component = External(metric=f"{HERE}:overlap")
    run(component, "left", "none", cache=cache)
    CALLS.clear()
    run(component, "left", "none", cache=cache)
    assert CALLS == [["none"]]


def test_direction_and_range_are_settings():
    worse = External(metric=f"{HERE}:overlap", low=0.0, high=1.0, higher_is_better=False)
    assert (worse.bounds, worse.higher_is_better) == ((0.0, 1.0), False)
    with pytest.raises(ConfigError, match="weight"):
        CompositeReward({"worse": worse}, weights={"worse": 1.0})
    assert CompositeReward({"worse": worse}, weights={"worse": -1.0}).bounds == (-1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "metric must be `radeval:NAME` or `package.module:function`, got ''"),
        ({"metric": "overlap"}, "metric must be"),
        ({"metric": "math:sqrt", "options": "[1]"}, "options must be a JSON object, got '\\[1\\]'"),
        ({"metric": "math:sqrt", "options": "{"}, "options must be a JSON object"),
        ({"metric": "math:sqrt", "low": 1.0, "high": 0.0}, "low must be below high = 0.0"),
        ({"metric": "math:sqrt", "batch": 0}, "batch must be above 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        External(**settings)


def test_a_package_that_is_not_there_is_reported_with_its_pip_line():
    with pytest.raises(MissingDependencyError, match="pip install no_such_package"):
        External(metric="no_such_package:score")


def test_a_function_that_is_not_there_ends_the_call():
    with pytest.raises(ConfigError, match="math has no function 'no_such'"):
        run(External(metric="math:no_such"), "left")


@pytest.fixture
def radeval(monkeypatch):
    """A package of RadEval's shape: a registry of adapters whose `compute` gives lists by key."""

    class Adapter:
        def __init__(self, **options):
            self.options = options

        def compute(self, refs, hyps, per_sample):
            assert per_sample
            values = [float(c == r) for c, r in zip(hyps, refs, strict=True)]
            return {"bleu": values} if not self.options else {"simple": values, "partial": [v / 2 for v in values]}

    modules = {name: types.ModuleType(name) for name in ("radeval", "radeval.metrics", "radeval.metrics._registry")}
    modules["radeval"].__spec__ = types.SimpleNamespace(name="radeval")
    modules["radeval"].__path__ = []
    registry = modules["radeval.metrics._registry"]
    registry.METRIC_REGISTRY = {"bleu": 1, "radgraph": 2, "radcliq": 3}
    registry.get_metric_class = lambda name: Adapter
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "RadEval", None)
    monkeypatch.delitem(sys.modules, "RadEval")
    yield
    sys.modules.pop("RadEval", None)


def test_a_radeval_metric_is_a_component(radeval):
    assert [s.value for s in run(External(metric="radeval:bleu"), "left effusion", "left")] == [1.0, 0.0]
    assert run(External(metric="radeval:radgraph/partial", options='{"all": 1}'), "left effusion")[0].value == 0.5


def test_a_radeval_metric_of_several_numbers_needs_a_key(radeval):
    with pytest.raises(ConfigError, match="radgraph/KEY: unknown key ''; known: partial, simple"):
        run(External(metric="radeval:radgraph", options='{"many": 1}'), "left")


def test_an_unknown_radeval_metric_is_reported_with_the_nearest(radeval):
    with pytest.raises(ConfigError, match="Did you mean 'bleu'"):
        run(External(metric="radeval:blue"), "left")


def test_a_metric_that_depends_on_its_batch_is_refused(radeval):
    with pytest.raises(ConfigError, match="use the components radcliq_v0 and radcliq_v1"):
        External(metric="radeval:radcliq")


def test_options_nested_without_end_are_refused():
    with pytest.raises(ConfigError, match="options must be a JSON object"):
        External(metric="operator:eq", options="[" * 100_000)
