"""What came out: every policy read, compared with the start and the controls, by case and by seed."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.adapters.diagnostics.constant import CONSTANT
from cxr_rewards.evaluation.comparing import compare
from cxr_rewards.evaluation.conditions import condition_table
from cxr_rewards.files.summary import t_quantile
from cxr_rewards.findings import CHEXPERT, ontology
from grpo_parts import reading, runs
from grpo_parts.reading import (
    KEYWORDS_F1,
    LOWER_IS_BETTER,
    READER_F1,
    RULES_F1,
    SHARES,
    by_rules,
    read_reports,
    stated,
    write_rows,
)
from grpo_parts.runs import START, Unit
from grpo_parts.settings import CONTROLS
from grpo_parts.studies import Studies, Study

MAIN = f"{KEYWORDS_F1} micro_f1"
"""F1 over all reports: of all classes of the human index, read by keywords, which are not the reward's."""
RULES, READER = f"{RULES_F1} micro_f1", f"{READER_F1} micro_f1"
REFERENCE, CONSTANT_NAME, TERMS = "reference", "constant", "index terms"
"""Texts that no policy wrote: the radiologist's, one normal report for all, and the index terms of the prompt."""
HOW = ("sampled", "greedy")
RESAMPLES = 2000
_T = {1: 12.706, 2: 4.303, 3: 3.182}
"""Quantiles of Student's t for so few degrees of freedom that `t_quantile` is too rough."""

Row = Mapping[str, object]
Rows = Sequence[Row]


class Difference(NamedTuple):
    """An arm less another, over the seeds that both have.

    Attributes:
        how: `sampled` or `greedy`.
        first, second: the arms.
        measure: what is compared.
        seeds: the seeds.
        value: the difference with all seeds together.
        low, high: its interval over cases, for these policies; None if there is none.
        by_seed: the difference of each seed.
        seed_low, seed_high: Student's interval of their mean; None with fewer than two seeds.
    """

    how: str
    first: str
    second: str
    measure: str
    seeds: tuple[str, ...]
    value: float | None
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]
    seed_low: float | None
    seed_high: float | None


def read_all(studies: Studies, units: Sequence[Unit], folder: Path, scores: Path) -> dict[str, dict[str, list[Row]]]:
    """Return the rows of each arm that is done, sampled and greedy, and write them as CSV."""
    reward = by_rules()
    known = [study.reference for study in (*studies.train, *studies.validation)]
    texts: dict[str, dict[str, dict[str, dict[str, str]]]] = {how: {} for how in HOW}
    for unit in units:
        for how, by_seed in runs.texts_of(unit, folder).items():
            if by_seed:
                texts[how].setdefault(unit.arm, {}).update(by_seed)
    for arms in filter(None, texts.values()):
        uids = next(iter(next(iter(arms.values())).values())).keys()
        arms |= {name: {"0": text} for name, text in _unwritten([s for s in studies.held_out if s.uid in uids]).items()}
    rows: dict[str, dict[str, list[Row]]] = {how: {} for how in HOW}
    for how, arms in texts.items():
        (scores / how).mkdir(parents=True, exist_ok=True)
        for arm, by_seed in arms.items():
            rows[how][arm] = list(read_reports(studies.held_out, by_seed, known, reward))
            write_rows(rows[how][arm], scores / how / f"{arm}.csv")
    return rows


def _unwritten(studies: Sequence[Study]) -> dict[str, dict[str, str]]:
    return {
        REFERENCE: {s.uid: s.reference for s in studies},
        CONSTANT_NAME: {s.uid: CONSTANT for s in studies},
        TERMS: {s.uid: s.prompt.rpartition("Index: ")[2].removesuffix("\nFindings:") + "." for s in studies},
    }


def _metrics(rows: Rows) -> list[str]:
    after = list(rows[0])
    scores = after[after.index("reward") : after.index(SHARES[0])]
    return [KEYWORDS_F1, RULES_F1, READER_F1, *scores, *SHARES]


def _compared(systems: Mapping[str, Rows], *, on: str, cluster: str, baseline: str, resamples: int) -> Any:
    """Return the comparison of rows by case."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, rows in systems.items():
            files.append(Path(folder, f"{name}.csv"))
            write_rows(rows, files[-1])
        metrics = _metrics(next(iter(systems.values())))
        return compare(
            files,
            on=on,
            metrics=[m for m in metrics if _varies(m, systems)],
            lower_is_better=LOWER_IS_BETTER,
            cluster=cluster,
            baseline=baseline,
            resamples=resamples,
        )


def pairs_of(rows: Mapping[str, Rows], baseline: str) -> Sequence[Any]:
    """Return the differences of each policy from one of them, in every measure, with intervals over cases."""
    return _compared(rows, on="uid", cluster="", baseline=baseline, resamples=RESAMPLES).pairs


def _varies(metric: str, systems: Mapping[str, Rows]) -> bool:
    """Return whether a metric has a number in every system."""
    return all(any(row[metric] not in (None, "") for row in rows) for rows in systems.values())


def policies(rows: Mapping[str, Rows], baseline: str = START) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return each measure of each policy with its interval over cases; an arm with three seeds is three policies."""
    systems = {
        arm if {row["seed"] for row in mine} <= {"0"} or arm == START else f"{arm}-{seed}": [
            r for r in mine if r["seed"] == seed
        ]
        for arm, mine in rows.items()
        for seed in sorted({str(row["seed"]) for row in mine})
    }
    found = _compared(systems, on="uid", cluster="", baseline=baseline, resamples=RESAMPLES)
    table: dict[str, dict[str, dict[str, float | None]]] = {name: {} for name in systems}
    for one in found.estimates:
        table[one.system][one.measure] = {"value": one.value, "low": one.low, "high": one.high}
    return table


