"""Options of an evaluation of a file of scores, and its result."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_rewards.errors import ConfigError
from cxr_rewards.evaluation.conditions import ConditionTable, choose_observations
from cxr_rewards.evaluation.error_counts import ErrorCounts
from cxr_rewards.evaluation.groups import MINIMUM, GroupTable, age_bands
from cxr_rewards.evaluation.resampling import SEED

RESAMPLES = 1_000
MICRO_F1 = "micro_f1_14"
"""Name of the measure that is the micro F1 of CheXpert's 14 labels by rules, uncertain as positive."""
CHANGE, ENCOUNTER = "change", "encounter"
"""Names by which `by` takes the kind of change and the encounter, unless the file has columns of these names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Options of an evaluation.

    Attributes:
        metrics: of the tables of groups; empty: `reward`, or all if there is none.
        by: columns of subgroups, each alone and all crossed; ages in bands; also `change` and `encounter`.
        age_edges: where bands of ages begin; empty: 18, 40, 60 and 80. UniRG-CXR has 60 alone.
        conditions: observations of the reader to count beside CheXpert's labels; `all`: all of them.
        chexbert: label with CheXbert if the details do not have its labels; needs its weights.
        order_by: column of dates or numbers that orders the studies of a patient, for encounters; empty: the number of
            earlier reports does.
        cluster: column of patients; None: that of the file's record, or the usual names; empty: none.
        candidate, reference: columns of texts; None: those of the file's record, or the usual names.
        priors: columns of earlier reports, likewise.
        minimum: fewest scored cases of a group with an interval.
        resamples: of the bootstrap.
        seed: of its random numbers.
    """

    metrics: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    age_edges: tuple[float, ...] = ()
    conditions: tuple[str, ...] = ()
    chexbert: bool = False
    order_by: str = ""
    cluster: str | None = None
    candidate: str | None = None
    reference: str | None = None
    priors: tuple[str, ...] = ()
    minimum: int = MINIMUM
    resamples: int = RESAMPLES
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.minimum < 2:
            raise ConfigError(f"minimum {self.minimum}: expected 2 cases or more")
        if self.resamples < 100:
            raise ConfigError(f"resamples {self.resamples}: expected 100 or more")
        age_bands((), self.age_edges)
        choose_observations(self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Tables of one file of scores.

    Attributes:
        name: of the system or data set.
        path: of the file.
        cases: its rows.
        signature: of the reward; empty if the file does not say.
        metrics: of the tables of groups, with `MICRO_F1` if there are texts.
        baselines: names of those that are scored.
        conditions: a table for each labeler and each rule for uncertain labels.
        changes: by kind of change; None without texts.
        encounters: by encounter; None if it is unknown.
        groups: by the columns asked for.
        errors: of judges.
        cluster: the column of patients; empty if each case counts as independent.
        resamples, seed: of the bootstrap.
        notes: what is left out, and why.
    """

    name: str
    path: str
    cases: int
    signature: str
    metrics: tuple[str, ...]
    baselines: tuple[str, ...]
    conditions: tuple[ConditionTable, ...]
    changes: GroupTable | None
    encounters: GroupTable | None
    groups: tuple[GroupTable, ...]
    errors: tuple[ErrorCounts, ...]
    cluster: str
    resamples: int
    seed: int
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON-compatible data."""
        return {
            "name": self.name,
            "path": self.path,
            "cases": self.cases,
            "signature": self.signature,
            "metrics": list(self.metrics),
            "baselines": list(self.baselines),
            "conditions": [table.as_json() for table in self.conditions],
            "changes": self.changes and self.changes.as_json(),
            "encounters": self.encounters and self.encounters.as_json(),
            "groups": [table.as_json() for table in self.groups],
            "errors": [counts.as_json() for counts in self.errors],
            "cluster": self.cluster,
            "resamples": self.resamples,
            "seed": self.seed,
            "notes": list(self.notes),
        }


def of_baseline(metric: str, baseline: str) -> str:
    """Return the name of the measure that is a baseline's score.

    Example:
        >>> of_baseline("reward", "most frequent report")
        'reward of most frequent report'
    """
    return f"{metric} of {baseline}"


def above_baseline(metric: str, baseline: str) -> str:
    """Return the name of the measure that is how much the system is better than a baseline, on cases scored by both."""
    return f"{metric} above {baseline}"
