"""Several files side by side: data sets of one system, or systems on one data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.groups import GroupTable, group_table, mean_of
from cxr_rewards.evaluation.protocol import Evaluation, Protocol

if TYPE_CHECKING:
    from cxr_rewards.evaluation.scores import SystemScores

FILE = "file"


def across_files(systems: Sequence[SystemScores], evaluations: Sequence[Evaluation], protocol: Protocol) -> GroupTable:
    """Return the means of each file, and the gaps between files.

    If all files have the same cases, by their ids, these are resampled together, and a patient is one cluster in all of
    them. Otherwise each file has patients of its own.

    Args:
        systems: from `load_scores`, with different names.
        evaluations: of each.
        protocol: of all.

    Raises:
        InputError: two files have one name, or they have no metric in common.
    """
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise InputError(
            f"two files are named {max(names, key=names.count)!r}; tell them apart with --name, once a file"
        )
    metrics = [name for name in evaluations[0].metrics if all(name in system.metrics for system in systems)]
    if not metrics:
        raise InputError(f"the files {', '.join(names)} have no metric in common; score them with the same reward")
    same_cases = all(system.id_column and set(system.ids) == set(systems[0].ids) for system in systems)
    clusters: list[str] = []
    for system, evaluation in zip(systems, evaluations, strict=True):
        patients = system.column(evaluation.cluster) if evaluation.cluster else list(system.ids)
        own = "" if same_cases else f"{system.name}\0"
        clusters += [f"{own}{patient or system.ids[i]}" for i, patient in enumerate(patients)]
    measures = [
        mean_of(
            name,
            np.concatenate([system.values[name] for system in systems]),
            bounds=systems[0].metrics[name].bounds,
            higher_is_better=systems[0].metrics[name].higher_is_better,
        )
        for name in metrics
    ]
    return group_table(
        (FILE,),
        [system.name for system in systems for _ in system.ids],
        measures,
        clusters=clusters,
        order=names,
        minimum=protocol.minimum,
        resamples=protocol.resamples,
        seed=protocol.seed,
    )
