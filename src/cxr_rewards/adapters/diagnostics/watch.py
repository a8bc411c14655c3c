"""Watches a reinforcement-learning run: the parts of the reward, step by step, and the first signs of a collapse."""

from __future__ import annotations

import atexit
import json
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from cxr_rewards.adapters.diagnostics.arithmetic import means
from cxr_rewards.adapters.diagnostics.constant import CONSTANT, AboveConstant
from cxr_rewards.adapters.diagnostics.parts import kinds_of, of_groups, of_parts, reasons_of
from cxr_rewards.adapters.diagnostics.signs import WINDOW, CollapseWarning, Signs
from cxr_rewards.adapters.diagnostics.texts import TextMetrics
from cxr_rewards.adapters.own_file import own_file
from cxr_rewards.core.engine import problem_of
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case, Reward


class Summary(TypedDict):
    """A run in numbers; see `Diagnostics.summary`."""

    steps: int
    metrics: dict[str, dict[str, float | None]]
    unscored: dict[str, int]
    unscored_kinds: dict[str, int]
    warnings: dict[str, int]


class Diagnostics:
    """Metrics of each step, for any training loop.

    For each step: the reward above that of a constant report, its mean, spread and unscored share and those of each
    component, its statistics over all rollouts (`Component.corpus`, such as the errors a report that a judge finds),
    correlation between components, share of groups whose rewards are all equal (they teach nothing); precision and
    recall of the candidates' findings against those of the references; the share of candidates without an abnormal
    finding, that contradict themselves, hedge, call findings old, repeat themselves, copy a prior, are not understood,
    or put words together as no reference does, beside the same of the references; judges' calls and cost, cache hits,
    seconds by feature and component, and the share of the step that scoring took. docs/trainers.md lists them.

    A `CollapseWarning` is given once for each sign of `cxr_rewards.adapters.diagnostics.signs`.

    Args:
        path: a JSONL file that gets a line per step. A process with `RANK` 1 or more, as torchrun and accelerate set
            it, writes its own, such as `name.rank1.jsonl`.
        warn: whether to warn.
        at_exit: print a summary when the process ends.
        constant: the report with which rewards are compared; one in the format that the reward wants.

    Raises:
        ConfigError: the file cannot be written.

    Example:
        >>> from cxr_rewards import Case, CompositeReward
        >>> reward, watch = CompositeReward(), Diagnostics()
        >>> texts = ("Left effusion.", "Clear lungs.")
        >>> cases = [Case(candidate=text, reference="Left effusion.", group="1") for text in texts]
        >>> metrics = watch.observe(reward, cases, reward.score_batch(cases))
        >>> metrics["normal_rate"], metrics["zero_variance_groups"]
        (0.5, 0.0)
    """

    def __init__(
        self, path: str | Path | None = None, *, warn: bool = True, at_exit: bool = False, constant: str = CONSTANT
    ) -> None:
        self.steps = 0
        self._asked = None if path is None else Path(path)
        self.path = None if path is None else own_file(Path(path))
        self.warn = warn
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.began: dict[str, int] = {}
        self._signs = Signs()
        self._spent: dict[str, float] = {}
        self._step: tuple[float, float] | None = None
        self._texts = TextMetrics()
        self._constant = AboveConstant(constant)
        self._lock = threading.Lock()
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.open("a", encoding="utf-8").close()
            except OSError as error:
                raise ConfigError(f"{self.path}: diagnostics cannot be written: {error}") from error
        if at_exit:
            atexit.register(self._print)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self)._again, (self._asked, self.warn, self._constant.text)

    @classmethod
    def _again(cls, path: Path | None, warn: bool, constant: str) -> Diagnostics:
        return cls(path, warn=warn, constant=constant)

    def observe(
        self,
        reward: BaseReward,
        cases: Sequence[Case],
        rewards: Sequence[Reward],
        *,
        seconds: float | None = None,
        step: int | None = None,
    ) -> dict[str, float]:
        """Return the metrics of one step, and keep them.

        Args:
            reward: the reward that scored them.
            cases: the rollouts, with their groups.
            rewards: their rewards, in order.
            seconds: how long scoring took, up to now. With it, `share_of_step` is scoring's share of the last step,
                from the beginning of its scoring to that of this one.
            step: the trainer's number of the step; else steps are counted.
        """
        if not cases:
            return {}
        start = time.perf_counter()
        with self._lock:
            metrics = self._measure(reward, cases, rewards)
            metrics |= self._costs(reward)
            if seconds is not None:
                metrics |= self._share(seconds, start)
            metrics["seconds/diagnostics"] = time.perf_counter() - start
            new = self._keep(reward, rewards, metrics, step)
        for text in new:
            warnings.warn(text, CollapseWarning, stacklevel=3)
        return metrics

    def _measure(self, reward: BaseReward, cases: Sequence[Case], rewards: Sequence[Reward]) -> dict[str, float]:
        metrics = {"rollouts": float(len(cases)), **of_parts(reward, rewards), **of_groups(cases, rewards)}
        readable = [
            (case, given)
            for case, given in zip(cases, rewards, strict=True)
            if problem_of(case, reward.max_chars) is None
        ]
        if readable:
            texts, given = [case for case, _ in readable], [reward for _, reward in readable]
            metrics |= self._texts.of(texts)
            above = self._constant.mean(reward, texts, given)
            if above is not None:
                metrics["reward/above_constant"] = above
        return metrics

    def _share(self, seconds: float, now: float) -> dict[str, float]:
        began, before = now - seconds, self._step
        self._step = (began, seconds)
        if before is None or began <= before[0]:
            return {"seconds": seconds}
        return {"seconds": seconds, "share_of_step": before[1] / (began - before[0])}

    def _keep(
        self, reward: BaseReward, rewards: Sequence[Reward], metrics: dict[str, float], step: int | None
    ) -> list[str]:
        """Keep the numbers of a step, add those of its signs, and return what is to be warned of."""
        self.reasons.update(f.error for r in rewards if r.value is None for f in r.failures)
        kinds = kinds_of(rewards)
        self.kinds.update(kinds)
        self.steps += 1
        number = self.steps if step is None else step
        reason = next((reason for reason, _ in self.reasons.most_common(1)), "")
        signs = self._signs.after(reward, metrics, reason=reason)
        if not self.warn:
            signs = {}
        metrics["warnings"] = float(len(signs))
        if self.path is not None:
            line = {"step": number, **metrics, "unscored": reasons_of(rewards), "unscored_kinds": kinds, "signs": signs}
            self._write(self.path, line)
        new = [f"step {number}: {text}" for name, text in signs.items() if name not in self.began]
        for name in signs:
            self.began.setdefault(name, number)
        return new

    def _write(self, path: Path, line: Mapping[str, object]) -> None:
        """Add a line to the file; a full disk ends the file, not the training."""
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            warnings.warn(f"{path}: diagnostics are no longer written: {error}", stacklevel=5)
            self.path = None

    def _costs(self, reward: BaseReward) -> dict[str, float]:
        """Return the counts of cache and judges, and the seconds, since the last step."""
        totals: dict[str, float] = {}
        for name in ("hits", "misses"):
            count = getattr(reward.cache, name, None)
            if count is not None:
                totals[f"cache/{name}"] = float(count)
        totals |= {f"seconds/{name}": took for name, took in reward.seconds.items()}
        for tally in LEDGER.tallies().values():
            for name, value in (("calls", tally.calls), ("usd", tally.usd), ("retries", tally.retries.total())):
                totals[f"judge/{name}"] = totals.get(f"judge/{name}", 0.0) + value
        since = {key: value - self._spent.get(key, 0.0) for key, value in totals.items()}
        self._spent = totals
        if "judge/usd" in totals:
            since["judge/usd_total"] = totals["judge/usd"]
        return since

    def summary(self) -> Summary:
        """Return first and last means (over ten steps each) of every metric, and why rollouts were unscored.

        `unscored` counts the ten most frequent reasons, `unscored_kinds` the kinds of failure: a rollout with several
        counts for each. `warnings` are the signs that showed, with the step at which they began.
        """
        first, last = means(self._signs.first[:WINDOW]), means(self._signs.last)
        return {
            "steps": self.steps,
            "metrics": {key: {"first": first.get(key), "last": value} for key, value in last.items()},
            "unscored": dict(self.reasons.most_common(10)),
            "unscored_kinds": dict(self.kinds.most_common()),
            "warnings": dict(self.began),
        }

    def _print(self) -> None:
        if self.steps:
            summary = self.summary()
            lines = [f"reward diagnostics over {self.steps} steps: first and last ten"]
            for key, ends in summary["metrics"].items():
                if ends["first"] is not None:
                    lines.append(f"  {key}: {ends['first']:.3f} -> {ends['last']:.3f}")
            lines += [f"  warned of from step {step} on: {name}" for name, step in summary["warnings"].items()]
            lines += [f"  unscored as {kind}: {count}" for kind, count in summary["unscored_kinds"].items()]
            lines += [f"  unscored, {count}: {reason}" for reason, count in summary["unscored"].items()]
            sys.stderr.write("\n".join(lines) + "\n")
