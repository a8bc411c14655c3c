"""The base of the components that read findings: they tell what was not understood."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.features.findings import Findings
from cxr_rewards.types import Case, Score

READINGS = Findings()


class ReadingComponent(Component):
    """A component that reads findings by rules; `details["unread"]` tells what was not understood, if anything.

    By text, `candidate` or `reference`: the number of its `sentences` about the image, the spans of those of which
    nothing was read (`unread`), and the spans of clinical `words` that the reader does not know.
    """

    @property
    def needs(self) -> tuple[Feature, ...]:
        return (READINGS,)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the score of `score_findings`, with what was not understood in its details."""
        score = self.score_findings(case, features)
        unread = {role: told for role in self.reads if role != "priors" and (told := _unread(case, role, features))}
        return Score(score.value, {**score.details, "unread": unread}, score.failure) if unread else score

    @abstractmethod
    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Return the score of one case, as `Component.score_case`."""


def _unread(case: Case, role: str, features: FeatureTable) -> dict[str, Any]:
    found = features.value(READINGS, getattr(case, role))
    if not found.unread and not found.clinical:
        return {}
    return {
        "sentences": found.sentences,
        "unread": [list(span) for span in found.unread],
        "words": [list(span) for span in found.clinical],
    }
