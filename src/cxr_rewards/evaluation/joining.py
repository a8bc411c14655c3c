"""Scores of several systems, joined by case.

Cases are joined by their ids. What must be equal for a fair comparison is checked: the ids, the references, and how
each number was computed (its signature).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cxr_rewards.errors import InputError, shorten, unknown_name
from cxr_rewards.evaluation.scores import Metric, SystemScores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Order = NDArray[np.int64]

Difference = Literal["ids", "references", "signatures"]
"""Something that may differ between files if the user says so."""

_SHOWN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class JoinedScores:
    """Scores of several systems for the same cases, in the order of the first file.

    Attributes:
        systems: as read.
        ids: of the cases.
        order: by system, the place of each case in its file.
        metrics: those that all systems have, by name.
        notes: what the user should know: differences that were allowed, metrics that not all have.
    """

    systems: tuple[SystemScores, ...]
    ids: tuple[str, ...]
    order: tuple[Order, ...]
    metrics: Mapping[str, Metric]
    notes: tuple[str, ...] = ()

    def values(self, metric: str) -> Numbers:
        """Return the scores, (systems, cases); NaN if unscored."""
        import numpy as np

        return np.stack([s.values[metric][order] for s, order in zip(self.systems, self.order, strict=True)])

    def column(self, name: str) -> list[str]:
        """Return a column that says something of the cases, such as patient or sex, from the files that have it.

        Raises:
            InputError: no file has it, or two say something else of a case.
        """
        having = [(s, order) for s, order in zip(self.systems, self.order, strict=True) if name in s.columns]
        if not having:
            raise InputError(unknown_name("the files", "column", name, {c for s in self.systems for c in s.columns}))
        (first, places), *others = having
        cells = first.column(name)
        chosen = [cells[i] for i in places]
        for other, order in others:
            cells = other.column(name)
            differing = [
                (a, cells[i], self.ids[n]) for n, (a, i) in enumerate(zip(chosen, order, strict=True)) if a != cells[i]
            ]
            if differing:
                a, b, case = differing[0]
                raise InputError(
                    f"column {name!r} differs in {len(differing):,} of {len(chosen):,} cases, for example {case!r}: "
                    f"{shorten(a)} in {first.path}, {shorten(b)} in {other.path}; correct one of the files"
                )
        return chosen


def join_scores(systems: Sequence[SystemScores], *, allow: Collection[Difference] = ()) -> JoinedScores:
    """Join the scores of several systems by case.

    Args:
        systems: from `load_scores`, with different names.
        allow: what may differ: `ids` (only cases that all systems have are taken), `references`, or `signatures` (how a
            number was computed). Each difference becomes a note.

    Raises:
        InputError: something differs that may not, with the number of differences and the first of them; or the systems
            have no case or no metric in common, or equal names.
    """
    import numpy as np

    _check_names(systems)
    notes: list[str] = []
    common = _common_ids(systems, "ids" in allow, notes)
    places = [{case: place for place, case in enumerate(system.ids)} for system in systems]
    order = tuple(np.array([where[case] for case in common], dtype=np.int64) for where in places)
    metrics = _common_metrics(systems, "signatures" in allow, notes)
    joined = JoinedScores(systems=tuple(systems), ids=tuple(common), order=order, metrics=metrics)
    _check_references(joined, "references" in allow, notes)
    return JoinedScores(systems=joined.systems, ids=joined.ids, order=order, metrics=metrics, notes=tuple(notes))


def _check_names(systems: Sequence[SystemScores]) -> None:
    if len(systems) < 2:
        raise InputError(f"{len(systems)} file to compare; give two or more")
    twice = [name for name, count in Counter(system.name for system in systems).items() if count > 1]
    if twice:
        raise InputError(f"two systems are named {twice[0]!r}; tell them apart with --name, once for each file")


def _common_ids(systems: Sequence[SystemScores], allowed: bool, notes: list[str]) -> list[str]:
    shared = set(systems[0].ids).intersection(*(system.ids for system in systems[1:]))
    common = [case for case in systems[0].ids if case in shared]
    told = []
    for system in systems:
        others = [case for case in system.ids if case not in shared]
        if others:
            told.append(f"{len(others):,} of {len(system.ids):,} cases of {system.name} ({_examples(others)})")
    if not told:
        return common
    columns = ", ".join(f"{system.id_column or 'row number'} of {system.name}" for system in systems)
    if not common:
        raise InputError(
            f"no case is in all files; their ids are {columns}, such as "
            f"{', '.join(shorten(system.ids[0]) for system in systems)}; name the column of ids with --on"
        )
    what = f"not in all files: {'; '.join(told)}"
    if not allowed:
        raise InputError(
            f"{what}. Compared by {columns}. Score the same cases, or compare the {len(common):,} cases that all files "
            "have with --allow ids"
        )
    notes.append(f"{what}; compared on the {len(common):,} cases in all files")
    return common


def _common_metrics(systems: Sequence[SystemScores], allowed: bool, notes: list[str]) -> dict[str, Metric]:
    common: dict[str, Metric] = {}
    for name, metric in systems[0].metrics.items():
        if not all(name in system.metrics for system in systems):
            continue
        signatures = {s.name: s.metrics[name].signature for s in systems if s.metrics[name].signature}
        if len(set(signatures.values())) > 1:
            what = f"{name} was computed in different ways: {_signatures(signatures)}"
            if not allowed:
                raise InputError(
                    f"{what}. Score all files with the same reward, leave the metric out with --metrics, or compare "
                    "all the same with --allow signatures"
                )
            notes.append(what)
        common[name] = metric
    if not common:
        told = "; ".join(f"{system.name}: {', '.join(system.metrics)}" for system in systems)
        raise InputError(f"the files have no metric in common ({told}); score them with the same reward")
    for system in systems:
        alone = [name for name in system.metrics if name not in common]
        if alone:
            notes.append(f"not in all files, left out: {', '.join(alone)} of {system.name}")
    return common


def _signatures(signatures: Mapping[str, str]) -> str:
    parts = [set(signature.split("|")) for signature in signatures.values()]
    shared = set.intersection(*parts)
    own = (sorted(part - shared) for part in parts)
    return "; ".join(f"{name} by {shorten(' '.join(mine), 160)}" for name, mine in zip(signatures, own, strict=True))


def _check_references(joined: JoinedScores, allowed: bool, notes: list[str]) -> None:
    having = [(s, o) for s, o in zip(joined.systems, joined.order, strict=True) if s.reference_columns]
    if len(having) < 2:
        by_row = [system.name for system in joined.systems if not system.id_column]
        if by_row:
            raise InputError(
                f"{', '.join(by_row)}: no column of ids and no references to check that the rows are the same cases; "
                "name a column of ids with --on"
            )
        return
    (first, order), *others = having
    texts = _references(first, order)
    for other, places in others:
        differing = [
            (joined.ids[n], a, b)
            for n, (a, b) in enumerate(zip(texts, _references(other, places), strict=True))
            if a.split() != b.split()
        ]
        if not differing:
            continue
        case, a, b = differing[0]
        what = (
            f"the references of {len(differing):,} of {len(texts):,} cases differ between {first.name} and "
            f"{other.name}, for example of {case!r}: {shorten(a)} and {shorten(b)}"
        )
        if not allowed:
            raise InputError(
                f"{what}. Score against the same references, or compare all the same with --allow references"
            )
        notes.append(what)


def _references(system: SystemScores, order: Order) -> list[str]:
    columns = list(system.texts(system.reference_columns).values())
    return ["\n".join(cells[i] for cells in columns) for i in order]


def _examples(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(map(shorten, names[:_SHOWN])) + more