def differences(how: str, rows: Mapping[str, Rows], seen: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Return the differences of each trained arm from the start and from the controls, in every measure.

    Args:
        how: how the reports were written.
        rows: by arm.
        seen: from `policies`.
    """
    arms = [arm for arm in rows if arm not in (REFERENCE, CONSTANT_NAME, TERMS, START)]
    against = [START, *(arm for arm in (*CONTROLS, "rouge_l") if arm in arms)]
    found: list[Difference] = []
    for first in arms:
        for second in against:
            if first == second or (first in CONTROLS and second not in (START, *CONTROLS)):
                continue
            seeds = {str(row["seed"]) for row in rows[first]}
            others = rows[second]
            if second == START:  # one policy for all seeds
                others = [
                    {**row, "seed": seed, "case": f"{seed}:{row['uid']}"} for row in others for seed in sorted(seeds)
                ]
            seeds &= {str(row["seed"]) for row in others}
            if not seeds:
                continue
            mine = {
                name: [row for row in some if row["seed"] in seeds]
                for name, some in ((first, rows[first]), (second, others))
            }
            compared = _compared(mine, on="case", cluster="uid", baseline=second, resamples=RESAMPLES)
            for pair in compared.pairs:
                each = tuple(
                    _value(seen, first, seed, pair.measure) - _value(seen, second, seed, pair.measure)
                    for seed in sorted(seeds)
                )
                found.append(
                    Difference(
                        how,
                        first,
                        second,
                        pair.measure,
                        tuple(sorted(seeds)),
                        pair.difference,
                        pair.low,
                        pair.high,
                        each,
                        *interval_of(each),
                    )
                )
    return found


def _value(seen: Mapping[str, Mapping[str, Any]], arm: str, seed: str, measure: str) -> float:
    value = seen[arm if arm == START else f"{arm}-{seed}"].get(measure, {}).get("value")
    return math.nan if value is None else value


def interval_of(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return Student's 95% interval of the mean of a few numbers; none of fewer than two."""
    if len(values) < 2:
        return None, None
    half = _T.get(len(values) - 1, t_quantile(len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    middle = statistics.fmean(values)
    return middle - half, middle + half


def conditions(studies: Sequence[Study], rows: Mapping[str, Rows]) -> dict[str, dict[str, Any]]:
    """Return precision, recall and F1 of each CheXpert class of the index, by arm, as the simple rules read it."""
    by_uid = {study.uid: study for study in studies}
    found = {}
    for arm, mine in rows.items():
        wanted = [_digits(_labels(reading.indexed_classes(by_uid[str(row["uid"])].entries))) for row in mine]
        said = [_digits(_labels(stated(str(row["candidate"])))) for row in mine]
        found[arm] = condition_table(CHEXPERT, said, wanted, labeler="index", resamples=200).as_json()
    return found


def _labels(observations: Iterable[str]) -> set[str]:
    return {ontology().observations[name].label for name in observations}


def _digits(labels: set[str]) -> str:
    return "".join("1" if name in labels else "0" for name in CHEXPERT)


def summarise(studies: Studies, units: Sequence[Unit], folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that is shown, as JSON-compatible data."""
    done = runs.finished(units, folder)
    rows = read_all(studies, done, folder, folder / "scores")
    seen = {how: policies(mine) for how, mine in rows.items() if mine}
    compared = [one for how, mine in rows.items() if mine for one in differences(how, mine, seen[how])]
    return {
        "settings": settings,
        "studies": {
            "train": len(studies.train),
            "train_abnormal": sum(not s.normal for s in studies.train),
            "held_out": len(studies.held_out),
            "held_out_abnormal": sum(not s.normal for s in studies.held_out),
        },
        "training": {unit.name: runs.result_of(unit, folder) for unit in done},
        "policies": seen,
        "differences": [one._asdict() for one in compared],
        "conditions": {how: conditions(studies.held_out, mine) for how, mine in rows.items() if mine},
        "most_said": {
            arm: reading.most_said(str(row["candidate"]) for row in mine) for arm, mine in rows["sampled"].items()
        },
        "samples": [
            {"prompt": study.prompt, "reference": study.reference}
            | {
                arm: next(str(r["candidate"]) for r in mine if r["uid"] == study.uid)
                for arm, mine in rows["sampled"].items()
                if arm in {u.arm for u in done}
            }
            for study in studies.held_out[:12:2]
        ],
    }
