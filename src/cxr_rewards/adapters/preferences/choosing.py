"""Choose from each group of candidates: pairs of a better and a worse one, or the best."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from cxr_rewards.adapters.preferences.candidates import Candidate, Groups, sort_into_groups
from cxr_rewards.errors import ConfigError

_ALMOST = 1e-12
"""Differences of rewards below this are rounding."""


class Pair(NamedTuple):
    """A better and a worse completion of one prompt."""

    chosen: Candidate
    rejected: Candidate

    @property
    def margin(self) -> float:
        """Difference in reward."""
        return (self.chosen.reward or 0.0) - (self.rejected.reward or 0.0)

    @property
    def longer_by(self) -> int:
        """How many words the chosen one is longer."""
        return self.chosen.words - self.rejected.words


@dataclass(frozen=True, slots=True)
class Preferences:
    """Result of a choice.

    Attributes:
        pairs: the pairs, in the order of groups; empty for a choice of the best.
        best: the best candidates; empty for a choice of pairs.
        groups: number of groups.
        unused: number of groups that gave nothing, by reason.
        candidates: number of candidates.
        unscored: number of unscored candidates, by reason.
        duplicates: number of candidates left out because an earlier one of the group has the same words.
        left_out: number of pairs left out to balance lengths.
        longer_by_before: mean of how many words the chosen ones were longer, before lengths were balanced.
    """

    pairs: Sequence[Pair]
    best: Sequence[Candidate]
    groups: int
    unused: Mapping[str, int]
    candidates: int
    unscored: Mapping[str, int]
    duplicates: int
    left_out: int = 0
    longer_by_before: float | None = None

    @property
    def longer_by(self) -> float | None:
        """Mean of how many words the chosen ones are longer than the rejected ones; None without pairs."""
        return fmean(pair.longer_by for pair in self.pairs) if self.pairs else None

    def describe(self) -> dict[str, object]:
        """Return the numbers as JSON has them."""
        numbers: dict[str, object] = {
            "candidates": self.candidates,
            "unscored": dict(self.unscored),
            "duplicates": self.duplicates,
            "groups": self.groups,
            "unused_groups": dict(self.unused),
        }
        if self.best or not self.pairs:
            numbers["best"] = len(self.best)
            numbers |= {"reward": _mean(self.best), "words": _mean_words(self.best)}
        if self.pairs or not self.best:
            chosen, rejected = [pair.chosen for pair in self.pairs], [pair.rejected for pair in self.pairs]
            numbers |= {
                "pairs": len(self.pairs),
                "pairs_left_out_for_length": self.left_out,
                "reward_chosen": _mean(chosen),
                "reward_rejected": _mean(rejected),
                "words_chosen": _mean_words(chosen),
                "words_rejected": _mean_words(rejected),
                "chosen_is_longer": fmean(pair.longer_by > 0 for pair in self.pairs) if self.pairs else None,
                "longer_by": self.longer_by,
                "longer_by_before_balance": self.longer_by_before,
            }
        return numbers


def _mean(candidates: Sequence[Candidate]) -> float | None:
    return fmean(one.reward or 0.0 for one in candidates) if candidates else None


def _mean_words(candidates: Sequence[Candidate]) -> float | None:
    return fmean(one.words for one in candidates) if candidates else None


def preference_pairs(
    candidates: Iterable[Candidate],
    *,
    margin: float = 0.0,
    per_group: int = 1,
    min_reward: float | None = None,
    max_length_ratio: float | None = None,
    balance_lengths: bool = False,
    seed: int = 0,
) -> Preferences:
    """Choose pairs of a better and a worse candidate from each group.

    Unscored candidates and repetitions are left out, and two of equal reward are never a pair.

    Args:
        candidates: in any order.
        margin: least difference in reward.
        per_group: 1: the pair of the greatest difference; more: at most so many of all pairs, drawn at random; 0: all.
        min_reward: least reward of the better one.
        max_length_ratio: most that one may be longer than the other, in words: 1.5 means half as long again.
        balance_lengths: leave out pairs, those of the greatest difference in length first, until the better ones are in
            the mean neither longer nor shorter than the worse ones.
        seed: of the random choice; the choice in one group does not depend on the others.

    Raises:
        ConfigError: a number is out of range.
        InputError: candidates of a group have different prompts.

    Example:
        >>> from cxr_rewards import CompositeReward
        >>> texts = ["Small left effusion.", "Clear lungs.", "Large left effusion."]
        >>> rewards = CompositeReward().score_batch(candidates=texts, references=["Small left pleural effusion."] * 3)
        >>> chosen = preference_pairs(
        ...     Candidate(text=text, reward=reward.value, group="study 1", prompt="Report this film.")
        ...     for text, reward in zip(texts, rewards)
        ... )
        >>> [(pair.chosen.text, pair.rejected.text) for pair in chosen.pairs]
        [('Small left effusion.', 'Clear lungs.')]
    """
    if margin < 0:
        raise ConfigError(f"pairs: margin must be 0 or more, got {margin!r}")
    if per_group < 0:
        raise ConfigError(f"pairs: per_group must be 0 (all) or more, got {per_group!r}")
    if max_length_ratio is not None and not max_length_ratio >= 1:
        raise ConfigError(f"pairs: max_length_ratio must be 1 or more, got {max_length_ratio!r}")
    groups = sort_into_groups(candidates)
    pairs: list[Pair] = []
    unused: Counter[str] = Counter()
    for name, members in groups.by_name.items():
        found, why = _pairs_of(members, margin, min_reward, max_length_ratio)
        if why:
            unused[why] += 1
        elif per_group == 1:
            pairs.append(max(found, key=lambda pair: pair.margin))
        elif 0 < per_group < len(found):
            pairs += random.Random(f"{seed} {name}").sample(found, per_group)  # noqa: S311 - no secret
        else:
            pairs += found
    kept = _balanced(pairs) if balance_lengths else pairs
    return Preferences(
        **_counts(groups, unused),
        pairs=kept,
        best=(),
        left_out=len(pairs) - len(kept),
        longer_by_before=fmean(pair.longer_by for pair in pairs) if balance_lengths and pairs else None,
    )


def best_of(candidates: Iterable[Candidate], *, most: int = 1, min_reward: float | None = None) -> Preferences:
    """Choose the best candidates of each group, for training on them (rejection sampling).

    Args:
        candidates: in any order.
        most: how many of a group at most; of equal ones the earlier.
        min_reward: least reward.

    Raises:
        ConfigError: a number is out of range.
        InputError: candidates of a group have different prompts.

    Example:
        >>> given = [Candidate(text=text, reward=reward, group="1") for text, reward in (("a", 0.2), ("b", 0.9))]
        >>> [one.text for one in best_of(given).best]
        ['b']
    """
    if most < 1:
        raise ConfigError(f"pairs: the best of a group are 1 or more, got {most!r}")
    groups = sort_into_groups(candidates)
    best: list[Candidate] = []
    unused: Counter[str] = Counter()
    for members in groups.by_name.values():
        good = [one for one in members if min_reward is None or (one.reward or 0.0) >= min_reward]
        if not members:
            unused["no scored candidate"] += 1
        elif not good:
            unused[f"no reward of {min_reward:g} or more"] += 1
        best += sorted(good, key=lambda one: -(one.reward or 0.0))[:most]
    return Preferences(**_counts(groups, unused), pairs=(), best=best)


def _pairs_of(
    members: Sequence[Candidate], margin: float, min_reward: float | None, ratio: float | None
) -> tuple[list[Pair], str]:
    """Return all pairs of a group that may be used, or why there is none."""
    if len(members) < 2:
        return [], "fewer than two scored candidates with different texts"
    pairs = [
        pair
        for a in members
        for b in members
        if (pair := Pair(a, b)).margin > _ALMOST and pair.margin >= margin - _ALMOST
    ]
    if not pairs:
        return [], "all rewards equal" if margin == 0 else f"no two rewards {margin:g} apart"
    if min_reward is not None:
        pairs = [pair for pair in pairs if (pair.chosen.reward or 0.0) >= min_reward]
        if not pairs:
            return [], f"no reward of {min_reward:g} or more"
    if ratio is not None:
        pairs = [pair for pair in pairs if _ratio(pair) <= ratio + _ALMOST]
        if not pairs:
            return [], f"no pair of lengths within a ratio of {ratio:g}"
    return pairs, ""


def _ratio(pair: Pair) -> float:
    shorter, longer = sorted((pair.chosen.words, pair.rejected.words))
    return longer / shorter if shorter else float("inf")


def _balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs without those that make the chosen ones longer, or shorter, in the mean."""
    total = sum(pair.longer_by for pair in pairs)
    sign = 1 if total > 0 else -1
    left_out = set()
    for number in sorted(range(len(pairs)), key=lambda i: -sign * pairs[i].longer_by):
        difference = sign * pairs[number].longer_by
        if 0 < difference <= sign * total:
            total -= pairs[number].longer_by
            left_out.add(number)
    return [pair for number, pair in enumerate(pairs) if number not in left_out]


def _counts(groups: Groups, unused: Mapping[str, int]) -> dict[str, Any]:
    return {
        "groups": len(groups.by_name),
        "unused": unused,
        "candidates": groups.candidates,
        "unscored": groups.unscored,
        "duplicates": groups.duplicates,
    }
