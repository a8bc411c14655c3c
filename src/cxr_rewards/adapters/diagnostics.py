"""Watches a reinforcement-learning run: the parts of the reward, step by step, and the first signs of a collapse."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import fsum, isfinite, sqrt
from pathlib import Path
from statistics import fmean, pstdev
from typing import TypedDict

from cxr_rewards.core.engine import problem_of
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.findings import merge, read
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.config import build_component
from cxr_rewards.types import Case, Reward

_SAME = 1e-9
_WINDOW = 10
_FEWEST = 5
_SAMPLE = 64
"""Candidates of a step that are read for findings: enough for a share, and cheap."""
_HUGE = 1e60
"""From here on values are scaled before they are squared and summed, which would overflow."""


class Summary(TypedDict):
    """A run in numbers; see `Diagnostics.summary`."""

    steps: int
    metrics: dict[str, dict[str, float | None]]
    unscored: dict[str, int]
    unscored_kinds: dict[str, int]


class CollapseWarning(UserWarning):
    """A run shows a known way of gaming its reward; warns once for each way."""


class Diagnostics:
    """Metrics of each step, for any training loop.

    For each step: mean, spread and unscored share of the reward and of each component, its statistics over all rollouts
    (`Component.corpus`, such as the errors a report that a judge finds), correlation between components,
    share of groups whose rewards are all equal (they teach nothing), share of candidates and references without an
    abnormal finding, share of each that contradicts itself, share of the sentences of each that
    the rule-based reader did not understand, length of candidates against references, share of
    candidates that copy a prior, repetition, judges' calls and cost, cache hits, seconds by feature and component, and
    the share of the step that scoring took.

    A `CollapseWarning` is given once for each of these signs: reports become all-normal, short or long, contradict or
    repeat themselves, or copy the prior; most groups have no spread; one component carries all of the gain; much is
    unscored.

    Args:
        path: a JSONL file that gets a line per step. A process with `RANK` 1 or more, as torchrun and accelerate set
            it, writes its own, such as `name.rank1.jsonl`.
        warn: whether to warn.
        at_exit: print a summary when the process ends.

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

    def __init__(self, path: str | Path | None = None, *, warn: bool = True, at_exit: bool = False) -> None:
        self.steps = 0
        self._asked = None if path is None else Path(path)
        self.path = None if path is None else _own_file(Path(path))
        self.warn = warn
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._recent: deque[dict[str, float]] = deque(maxlen=_WINDOW)
        self._first: list[dict[str, float]] = []
        self._said: set[str] = set()
        self._spent: dict[str, float] = {}
        self._began: tuple[float, float] | None = None
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
        return type(self)._again, (self._asked, self.warn)

    @classmethod
    def _again(cls, path: Path | None, warn: bool) -> Diagnostics:
        return cls(path, warn=warn)

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
        readable = [case for case in cases if problem_of(case, reward.max_chars) is None]
        metrics = {**_spread("reward", [r.value for r in rewards])}
        for label in reward.components:
            metrics |= _spread(label, [r.parts[label].value for r in rewards])
            metrics |= _over_all(label, reward, rewards)
        metrics |= _correlations(reward, rewards)
        metrics |= {
            f"unread/{role}": fmean(r.unread_share(role) for r in rewards) for role in ("candidate", "reference")
        }
        metrics |= _groups(cases, rewards)
        metrics |= _texts(readable) if readable else {}
        metrics |= self._costs(reward)
        if seconds is not None:
            began = time.perf_counter() - seconds
            metrics["seconds"] = seconds
            if self._began is not None and began > self._began[0]:
                metrics["share_of_step"] = self._began[1] / (began - self._began[0])
            self._began = (began, seconds)
        with self._lock:
            self.reasons.update(f.error for r in rewards if r.value is None for f in r.failures)
            kinds = _kinds(rewards)
            self.kinds.update(kinds)
            self.steps += 1
            number = self.steps if step is None else step
            self._recent.append(metrics)
            if len(self._first) < _WINDOW:
                self._first.append(metrics)
            if self.path is not None:
                self._write(
                    self.path, {"step": number, **metrics, "unscored": _counted(rewards), "unscored_kinds": kinds}
                )
            signs = self._signs(reward) if self.warn and len(self._recent) >= _FEWEST else []
        for key, text in signs:
            if key not in self._said:
                self._said.add(key)
                warnings.warn(f"step {number}: {text}", CollapseWarning, stacklevel=3)
        return metrics

    def _write(self, path: Path, line: Mapping[str, object]) -> None:
        """Add a line to the file; a full disk ends the file, not the training."""
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            warnings.warn(f"{path}: diagnostics are no longer written: {error}", stacklevel=4)
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
        return since

    def _signs(self, reward: BaseReward) -> Iterable[tuple[str, str]]:
        now, first = _means(self._recent), _means(self._first)
        if "normal_rate" in now and "normal_rate" in first:
            yield from _text_signs(now, first)
        if now["zero_variance_groups"] > 0.7:
            yield "variance", f"{now['zero_variance_groups']:.0%} of groups have equal rewards, and teach nothing"
        if now["reward/unscored"] > 0.2:
            yield "unscored", f"{now['reward/unscored']:.0%} of rollouts are unscored: {self.reasons.most_common(1)}"
        if self.steps > _WINDOW:
            yield from _carrier(reward, first, now)

    def summary(self) -> Summary:
        """Return first and last means (over ten steps each) of every metric, and why rollouts were unscored.

        `unscored` counts the ten most frequent reasons, `unscored_kinds` the kinds of failure: a rollout with several
        counts for each.
        """
        first, last = _means(self._first), _means(self._recent)
        return {
            "steps": self.steps,
            "metrics": {key: {"first": first.get(key), "last": value} for key, value in last.items()},
            "unscored": dict(self.reasons.most_common(10)),
            "unscored_kinds": dict(self.kinds.most_common()),
        }

    def _print(self) -> None:
        if self.steps:
            summary = self.summary()
            lines = [f"reward diagnostics over {self.steps} steps: first and last ten"]
            for key, ends in summary["metrics"].items():
                if ends["first"] is not None:
                    lines.append(f"  {key}: {ends['first']:.3f} -> {ends['last']:.3f}")
            lines += [f"  unscored as {kind}: {count}" for kind, count in summary["unscored_kinds"].items()]
            lines += [f"  unscored, {count}: {reason}" for reason, count in summary["unscored"].items()]
            sys.stderr.write("\n".join(lines) + "\n")


