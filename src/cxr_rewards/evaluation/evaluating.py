"""UniRG-CXR's evaluation of one file of scores: conditions, kinds of change, encounters, subgroups, errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_rewards.errors import CxrRewardsError, InputError, unknown_name
from cxr_rewards.evaluation.baselines import COPY, Baseline, baselines_of, score_baseline
from cxr_rewards.evaluation.changes import KINDS, change_of
from cxr_rewards.evaluation.conditions import (
    ConditionTable,
    UncertainAs,
    choose_observations,
    condition_table,
    count_conditions,
    observation_labels,
    rule_labels,
)
from cxr_rewards.evaluation.error_counts import ErrorCounts, count_errors, errors_in_columns, errors_in_details
from cxr_rewards.evaluation.groups import (
    GroupTable,
    Measure,
    age_bands,
    band_names,
    crossed,
    group_table,
    mean_of,
    micro_f1_of,
)
from cxr_rewards.evaluation.resampling import cluster_codes
from cxr_rewards.evaluation.texts import (
    ENCOUNTERS,
    encounters_by_order,
    encounters_by_priors,
    read_texts,
)
from cxr_rewards.files import choose_cluster, choose_columns, read_details
from cxr_rewards.files.columns import ColumnMap
from cxr_rewards.files.provenance import read_provenance
from cxr_rewards.files.summary import MAX_GROUPS, is_age_column
from cxr_rewards.findings import CHEXPERT
from cxr_rewards.types import Case

if TYPE_CHECKING:
    from cxr_rewards.core.progress import Progress
    from cxr_rewards.evaluation.scores import SystemScores
    from cxr_rewards.reward.base import BaseReward

from cxr_rewards.evaluation.protocol import (
    CHANGE,
    ENCOUNTER,
    MICRO_F1,
    Evaluation,
    Protocol,
    above_baseline,
    of_baseline,
)

_NO_ENCOUNTERS = "encounters are unknown: no column of earlier reports (--prior-col), nor of dates (--order-by)"
_NO_COLUMNS = ColumnMap(candidate="", reference="")


def evaluate(
    system: SystemScores,
    protocol: Protocol | None = None,
    *,
    reward: BaseReward | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    r"""Return the tables of UniRG-CXR's evaluation of one file of scores.

    What a file does not allow is left out with a note.

    Args:
        system: from `load_scores`.
        protocol: what to evaluate; by default all but subgroups.
        reward: that made the scores, to score the baselines (`reward_of` finds it); None: there are none.
        progress: told of the work.

    Raises:
        InputError: an unknown column or metric, a subgroup column with more than 200 values, or the like.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cxr_rewards.evaluation.scores import load_scores
        >>> path = Path(tempfile.mkdtemp(), "mine.csv")
        >>> rows = "Small left effusion.,The left effusion is smaller.,0.5,F\nClear lungs.,New edema.,0.1,M\n" * 12
        >>> _ = path.write_text(f"candidate,reference,reward,sex\n{rows}")
        >>> result = evaluate(load_scores(path), Protocol(by=("sex",), resamples=100))
        >>> [(group.name, round(group.figures["reward"].value, 3)) for group in result.groups[0].groups]
        [('F', 0.5), ('M', 0.1)]
        >>> [(group.name, group.cases) for group in result.changes.groups]
        [('new', 12), ('regression', 12)]
    """
    return _Run(system, protocol or Protocol(), reward, progress).evaluation()


@dataclass
class _Run:
    """The parts of an evaluation, made one after the other."""

    system: SystemScores
    protocol: Protocol
    reward: BaseReward | None
    progress: Progress | None
    notes: list[str] = field(default_factory=list)

    def evaluation(self) -> Evaluation:
        """Return the tables."""
        system, protocol = self.system, self.protocol
        self.metrics = self._metrics()
        columns = self._columns()
        self.cluster = self._cluster(columns)
        self.patients = system.column(self.cluster) if self.cluster else [""] * len(system.ids)
        self._begin("reading reports")
        self.texts = None if columns is None else read_texts(str(system.path), columns)
        encounters = self._encounters()
        changes = self._changes(encounters)
        conditions = tuple(self._conditions())
        baselines = self._baselines()
        measures = self._measures()
        longitudinal = [replace(measure, compared=False) for measure in [*measures, *self._against(baselines)]]
        self._begin("resampling")
        return Evaluation(
            name=system.name,
            path=str(system.path),
            cases=len(system.ids),
            signature=system.signature,
            metrics=tuple(measure.name for measure in measures),
            baselines=tuple(baseline.name for baseline in baselines),
            conditions=conditions,
            changes=self._table((CHANGE,), changes, longitudinal, KINDS) if changes else None,
            encounters=self._table((ENCOUNTER,), encounters, longitudinal, ENCOUNTERS) if any(encounters) else None,
            groups=tuple(self._groups(measures, changes, encounters)),
            errors=tuple(self._errors()),
            cluster=self.cluster,
            resamples=protocol.resamples,
            seed=protocol.seed,
            notes=tuple(self.notes),
        )

    def _begin(self, work: str, total: int = 0) -> None:
        if self.progress:
            self.progress.begin(work, total=total)

    def _metrics(self) -> list[str]:
        known = self.system.metrics
        for name in self.protocol.metrics:
            if name not in known:
                raise InputError(unknown_name(str(self.system.path), "metric", name, known))
        return list(self.protocol.metrics) or (["reward"] if "reward" in known else list(known))

    def _columns(self) -> ColumnMap | None:
        asked, record = self.protocol, read_provenance(self.system.path)
        named: dict[str, Any] = {"candidate": asked.candidate, "reference": asked.reference, "priors": asked.priors}
        if record is not None:
            used = record["columns"]
            recorded = {
                "candidate": used["candidate"],
                "reference": ",".join(used["reference"]),
                "priors": used["priors"],
            }
            named = {part: name or recorded[part] for part, name in named.items()}
        try:
            return choose_columns(self.system.columns, where=str(self.system.path), case_id="", **named)
        except InputError as error:
            if asked.candidate or asked.reference or asked.priors:
                raise
            self.notes.append(f"no conditions, kinds of change and baselines without texts: {error}")
            return None

    def _cluster(self, columns: ColumnMap | None) -> str:
        system, asked = self.system, self.protocol.cluster
        if asked is None and system.cluster in system.columns:
            asked = system.cluster
        used = columns or _NO_COLUMNS
        chosen = choose_cluster(system.columns, asked, used, where=str(system.path))
        if chosen and len(set(system.column(chosen))) == 1 < len(system.ids):
            self.notes.append(f"all cases have one {chosen!r}, so each counts as independent")
            return ""
        return chosen

    def _encounters(self) -> list[str]:
        column = self.protocol.order_by
        if column:
            if not self.cluster:
                raise InputError(
                    f"{self.system.path}: --order-by {column} orders the studies of a patient, but there is no column "
                    "of patients; name it with --cluster"
                )
            return encounters_by_order(self.patients, self.system.column(column), column)
        if self.texts is not None and self.texts.has_priors:
            return encounters_by_priors(self.texts)
        self.notes.append(_NO_ENCOUNTERS)
        return [""] * len(self.system.ids)

    def _changes(self, encounters: Sequence[str]) -> list[str]:
        """Return the kind of change of each case; empty for a case without texts, and if there are no texts at all."""
        if self.texts is None:
            return []
        by_priors = self.texts.has_priors
        if not by_priors and not any(encounters):
            self.notes.append("first studies are unknown: they count by the words of their references")
        kinds: dict[tuple[str, bool], str] = {}
        found = []
        for case, encounter in zip(self.texts.cases, encounters, strict=True):
            if case is None:
                found.append("")
                continue
            first = not case.priors if by_priors else encounter == ENCOUNTERS[0]
            key = case.reference, first
            if key not in kinds:
                kinds[key] = change_of(case.reference, first_study=first)
            found.append(kinds[key])
        return found

    def _conditions(self) -> Iterator[ConditionTable]:
        self.micro: Measure | None = None
        if self.texts is None:
            return
        names = choose_observations(self.protocol.conditions)
        pairs = self._rule_pairs(self.texts.cases)
        for uncertain in ("positive", "negative"):
            yield self._condition_table(CHEXPERT, pairs, "rules", uncertain)
        self.micro = _micro_f1(MICRO_F1, pairs)
        if names:
            read = self.texts.findings
            labels = {text: observation_labels(findings, names) for text, findings in read.items()}
            blank = "0" * len(names)
            observed = [
                ("", "") if case is None else (labels[case.candidate] or blank, labels[case.reference])
                for case in self.texts.cases
            ]
            for uncertain in ("positive", "negative"):
                yield self._condition_table(names, observed, "observations", uncertain)
        for labeler, labeled in self._chexbert_pairs().items():
            for uncertain in ("positive", "negative"):
                yield self._condition_table(CHEXPERT, labeled, labeler, uncertain)

    def _rule_pairs(self, cases: Sequence[Case | None]) -> list[tuple[str, str]]:
        """Return the labels of candidate and reference by rules; a candidate in which nothing is read has none."""
        assert self.texts is not None
        read = self.texts.findings
        labels: dict[str, str] = {}
        pairs = []
        for case in cases:
            if case is None:
                pairs.append(("", ""))
                continue
            for text in (case.candidate, case.reference):
                if text not in labels:
                    labels[text] = rule_labels(read[text])
            pairs.append((labels[case.candidate] or _BLANK, labels[case.reference]))
        return pairs

    def _condition_table(
        self, names: Sequence[str], pairs: Sequence[tuple[str, str]], labeler: str, uncertain: Any
    ) -> ConditionTable:
        kind: UncertainAs = uncertain
        return condition_table(
            names,
            [candidate for candidate, _ in pairs],
            [reference for _, reference in pairs],
            labeler=labeler,
            uncertain=kind,
            clusters=cluster_codes(self.patients) if self.cluster else None,
            resamples=self.protocol.resamples,
            seed=self.protocol.seed,
        )

    def _chexbert_pairs(self) -> dict[str, list[tuple[str, str]]]:
        """Return CheXbert's labels from the details, or from its weights if asked; by component."""
        assert self.texts is not None
        found: dict[str, list[tuple[str, str]]] = {}
        for row in self._details():
            for label, part in row["parts"].items():
                labels = part["details"].get("labels")
                if part["value"] is not None and _are_labels(labels):
                    pairs = found.setdefault(label, [("", "")] * len(self.system.ids))
                    pairs[row["row"] - 1] = (labels[0], labels[1])
        if found:
            return {f"CheXbert ({label})" if len(found) > 1 else "chexbert": pairs for label, pairs in found.items()}
        if not self.protocol.chexbert:
            self.notes.append("no labels of CheXbert in the details; --chexbert computes them, with its weights")
            return {}
        from cxr_rewards.reward.composite import CompositeReward

        cases = [case for case in self.texts.cases if case is not None]
        self._begin("labelling with CheXbert", len(cases))
        chexbert = CompositeReward(["chexbert_f1"])
        rewards = iter(chexbert.score_batch(cases))
        chexbert.release()
        pairs = []
        for case in self.texts.cases:
            labels = ("", "") if case is None else next(rewards).parts["chexbert_f1"].details.get("labels", ("", ""))
            pairs.append((labels[0], labels[1]))
        return {"chexbert": pairs}

    def _details(self) -> Iterator[Any]:
        if self.system.details is not None:
            for row in read_details(self.system.details):
                if not 1 <= row["row"] <= len(self.system.ids):
                    raise InputError(
                        f"{self.system.details}: has row {row['row']}, but {self.system.path} has "
                        f"{len(self.system.ids)} rows; give the details that were written with it"
                    )
                yield row

    def _baselines(self) -> list[Baseline]:
        if self.texts is None or self.reward is None:
            return []
        found = baselines_of(self.texts)
        if not self.texts.has_priors or not any(baseline.name == COPY for baseline in found):
            self.notes.append("no earlier reports, so no copy of the prior report as a baseline")
        scored = []
        for baseline in found:
            self._begin(f"scoring the {baseline.name}", sum(case is not None for case in baseline.cases))
            try:
                scored.append(score_baseline(baseline, self.reward, self.metrics, self.progress))
            except CxrRewardsError as error:
                self.notes.append(f"the {baseline.name} is not scored: {error}")
        self.reward.release()
        return scored

    def _measures(self) -> list[Measure]:
        system = self.system
        means = [
            mean_of(name, system.values[name], bounds=about.bounds, higher_is_better=about.higher_is_better)
            for name, about in ((name, system.metrics[name]) for name in self.metrics)
        ]
        return means if self.micro is None else [*means, self.micro]

    def _against(self, baselines: Sequence[Baseline]) -> Iterator[Measure]:
        for baseline in baselines:
            for name, values in baseline.values.items():
                low, high = self.system.metrics[name].bounds
                above = self.system.values[name] - values
                if not self.system.metrics[name].higher_is_better:
                    above = -above
                yield mean_of(of_baseline(name, baseline.name), values, bounds=(low, high))
                yield mean_of(above_baseline(name, baseline.name), above, bounds=(low - high, high - low))
            yield _micro_f1(of_baseline(MICRO_F1, baseline.name), self._rule_pairs(baseline.cases))

    def _groups(
        self, measures: Sequence[Measure], changes: Sequence[str], encounters: Sequence[str]
    ) -> Iterator[GroupTable]:
        by = tuple(dict.fromkeys(self.protocol.by))
        columns = [self._column(name, changes, encounters) for name in by]
        orders = {CHANGE: KINDS, ENCOUNTER: ENCOUNTERS}
        for name, cells in zip(by, columns, strict=True):
            order = orders.get(name, band_names(self.protocol.age_edges))
            yield self._table((name,), crossed([cells]), measures, order)
        if len(by) > 1:
            cells = crossed(columns)
            if len(set(cells)) <= MAX_GROUPS:
                yield self._table(by, cells, measures)
            else:
                self.notes.append(f"{' × '.join(by)}: more than {MAX_GROUPS} groups; shown only by each column alone")

    def _column(self, name: str, changes: Sequence[str], encounters: Sequence[str]) -> Sequence[str]:
        derived = {CHANGE: changes, ENCOUNTER: encounters}
        if name in self.system.columns or name not in derived:
            cells = self.system.column(name)
            bands = age_bands(cells, self.protocol.age_edges) if is_age_column(name) else []
            return bands if any(band != "unknown" for band in bands) else cells
        if not any(derived[name]):
            why = _NO_ENCOUNTERS if name == ENCOUNTER else self.notes[0]
            raise InputError(f"{self.system.path}: --by {name}: {why}")
        return derived[name]

    def _table(
        self, by: tuple[str, ...], groups: Sequence[str], measures: Sequence[Measure], order: Sequence[str] = ()
    ) -> GroupTable:
        return group_table(
            by,
            groups,
            measures,
            clusters=self.patients if self.cluster else (),
            order=order,
            minimum=self.protocol.minimum,
            resamples=self.protocol.resamples,
            seed=self.protocol.seed,
        )

    def _errors(self) -> Iterator[ErrorCounts]:
        named = [name for name in self.system.columns if name.endswith((".significant", ".insignificant"))]
        found = errors_in_details(self._details(), len(self.system.ids))
        found = found or errors_in_columns(self.system.texts(named))
        for (source, kind), errors in found.items():
            yield count_errors(
                source,
                kind,
                errors,
                clusters=self.patients if self.cluster else (),
                resamples=self.protocol.resamples,
                seed=self.protocol.seed,
            )


_BLANK = "0" * len(CHEXPERT)


def _micro_f1(name: str, pairs: Sequence[tuple[str, str]]) -> Measure:
    known = np.array([all(pair) for pair in pairs])
    filled = [pair if all(pair) else (_BLANK, _BLANK) for pair in pairs]
    counts = count_conditions([a for a, _ in filled], [b for _, b in filled], "positive")
    return micro_f1_of(name, counts, known)


def _are_labels(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(labels, str) and len(labels) == len(CHEXPERT) for labels in value)
    )
