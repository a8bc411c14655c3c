"""Put the page together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cxr_rewards import __version__
from cxr_rewards.evaluation.baselines import reward_of
from cxr_rewards.evaluation.comparing import compare
from cxr_rewards.evaluation.comparison import Comparison
from cxr_rewards.evaluation.evaluating import evaluate
from cxr_rewards.evaluation.joining import Difference, join_scores
from cxr_rewards.evaluation.protocol import RESAMPLES as PROTOCOL_RESAMPLES
from cxr_rewards.evaluation.protocol import Evaluation, Protocol
from cxr_rewards.evaluation.report.blocks import Page, Section
from cxr_rewards.evaluation.report.cases import case_sections
from cxr_rewards.evaluation.report.coverage import coverage
from cxr_rewards.evaluation.report.differences import differences, gap_tables
from cxr_rewards.evaluation.report.leaderboard import in_short, leaderboard, means
from cxr_rewards.evaluation.report.origin import origin
from cxr_rewards.evaluation.report.protocol import protocol_sections
from cxr_rewards.evaluation.report.spread import distributions, length
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.evaluation.resampling import RESAMPLES, SEED, cluster_codes
from cxr_rewards.evaluation.scores import SystemScores


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Options of the page.

    Attributes:
        title: of the page; empty: the systems' names.
        cluster: the column that marks cases as alike; None: as the files say, or the usual names; empty: none.
        by: columns of groups; also `change` and `encounter`.
        baseline: the system to which the others are compared; empty: all pairs are.
        allow: what may differ between the files, see `join_scores`.
        priors: columns of earlier reports; empty: those that the files name, or the usual names.
        order_by: column of dates or numbers that orders the studies of a patient; empty: the number of earlier reports.
        chexbert: label with CheXbert if the details lack its labels; needs its weights.
        reward: that made the scores, for the reports that need no image: a preset or a TOML; empty: that of the record.
        cases: how many worst cases of each system to show, and how many in which systems differ most.
        resamples: of the bootstrap.
        seed: of its random numbers.
    """

    title: str = ""
    cluster: str | None = None
    by: tuple[str, ...] = ()
    baseline: str = ""
    allow: tuple[Difference, ...] = ()
    priors: tuple[str, ...] = ()
    order_by: str = ""
    chexbert: bool = False
    reward: str = ""
    cases: int = 5
    resamples: int = RESAMPLES
    seed: int = SEED


def build_report(
    scores: Sequence[SystemScores],
    options: ReportOptions = ReportOptions(),
    *,
    tell: Callable[[str], object] = lambda _: None,
) -> Page:
    """Return the page about one system or several.

    Args:
        scores: of each system, from `load_scores`.
        options: what to show.
        tell: called with a line before long work.

    Raises:
        InputError: the files cannot be joined, or lack a column.
        ConfigError: an unknown baseline.
    """
    several = len(scores) > 1
    systems = Systems(join_scores(scores, allow=options.allow)) if several else Systems.of_one(scores[0])
    evaluations = list(_evaluations(scores, options, tell))
    comparison = gaps = None
    if several and systems.any_scored:
        tell(f"comparing {len(systems.ids):,} cases")
        comparing = partial(
            compare,
            allow=options.allow,
            baseline=options.baseline,
            cluster=options.cluster,
            resamples=options.resamples,
            seed=options.seed,
        )
        comparison = comparing(scores)
        if columns := [name for name in options.by if any(name in one.columns for one in scores)]:
            # Of one metric: with the gaps of all, the correction for so many tests would hide differences of means.
            gaps = comparing([_only(one, systems.main_metric) for one in scores], by=columns)
    tell("reading reports")
    sections = [
        *_scores(systems, comparison, evaluations[0].cluster, options),
        distributions(systems),
        *protocol_sections(systems.names, evaluations, gap_tables(systems, gaps) if gaps else ()),
        length(systems),
        *(case_sections(systems, options.cases) if options.cases else ()),
        coverage(systems, _notes(evaluations, comparison, gaps)),
        origin(systems),
    ]
    independent = f"values of {evaluations[0].cluster}" if evaluations[0].cluster else "cases"
    return Page(
        title=options.title or f"Evaluation of {', '.join(name.text for name in systems.names)}",
        about=f"{len(systems.ids):,} cases. Intervals: 95%, bootstrap over {independent}; seed {options.seed}.",
        sections=tuple(sections),
        generator=f"cxr_rewards {__version__}",
    )


def _evaluations(
    scores: Sequence[SystemScores], options: ReportOptions, tell: Callable[[str], object]
) -> Iterator[Evaluation]:
    protocol = Protocol(
        by=options.by,
        cluster=options.cluster,
        priors=options.priors,
        order_by=options.order_by,
        chexbert=options.chexbert,
        resamples=min(options.resamples, PROTOCOL_RESAMPLES),
        seed=options.seed,
    )
    for i, system in enumerate(scores):
        tell(f"conditions, changes and groups of {system.name}")
        # The baselines are made of the references, which all systems share.
        reward, why = (None, "") if i else reward_of(system, options.reward)
        main = Systems.of_one(system).main_metric
        evaluation = evaluate(system, replace(protocol, metrics=(main,)), reward=reward)
        notes = (*evaluation.notes, f"no baselines: {why}") if why else evaluation.notes
        yield replace(evaluation, notes=notes)


def _only(scores: SystemScores, metric: str) -> SystemScores:
    return replace(scores, metrics={metric: scores.metrics[metric]}, values={metric: scores.values[metric]})


def _scores(systems: Systems, comparison: Comparison | None, cluster: str, options: ReportOptions) -> Iterator[Section]:
    """Yield the sections of values and differences."""
    directions: Mapping[str, bool | None]
    if comparison is not None:
        estimates, directions = list(comparison.estimates), comparison.higher_is_better
    else:
        codes = cluster_codes(systems.joined.column(cluster)) if cluster else None
        estimates = means(systems, codes, resamples=options.resamples, seed=options.seed)
        directions = {name: metric.higher_is_better for name, metric in systems.metrics.items()}
    yield in_short(systems, estimates, comparison)
    yield leaderboard(systems, estimates, directions)
    if comparison is not None:
        yield differences(systems, comparison)


def _notes(evaluations: Sequence[Evaluation], *comparisons: Comparison | None) -> dict[str, list[str]]:
    """Return what was left out and why, with the systems that it concerns."""
    notes: dict[str, list[str]] = {}
    for comparison in filter(None, comparisons):
        notes |= {note: [] for note in comparison.notes}
    for evaluation in evaluations:
        for note in evaluation.notes:
            notes.setdefault(note, []).append(evaluation.name)
    return notes
