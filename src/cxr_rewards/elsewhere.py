"""A reward whose parts are computed elsewhere, and what goes over the wire: cases, scores and the reward's description.

JSON throughout: Python writes a float so that reading it gives the same one, so numbers are equal to the last bit.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from cxr_rewards.aggregate import WeightedSum
from cxr_rewards.component import Component
from cxr_rewards.composite import CompositeReward
from cxr_rewards.engine import MAX_CHARS, problem_of
from cxr_rewards.errors import ConfigError
from cxr_rewards.stopwatch import Stopwatch
from cxr_rewards.types import Case, Failure, Score


@dataclass(frozen=True)
class Described:
    """What is known of a component that works elsewhere; see `Component`."""

    name: str
    summary: str
    bounds: tuple[float, float]
    higher_is_better: bool
    reads: tuple[str, ...]
    signature: str
    corpus: ClassVar[Any] = Component.corpus
    corpus_details: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Described:
        """Return it from its part of `describe`."""
        low, high = told["bounds"]
        bounds = (-inf if low is None else float(low), inf if high is None else float(high))
        return cls(**{**told, "bounds": bounds, "reads": tuple(told["reads"])})


def describe(reward: CompositeReward) -> dict[str, Any]:
    """Return all that somebody needs to know who has a reward's parts computed elsewhere, as JSON can hold it."""
    components = {}
    for label, component in reward.components.items():
        low, high = component.bounds
        components[label] = {
            "name": component.name,
            "summary": component.summary,
            "bounds": [None if low == -inf else low, None if high == inf else high],
            "higher_is_better": component.higher_is_better,
            "reads": list(component.reads),
            "signature": component.signature,
        }
    return {
        "name": reward.name,
        "signature": reward.signature,
        "max_chars": reward.max_chars,
        "components": components,
        "total": reward.total.table(),
    }


class ElsewhereReward(CompositeReward):
    """A `CompositeReward` whose components work elsewhere; the sum is made here, so groups stay whole.

    Subclasses say where: `send` returns the scores of cases.
    """

    def __init__(self, told: Mapping[str, Any], where: str) -> None:
        """Args: told: of `describe`.  where: begins messages."""
        try:
            self.name, self.signature = str(told["name"]), str(told["signature"])
            self._max_chars = int(told.get("max_chars", MAX_CHARS))
            self.components: Any = {label: Described.of(one) for label, one in told["components"].items()}
            self.total = WeightedSum.from_table(told["total"], where)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"{where}: not a description of a reward: {type(error).__name__}: {error}") from None
        self._watch = Stopwatch()

    cache: Any = None  # where the parts are computed

    @abstractmethod
    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases whose texts are texts, in order."""

    def parts(self, cases: Sequence[Case], is_gone: Callable[[Case], bool] | None = None) -> list[tuple[Score, ...]]:  # noqa: ARG002
        """Return each case's score of each component, as `CompositeReward.parts`; `is_gone` is not asked."""
        problems = [problem_of(case, self._max_chars) for case in cases]
        with self._watch.time("elsewhere"):
            found = iter(self.send([case for case, problem in zip(cases, problems, strict=True) if problem is None]))
        return [next(found) if problem is None else self.failed(problem) for problem in problems]

    def failed(self, why: Failure) -> tuple[Score, ...]:
        """Return the parts of a case that has none."""
        return (Score(None, failure=why),) * len(self.components)

    @property
    def seconds(self) -> dict[str, float]:
        """What was spent waiting, as `elsewhere`."""
        return self._watch.seconds()

    @property
    def max_chars(self) -> int:
        """The longest text that is scored, in characters."""
        return self._max_chars

    def warm(self, texts: Any) -> dict[str, int]:  # noqa: ARG002
        """Refuse: the cache is elsewhere."""
        raise ConfigError(f"{self.name}: its cache is elsewhere: run `cxr-rewards warm` there")


def settle(reward: CompositeReward, *, own_process: bool) -> None:
    """Load a reward's models and word lists before the first case comes.

    Args:
        reward: what will score.
        own_process: whether the process does nothing else. Then the garbage collector is told to pass by what is
            loaded, which took a quarter of the time of rules.
    """
    reward.warm(["The heart size is normal. The lungs are clear."])
    if own_process:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)


def case_table(case: Case) -> dict[str, Any]:
    """Return a case as JSON can hold it, without what is empty."""
    table: dict[str, Any] = {"candidate": case.candidate, "reference": case.reference}
    if case.priors:
        table["priors"] = list(case.priors)
    if case.context:
        table["context"] = {str(k): v if isinstance(v, _PLAIN) else str(v) for k, v in case.context.items()}
    return table


_PLAIN = (str, bool, int, float)


def score_table(score: Score, *, details: bool) -> dict[str, Any]:
    """Return a score as JSON can hold it."""
    table: dict[str, Any] = {"value": score.value}
    if details and score.details:
        table["details"] = score.details
    if score.failure is not None:
        table["failure"] = list(score.failure)
    return table


def score_of(table: Mapping[str, Any]) -> Score:
    """Return what `score_table` made a table of."""
    failure = table.get("failure")
    return Score(table["value"], table.get("details") or {}, None if failure is None else Failure(*failure))
