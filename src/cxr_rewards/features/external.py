"""Values of a metric from outside the library: a RadEval metric, or any Python function."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cxr_rewards.core.feature import CaseItem, Feature, FeatureTable, Over, PairItem
from cxr_rewards.core.home import join_homes, module_home
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, MissingDependencyError, shorten, unknown_name
from cxr_rewards.types import Failure, FailureKind

Metric = Callable[..., Sequence[Any]]


class ExternalValues(Feature):
    """A float or `Failure` for each pair (or case, with priors), as the metric returns it."""

    name = "external_values"

    metric: str = setting("", "`radeval:NAME`, `radeval:NAME/KEY`, or `package.module:function`.")
    options: str = setting("{}", "JSON object of keyword arguments.")
    priors: bool = setting(False, "Also pass the priors.")
    revision: str = setting("", "Any text; change it when you change the function.")
    batch: int = setting(64, "Pairs per call.", changes_scores=False)

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A case if the metric sees priors, else a pair."""
        return "case" if self.priors else "pair"

    @property
    def chunk_size(self) -> int:  # type: ignore[override]
        """Items per call of the metric."""
        return self.batch

    @property
    def code_home(self) -> str | None:
        """The home of the feature's code, joined with that of the function."""
        source = self.metric.partition(":")[0]
        homes = [super().code_home, "" if source == "radeval" else module_home(source)]
        return None if None in homes else join_homes([home for home in homes if home])

    def _sign(self) -> str:
        return f"{super()._sign()}@{_version(self.metric.partition(':')[0])}"

    def compute(self, items: Sequence[PairItem | CaseItem], upstream: FeatureTable) -> list[float | Failure]:  # noqa: ARG002
        """Call the metric once for all items."""
        function = load_metric(self.metric, self.options)
        texts: list[list[Any]] = [[item.candidate for item in items], [item.reference for item in items]]
        if self.priors:
            texts.append([list(item.priors) for item in items if isinstance(item, CaseItem)])
        values = function(*texts)
        if len(values) != len(items):
            raise ValueError(f"{self.metric} returned {len(values)} values for {len(items)} pairs")
        return [self._number(value) for value in values]

    def _number(self, value: Any) -> float | Failure:
        value = value.item() if hasattr(value, "item") else value
        if value is None:
            return Failure(self.metric, "returned None: unscored")
        if isinstance(value, bool | int | float) and math.isfinite(value):
            return float(value)
        kind: FailureKind = "out_of_bounds" if isinstance(value, float) else "error"
        return Failure(self.metric, f"returned {shorten(value)}, expected a finite number", kind)


def check_metric(metric: str, options: str, where: str) -> None:
    """Check what can be checked without importing the metric.

    Raises:
        ConfigError: the metric is missing or malformed, or the options are not a JSON object.
        MissingDependencyError: its package is not installed; holds the pip line.
    """
    source, colon, name = metric.partition(":")
    if not (source and colon and name):
        raise ConfigError(
            f"{where}: metric must be `radeval:NAME` or `package.module:function`, got {shorten(metric)}; "
            'in a reward\'s TOML write settings = { metric = "radeval:green" }'
        )
    try:
        good = isinstance(json.loads(options), dict)
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise ConfigError(f"{where}: options must be a JSON object, got {shorten(options)}")
    if importlib.util.find_spec(source.partition(".")[0]) is None:
        raise MissingDependencyError(f"{where}: {metric} needs {source.partition('.')[0]}: pip install {source}")
    if source == "radeval" and name.partition("/")[0] == "radcliq":
        raise ConfigError(
            f"{where}: RadEval's radcliq fits its word statistics to the batch, so that a score depends on the others; "
            "use the components radcliq_v0 and radcliq_v1"
        )


@lru_cache(maxsize=32)
def load_metric(metric: str, options: str) -> Metric:
    """Return the function behind a metric's name, with its options.

    Raises:
        ConfigError: there is no such function or RadEval metric.
        MissingDependencyError: importing it fails.
    """
    source, _, name = metric.partition(":")
    given = json.loads(options)
    try:
        module = importlib.import_module("radeval.metrics._registry" if source == "radeval" else source)
    except ImportError as error:
        raise MissingDependencyError(f"external: {metric} cannot be imported: {error}") from error
    if source == "radeval":
        return _radeval(module, name, given)
    function = module
    for part in name.split("."):
        function = getattr(function, part, None)  # type: ignore[assignment]
    if not callable(function):
        raise ConfigError(f"external: {source} has no function {name!r}")
    return lambda *texts: function(*texts, **given)


def _radeval(registry: Any, name: str, options: dict[str, Any]) -> Metric:
    """Return RadEval's own value for each pair, from its adapter: its front end silences all warnings for good."""
    sys.modules.setdefault("RadEval", sys.modules["radeval"])  # some of its metrics still use its former name
    name, _, key = name.partition("/")
    if name not in registry.METRIC_REGISTRY:
        raise ConfigError(unknown_name("external", "RadEval metric", name, registry.METRIC_REGISTRY))
    scorer = registry.get_metric_class(name)(**options)

    def values(candidates: list[str], references: list[str]) -> Sequence[Any]:
        values_by_key = scorer.compute(refs=references, hyps=candidates, per_sample=True)
        if key not in values_by_key and (key or len(values_by_key) != 1):
            given = f"radeval:{name}/{key or 'KEY'}"
            raise ConfigError(unknown_name(f"external: {given}", "key", key, values_by_key))
        chosen: Sequence[Any] = values_by_key[key or next(iter(values_by_key))]
        return chosen

    return values


@lru_cache(maxsize=32)
def _version(module: str) -> str:
    """Return the version of the package that a module belongs to; empty if it belongs to none."""
    top = module.partition(".")[0]
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(top, [])
        return importlib.metadata.version(owners[0]) if owners else ""