def _own_file(path: Path) -> Path:
    rank = os.environ.get("RANK", "0")
    return path if rank == "0" else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def _spread(label: str, values: Sequence[float | None]) -> dict[str, float]:
    known = [float(value) for value in values if value is not None and isfinite(value)]
    metrics = {f"{label}/unscored": 1 - len(known) / len(values)}
    if known:
        metrics |= {f"{label}/mean": _mean(known), f"{label}/std": _std(known)}
    return metrics


def _over_all(label: str, reward: BaseReward, rewards: Sequence[Reward]) -> dict[str, float]:
    """Return a component's statistics over all rollouts of the step, such as a judge's errors a report."""
    scores = [score for r in rewards if (score := r.parts[label]).value is not None]
    statistics = reward.components[label].corpus(scores) if scores else {}
    return {f"{label}/{name}": value for name, value in statistics.items() if value is not None}


def _mean(values: Sequence[float]) -> float:
    scale = _scale(values)
    return fmean(value / scale for value in values) * scale


def _std(values: Sequence[float]) -> float:
    scale = _scale(values)
    return pstdev(value / scale for value in values) * scale


def _scale(values: Iterable[float]) -> float:
    """Return a divisor of values that keeps their squares, and the sums of those, finite."""
    largest = max(map(abs, values), default=0.0)
    return largest if largest > _HUGE else 1.0


def _correlations(reward: BaseReward, rewards: Sequence[Reward]) -> dict[str, float]:
    """Return Pearson's r of each pair of components with a weight, over the cases that have both."""
    labels = [label for label in reward.components if reward.total.terms[label].weight]
    correlations = {}
    for one, two in combinations(labels, 2):
        pairs = [(r.parts[one].value, r.parts[two].value) for r in rewards]
        known = [(a, b) for a, b in pairs if a is not None and b is not None and isfinite(a) and isfinite(b)]
        r = _pearson(known)
        if r is not None:
            correlations[f"correlation/{one}~{two}"] = r
    return correlations


def _pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 3:
        return None
    wide, high = _scale(a for a, _ in pairs), _scale(b for _, b in pairs)
    pairs = [(a / wide, b / high) for a, b in pairs]
    x, y = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    xx, yy = fsum((a - x) ** 2 for a, _ in pairs), fsum((b - y) ** 2 for _, b in pairs)
    if xx < _SAME or yy < _SAME:
        return None
    return fsum((a - x) * (b - y) for a, b in pairs) / sqrt(xx * yy)


