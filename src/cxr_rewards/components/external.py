"""Any metric of another package, or of your own, as a component."""

from __future__ import annotations

import json
import math

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.external import ExternalValues, check_metric
from cxr_rewards.types import Case, Score


class External(Component):
    """Value of a RadEval metric or a Python function for a pair, with this library's caching and failure handling.

    `metric = "radeval:green"` is RadEval's metric of that name, one value for each report; if it has several,
    `radeval:radgraph/radgraph_partial` chooses. `metric = "package.module:function"` is

        function(candidates: list[str], references: list[str], **options) -> sequence of numbers

    and gets a third list, of each case's priors, with `priors`. None, or a number that is not finite, leaves that pair
    unscored with the reason; an exception is tried again pair by pair, so that only the guilty are unscored.

    A reward's TOML is data that may come from others, so one that names a function (or gives RadEval's metric options
    that are not numbers) is refused unless `CompositeReward.from_config` gets `allow_code=True`, or a command
    `--allow-code`. In Python, `External(metric=...)` needs no permission.

    The value of a pair must not depend on the other pairs of the call. Values are kept in the cache under the metric,
    its options, the version of its package and `revision`: change that when you change a function of your own.

    Range: `low` to `high`, infinite if left out; a value outside is a failure. `higher_is_better` gives the direction.

    Example:
        >>> External(metric="operator:eq").score("No effusion.", "No effusion.").failure.error
        "TypeError: object of type 'bool' has no len()"
    """

    name = "external"
    summary = "a metric of RadEval, or any function"
    bounds = (-math.inf, math.inf)
    identical = "it depends on the metric"

    metric: str = setting("", "`radeval:NAME`, `radeval:NAME/KEY`, or `package.module:function`.")
    options: str = setting("{}", "JSON object of keyword arguments for the metric or the function.")
    low: float = setting(-math.inf, "Smallest value.")
    high: float = setting(math.inf, "Largest value.")
    higher_is_better: bool = setting(True, "Whether larger values are better.")  # type: ignore[misc]
    priors: bool = setting(False, "Pass each case's priors as a third list; not for RadEval.")
    revision: str = setting("", "Any text; change it whenever you change a function of your own.")
    batch: int = setting(64, "Pairs per call.", changes_scores=False)

    def __post_init__(self) -> None:
        check_metric(self.metric, self.options, self.name)
        if not self.low < self.high:
            raise self.invalid("low", f"below high = {self.high!r}")
        if self.batch < 1:
            raise self.invalid("batch", "above 0")
        object.__setattr__(self, "bounds", (self.low, self.high))
        if self.priors:
            object.__setattr__(self, "reads", ("candidate", "reference", "priors"))

    @property
    def foreign_code(self) -> str:
        """The metric, unless it is RadEval's by name; its options, if a text in them may name a model to load."""
        if self.metric.partition(":")[0] != "radeval":
            return f"metric = {self.metric!r}"
        plain = all(isinstance(value, int | float | None) for value in json.loads(self.options).values())
        return "" if plain else f"options = {self.options!r}"

    @property
    def needs(self) -> tuple[ExternalValues]:
        keys = ("metric", "options", "priors", "revision", "batch")
        return (ExternalValues(**{key: getattr(self, key) for key in keys}),)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the metric's value."""
        (feature,) = self.needs
        return Score(features.value(feature, case))
