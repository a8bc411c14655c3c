"""GREEN: matched findings against clinically significant errors, by a judge."""

from __future__ import annotations

from typing import Any

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.features.green_reply import GreenReply
from cxr_rewards.judges.component import OneReplyJudge
from cxr_rewards.types import Case


class Green(OneReplyJudge):
    """Share of matched findings among them and the clinically significant errors, as a language model counts them.

        score = matched / (matched + significant errors);  0 if nothing is matched

    For GREEN's own model behind an endpoint (see docs/judges.md for the template it was trained on, and
    `max_words=300`), or any chat model.

    Range: [0, 1].

    Details: `matched`, and the numbers of errors by type, a to f, `significant` and `insignificant`.

    Source: GREEN (Ostmeier et al. 2024; green_score at d72c195). Upstream takes a missing section for no errors; here
    the case is unscored. The built-in prompt is our own.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     green = Green(model="any", base_url=judge.url)
        ...     green.score("Left effusion.", "Left effusion. Right pneumothorax.").value
        0.5
    """

    name = "green"
    version = 3
    summary = "GREEN: matched / (matched + significant errors), counted by a judge"
    reply = GreenReply

    max_words: int = setting(0, "Words of each report shown; GREEN's own model was trained on 300. 0: all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_words < 0:
            raise self.invalid("max_words", "0 or more")

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Weigh matches and errors."""
        (reply,) = self.replies(number)
        found = reply.parse(features.value(reply, case))
        errors = sum(found.significant.values())
        value = found.matched / (found.matched + errors) if found.matched else 0.0
        return value, found._asdict()
