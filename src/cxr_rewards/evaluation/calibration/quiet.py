"""Whether a report that says the same whatever the image shows earns less than half of an honest one.

A policy that finds such a report need not look at images. This is one check of `cxr-rewards audit`, which makes many
more.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from cxr_rewards.evaluation.auditing.material import material
from cxr_rewards.evaluation.auditing.studies import Study, parse, with_some_left_out
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case

FEWEST = 5
"""References with at least two abnormal sentences, one of them grave, that are needed."""

MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Rewards of a constant text and of honest reports, for references with findings that call for action.

    Attributes:
        references: how many.
        text: the best of the constant texts.
        constant: its mean reward.
        honest: mean reward of the references without one of their abnormal sentences.
        before: `constant` as a share of `honest` with the reward at the start; None if `honest` is not above 0.
    """

    references: int
    text: str
    constant: float
    honest: float
    before: float | None = None

    @property
    def is_safe(self) -> bool:
        """Whether a constant text earns less than half of an honest report."""
        return self.constant < self.honest / 2

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON-compatible data."""
        return {**asdict(self), "is_safe": self.is_safe}


def check_quiet(reward: BaseReward, references: Iterable[str], seed: int) -> Quiet | None:
    """Measure constant texts against honest reports; None if too few references have two findings, one of them grave.

    Args:
        reward: asked about up to 50 references.
        references: reports.
        seed: chooses the sentences that honest reports lack.
    """
    studies: list[Study] = []
    for text in dict.fromkeys(references):
        study = parse(Case(candidate="", reference=text))
        if study is not None and study.is_sick and sum(study.abnormal) > 1:
            studies.append(study)
        if len(studies) == MOST:
            break
    if len(studies) < FEWEST:
        return None
    rng = random.Random(seed)  # noqa: S311 - not a secret
    honest = _mean(reward, [(with_some_left_out(study, 0, rng), study.text) for study in studies])
    texts = material()["constants"].values()
    means = {text: _mean(reward, [(text, study.text) for study in studies]) for text in texts}
    known = {text: mean for text, mean in means.items() if mean is not None}
    if honest is None or not known:
        return None
    best = max(known, key=lambda text: known[text])
    return Quiet(references=len(studies), text=best, constant=known[best], honest=honest)


def _mean(reward: BaseReward, pairs: Sequence[tuple[str, str]]) -> float | None:
    scored = reward.score_batch([Case(candidate=candidate, reference=text) for candidate, text in pairs])
    values = [result.value for result in scored if result.value is not None]
    return statistics.mean(values) if values else None
