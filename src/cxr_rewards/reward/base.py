"""The interface of every reward, wherever its components run, and the arithmetic that all rewards share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from cxr_rewards.core.absent import ABSENT
from cxr_rewards.core.feature import collector_paused
from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.reward.weighted_sum import WeightedSum
from cxr_rewards.types import Case, Failure, Reward, Score

if TYPE_CHECKING:
    from cxr_rewards.adapters.rollouts import Rollouts
    from cxr_rewards.adapters.trl import TrlReward
    from cxr_rewards.cache import Cache

_NOT_FINITE = Failure("reward", "the weighted sum is not finite: look at the weights and transforms", "out_of_bounds")


class Description(str):
    """Text that a notebook or the REPL shows as it is, without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


class ComponentInfo(Protocol):
    """Description of a component in a reward: all of `Component` except scoring."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def bounds(self) -> tuple[float, float]: ...
    @property
    def higher_is_better(self) -> bool: ...
    @property
    def reads(self) -> tuple[str, ...]: ...
    @property
    def signature(self) -> str: ...
    @property
    def corpus_details(self) -> tuple[str, ...]: ...
    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]: ...


class BaseReward(ABC):
    """Combines the scores of several components into one number per report.

    Trainers, files and explanations accept any of them. Subclasses define `parts`: `CompositeReward` computes the
    scores in this process, `RemoteReward` asks servers, `RayReward` asks the actors of a Ray cluster.

    Attributes:
        name: for tables and messages.
        components: by label, in the order of columns.
        total: weights, transforms, gates and policies.
        signature: identity of everything that can change a value.
        max_chars: longer texts are unscored.
        cache: of this process; None if the scores are computed elsewhere.
    """

    cache: Cache | None = None

    def __init__(
        self,
        components: Mapping[str, ComponentInfo],
        total: WeightedSum,
        *,
        name: str,
        signature: str,
        max_chars: int,
    ) -> None:
        self.name = name
        self.components = components
        self.total = total
        self.signature = signature
        self.max_chars = max_chars

    @abstractmethod
    def parts(self, cases: Sequence[Case], is_gone: Callable[[Case], bool] | None = None) -> list[tuple[Score, ...]]:
        """Return each case's score of each component, in the order of `components`: `score_batch` without the sum.

        Args:
            cases: what to score.
            is_gone: asked while judges work: True if nobody waits for a case any more. It then fails, and no judge is
                asked about it.
        """

    @abstractmethod
    def only(self, label: str) -> BaseReward:
        """Return the reward of one of the components alone, computed in the same place."""

    @property
    @abstractmethod
    def seconds(self) -> dict[str, float]:
        """The time spent so far, by what it was spent on."""

    def release(self) -> None:  # noqa: B027 - most rewards hold nothing
        """Free what scoring holds, such as models and connections; the next call opens it again."""

    def with_details(self) -> BaseReward:
        """Return this reward, with scores that hold their details."""
        return self

    def score(self, candidate: str, reference: str, priors: Sequence[str] = (), **fields: object) -> Reward:
        """Score one report.

        Args:
            candidate: the report to score.
            reference: the radiologist's report.
            priors: earlier reports of the patient, oldest first; one text counts as one report.
            **fields: `context`, `case_id`, `group` of the `Case`.
        """
        case = Case(candidate=candidate, reference=reference, priors=priors, **fields)  # type: ignore[arg-type]
        return self.score_batch([case])[0]

    def score_batch(
        self,
        cases: Iterable[Case] | None = None,
        *,
        candidates: Sequence[str] | None = None,
        references: Sequence[str] | None = None,
        priors: Sequence[Sequence[str]] | None = None,
        contexts: Sequence[Mapping[str, str]] | None = None,
        groups: Sequence[str] | None = None,
    ) -> list[Reward]:
        """Score many reports: cases, or columns of equal length.

        A reward does not depend on the other cases of the call (unless `normalize` is `group`), nor on their order. A
        case that cannot be scored has value `None` and its reasons; the others are not affected.

        Returns:
            One `Reward` a case, in order.

        Raises:
            ConfigError: both or neither of cases and columns, columns of different lengths, or group normalisation
                without groups.
            SetupError: a component cannot work at all.
            CacheError: a feature's value cannot be stored.

        Example:
            >>> from cxr_rewards import CompositeReward
            >>> rewards = CompositeReward(["bleu"]).score_batch(
            ...     candidates=["Clear lungs.", "Effusion."], references=["Clear lungs.", " "])
            >>> [r.value for r in rewards]
            [1.0, None]
            >>> rewards[1].reasons
            'reference: is empty: there is nothing to compare with'
        """
        columns = {
            "candidate": candidates,
            "reference": references,
            "priors": priors,
            "context": contexts,
            "group": groups,
        }
        given = {key: values for key, values in columns.items() if values is not None}
        if cases is None:
            cases = _from_columns(given)
        elif given:
            raise ConfigError("score_batch: give either cases or columns, not both")
        elif isinstance(cases, Case | str | Mapping):
            raise ConfigError(f"score_batch: expected a list of cases, got {shorten(cases)}; write [case]")
        cases = list(cases)
        for index, case in enumerate(cases):
            if not isinstance(case, Case):
                raise ConfigError(
                    f"score_batch: expected a Case, got {shorten(case)} at {index}; write Case(candidate=...)"
                )
        self._groups(cases)
        parts = self.parts(cases)
        with collector_paused():
            return self.combine(cases, parts)

    def _groups(self, cases: Sequence[Case]) -> list[str]:
        if self.total.normalize != "group":
            return []
        names = ["" if case.group is None else str(case.group) for case in cases]
        if "" in names:
            raise ConfigError(f"{self.name}: normalize = 'group' needs a group for each case: set Case.group")
        return names

    def combine(self, cases: Sequence[Case], parts: Sequence[tuple[Score, ...]]) -> list[Reward]:
        """Return the rewards that these parts make: transforms, weights, gates, normalisation within groups.

        Raises:
            ConfigError: group normalisation without groups.
        """
        combined = self.total.combine(parts, self._groups(cases))
        labels, signature = tuple(self.components), self.signature
        return [
            Reward(value, dict(zip(labels, row, strict=True)), gates, signature)
            if value is None or isfinite(value)
            else Reward(None, dict(zip(labels, row, strict=True)), gates, signature, _NOT_FINITE)
            for row, (value, gates) in zip(parts, combined, strict=True)
        ]

    def as_trl(self, **options: Any) -> TrlReward:
        """Return a reward function for trl's trainers; see `cxr_rewards.adapters.trl.as_trl` for the options.

        Example:
            >>> from cxr_rewards import CompositeReward
            >>> reward = CompositeReward(["bleu"]).as_trl(reference="report")
            >>> reward(completions=["Clear lungs."], report=["Clear lungs."])
            [1.0]
        """
        from cxr_rewards.adapters.trl import as_trl

        return as_trl(self, **options)

    def as_callable(self, **options: Any) -> Rollouts:
        """Return a function for a training loop of one's own; see `cxr_rewards.adapters.rollouts.Rollouts`.

        Example:
            >>> from cxr_rewards import CompositeReward
            >>> score = CompositeReward(["bleu"]).as_callable(reference="report")
            >>> score(["<think>Hm.</think>Clear lungs."], report=["Clear lungs."])
            [1.0]
        """
        from cxr_rewards.adapters.rollouts import Rollouts

        return Rollouts(reward=self, **options)

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest reward a case can get."""
        return self.total.bounds({label: c.bounds for label, c in self.components.items()})

    def describe(self) -> Description:
        """Return, as text that shows itself, what is in the reward: each part's direction, range and weight."""
        rows = [("component", "measures", "better", "range", "weight", "transform")]
        for label, component in self.components.items():
            term = self.total.terms[label]
            low, high = component.bounds
            rows.append(
                (
                    label,
                    component.summary,
                    "higher" if component.higher_is_better else "lower",
                    f"[{low:g}, {high:g}]",
                    f"{term.weight:g}",
                    " ".join(map(str, term.transforms)),
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        low, high = self.bounds
        tail = [f"reward {self.name}: weighted sum in [{low:g}, {high:g}], higher is better"]
        if self.total.normalize == "none":
            tail += [f"gate: {gate}" for gate in self.total.gates]
        else:
            tail += [
                f"gate: {gate.condition} -> at most level with the lowest of its group" for gate in self.total.gates
            ]
            tail.append("each component is standardised within its group before weighting")
        tail.append(
            {
                "unscored": "a case is unscored where a component with a weight, or a gate's, has no value",
                "renormalize": (
                    "where a component has no value its weight goes to the others, rewards and penalties apart"
                ),
            }[self.total.on_failure]
        )
        known = f"#{ABSENT}" not in self.signature
        tail.append(f"signature #{self.signature.rpartition('#')[2]}" if known else "no signature: weights are absent")
        return Description("\n".join([*lines, "", *tail]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} #{self.signature.rpartition('#')[2]}: {', '.join(self.components)}>"


def _from_columns(given: Mapping[str, Iterable[object]]) -> list[Case]:
    if "candidate" not in given or "reference" not in given:
        raise ConfigError("score_batch: give cases, or at least candidates and references")
    for key, values in given.items():
        if isinstance(values, str):
            raise ConfigError(f"score_batch: the column of {key} is one text, {shorten(values)}; write a list of texts")
    columns = {key: list(values) for key, values in given.items()}
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"score_batch: columns differ in length: {lengths}")
    return [Case(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
