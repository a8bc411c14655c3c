"""The base of rewards computed elsewhere, and what goes over the wire: cases, scores and the reward's description.

JSON throughout: Python writes a float so that reading it gives the same one, so numbers are equal to the last bit.
"""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, NoReturn

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import MAX_CHARS, checked, problem_of
from cxr_rewards.core.filling import failure_of, reason
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.core.stopwatch import Stopwatch
from cxr_rewards.errors import ConfigError, MissingDependencyError, SetupError, shorten
from cxr_rewards.reward.base import BaseReward, ComponentInfo
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.reward.config import build_component
from cxr_rewards.reward.weighted_sum import Term, WeightedSum
from cxr_rewards.types import Case, Failure, Score, known_kind


@dataclass(frozen=True)
class Described:
    """A component that runs elsewhere; see `Component` for the attributes."""

    name: str
    summary: str
    bounds: tuple[float, float]
    higher_is_better: bool
    reads: tuple[str, ...]
    signature: str
    corpus: ClassVar[Any] = Component.corpus  # files ask only components that override it
    corpus_details: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Described:
        """Return the component that a part of `describe` tells of."""
        low, high = table["bounds"]
        bounds = (-inf if low is None else float(low), inf if high is None else float(high))
        if not bounds[0] < bounds[1]:
            raise ValueError(f"bounds are {shorten(table['bounds'])}")
        if type(table["higher_is_better"]) is not bool:
            raise ValueError(f"higher_is_better is {shorten(table['higher_is_better'])}")
        name, summary, signature = (str(table[key]) for key in ("name", "summary", "signature"))
        return cls(name, summary, bounds, table["higher_is_better"], tuple(map(str, table["reads"])), signature)


def _component(table: Mapping[str, Any]) -> ComponentInfo:
    """Return a component of this installation with the same settings if its class is needed here, else `Described`.

    Corpus statistics and `explain` need the class. It never scores here.
    """
    described = Described.parse(table)
    if described.name not in component_names():
        return described
    try:
        cls = load_component(described.name)
        if not _is_needed(cls) or not described.signature.startswith(f"{cls.name}/{cls.version}"):
            return described
        return build_component(described.name, table["settings"], "RemoteReward")
    except (ConfigError, MissingDependencyError):  # of another version, or not installed here
        return described


def _is_needed(cls: type[Component]) -> bool:
    return cls.corpus is not Component.corpus or issubclass(cls, FindingsScore)


def describe(reward: CompositeReward) -> dict[str, object]:
    """Return, as JSON can hold it, what `RewardInfo` needs to combine the scores of this reward elsewhere."""
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


@dataclass(frozen=True, kw_only=True)
class RewardInfo:
    """The parts of a reward that is computed elsewhere, parsed from `describe`."""

    name: str
    signature: str
    max_chars: int
    components: Mapping[str, ComponentInfo]
    total: WeightedSum

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str) -> RewardInfo:
        """Return what `describe` wrote.

        Raises:
            ConfigError: it is not a description of a reward; the message begins with `where`.
        """
        try:
            info = cls(
                name=str(table["name"]),
                signature=str(table["signature"]),
                max_chars=int(table.get("max_chars", MAX_CHARS)),
                components={label: _component(one) for label, one in table["components"].items()},
                total=WeightedSum.from_table(table["total"], where),
            )
            if not info.components or list(info.total.terms) != list(info.components):
                raise ValueError("components and terms differ")
            if {gate.component for gate in info.total.gates} - set(info.components):
                raise ValueError("a gate names a component that is not in the reward")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigError(f"{where}: not a description of a reward: {shorten(reason(error), 300)}") from None
        return info


