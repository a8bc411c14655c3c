"""Core of all trainers' adapters: turns columns into cases, calls the reward once, and replaces unscored values."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from cxr_rewards.adapters.cells import (
    completion_of_cell,
    context_of,
    name_of,
    plain,
    priors_of,
    read,
    rows_of,
    text_cell,
)
from cxr_rewards.adapters.completion import Extract
from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.adapters.rollout_log import RolloutLog
from cxr_rewards.errors import ConfigError, InputError, SetupError, shorten, unknown_name
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.text.chat import text_of
from cxr_rewards.types import Case, Failure, Reward

OPTIONS_VARIABLE = "CXR_REWARDS_OPTIONS"

Unscored = float | str | None


class Scored(NamedTuple):
    """Result of scoring a batch of rollouts: cases, rewards with their parts, values for the trainer, and metrics."""

    cases: list[Case]
    rewards: list[Reward]
    values: list[float | None]
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Scores a trainer's rollouts.

    Attributes:
        reward: the reward to score with.
        reference: the dataset's column of reference reports.
        priors: its column of earlier reports: a text, a list, or a JSON list; None: no priors. An empty cell has no
            priors; a list that holds anything but texts leaves its case unscored.
        context: its columns of context (age, sex, indication, ...), or a mapping of context key to column.
        group: its column of study ids. Without it, or if its cell is empty, rollouts of equal prompt, reference and
            priors are one group.
        group_size: how many rollouts a group has, if that is fixed; a call that holds part of a group is an error. A
            reward with `normalize = "group"` (GDPO) needs it: it would standardise part of a group wrongly.
        extract: how to take the report out of a completion: an `Extract`, or its arguments by name.
        unscored: the value of an unscored rollout: None (for trainers that leave it out), `group_mean` (the mean of its
            group's scored rollouts: no advantage either way), `raise`, or a number, which must lie below every reward
            that a report can get. If a whole group is unscored, the mean is that of the batch.
        diagnostics: watches the run: a `Diagnostics`, or the path of its file; None: no diagnostics.
        rollout_log: writes every rollout with its rewards: a `RolloutLog`, or the path of its file; None: no such file.

    Raises:
        ConfigError: `unscored` is none of these, or a reward that is normalised within groups has no `group_size`.
    """

    reward: BaseReward
    reference: str = "reference"
    priors: str | None = None
    context: Sequence[str] | Mapping[str, str] = ()
    group: str | None = None
    group_size: int = 0
    extract: Extract | Mapping[str, object] = field(default_factory=Extract)
    unscored: Unscored = None
    diagnostics: Diagnostics | str | Path | None = None
    rollout_log: RolloutLog | str | Path | None = None
    _answered: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.extract, Extract):
            object.__setattr__(self, "extract", extract_of(self.extract))
        if isinstance(self.diagnostics, str | Path):
            object.__setattr__(self, "diagnostics", Diagnostics(self.diagnostics))
        if isinstance(self.rollout_log, str | Path):
            object.__setattr__(self, "rollout_log", RolloutLog(self.rollout_log))
        if self.reward.total.normalize == "group" and not self.group_size:
            raise ConfigError(
                f"rollouts: {self.reward.name} is normalised within groups: give group_size, the rollouts of a study "
                "in one call (a trainer that passes samples one by one cannot use it)"
            )
        if isinstance(self.unscored, str) and self.unscored not in ("group_mean", "raise"):
            raise ConfigError(unknown_name("rollouts", "unscored", self.unscored, ("group_mean", "raise")))
        if isinstance(self.unscored, bool) or not isinstance(self.unscored, int | float | str | None):
            raise ConfigError(
                f"rollouts: unscored must be a number, 'group_mean', 'raise' or None, got {shorten(self.unscored)}"
            )
        if isinstance(self.unscored, int | float):
            low = self.reward.bounds[0]
            if not self.unscored < low:
                raise ConfigError(
                    f"rollouts: unscored = {self.unscored:g} must lie below every reward, that is below {low:g}, "
                    "or a failure would be better than a bad report"
                )

    def __call__(
        self, completions: Sequence[object], prompts: Sequence[object] | None = None, **columns: Sequence[object]
    ) -> list[float | None]:
        """Return a value for each completion, for your own training loop."""
        return self.score(completions, columns, prompts).values

    def cases(
        self,
        completions: Sequence[object],
        columns: Mapping[str, Sequence[object]],
        prompts: Sequence[object] | None = None,
    ) -> list[Case]:
        """Return a case for each completion.

        Columns may be lists, arrays, Series, tensors or columns of `datasets`. A cell that cannot be read leaves its
        own case unscored, with the reason.

        Raises:
            ConfigError: a named column is missing.
            InputError: columns differ in length.
        """
        rows = _rows("completions", completions)
        length = len(rows)
        asked = [""] * length if prompts is None else _rows("prompts", prompts, length)
        references = self._column(columns, self.reference, "reference", length)
        nothing = [None] * length
        priors = self._column(columns, self.priors, "priors", length) if self.priors else nothing
        groups = self._column(columns, self.group, "group", length) if self.group else nothing
        keys = self.context if isinstance(self.context, Mapping) else {name: name for name in self.context}
        context = {key: self._column(columns, name, "context", length) for key, name in keys.items()}
        cases = [
            self.case(
                completion,
                references[i],
                priors=priors[i],
                group=groups[i],
                prompt=asked[i],
                context={key: cells[i] for key, cells in context.items()},
            )
            for i, completion in enumerate(rows)
        ]
        self.check_groups(cases)
        return cases

    def check_groups(self, cases: Sequence[Case]) -> None:
        """Raise `ConfigError` if a call holds part of a group."""
        for group, size in Counter(case.group for case in cases).items() if self.group_size else ():
            if size % self.group_size:
                raise ConfigError(
                    f"rollouts: group {shorten(group)} has {size} rollouts in this call, not {self.group_size}: "
                    "let the rollouts of a process be a multiple of group_size"
                )

    def case(
        self,
        completion: object,
        reference: Any,
        *,
        priors: object = None,
        context: Mapping[str, object] | None = None,
        group: object = None,
        prompt: object = "",
    ) -> Case:
        """Return the case of one rollout, from the cells of its columns.

        If a cell cannot be read, a `Failure` takes the candidate's place, and the engine makes it the case's failure.
        The completion may be a `Failure` too.
        """
        report = completion if isinstance(completion, Failure) else read(self.report_of, completion)
        earlier, patient = read(priors_of, priors), read(context_of, context or {})
        candidate: Any = next((one for one in (report, earlier, patient) if isinstance(one, Failure)), report)
        earlier = () if isinstance(earlier, Failure) else earlier
        reference, study = text_cell(reference), read(name_of, group)
        return Case(
            candidate=candidate,
            reference=reference,
            priors=earlier,
            context={} if isinstance(patient, Failure) else patient,
            group=study if isinstance(study, str) else _group_of(prompt, reference, earlier),
        )

    def report_of(self, completion: object) -> str:
        """Return the report of a completion.

        Raises:
            InputError: it holds no text.
        """
        assert isinstance(self.extract, Extract)
        return self.extract(completion_of_cell(completion))

    def _column(self, columns: Mapping[str, object], name: str, what: str, length: int) -> list[object]:
        if name not in columns:
            known = [key for key, cells in columns.items() if rows_of(cells) is not None]
            raise ConfigError(unknown_name(f"rollouts: {what}", "column", name, known))
        return _rows(name, columns[name], length)

    def score(
        self,
        completions: Sequence[object],
        columns: Mapping[str, Sequence[object]],
        prompts: Sequence[object] | None = None,
        step: int | None = None,
    ) -> Scored:
        """Score a batch.

        Args:
            completions: texts, or lists of messages.
            columns: the dataset's columns, with one cell per completion.
            prompts: the prompts of the completions; used only to tell groups apart.
            step: the trainer's step, for the diagnostics.
        """
        return self.score_cases(self.cases(completions, columns, prompts), step)

    def score_cases(self, cases: list[Case], step: int | None = None, *, replace: bool = True) -> Scored:
        """Score cases; with `replace` unscored values are replaced as `unscored` says."""
        start = time.perf_counter()
        rewards = self.reward.score_batch(cases)
        seconds = time.perf_counter() - start
        self._check_answered(rewards)
        metrics: dict[str, float] = {}
        try:
            if isinstance(self.diagnostics, Diagnostics):
                metrics = self.diagnostics.observe(self.reward, cases, rewards, seconds=seconds, step=step)
            if isinstance(self.rollout_log, RolloutLog):
                self.rollout_log.add(cases, rewards, step=step)
        except Warning:  # a caller's filter makes errors of them
            raise
        except Exception as error:  # noqa: BLE001 - it only watches: it must not end a training run
            warnings.warn(f"diagnostics: this step is left out: {type(error).__name__}: {error}", stacklevel=2)
        values = self.values_of(cases, rewards) if replace else [reward.value for reward in rewards]
        return Scored(cases, rewards, values, metrics)

    def _check_answered(self, rewards: Sequence[Reward]) -> None:
        """Raise `SetupError` if the first batch is lost because nothing answers: no training should begin like that."""
        if self._answered or not rewards:
            return
        if all(reward.value is None and set(reward.kinds) <= {"transport", "timeout"} for reward in rewards):
            raise SetupError(
                f"{self.reward.name}: none of the first {len(rewards)} rollouts was scored: {rewards[0].reasons}. "
                "Check that the judge or the server runs (cxr-rewards judge-check), and start again"
            )
        self._answered.append(True)

    def values_of(self, cases: Sequence[Case], rewards: Sequence[Reward]) -> list[float | None]:
        """Return the values of rewards, with unscored ones replaced as `unscored` says.

        Raises:
            InputError: `unscored` is `raise` and one is unscored, or `group_mean` and all are.
        """
        values = [reward.value for reward in rewards]
        if self.unscored is None or None not in values:
            return values
        if self.unscored == "raise":
            reasons = dict.fromkeys(reward.reasons for reward in rewards if reward.value is None)
            raise InputError(
                f"{values.count(None)} of {len(values)} rollouts are unscored: {shorten(list(reasons), 300)}"
            )
        if self.unscored != "group_mean":
            return [float(self.unscored) if value is None else value for value in values]
        known: dict[str, list[float]] = {}
        for case, value in zip(cases, values, strict=True):
            if value is not None:
                known.setdefault(case.group, []).append(value)
        everything = [value for group in known.values() for value in group]
        if not everything:
            raise InputError(f"no rollout of the batch was scored: {rewards[0].reasons}")
        mean = fmean(everything)
        return [
            (fmean(known[case.group]) if case.group in known else mean) if value is None else value
            for case, value in zip(cases, values, strict=True)
        ]


