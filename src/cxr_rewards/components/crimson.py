"""CRIMSON: findings matched, missed, false or wrong by clinical significance, by a judge."""

from __future__ import annotations

from typing import Any

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.crimson_reply import CrimsonReply
from cxr_rewards.formulas.crimson import crimson_score
from cxr_rewards.judges.component import OneReplyJudge
from cxr_rewards.types import Case


class Crimson(OneReplyJudge):
    """CRIMSON: a language model lists both reports' abnormal findings, weighs and matches them.

    The arithmetic is that of `cxr_rewards.formulas.crimson.crimson_score`: weights 1, 0.5, 0.25, 0 for urgent,
    actionable, not actionable and benign findings; 0.5 for a significant attribute error, 0 for a negligible one. The
    judge is told     of the patient what the context has: `age`, `sex`, `indication`, `history`. `findings_score` uses
    the same     arithmetic on findings read by rules.

    Range: (-1, 1].

    Details: `matched` (weight, cost of attribute errors), `missed` and `false`, by weight.

    Source: CRIMSON (arXiv 2603.06183; generate_score.py at 07e3331). The prompt is our own; another can be given as
    `template`. A reply that lists two findings of one id, or names an id that is not listed, is no verdict.

    Example:
        >>> from cxr_rewards.testing.fake_judge import FakeJudge
        >>> with FakeJudge() as judge:
        ...     crimson = Crimson(model="any", base_url=judge.url)
        ...     crimson.score("Left effusion.", "Left effusion.").value
        1.0
    """

    name = "crimson"
    version = 2
    summary = "CRIMSON: findings by clinical significance, found and matched by a judge"
    bounds = (-1.0, 1.0)
    reply = CrimsonReply

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, dict[str, Any]]:
        """Apply the arithmetic."""
        (reply,) = self.replies(number)
        found = reply.parse(features.value(reply, case))
        details = {key: [list(v) if isinstance(v, tuple) else v for v in part] for key, part in found._asdict().items()}
        return crimson_score(*found), details
