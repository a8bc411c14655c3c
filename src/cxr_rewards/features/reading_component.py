"""The base of the components that read findings: they tell what was not understood."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from cxr_rewards.core.component import Component, TextRole
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.features.findings import Findings
from cxr_rewards.findings import Reading
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
        unread: dict[TextRole, Reading] = {}
        for role in self.reads:
            if role != "priors":
                found: Reading = features.value(READINGS, case.candidate if role == "candidate" else case.reference)
                if found.unread or found.clinical:
                    unread[role] = found
        if not unread:
            return score
        if score.value is None:
            return Score(None, _with_unread(score, unread), score.failure)
        return Score.explained(score.value, _with_unread, score, unread)

    @abstractmethod
    def score_findings(self, case: Case, features: FeatureTable) -> Score:
        """Return the score of one case, as `Component.score_case`."""


def _with_unread(score: Score, unread: Mapping[TextRole, Reading]) -> dict[str, Any]:
    """Return the details of a score, with what was not understood in each text."""
    by_text = {
        role: {
            "sentences": found.sentences,
            "unread": [list(span) for span in found.unread],
            "words": [list(span) for span in found.clinical],
        }
        for role, found in unread.items()
    }
    return {**score.details, "unread": by_text}
