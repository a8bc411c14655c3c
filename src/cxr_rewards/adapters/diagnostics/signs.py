"""Signs that a policy games its reward, in the numbers of a run.

A sign compares the last steps with the first, and candidates with their references: it shows if a number has moved away
from that of the references, by enough to matter and by more than chance explains. A run that starts far away and comes
nearer shows none. `benchmarks/collapse.py` measures how often each sign is right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log, sqrt
from statistics import fmean, variance
from typing import NamedTuple

from cxr_rewards.adapters.diagnostics.arithmetic import mean
from cxr_rewards.reward.base import BaseReward

WINDOW = 10
"""Steps at the start, and steps at the end, that are compared."""
FEWEST = 5
"""Steps from which on a sign can show that needs no comparison."""
SURE = 4.0
"""How many standard errors a change must measure: signs are looked for at each step."""

_LIKELY = 2.5
"""The same of the reward, beside which something else must have fallen for sure."""
_EARLY = 3 * WINDOW
"""Steps among which the first `WINDOW` that have a number are looked for."""

Steps = Sequence[Mapping[str, float]]


class CollapseWarning(UserWarning):
    """A run shows a known way of gaming its reward; warns once for each way."""


class Sign(NamedTuple):
    """A number that has moved away from that of the references.

    Attributes:
        name: of the sign.
        metric: the number of the candidates.
        usual: the same of the references; empty: 0.
        beyond: how far above it the last steps lie, at least.
        rise: how much farther above it than the first steps, at least.
        says: with `{now}`, `{usual}` and `{start}`, as percents.
    """

    name: str
    metric: str
    usual: str
    beyond: float
    rise: float
    says: str


SIGNS = (
    Sign("normal", "normal_rate", "reference_normal_rate", 0.2, 0.2,
         "{now} of candidates tell nothing abnormal, {usual} of references"),
    Sign("one_text", "same_text_rate", "reference_same_text_rate", 0.2, 0.2,
         "{now} of studies get the same text, {start} at the start"),
    Sign("copy", "copy_prior_rate", "", 0.2, 0.15,
         "{now} of the text of candidates is copied from a prior, {start} at the start"),
    Sign("hedge", "hedge_rate", "reference_hedge_rate", 0.15, 0.15,
         "{now} of the findings of candidates are called likely or possible, {usual} of those of references"),
    Sign("old", "old_rate", "reference_old_rate", 0.1, 0.1,
         "{now} of the findings of candidates are called old or calcified, {usual} of those of references"),
    Sign("contradiction", "contradiction_rate", "reference_contradiction_rate", 0.08, 0.05,
         "{now} of candidates deny what they state, {usual} of references"),
    Sign("unread", "unread_rate", "reference_unread_rate", 0.08, 0.08,
         "{now} of the sentences of candidates are not understood, {usual} of those of references"),
    Sign("strange", "strange_rate", "reference_strange_rate", 0.03, 0.03,
         "{now} of the words of candidates are none of a report, {usual} of those of references"),
    Sign("lost_words", "odd_pair_rate", "", 0.04, 0.04,
         "{now} more of the pairs of neighbouring words of candidates than of references are in no other reference, "
         "{start} at the start: words are lost or scrambled"),
    Sign("repetition", "repetition_rate", "reference_repetition_rate", 0.1, 0.1,
         "{now} of the words of candidates say again what was said"),
)  # fmt: skip
"""Signs of one number each; those of several are below."""

_LENGTH = log(1.5)
_EQUAL, _UNSCORED = 0.7, 0.2
_RISEN, _FALLEN = 0.1, 0.25
"""Of the spread of its values within a step: how far the reward has risen, and a component fallen."""
_FALLEN_SHARE = 0.08
"""How far the precision or recall of the findings has fallen."""


class Signs:
    """Remembers the first and the last steps of a run, and finds the signs in them.

    Attributes:
        steps: how many there were.
        first: the first ones, of which each number's first `WINDOW` are compared.
        last: the last `WINDOW`.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.first: list[Mapping[str, float]] = []
        self.last: deque[Mapping[str, float]] = deque(maxlen=WINDOW)

    def after(self, reward: BaseReward, metrics: Mapping[str, float], *, reason: str = "") -> dict[str, str]:
        """Return the words of each sign that shows after one more step, by its name.

        Args:
            reward: of the run.
            metrics: the numbers of the step.
            reason: the most frequent reason for which rollouts are unscored.
        """
        self.steps += 1
        self.last.append(metrics)
        if len(self.first) < _EARLY:
            self.first.append(metrics)
        if self.steps < FEWEST:
            return {}
        shown = dict(_alone(list(self.last), reason))
        if self.steps >= 2 * WINDOW:
            shown |= _compared(reward, self.first, list(self.last))
        return shown


