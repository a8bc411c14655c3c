"""Numbers of a whole set of cases, each a function of sums over the cases, so that resampling never scores again.

- The mean of a metric.
- Micro, macro and support-weighted F1 over CheXpert's conditions, from tp, fp and fn of each case. A condition that is
  positive nowhere has F1 0, as in scikit-learn and in `ChexbertF1.corpus`; macro F1 counts it.
- `1/mean` of RadCliQ and FineRadScore, by which ReXrank ranks.
- Of judges that count errors: errors a report, and the shares of reports with at most 1, exactly 2, exactly 3 and at
  least 4 significant ones. Of RadFact: mean precision, mean recall, and the F1 of these two.
- Gaps between groups: the mean of the best group minus that of the worst. Each resample picks its own best and worst.

What a mean of scores does not tell is read from the file of details (`cxr-rewards score --details`), from columns of
details (`chexprompt.significant`; `chexpert_rule_f1.tp`, `.fp` and `.fn`), or from the texts by the rule-based reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cxr_rewards.components.chexpert_rule_f1 import ChexpertRuleF1
from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import Engine
from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.joining import JoinedScores
from cxr_rewards.evaluation.scores import SystemScores
from cxr_rewards.files.details import CaseDetails, read_details
from cxr_rewards.formulas.chexpert import CONDITIONS, FIVE, Uncertain, positives
from cxr_rewards.judges.details import SORTS
from cxr_rewards.types import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxr_rewards.evaluation.resampling import Numbers, Statistic

    Mask = NDArray[np.bool_]

INVERTED = ("radcliq_v0", "radcliq_v1", "fineradscore")
"""Components of which the inverse of the mean is published."""
MIN_GROUP = 10
"""Fewest cases of a group that counts for a gap."""

_FREE = (-math.inf, math.inf)
_UNIT = (0.0, 1.0)
_SIZES = {"14": CONDITIONS, "5": FIVE}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemMeasure:
    """A number of a set of cases, for each of several systems.

    Attributes:
        name: such as `rouge_l`, or `chexbert_f1 macro_f1_14`.
        sums: by system, (cases, k): zeros for a case that does not count. The first column counts cases; of a gap, as
            many columns as there are groups.
        statistic: of sums (..., k) the number (...,); NaN if undefined.
        counted: (cases,): whether a case counts: it is scored for all systems.
        unscored: by system, the number of cases without a score of its own.
        higher_is_better: its direction; None for a number without one, which is not tested.
        bounds: smallest and largest number.
        scores: (systems, cases) if it is their mean; else None.
        groups: names of the groups of a gap; else empty.
        by: the column of these groups; else empty.
    """

    name: str
    sums: tuple[Numbers, ...]
    statistic: Statistic
    counted: Mask
    unscored: tuple[int, ...]
    higher_is_better: bool | None = True
    bounds: tuple[float, float] = _FREE
    scores: Numbers | None = None
    groups: tuple[str, ...] = ()
    by: str = ""

    def by_group(self, system: int) -> dict[str, tuple[int, float]]:
        """Return cases and mean of each group of a gap."""
        whole = self.sums[system].sum(axis=0)
        n, totals = whole[: len(self.groups)], whole[len(self.groups) :]
        return {name: (int(n[i]), float(totals[i] / n[i])) for i, name in enumerate(self.groups)}


def mean_of(sums: Numbers) -> Numbers:
    """Return the mean: the second sum over the first."""
    return sums[..., 1] / sums[..., 0]


def means(joined: JoinedScores, *, inverses: bool = True) -> list[SystemMeasure]:
    """Return the mean of each metric, and the published inverse of some."""
    found = []
    for name, metric in joined.metrics.items():
        values = joined.values(name)
        found.append(_mean(name, values, higher_is_better=metric.higher_is_better, bounds=metric.bounds))
        if inverses and metric.component in INVERTED:
            found.append(_of_columns(f"{name} 1/mean", values[:, :, None], _inverse_mean, bounds=(0.0, math.inf)))
    return found


def statistics(
    joined: JoinedScores, *, details: bool = True, read_texts: bool = False
) -> tuple[list[SystemMeasure], list[str]]:
    """Return the corpus statistics that the files allow, and notes on those left out.

    Args:
        joined: from `join_scores`.
        details: use the details.
        read_texts: also read the reports by rules, for F1 over CheXpert's conditions, if no details have it.

    Raises:
        InputError: a file of details that belongs to other scores, or no texts to read.
    """
    tables = [_tables(system) if details else {} for system in joined.systems]
    somewhere = [name for name in joined.metrics if any(name in table for table in tables)]
    labels = [label for label in somewhere if all(label in table for table in tables)]
    notes = [
        f"corpus statistics of {label} need details, which {', '.join(without)} lack: score with --details"
        for label in somewhere
        if (without := [s.name for s, table in zip(joined.systems, tables, strict=True) if label not in table])
    ]
    found = [measure for label in labels for measure in _measures(label, [table[label] for table in tables], joined)]
    if read_texts and not any(table[label].conditions for label in labels for table in tables):
        label = ChexpertRuleF1.name
        found += _measures(label, [_read_texts(system) for system in joined.systems], joined)
    return found, notes


def gaps(by: str, groups: Sequence[str], measures: Iterable[SystemMeasure]) -> list[SystemMeasure]:
    """Return the gap of each mean between the groups of at least 10 cases; none if there are fewer than two groups.

    Args:
        by: name of the column.
        groups: of each case; empty if it is unknown.
        measures: those that are means of scores; others have no gap.
    """
    found = []
    for measure in measures:
        if measure.scores is None:
            continue
        of = np.array([name if counts else "" for name, counts in zip(groups, measure.counted, strict=True)])
        counts = zip(*np.unique(of, return_counts=True), strict=True)
        names = [str(name) for name, n in counts if name and n >= MIN_GROUP]
        if len(names) < 2:
            continue
        member = np.stack([of == name for name in names], axis=1).astype(np.float64)
        known = np.where(measure.counted, measure.scores, 0.0)
        low, high = measure.bounds
        found.append(
            SystemMeasure(
                name=f"{measure.name} gap by {by}",
                sums=tuple(np.hstack((member, member * values[:, None])) for values in known),
                statistic=gap_of,
                counted=member.sum(axis=1) > 0,
                unscored=measure.unscored,
                higher_is_better=False,
                bounds=(0.0, high - low),
                groups=tuple(names),
                by=by,
            )
        )
    return found


def gap_of(sums: Numbers) -> Numbers:
    """Return the largest mean less the smallest; the sums are the groups' cases, then their totals."""
    half = sums.shape[-1] // 2
    by_group = sums[..., half:] / sums[..., :half]
    some = np.isfinite(by_group)
    gap: Numbers = np.where(some, by_group, -np.inf).max(axis=-1) - np.where(some, by_group, np.inf).min(axis=-1)
    return np.where(some.sum(axis=-1) > 1, gap, np.nan)


