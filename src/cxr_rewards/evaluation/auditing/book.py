"""The texts that are scored, each once, and their values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from cxr_rewards.errors import InputError
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case

PLACE = "{report}"
"""Stands for the report in a template."""
_CHUNK = 256
_FIRST = 40
"""Texts after which a reward that has scored none is given up: a judge that does not answer is not asked further."""


class _Key(NamedTuple):
    candidate: str
    reference: str
    priors: tuple[str, ...]


class Book:
    """Cases to be scored, by policy and number of the study, and their values.

    Texts that occur in several places are scored once. A case without a score has no value, and is counted.
    """

    def __init__(self, reward: BaseReward, template: str = PLACE) -> None:
        self._reward, self._template = reward, template
        self._entries: defaultdict[str, dict[int, Case]] = defaultdict(dict)
        self._values: dict[_Key, float | None] = {}
        self._waiting: dict[_Key, Case] = {}
        self._found: dict[str, dict[int, float]] = {}  # kept until more is scored
        self.reasons: Counter[str] = Counter()
        self.calls = 0

    def add(self, name: str, number: int, case: Case) -> None:
        """Add a case of a policy."""
        self._entries[name][number] = case
        key = _key(case)
        if key not in self._values:
            self._waiting.setdefault(key, case)

    @property
    def waiting(self) -> int:
        """The number of texts to be scored."""
        return len(self._waiting)

    def score(self, advance: Callable[[int], None] = lambda _: None) -> None:
        """Score what waits; `advance` is called with the number of texts that are done.

        Raises:
            InputError: the first texts all have no score.
        """
        keys = list(self._waiting)
        at, size = 0, _CHUNK if self._values else _FIRST
        while chunk := keys[at : at + size]:
            for key, value in zip(chunk, self._ask([self._waiting[key] for key in chunk]), strict=True):
                self._values[key] = value
            advance(len(chunk))
            at, size = at + size, _CHUNK
            if all(value is None for value in self._values.values()):
                reason, count = self.reasons.most_common(1)[0]
                raise InputError(f"none of the first {len(self._values)} texts has a score; {count} because: {reason}")
        self._waiting.clear()
        self._found.clear()

    def _ask(self, cases: Iterable[Case]) -> list[float | None]:
        cases = [
            Case(
                candidate=self._template.replace(PLACE, case.candidate),
                reference=case.reference,
                priors=case.priors,
                context=case.context,
                case_id=case.case_id,
                group=case.reference,
            )
            for case in cases
        ]
        self.calls += len(cases)
        results = self._reward.score_batch(cases)
        self.reasons.update(result.reasons for result in results if result.value is None)
        return [result.value for result in results]

    def names(self) -> list[str]:
        """Return the policies, in the order in which they came."""
        return list(self._entries)

    def values(self, name: str) -> dict[int, float]:
        """Return the values of a policy by the number of the study, without those that have none."""
        if name not in self._found:
            found = ((number, self._values[_key(case)]) for number, case in self._entries.get(name, {}).items())
            self._found[name] = {number: value for number, value in found if value is not None}
        return self._found[name]

    def counts(self, name: str) -> tuple[int, int]:
        """Return how many cases of a policy have a value, and how many have none."""
        scored = len(self.values(name))
        return scored, len(self._entries.get(name, {})) - scored

    def text(self, name: str) -> str:
        """Return the first text of a policy."""
        return next(case.candidate for case in self._entries[name].values())

    def mean(self, name: str, among: Sequence[int] | None = None) -> float | None:
        """Return the mean value of a policy, on some of the studies; None if there is none."""
        values = self.values(name)
        chosen = [value for number, value in values.items() if among is None or number in among]
        return fmean(chosen) if chosen else None

    def difference(self, one: str, other: str) -> float | None:
        """Return by how much one policy earns more than another, on the studies where both have values."""
        ours, theirs = self.values(one), self.values(other)
        pairs = [value - theirs[number] for number, value in ours.items() if number in theirs]
        return fmean(pairs) if pairs else None

    def share_unscored(self) -> float:
        """Return the share of texts without a score."""
        return sum(value is None for value in self._values.values()) / (len(self._values) or 1)


def _key(case: Case) -> _Key:
    return _Key(case.candidate, case.reference, case.priors)
