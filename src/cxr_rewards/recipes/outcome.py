"""The changes of a run: greedy and sampled reports before and after, in pairs, and beside a constant normal report."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.diagnostics.constant import CONSTANT
from cxr_rewards.core.progress import Progress
from cxr_rewards.reward.base import BaseReward


def score_reports(
    reports: Path, reward: BaseReward, out: Path, progress: Progress | None = None, *, force: bool = False
) -> float | None:
    """Score a file of reports as `cxr-rewards score` would; return the mean reward."""
    from cxr_rewards.files import choose_columns, open_table, score_file

    table = open_table(reports)
    columns = choose_columns(table.columns, case_id="case_id", where=str(reports))
    scored = score_file(
        table, columns, reward, out, restart=True, force=force, progress=progress, cluster=_cluster(reports)
    )
    return scored.summary.overall()["reward"].mean


def _cluster(reports: Path) -> str:
    """Return the column whose rows are alike: patients if they are known, else studies."""
    with reports.open(encoding="utf-8", newline="") as file:
        known = all(row["patient_id"] for row in csv.DictReader(file))
    return "patient_id" if known else "study_id"


def write_constant(reports: Path, path: Path) -> None:
    """Write the same file of reports with `CONSTANT` as every candidate: what that earns, a policy earns unseeing."""
    with reports.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), [{**row, "candidate": CONSTANT} for row in reader]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def outcome_of(
    out: Path, reward: BaseReward, kinds: Sequence[str], progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """Score the files of reports of a run, and compare them in pairs.

    Args:
        out: folder with `before.KIND.reports.csv` and `after.KIND.reports.csv`.
        reward: of the evaluation.
        kinds: `greedy`, `sampled`.
        progress: told of each scored case.

    Returns:
        By kind the mean of `before`, `after` and `constant`, and each difference with its 95% interval.
    """
    from cxr_rewards.evaluation import compare, load_scores

    result: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        ends = {end: out / f"{end}.{kind}.reports.csv" for end in ("before", "after", "constant")}
        write_constant(ends["before"], ends["constant"])
        for end, path in ends.items():
            score_reports(path, reward, out / f"{end}.{kind}.csv", progress)
        ends["constant"].unlink()
        scores = [
            load_scores(out / f"{end}.{kind}.csv", name=end, on="case_id", metrics=["reward"])
            for end in ("after", "before", "constant")
        ]
        found = compare(scores, corpus_statistics=False, correction="none")
        means = {estimate.system: estimate.value for estimate in found.estimates}
        result[kind] = {
            **{end: means[end] for end in ("before", "after", "constant")},
            **{
                f"{pair.first}_minus_{pair.second}": {
                    "difference": pair.difference, "low": pair.low, "high": pair.high
                }
                for pair in found.pairs
            },
            "reports": found.cases,
            "studies": found.clusters,
        }  # fmt: skip
    return result


def in_words(result: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line for each kind: before, after, their difference, and what a constant report earns."""
    lines = []
    for kind, found in result.items():
        change = found["after_minus_before"]
        span = "" if change["low"] is None else f" [{change['low']:+.3f}, {change['high']:+.3f}]"
        values = [f"{found[end]:.3f}" if found[end] is not None else "none" for end in ("before", "after", "constant")]
        gain = "none" if change["difference"] is None else f"{change['difference']:+.3f}{span}"
        lines.append(f"{kind}: before {values[0]}, after {values[1]} ({gain}); a constant normal report {values[2]}")
    return "\n".join(lines)