def _alone(last: Steps, reason: str) -> Iterator[tuple[str, str]]:
    """Yield the signs that need no comparison with the start."""
    equal, unscored = _mean("zero_variance_groups", last), _mean("reward/unscored", last)
    if equal > _EQUAL:
        yield "variance", f"{equal:.0%} of groups have equal rewards, and teach nothing"
    if unscored > _UNSCORED:
        yield "unscored", f"{unscored:.0%} of rollouts are unscored, most often because: {reason}"


def _compared(reward: BaseReward, first: Steps, last: Steps) -> Iterator[tuple[str, str]]:
    for sign in SIGNS:
        if _shows(sign, first, last):
            now, usual, start = _mean(sign.metric, last), _mean(sign.usual, last), _mean(sign.metric, first)
            yield sign.name, sign.says.format(now=f"{now:.0%}", usual=f"{usual:.0%}", start=f"{start:.0%}")
    yield from _length(first, last)
    yield from _falling(reward, first, last)
    yield from _carrier(reward, first, last)


def _shows(sign: Sign, first: Steps, last: Steps) -> bool:
    was, now = _beyond(sign, first), _beyond(sign, last)
    return _is_known(was, now) and fmean(now) > sign.beyond and _rise(was, now) > sign.rise


def _beyond(sign: Sign, steps: Steps) -> list[float]:
    return [
        step[sign.metric] - step.get(sign.usual, 0.0)
        for step in steps
        if sign.metric in step and (not sign.usual or sign.usual in step)
    ][:WINDOW]


def _length(first: Steps, last: Steps) -> Iterator[tuple[str, str]]:
    was, now = ([log(max(ratio, 1e-3)) for ratio in _values("length_ratio", steps)] for steps in (first, last))
    if not _is_known(was, now):
        return
    farther = abs(fmean(now)) - abs(fmean(was))
    if abs(fmean(now)) > _LENGTH and farther > _LENGTH and abs(_rise(was, now)) > 0:
        start, end = exp(fmean(was)), exp(fmean(now))
        yield "length", f"candidates have {end:.2f} times the words of references, {start:.2f} at the start"


def _falling(reward: BaseReward, first: Steps, last: Steps) -> Iterator[tuple[str, str]]:
    """Yield each component that falls, and precision or recall of the findings, while the reward rises."""
    risen, above = (_change(f"reward/{key}", first, last, _LIKELY) for key in ("mean", "above_constant"))
    if risen <= _RISEN * _mean("reward/std", first) or above < 0:  # with easier prompts the reward rises, too
        return
    for label, component in reward.components.items():
        change = _change(f"{label}/mean", first, last) * (1 if component.higher_is_better else -1)
        if change < -_FALLEN * _mean(f"{label}/std", first) < 0:
            yield f"falling/{label}", f"the reward has risen by {risen:.2f}, but {label} is worse by {-change:.2f}"
    for name in ("precision", "recall"):
        change = _change(f"findings_{name}", first, last)
        if change < -_FALLEN_SHARE:
            yield (
                f"falling/{name}",
                (f"the reward has risen by {risen:.2f}, but the {name} of the findings has fallen by {-change:.2f}"),
            )


def _carrier(reward: BaseReward, first: Steps, last: Steps) -> Iterator[tuple[str, str]]:
    """Yield a component that carries all of the gain while the others stand still or fall."""
    gains = {}
    for label, term in reward.total.terms.items():
        was, now = (_values(f"{label}/mean", steps) for steps in (first, last))
        if term.weight and was and now:
            gains[label] = term.sign * (mean(now) - mean(was))
    if len(gains) < 2:
        return
    best = max(gains, key=lambda label: gains[label])
    if gains[best] > 0.1 and all(gain <= 0.0 for label, gain in gains.items() if label != best):
        yield "carrier", f"{best} has risen by {gains[best]:.2f}, and no other component has risen"


def _change(key: str, first: Steps, last: Steps, sure: float = SURE) -> float:
    """Return the change of a number from the first to the last steps; 0 if it may be chance."""
    was, now = _values(key, first), _values(key, last)
    return _rise(was, now, sure) if _is_known(was, now) else 0.0


def _values(key: str, steps: Steps) -> list[float]:
    return [step[key] for step in steps if key in step][:WINDOW]


def _mean(key: str, steps: Steps) -> float:
    values = _values(key, steps)
    return mean(values) if values else 0.0


def _is_known(was: Sequence[float], now: Sequence[float]) -> bool:
    return len(was) >= FEWEST and len(now) >= FEWEST


def _rise(was: Sequence[float], now: Sequence[float], sure: float = SURE) -> float:
    """Return the difference of the means; 0 if it measures less than so many standard errors."""
    rise = fmean(now) - fmean(was)
    error = sqrt(variance(was) / len(was) + variance(now) / len(now))
    return rise if abs(rise) > sure * error else 0.0