def _groups(cases: Sequence[Case], rewards: Sequence[Reward]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for case, reward in zip(cases, rewards, strict=True):
        if reward.value is not None and isfinite(reward.value):
            group = case.group if isinstance(case.group, str) else shorten(case.group)
            groups.setdefault(group, []).append(reward.value)
    sized = [values for values in groups.values() if len(values) > 1]
    flat = sum(max(values) - min(values) < _SAME for values in sized)
    return {"zero_variance_groups": flat / len(sized) if sized else 0.0}


def _texts(cases: Sequence[Case]) -> dict[str, float]:
    every = max(1, len(cases) // _SAMPLE)
    sample = cases[::every][:_SAMPLE]
    repetition = build_component("repetition", {}, "diagnostics")
    words = [(len(case.candidate.split()), len(case.reference.split())) for case in cases]
    with_prior = [case for case in cases if any(text.strip() for text in case.priors)]
    copies = sum(_plain(case.candidate) in {_plain(text) for text in case.priors} for case in with_prior)
    repeated = [score.value for case in sample if (score := repetition.score(case.candidate, "x")).value is not None]
    return {
        "normal_rate": fmean(_is_normal(case.candidate) for case in sample),
        "reference_normal_rate": fmean(_is_normal(case.reference) for case in sample),
        "contradiction_rate": fmean(_contradicts_itself(case.candidate) for case in sample),
        "reference_contradiction_rate": fmean(_contradicts_itself(case.reference) for case in sample),
        "length_ratio": sum(c for c, _ in words) / max(1, sum(r for _, r in words)),
        "copy_prior_rate": copies / len(with_prior) if with_prior else 0.0,
        "repetition": fmean(repeated) if repeated else 0.0,
    }


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _is_normal(text: str) -> bool:
    return not merge(read(text)).abnormal


def _contradicts_itself(text: str) -> bool:
    return bool(merge(read(text)).contradicted)


def _means(steps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    columns: dict[str, list[float]] = {}
    for step in steps:
        for key, value in step.items():
            columns.setdefault(key, []).append(value)
    return {key: _mean(values) for key, values in columns.items()}


def _kinds(rewards: Sequence[Reward]) -> dict[str, int]:
    """Return the unscored rollouts by kind of failure; one with several counts for each."""
    return dict(Counter(kind for reward in rewards if reward.value is None for kind in reward.kinds))


def _counted(rewards: Sequence[Reward]) -> dict[str, int]:
    return dict(Counter(reward.reasons for reward in rewards if reward.value is None).most_common(5))


def _text_signs(now: Mapping[str, float], first: Mapping[str, float]) -> Iterable[tuple[str, str]]:
    normal, expected = now["normal_rate"], now["reference_normal_rate"]
    if normal > 0.5 and normal > expected + 0.3 and normal > first["normal_rate"] + 0.2:
        yield "normal", f"{normal:.0%} of candidates tell nothing abnormal, {expected:.0%} of references"
    ratio, before = now["length_ratio"], first["length_ratio"]
    if before and not 0.4 < ratio / before < 2.5:
        yield "length", f"candidates have {ratio:.2f} times the words of references, {before:.2f} at the start"
    contradicting, usual = now["contradiction_rate"], now["reference_contradiction_rate"]
    if contradicting > usual + 0.1 and contradicting > first["contradiction_rate"] + 0.05:
        yield "contradiction", f"{contradicting:.0%} of candidates deny what they state, {usual:.0%} of references"
    if now["copy_prior_rate"] > 0.5 and now["copy_prior_rate"] > first["copy_prior_rate"] + 0.2:
        yield "copy", f"{now['copy_prior_rate']:.0%} of candidates are copies of a prior"
    if now["repetition"] > 0.3 and now["repetition"] > first["repetition"] + 0.15:
        yield "repetition", f"{now['repetition']:.0%} of the words of candidates say again what was said"


def _carrier(reward: BaseReward, first: Mapping[str, float], now: Mapping[str, float]) -> Iterable[tuple[str, str]]:
    """Yield a warning if one component carries all of the gain while the others stand still or fall."""
    gains = {}
    for label, term in reward.total.terms.items():
        key = f"{label}/mean"
        if term.weight and key in first and key in now:
            gains[label] = term.sign * (now[key] - first[key])
    if len(gains) < 2:
        return
    best = max(gains, key=lambda label: gains[label])
    if gains[best] > 0.1 and all(gain <= 0.0 for label, gain in gains.items() if label != best):
        yield "carrier", f"{best} has risen by {gains[best]:.2f}, and no other component has risen"
