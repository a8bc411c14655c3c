"""A calibrated reward, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxr_rewards import __version__
from cxr_rewards.evaluation.calibration.agreement import Agreement
from cxr_rewards.evaluation.calibration.quiet import Quiet
from cxr_rewards.evaluation.calibration.summary import comments_of
from cxr_rewards.evaluation.calibration.toml import to_toml
from cxr_rewards.evaluation.calibration.validation import Choice
from cxr_rewards.evaluation.figures import Figure
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.reward.config import (
    RewardConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """The weight of a component before and after.

    Attributes:
        label: of the component.
        before: in the reward that was started from.
        after: fitted, or the same.
        low, high: the interval of a fitted weight without any pull: what the data alone allow, by the bootstrap of
            cases. A weight of which the data say little has a wide one, however strong the pull. None if there is none.
        kept: why the weight was kept; empty if it was fitted.
    """

    label: str
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A calibrated reward, and what it is worth.

    Attributes:
        started_from: name of the reward whose weights were fitted.
        config: the calibrated reward.
        weights: of all components.
        choice: the method and the pull to the weights at the start.
        choices: of each fold of each nested cross-validation.
        before: agreement of the reward that was started from.
        after: agreement of the calibrated reward in nested cross-validation: on cases that neither the weights nor the
            choice have seen.
        gain: `after` less `before`.
        fitted: agreement of the calibrated reward on the cases that it was fitted to: too high.
        raters: agreement of each rater with the mean of the others, averaged over raters: what is possible. None with
            one rater.
        like_rater: `after`, measured in the same way: against each mean without one rater.
        scale: by isotonic regression, the mean rating at levels of the reward: pairs of a reward and the mean rating of
            rewards from it on. Empty if there are no ratings.
        quiet: whether a constant text earns too much; None if that was not checked.
        cases, candidates, pairs: that were used.
        names: of the raters.
        left_out: candidates by the reason.
        source: the file of ratings.
        date: in UTC.
        seed: of folds and resamples.
        warnings: what the user should know before taking the weights.
    """

    started_from: str
    config: RewardConfig
    weights: tuple[Weight, ...]
    choice: Choice
    choices: tuple[Choice, ...]
    before: Agreement
    after: Agreement
    gain: Agreement
    fitted: Agreement
    raters: Agreement | None
    like_rater: Agreement | None
    scale: tuple[tuple[float, float], ...]
    quiet: Quiet | None
    cases: int
    candidates: int
    pairs: int
    names: tuple[str, ...]
    left_out: Mapping[str, int]
    source: str
    date: str
    seed: int
    warnings: tuple[str, ...]
    version: str = __version__

    @property
    def is_better(self) -> bool:
        """Whether the gain in the number that was optimised is above 0, with its interval."""
        low = main_figure(self.gain).low
        return low is not None and low > 0

    def reward(self, **overrides: Any) -> CompositeReward:
        """Return the calibrated reward; overrides as of `CompositeReward.from_preset`."""
        return CompositeReward.from_config(self.config, **overrides)

    def to_toml(self) -> str:
        """Return the TOML of the calibrated reward, with the figures in comments."""
        notes = {
            w.label: f"was {w.before:g}" + ("" if w.low is None else f"; by the data alone {w.low:.2f} to {w.high:.2f}")
            for w in self.weights
            if not w.kept
        }
        return to_toml(self.config, comments_of(self), notes)

    def write(self, path: str | Path) -> None:
        """Write the TOML.

        Raises:
            OSError: it cannot be written.
        """
        Path(path).write_text(self.to_toml(), encoding="utf-8")

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON-compatible data."""
        agreements = {
            name: None if (one := getattr(self, name)) is None else one.as_json()
            for name in ("before", "after", "gain", "fitted", "raters", "like_rater")
        }
        return {
            "format": "cxr_rewards calibration",
            "version": self.version,
            "date": self.date,
            "source": self.source,
            "seed": self.seed,
            "started_from": self.started_from,
            "cases": self.cases,
            "candidates": self.candidates,
            "pairs": self.pairs,
            "raters_names": list(self.names),
            "left_out": dict(self.left_out),
            "choice": asdict(self.choice),
            "choices": [asdict(choice) for choice in self.choices],
            "weights": [asdict(weight) for weight in self.weights],
            "agreement": agreements,
            "is_better": self.is_better,
            "scale": [{"reward": at, "rating": rating} for at, rating in self.scale],
            "quiet": None if self.quiet is None else self.quiet.as_json(),
            "warnings": list(self.warnings),
        }


def main_figure(agreement: Agreement) -> Figure:
    """Return the number that weights are chosen by: tau-b, or pairwise accuracy if there are only comparisons."""
    return agreement.pairwise_accuracy if agreement.kendall_tau_b.n == 0 else agreement.kendall_tau_b