def _inverse_mean(sums: Numbers) -> Numbers:
    return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)


def _mean(name: str, values: Numbers, **about: Any) -> SystemMeasure:
    measure = _of_columns(name, values[:, :, None], mean_of, **about)
    return SystemMeasure(**{**_fields(measure), "scores": values})


def _fields(measure: SystemMeasure) -> dict[str, Any]:
    return {name: getattr(measure, name) for name in SystemMeasure.__slots__}


def _of_columns(name: str, values: Numbers, statistic: Statistic, **about: Any) -> SystemMeasure:
    """Return a measure of numbers of the cases, (systems, cases, k); a case with NaN does not count."""
    known: Mask = np.isfinite(values).all(axis=2)  # type: ignore[assignment]  # an array, since the axis is given
    counted: Mask = known.all(axis=0)  # type: ignore[assignment]
    ones = counted.astype(np.float64)[:, None]
    return SystemMeasure(
        name=name,
        sums=tuple(np.hstack((ones, np.where(counted[:, None], mine, 0.0))) for mine in values),
        statistic=statistic,
        counted=counted,
        unscored=tuple(int(n) for n in (~known).sum(axis=1)),
        **about,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Numbers from the details of each case of a file; NaN for a case without.

    Attributes:
        numbers: (cases, k).
        conditions: those of whose tp, fp and fn the numbers are; empty for other numbers.
        kind: `f1`, `counts` or `marks`.
    """

    numbers: Numbers
    kind: str
    conditions: tuple[str, ...] = ()


def _measures(label: str, tables: Sequence[_Table], joined: JoinedScores) -> list[SystemMeasure]:
    values = np.stack([table.numbers[order] for table, order in zip(tables, joined.order, strict=True)])
    if tables[0].kind == "f1":
        return _f1_measures(label, values, tables[0].conditions)
    if tables[0].kind == "marks":
        return [
            _mean(f"{label} precision", values[:, :, 0], bounds=_UNIT),
            _mean(f"{label} recall", values[:, :, 1], bounds=_UNIT),
            _of_columns(f"{label} f1", values, _f1_of_means, bounds=_UNIT),
        ]
    significant = values[:, :, 0]
    known = np.isfinite(significant)
    shares: dict[str, tuple[Mask, bool | None]] = {
        "at_most_1": (significant <= 1, True),
        "exactly_2": (significant == 2, None),
        "exactly_3": (significant == 3, None),
        "at_least_4": (significant >= 4, False),
    }
    found = [_mean(f"{label} significant", significant, higher_is_better=False, bounds=(0.0, math.inf))]
    if values.shape[2] > 1:
        found.append(_mean(f"{label} errors", values.sum(axis=2), higher_is_better=False, bounds=(0.0, math.inf)))
    for name, (share, better) in shares.items():
        found.append(_mean(f"{label} {name}", np.where(known, share, np.nan), higher_is_better=better, bounds=_UNIT))
    return found


def _f1_of_means(sums: Numbers) -> Numbers:
    precision, recall = sums[..., 1] / sums[..., 0], sums[..., 2] / sums[..., 0]
    return np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), precision + recall)


def _f1_measures(label: str, values: Numbers, conditions: tuple[str, ...]) -> list[SystemMeasure]:
    if not conditions:  # counts of all conditions together
        return [_of_columns(f"{label} micro_f1", values, _micro, bounds=_UNIT)]
    systems, cases, _ = values.shape
    by_condition = values.reshape(systems, cases, 3, len(conditions))
    found = []
    for size, chosen in _SIZES.items():
        if set(chosen) <= set(conditions):
            some = by_condition[..., [conditions.index(name) for name in chosen]].reshape(systems, cases, -1)
            for name, statistic in (("micro", _micro), ("macro", _macro), ("weighted", _weighted)):
                found.append(_of_columns(f"{label} {name}_f1_{size}", some, statistic, bounds=_UNIT))
    return found


def _counts(sums: Numbers) -> Numbers:
    """Return tp, fp and fn by condition, (..., 3, conditions); the first sum is the number of cases."""
    return sums[..., 1:].reshape(*sums.shape[:-1], 3, -1)


def _f1(counts: Numbers) -> Numbers:
    tp, wrong = counts[..., 0, :], counts[..., 1, :] + counts[..., 2, :]
    return np.where(2 * tp + wrong > 0, 2 * tp / (2 * tp + wrong), 0.0)


def _micro(sums: Numbers) -> Numbers:
    return np.where(sums[..., 0] > 0, _f1(_counts(sums).sum(axis=-1, keepdims=True))[..., 0], np.nan)


def _macro(sums: Numbers) -> Numbers:
    return np.where(sums[..., 0] > 0, _f1(_counts(sums)).mean(axis=-1), np.nan)


def _weighted(sums: Numbers) -> Numbers:
    counts = _counts(sums)
    support = counts[..., 0, :] + counts[..., 2, :]
    weighted: Numbers = (_f1(counts) * support).sum(axis=-1) / support.sum(axis=-1)
    return weighted


def _tables(system: SystemScores) -> dict[str, _Table]:
    """Return what can be resampled, by label: of the file of details, or of columns from details."""
    found = _from_columns(system)
    if system.details is not None:
        found |= _from_details(system, system.details)
    return found


def _from_columns(system: SystemScores) -> dict[str, _Table]:
    found = {}
    for name, metric in system.metrics.items():
        counts = [f"{metric.column}.{part}" for part in ("tp", "fp", "fn")]
        if all(column in system.columns for column in counts):
            found[name] = _Table(np.column_stack([system.numbers(column) for column in counts]), "f1")
        elif (column := f"{metric.column}.significant") in system.columns:
            found[name] = _Table(system.numbers(column)[:, None], "counts")
    return found


def _from_details(system: SystemScores, path: Path) -> dict[str, _Table]:
    """Read the details of each case in the order of the file of scores."""
    rows: dict[str, dict[int, list[float]]] = {}
    kinds: dict[str, str] = {}
    made = {name: metric.signature for name, metric in system.metrics.items()}
    number = 0
    for number, row in enumerate(read_details(path), 1):
        if number <= len(system.ids):
            _check_row(system, path, number, row)
        for label, part in row["parts"].items():
            if part["value"] is None:
                continue
            kind, numbers = _numbers(part["details"], made.get(label, ""))
            if kind:
                kinds[label] = kind
                rows.setdefault(label, {})[number - 1] = numbers
    if number != len(system.ids):
        raise InputError(
            f"{path}: has {number:,} rows, but {system.path} has {len(system.ids):,}; they are not of one run: score "
            "again, or leave corpus statistics out with --no-corpus"
        )
    found = {}
    for label, by_row in rows.items():
        table = np.full((number, len(next(iter(by_row.values())))), np.nan)
        table[list(by_row)] = list(by_row.values())
        found[label] = _Table(table, kinds[label], _conditions(made.get(label, "")) if kinds[label] == "f1" else ())
    return found


def _check_row(system: SystemScores, path: Path, number: int, row: CaseDetails) -> None:
    for label, part in row["parts"].items():
        if label not in system.values:
            continue
        ours, theirs = float(system.values[label][number - 1]), part["value"]
        same = math.isnan(ours) if theirs is None else math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-9)
        if not same:
            raise InputError(
                f"{path}: row {number}: {label} is {theirs}, but {ours} in {system.path}; they are not of one run: "
                "score again, or leave corpus statistics out with --no-corpus"
            )


def _conditions(signature: str) -> tuple[str, ...]:
    return FIVE if _setting(signature, "labels", "14") == "5" else CONDITIONS


def _setting(signature: str, key: str, default: str) -> str:
    found = re.search(rf'[?&]{key}="?(\w+)', signature)
    return found[1] if found else default


def _numbers(details: Mapping[str, Any], signature: str) -> tuple[str, list[float]]:
    """Return the kind and the numbers of one case's details; an empty kind if there is nothing to resample."""
    uncertain = cast("Uncertain", _setting(signature, "uncertain", "positive"))
    labels, counts, marks = details.get("labels"), details.get("counts"), details.get("marks")
    if isinstance(labels, list) and len(labels) == 2 and all(len(side) == len(CONDITIONS) for side in labels):
        candidate, reference = (np.array(positives(side, uncertain)) for side in labels)
        if uncertain == "ignore":
            sure = np.array(["3" not in pair for pair in zip(*labels, strict=True)])
            candidate, reference = candidate & sure, reference & sure
        return "f1", np.concatenate([candidate & reference, candidate & ~reference, reference & ~candidate]).tolist()
    if all(isinstance(details.get(key), list) for key in ("tp", "fp", "fn")):
        conditions = _conditions(signature)
        return "f1", [float(name in details[key]) for key in ("tp", "fp", "fn") for name in conditions]
    if isinstance(counts, dict) and counts.get("significant"):
        return "counts", [float(sum(counts[sort].values())) for sort in SORTS]
    if isinstance(marks, dict) and {"precision", "recall"} <= marks.keys():
        return "marks", [float(marks["precision"]), float(marks["recall"])]
    return "", []


def _read_texts(system: SystemScores) -> _Table:
    """Label all reports of a file by rules."""
    if not system.candidate_column or not system.reference_columns:
        raise InputError(f"{system.path}: no columns of candidate and reference to read for F1 over conditions")
    texts = system.texts([system.candidate_column, *system.reference_columns])
    candidates, *references = texts.values()
    cases = [
        Case(candidate=candidate, reference="\n".join(parts))
        for candidate, *parts in zip(candidates, *references, strict=True)
    ]
    rules: Component = ChexpertRuleF1()  # type: ignore[call-arg]  # its settings have defaults
    table = np.full((len(cases), 3 * len(CONDITIONS)), np.nan)
    for i, (score,) in enumerate(Engine({rules.name: rules}).run(cases)):
        if score.value is not None:
            table[i] = _numbers(score.details, "")[1]
    return _Table(table, "f1", CONDITIONS)
