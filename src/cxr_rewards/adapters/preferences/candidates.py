"""Scored candidates, sorted into groups: of each group those that can be compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite

from cxr_rewards.errors import InputError, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One completion of a prompt, with its reward.

    Attributes:
        text: the completion.
        reward: None if it is unscored.
        group: completions of one prompt share it.
        prompt: a text, or a chat's messages.
        reason: why it is unscored: the kind of failure.
        where: its place in a file, for messages.
        more: further columns to keep, by name.
    """

    text: str
    reward: float | None
    group: str
    prompt: object = ""
    reason: str = ""
    where: str = ""
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def words(self) -> int:
        """Length of the completion in words."""
        return len(self.text.split())


@dataclass(frozen=True, slots=True)
class Groups:
    """Candidates by group, without those that are unscored or said already.

    Attributes:
        by_name: of each group the scored candidates with different texts, in order.
        candidates: number of all candidates.
        unscored: number of unscored ones, by reason.
        duplicates: number of those whose text an earlier one of the group has.
    """

    by_name: Mapping[str, list[Candidate]]
    candidates: int
    unscored: Mapping[str, int]
    duplicates: int


def sort_into_groups(candidates: Iterable[Candidate]) -> Groups:
    """Sort candidates into groups.

    Raises:
        InputError: candidates of a group have different prompts, or a reward is not finite.
    """
    by_name: dict[str, dict[str, Candidate]] = {}
    first: dict[str, Candidate] = {}
    unscored: Counter[str] = Counter()
    count = duplicates = 0
    for one in candidates:
        count += 1
        known = by_name.setdefault(one.group, {})
        before = first.setdefault(one.group, one)
        if before.prompt != one.prompt and json.dumps(before.prompt) != json.dumps(one.prompt):
            raise InputError(
                f"{one.where or f'candidate {count}'}: group {shorten(one.group)} has another prompt, "
                f"{shorten(one.prompt)}, at {before.where or 'its first candidate'} {shorten(before.prompt)}; "
                "candidates of a group must answer one prompt: group by another column, or by several"
            )
        if one.reward is None:
            unscored[one.reason or "no reason given"] += 1
            continue
        if not isfinite(one.reward):
            raise InputError(f"{one.where or f'candidate {count}'}: the reward is {one.reward!r}; expected a number")
        text = " ".join(one.text.split())
        if text in known:
            duplicates += 1
        else:
            known[text] = one
    return Groups({name: list(known.values()) for name, known in by_name.items()}, count, unscored, duplicates)
