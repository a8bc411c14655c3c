"""The systems of a report: their scores, joined, with a name and a look for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.evaluation.joining import JoinedScores
from cxr_rewards.evaluation.report.blocks import LOOKS, Name, Paragraph
from cxr_rewards.evaluation.scores import Metric, SystemScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


REWARD = "reward"
NO_TEXTS = Paragraph("The files do not hold the reports, so this part is empty.")


@dataclass(frozen=True)
class Systems:
    """One system's scores, or those of several for the same cases."""

    joined: JoinedScores

    @classmethod
    def of_one(cls, scores: SystemScores) -> Systems:
        """Return one system, which is compared with no other."""
        order = (np.arange(len(scores.ids), dtype=np.int64),)
        return cls(JoinedScores(systems=(scores,), ids=scores.ids, order=order, metrics=scores.metrics))

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The systems' names, each with its look."""
        return tuple(Name(system.name, i % LOOKS) for i, system in enumerate(self.joined.systems))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the cases."""
        return self.joined.ids

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics by name, the main one first."""
        main, metrics = self.main_metric, self.joined.metrics
        return {main: metrics[main], **metrics}

    @property
    def main_metric(self) -> str:
        """The metric that cases are chosen by: the reward, or else the first."""
        return REWARD if REWARD in self.joined.metrics else next(iter(self.joined.metrics))

    @property
    def any_scored(self) -> bool:
        """Whether a case is scored for all systems by some metric."""
        return any(bool(np.isfinite(self.values(metric)).all(axis=0).any()) for metric in self.metrics)

    def values(self, metric: str) -> Numbers:
        """Return the scores, (systems, cases); NaN if unscored."""
        return self.joined.values(metric)

    def has_texts(self, system: int) -> bool:
        """Return whether the file of a system holds its reports and the references."""
        scores = self.joined.systems[system]
        return bool(scores.candidate_column and scores.reference_columns)

    def texts(self, system: int, case: int) -> tuple[str, str]:
        """Return candidate and reference of a case."""
        scores, row = self.joined.systems[system], self.joined.order[system][case]
        columns = scores.texts((scores.candidate_column, *scores.reference_columns))
        references = (columns[name][row] for name in scores.reference_columns)
        return columns[scores.candidate_column][row], "\n".join(references)

    def words(self, system: int) -> Numbers:
        """Return the number of words of each candidate; NaN if the file does not hold the reports."""
        scores = self.joined.systems[system]
        if not scores.candidate_column:
            return np.full(len(self.ids), np.nan)
        cells = scores.column(scores.candidate_column)
        return np.array([len(cells[row].split()) for row in self.joined.order[system]], dtype=np.float64)