class ElsewhereReward(BaseReward):
    """A reward whose components run elsewhere; the sum is made in this process, so groups stay whole.

    Subclasses define `send`, which fetches the scores.
    """

    place: ClassVar[str] = "elsewhere"
    """Who computes the scores, for messages."""

    def __init__(self, info: RewardInfo) -> None:
        super().__init__(
            info.components, info.total, name=info.name, signature=info.signature, max_chars=info.max_chars
        )
        self._watch = Stopwatch()

    @abstractmethod
    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases that can be scored, in order."""

    def parts(self, cases: Sequence[Case], is_gone: Callable[[Case], bool] | None = None) -> list[tuple[Score, ...]]:  # noqa: ARG002
        """Fetch each case's score of each component; see `BaseReward.parts`. `is_gone` is not called."""
        problems = [problem_of(case, self.max_chars) for case in cases]
        good = [case for case, problem in zip(cases, problems, strict=True) if problem is None]
        with self._watch.time("elsewhere"):
            rows = self.send(good)
        if len(rows) != len(good) or any(len(row) != len(self.components) for row in rows):
            raise SetupError(
                f"{self.name}: {self.place} returned {len(rows)} rows for {len(good)} cases, or parts of it"
            )
        scores = map(self._checked, rows)
        return [next(scores) if problem is None else self.failed(problem) for problem in problems]

    def _checked(self, row: Sequence[Score]) -> tuple[Score, ...]:
        """Return the scores of a case; one that the component could not have given becomes a failure."""
        made = []
        for (label, component), score in zip(self.components.items(), row, strict=True):
            try:
                score = checked(score, component.bounds, self.place)
                if component.corpus_details and score.value is not None:
                    component.corpus([score])  # bad details would otherwise raise at the end of a long run
            except (ValueError, TypeError, OverflowError, AttributeError, LookupError) as error:
                score = Score(None, failure=failure_of(label, error))
            made.append(score)
        return tuple(made)

    def failed(self, why: Failure) -> tuple[Score, ...]:
        """Return the parts of a case that has none."""
        return (Score(None, failure=why),) * len(self.components)

    def only(self, label: str) -> ElsewhereReward:
        """Return the reward of one of the components alone, scored in the same place."""
        return _OnlyReward(self, label)

    @property
    def seconds(self) -> dict[str, float]:
        """The time spent waiting, as `elsewhere`."""
        return self._watch.seconds()

    def warm(self, texts: object) -> NoReturn:  # noqa: ARG002
        """Refuse: the cache is elsewhere.

        Raises:
            ConfigError: always; says where to warm it.
        """
        raise ConfigError(f"{self.name}: its cache is elsewhere: run `cxr-rewards warm` there")


class _OnlyReward(ElsewhereReward):
    """One component of a reward that is computed elsewhere."""

    def __init__(self, whole: ElsewhereReward, label: str) -> None:
        component = whole.components[label]
        weight = 1.0 if component.higher_is_better else -1.0
        info = RewardInfo(
            name=whole.name,
            signature=component.signature,
            max_chars=whole.max_chars,
            components={label: component},
            total=WeightedSum(terms={label: Term(weight=weight)}),
        )
        super().__init__(info)
        self.whole, self._index = whole, list(whole.components).index(label)
        self.place = whole.place  # type: ignore[misc]

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of the one component."""
        return [(row[self._index],) for row in self.whole.send(cases)]


def settle(reward: CompositeReward, *, own_process: bool) -> None:
    """Load a reward's models and word lists before the first case comes.

    Args:
        reward: what will score.
        own_process: the process does nothing else, so the garbage collector may skip all that is loaded. Without
            this, collection took a quarter of the time of rule-based scoring.
    """
    reward.warm(["The heart size is normal. The lungs are clear."])
    if own_process:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)


def case_table(case: Case) -> dict[str, object]:
    """Return a case as JSON can hold it, without empty fields."""
    table: dict[str, object] = {"candidate": case.candidate, "reference": case.reference}
    if case.priors:
        table["priors"] = list(case.priors)
    if case.context:
        table["context"] = {str(k): v if isinstance(v, _PLAIN) else str(v) for k, v in case.context.items()}
    return table


_PLAIN = (str, bool, int, float)


def score_table(score: Score, details: Container[str] | None) -> dict[str, object]:
    """Return a score as JSON can hold it, with only the named details; None: all of them."""
    table: dict[str, object] = {"value": score.value}
    chosen = {key: value for key, value in score.details.items() if details is None or key in details}
    if chosen:
        table["details"] = chosen
    if score.failure is not None:
        table["failure"] = list(score.failure)
    return table


def score_of(table: object) -> Score:
    """Return the score that `score_table` wrote.

    Raises:
        ValueError: the table does not hold a score.
    """
    if not isinstance(table, dict):
        raise ValueError(f"expected a part, got {shorten(table)}")
    value, details, failure = table.get("value"), table.get("details"), table.get("failure")
    if value is not None and type(value) not in (float, int):
        raise ValueError(f"expected a number, got {shorten(value)}")
    if details is not None and not isinstance(details, dict):
        raise ValueError(f"expected details by name, got {shorten(details)}")
    if failure is not None:
        if not (isinstance(failure, list) and len(failure) in {2, 3} and all(isinstance(one, str) for one in failure)):
            raise ValueError(f"expected where a part failed, why, and the kind, got {shorten(failure)}")
        where, error, *kind = failure
        return Score(None, details or {}, Failure(where, error, known_kind(*kind or ("error",))))
    return Score(value, details or {})
