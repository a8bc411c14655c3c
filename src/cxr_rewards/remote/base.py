"""A reward whose parts are computed elsewhere, and what goes over the wire: cases, scores and the reward's description.

JSON throughout: Python writes a float so that reading it gives the same one, so numbers are equal to the last bit.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import MAX_CHARS, checked, problem_of
from cxr_rewards.core.filling import reason
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.core.stopwatch import Stopwatch
from cxr_rewards.errors import ConfigError, MissingDependencyError, SetupError, shorten
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.reward.config import build_component
from cxr_rewards.reward.weighted_sum import Term, WeightedSum
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
        if not bounds[0] < bounds[1]:
            raise ValueError(f"bounds are {shorten(told['bounds'])}")
        if type(told["higher_is_better"]) is not bool:
            raise ValueError(f"higher_is_better is {shorten(told['higher_is_better'])}")
        name, summary, signature = (str(told[key]) for key in ("name", "summary", "signature"))
        return cls(name, summary, bounds, told["higher_is_better"], tuple(map(str, told["reads"])), signature)


def _component(told: Mapping[str, Any]) -> Component | Described:
    """Return a component of this installation with the same settings if its class is needed here, else `Described`.

    It is needed for statistics of whole files, and by `explain`. It is never asked to score.
    """
    described = Described.of(told)
    if described.name not in component_names():
        return described
    try:
        cls = load_component(described.name)
        if not _is_needed(cls) or not described.signature.startswith(f"{cls.name}/{cls.version}"):
            return described
        return build_component(described.name, told["settings"], "RemoteReward")
    except (ConfigError, MissingDependencyError):  # of another version, or not installed here
        return described


def _is_needed(cls: type[Component]) -> bool:
    return cls.corpus is not Component.corpus or issubclass(cls, FindingsScore)


def describe(reward: CompositeReward) -> dict[str, Any]:
    """Return all that somebody needs to know who has a reward's parts computed elsewhere, as JSON can hold it."""
    components = {}
    for label, component in reward.components.items():
        low, high = component.bounds
        cls = type(component)
        settings = [key for key, spec in cls.settings().items() if spec.metadata.get("changes_scores", True)]
        components[label] = {
            "name": component.name,
            "summary": component.summary,
            "bounds": [None if low == -inf else low, None if high == inf else high],
            "higher_is_better": component.higher_is_better,
            "reads": list(component.reads),
            "signature": component.signature,
            "settings": {key: getattr(component, key) for key in settings} if _is_needed(cls) else {},
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

    place: ClassVar[str] = "elsewhere"
    """Who computes the scores, for messages."""

    def __init__(self, told: Mapping[str, Any], where: str) -> None:
        """Args: told: of `describe`.  where: begins messages."""
        try:
            self.name, self.signature = str(told["name"]), str(told["signature"])
            self._max_chars = int(told.get("max_chars", MAX_CHARS))
            self.components: Any = {label: _component(one) for label, one in told["components"].items()}
            self.total = WeightedSum.from_table(told["total"], where)
            if not self.components or list(self.total.terms) != list(self.components):
                raise ValueError("components and terms differ")
            if {gate.component for gate in self.total.gates} - set(self.components):
                raise ValueError("a gate is that of no component")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigError(f"{where}: not a description of a reward: {shorten(reason(error), 300)}") from None
        self._watch = Stopwatch()

    cache: Any = None  # where the parts are computed

    @abstractmethod
    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases whose texts are texts, in order."""

    def parts(self, cases: Sequence[Case], is_gone: Callable[[Case], bool] | None = None) -> list[tuple[Score, ...]]:  # noqa: ARG002
        """Return each case's score of each component, as `CompositeReward.parts`; `is_gone` is not asked."""
        problems = [problem_of(case, self._max_chars) for case in cases]
        good = [case for case, problem in zip(cases, problems, strict=True) if problem is None]
        with self._watch.time("elsewhere"):
            rows = self.send(good)
        if len(rows) != len(good) or any(len(row) != len(self.components) for row in rows):
            raise SetupError(
                f"{self.name}: {self.place} returned {len(rows)} rows for {len(good)} cases, or parts of it"
            )
        found = map(self._checked, rows)
        return [next(found) if problem is None else self.failed(problem) for problem in problems]

    def _checked(self, row: Sequence[Score]) -> tuple[Score, ...]:
        """Return the scores of a case; one that a component here could not have given is a failure."""
        made = []
        for (label, component), score in zip(self.components.items(), row, strict=True):
            try:
                score = checked(score, component.bounds, self.place)
                if component.corpus_details and score.value is not None:
                    component.corpus([score])  # which would fail after hours
            except (ValueError, TypeError, OverflowError, AttributeError, LookupError) as error:
                score = Score(None, failure=Failure(label, reason(error)))
            made.append(score)
        return tuple(made)

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

    def with_details(self) -> ElsewhereReward:
        """Return this reward, such that its scores have their details."""
        return self


class _Part(ElsewhereReward):
    """One component of a reward that works elsewhere, by itself, as `CompositeReward` would have it."""

    def __init__(self, whole: ElsewhereReward, label: str) -> None:
        component = whole.components[label]
        weight = 1.0 if component.higher_is_better else -1.0
        self.whole, self._index, self.place = whole, list(whole.components).index(label), whole.place  # type: ignore[misc]
        self.name, self.signature, self._max_chars = whole.name, component.signature, whole.max_chars
        self.components = {label: component}
        self.total = WeightedSum(terms={label: Term(weight=weight)})
        self._watch = Stopwatch()

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of the one component."""
        return [(row[self._index],) for row in self.whole.send(cases)]


def part_of(reward: CompositeReward, label: str) -> CompositeReward:
    """Return the reward of one component alone, which scores where the whole does."""
    if isinstance(reward, ElsewhereReward):
        return _Part(reward, label)
    return CompositeReward({label: reward.components[label]}, cache=reward.cache, max_chars=reward.max_chars)


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


def score_table(score: Score, details: Container[str] | None) -> dict[str, Any]:
    """Return a score as JSON can hold it, with these of its details; None: all of them."""
    table: dict[str, Any] = {"value": score.value}
    told = {key: value for key, value in score.details.items() if details is None or key in details}
    if told:
        table["details"] = told
    if score.failure is not None:
        table["failure"] = list(score.failure)
    return table


def score_of(table: Any) -> Score:
    """Return what `score_table` made a table of.

    Raises:
        ValueError: it is no such table.
    """
    if not isinstance(table, dict):
        raise ValueError(f"expected a part, got {shorten(table)}")
    value, details, failure = table.get("value"), table.get("details"), table.get("failure")
    if value is not None and type(value) not in (float, int):
        raise ValueError(f"expected a number, got {shorten(value)}")
    if details is not None and not isinstance(details, dict):
        raise ValueError(f"expected details by name, got {shorten(details)}")
    if failure is not None:
        if not (isinstance(failure, list) and len(failure) == 2 and all(isinstance(one, str) for one in failure)):
            raise ValueError(f"expected where a part failed and why, got {shorten(failure)}")
        return Score(None, details or {}, Failure(*failure))
    return Score(value, details or {})
