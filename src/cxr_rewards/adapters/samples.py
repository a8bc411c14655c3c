"""Rollouts that a trainer passes one at a time, from threads, coroutines or worker processes, or in whole groups."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from math import isfinite
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.cells import fields_of, fields_of_label, read
from cxr_rewards.adapters.coalesce import Coalescer
from cxr_rewards.adapters.rollouts import Rollouts
from cxr_rewards.errors import ConfigError
from cxr_rewards.remote.load import CONFIG_VARIABLE, load_reward
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case, Failure, Reward

_made: dict[str, Samples] = {}
_lock = threading.Lock()


class Samples:
    """Scores samples; those requested at about the same time are one batch.

    Args:
        config: a preset or the path of a reward's TOML; empty: the one that `CXR_REWARDS_CONFIG` names.
        reward: a reward to use instead.
        judge, cache: used instead of the reward's own, as in `CompositeReward.from_preset`.
        allow_code: let the reward's TOML name Python code, likewise.
        unscored: the value of an unscored sample. These trainers take no missing value, so it must be given, and lie
            below every reward that a report can get. Where the trainer passes whole groups it may be `group_mean` or
            `raise` (see `Rollouts`).
        missing: the value reported if a component has none. None: verl gets None, which it leaves out of its means;
            verifiers from 0.4 on gets nothing; the others, which take only numbers, get 0, and their means need
            `<component>/unscored`. Give a number if verl trains on components (GDPO, or filters groups by one), because
            there None would be NaN or an error.
        priors: key of the earlier reports among a sample's further fields.
        context: keys of the context (age, sex, indication, ...).
        group: key of the study; without it samples of equal reference and priors are a group. For the diagnostics, and
            where the trainer passes whole groups.
        group_size: how many samples a group has, where the trainer passes whole groups; a reward with
            `normalize = "group"` (GDPO) needs it.
        extract: how to take the report out of a completion, as arguments of `Extract`.
        diagnostics: a folder that gets a file of diagnostics from each process, `<pid>.jsonl`, with a line per batch.
        rollout_log: a folder that gets every rollout with its rewards, `<pid>.jsonl` from each process.
        wait_s: how long a sample waits for others, in seconds.

    Raises:
        ConfigError: `unscored` is not given, or could be earned by a report, or the reward is normalised within groups
            and `group_size` is not given.
    """

    def __init__(
        self,
        *,
        config: str = "",
        reward: BaseReward | None = None,
        judge: Mapping[str, object] | None = None,
        cache: str = "",
        allow_code: bool = False,
        unscored: float | str | None = None,
        missing: float | None = None,
        priors: str = "priors",
        context: Sequence[str] = (),
        group: str = "",
        group_size: int = 0,
        extract: Mapping[str, object] | None = None,
        diagnostics: str = "",
        rollout_log: str = "",
        wait_s: float = 0.02,
    ) -> None:
        given = {"judge": judge, "cache": cache, "allow_code": allow_code}
        if reward is None:
            reward = load_reward(config, **{key: value for key, value in given.items() if value})
        if isinstance(unscored, bool) or not isinstance(unscored, int | float | str):
            low = reward.bounds[0]
            raise ConfigError(
                f"{reward.name}: give the value of an unscored sample: unscored, a number below {low:g}, "
                f"the lowest reward of a report; got {unscored!r}"
            )
        if missing is not None and (type(missing) not in (int, float) or not isfinite(missing)):
            raise ConfigError(f"{reward.name}: missing must be a number or None, got {missing!r}")
        self.unscored = unscored if isinstance(unscored, str) else float(unscored)
        self.missing = None if missing is None else float(missing)
        self.has_cut = False  # whether a report was found in a query: then the marker of the assistant's turn is right
        watch, kept = (
            Path(folder) / f"{os.getpid()}.jsonl" if folder else None for folder in (diagnostics, rollout_log)
        )
        self.rollouts = Rollouts(
            reward=reward,
            unscored=self.unscored,
            extract=extract or {},
            diagnostics=watch,
            rollout_log=kept,
            group_size=group_size,
        )
        self.priors, self.context, self.group = priors, tuple(context), group
        self._batches: Coalescer[Case, Reward] = Coalescer(
            lambda cases: self.rollouts.score_cases(list(cases), replace=False).rewards, wait_s=wait_s
        )

    def check_single(self) -> None:
        """Check that samples can come one by one.

        Raises:
            ConfigError: the reward or `unscored` needs whole groups.
        """
        if self.rollouts.group_size or not isinstance(self.unscored, float):
            raise ConfigError(
                f"{self.rollouts.reward.name}: samples come one by one here, so unscored must be a number below "
                f"{self.rollouts.reward.bounds[0]:g}, not {self.unscored!r}, and there is no group_size"
            )

    def case(self, completion: object, reference: object, more: object, group: object = None) -> Case:
        """Return the case of a sample.

        Args:
            completion: the policy's text, or a `Failure` in its place.
            reference: the reference report.
            more: the sample's further fields: an object, one as JSON, or None.
            group: the sample's group, if its fields do not have it.
        """
        fields = read(fields_of, more)
        if isinstance(fields, Failure):
            completion, fields = fields, {}
        return self.rollouts.case(
            completion,
            reference,
            priors=fields.get(self.priors),
            group=fields.get(self.group, group),
            context={key: fields.get(key) for key in self.context},
        )

    def labelled_case(self, completion: object, label: object, more: object = None, group: object = None) -> Case:
        """Return the case of a sample whose label is its reference, or an object with `reference` and further fields.

        Args:
            completion: as above.
            label: the label: a text, an object, or one as JSON.
            more: further fields; those of the label go before them.
            group: as above.
        """
        fields, others = read(fields_of_label, label), read(fields_of, more)
        for problem in (fields, others):
            if isinstance(problem, Failure):
                return self.case(problem, "", None, group)
        assert isinstance(fields, Mapping)
        assert isinstance(others, Mapping)
        return self.case(completion, fields["reference"], {**others, **fields}, group)

    def value(self, reward: Reward) -> float:
        """Return the number that the trainer gets for a reward of its own batch of one.

        Raises:
            ConfigError: it is unscored, and `unscored` needs whole groups.
        """
        if reward.value is not None:
            return float(reward.value)
        self.check_single()
        return float(self.unscored)

    def parts(self, reward: Reward) -> dict[str, float | None]:
        """Return each component's value and whether it has none: the same keys for each sample.

        Of each component its value, or `missing`, and `<component>/unscored`, 0 or 1; of the reward `unscored`.
        """
        parts: dict[str, float | None] = {}
        for label, part in reward.parts.items():
            parts[label] = self.missing if part.value is None else float(part.value)
            parts[f"{label}/unscored"] = float(part.value is None)
        return {**parts, "unscored": float(reward.value is None)}

    def numbers(self, reward: Reward) -> dict[str, float]:
        """Return the same for trainers that average their logs and take only numbers: 0 in place of None.

        The mean of a component over the samples that have a value is `mean(x) / (1 - mean(x/unscored))`.
        """
        return {label: 0.0 if value is None else value for label, value in self.parts(reward).items()}

    def submit(self, case: Case) -> Future[Reward]:
        """Return the future reward of a case, scored together with those that others submit meanwhile."""
        return self._batches.submit(case)

    async def score(self, case: Case) -> Reward:
        """Return the reward of a case, scored in the same way."""
        return await asyncio.wrap_future(self.submit(case))

    def score_many(self, cases: Sequence[Case]) -> list[tuple[float, Reward]]:
        """Return of each sample of whole groups the number that the trainer gets, and the reward.

        Raises:
            ConfigError: a group is not of `group_size`.
            InputError: `unscored` is `raise` and a sample is unscored, or `group_mean` and all of them are.
        """
        self.rollouts.check_groups(cases)
        return self._with_values(cases, self.rollouts.score_cases(list(cases), replace=False).rewards)

    async def score_group(self, cases: Sequence[Case]) -> list[tuple[float, Reward]]:
        """Return the same of one whole group, scored together with others that are awaited meanwhile.

        If nothing of it is scored, `group_mean` is the lowest reward of a report, for each: no advantage either way.

        Raises:
            ConfigError: it is not of `group_size`.
            InputError: `unscored` is `raise` and a sample is unscored.
        """
        self.rollouts.check_groups(cases)
        if self.rollouts.reward.total.normalize == "group":
            rewards = (await asyncio.to_thread(self.rollouts.score_cases, list(cases), replace=False)).rewards
        else:
            rewards = await asyncio.gather(*(self.score(case) for case in cases))
        if self.unscored == "group_mean" and all(reward.value is None for reward in rewards):
            low = self.rollouts.reward.bounds[0]
            return [(low if isfinite(low) else 0.0, reward) for reward in rewards]
        return self._with_values(cases, rewards)

    def _with_values(self, cases: Sequence[Case], rewards: Sequence[Reward]) -> list[tuple[float, Reward]]:
        values = self.rollouts.values_of(cases, rewards)
        return [(float(value), reward) for value, reward in zip(values, rewards, strict=True) if value is not None]


def samples_of(options: Mapping[str, object], *, whole_groups: bool = False) -> Samples:
    """Return the `Samples` of these options: made once per process, because it may hold models.

    Args:
        options: arguments of `Samples`.
        whole_groups: whether the trainer passes whole groups, not samples one by one.

    Raises:
        ConfigError: an unknown option, or a bad value.
    """
    made = _samples_of(options)
    if not whole_groups:
        made.check_single()
    return made


def _samples_of(options: Mapping[str, object]) -> Samples:
    plain = _plain(options)
    key = json.dumps([plain, os.environ.get(CONFIG_VARIABLE)], sort_keys=True, default=str)
    with _lock:
        if key not in _made:
            try:
                _made[key] = Samples(**plain)
            except TypeError as error:
                raise ConfigError(f"options of the reward: {error}") from None
        return _made[key]


def _plain(value: object) -> Any:
    """Return plain dicts and lists in place of a configuration's own kinds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