def extract_of(arguments: Mapping[str, object]) -> Extract:
    """Return an `Extract` from arguments by name, as a TOML or JSON file gives them."""
    known = {one.name for one in fields(Extract)}
    for name in arguments:
        if name not in known:
            raise ConfigError(unknown_name("rollouts: extract", "argument", name, known))
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return Extract(**given)


def options_from_environment() -> dict[str, Any]:
    """Return the JSON object in `CXR_REWARDS_OPTIONS`, the options of a trainer that takes a name and no arguments.

    Raises:
        ConfigError: it holds something else.
    """
    text = os.environ.get(OPTIONS_VARIABLE, "") or "{}"
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{OPTIONS_VARIABLE}: is not JSON: {error}") from None
    if not isinstance(options, dict):
        raise ConfigError(f"{OPTIONS_VARIABLE}: expected a JSON object, got {text[:80]}")
    return options


def _rows(name: str, cells: object, length: int | None = None) -> list[object]:
    rows = rows_of(cells)
    if rows is None:
        raise InputError(f"column {name!r} must be a list with a cell for each completion, got {shorten(cells)}")
    if length is not None and len(rows) != length:
        raise InputError(f"column {name!r} has {len(rows)} cells for {length} completions")
    return rows


def _group_of(prompt: object, reference: object, priors: Sequence[object]) -> str:
    """Return the name of a group: equal for equal prompt, reference and priors."""
    try:
        asked = _prompt_text(plain(prompt))
    except InputError:
        asked = shorten(prompt)
    return json.dumps([asked, *(text if isinstance(text, str) else shorten(text) for text in (reference, *priors))])


def _prompt_text(prompt: object) -> str:
    """Return the parts of a prompt that can be compared: its texts, and which images it holds."""
    if isinstance(prompt, str):
        return prompt
    parts = []
    for message in prompt if isinstance(prompt, list | tuple) else [prompt]:
        content = message.get("content") if isinstance(message, Mapping) else message
        if isinstance(content, list | tuple):
            parts += [str(part.get("text", "")) for part in content if isinstance(part, Mapping)]
        else:
            parts.append(text_of(content) if content is not None else "")
    return "\n".join(parts)
