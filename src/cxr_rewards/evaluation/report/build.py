"""Put the page together."""

from __future__ import annotations

from cxr_rewards import __version__
from cxr_rewards.evaluation.report.blocks import Page
from cxr_rewards.evaluation.report.cases import case_sections
from cxr_rewards.evaluation.report.coverage import coverage
from cxr_rewards.evaluation.report.leaderboard import leaderboard, means
from cxr_rewards.evaluation.report.spread import distributions, length
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.evaluation.resampling import RESAMPLES, SEED, cluster_codes


def build_report(
    systems: Systems,
    *,
    title: str = "",
    cluster: str | None = None,
    most: int = 5,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Page:
    """Return the page about some systems.

    Args:
        systems: their scores.
        title: of the page.
        cluster: the column that marks cases as alike; None: each case counts for itself.
        most: how many worst cases of each system to show, and how many in which systems differ most.
        resamples: of the bootstrap.
        seed: of its random numbers.

    Raises:
        InputError: no file has the column `cluster`, or the files disagree about it.
    """
    codes = None if cluster is None else cluster_codes(systems.joined.column(cluster))
    sections = [
        leaderboard(systems, means(systems, codes, resamples=resamples, seed=seed)),
        distributions(systems),
        length(systems),
        *(case_sections(systems, most) if most else ()),
        coverage(systems),
    ]
    independent = "cases" if cluster is None else f"values of {cluster}"
    return Page(
        title=title or f"Evaluation of {', '.join(name.text for name in systems.names)}",
        about=f"{len(systems.ids):,} cases. Intervals: 95%, bootstrap over {independent}; seed {seed}.",
        sections=tuple(sections),
        generator=f"cxr_rewards {__version__}",
    )
