"""Evaluation of systems by their files of scores: joined by case, with intervals and tests; and of rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = [
    "Audit",
    "Comparison",
    "Estimate",
    "Evaluation",
    "JoinedScores",
    "NonInferiority",
    "Pair",
    "Protocol",
    "SystemScores",
    "audit",
    "change_of",
    "compare",
    "evaluate",
    "join_scores",
    "load_scores",
    "reward_of",
    "tables_of",
]

if TYPE_CHECKING:
    from cxr_rewards.evaluation.auditing.result import Audit
    from cxr_rewards.evaluation.auditing.run import audit
    from cxr_rewards.evaluation.baselines import reward_of
    from cxr_rewards.evaluation.changes import change_of
    from cxr_rewards.evaluation.comparing import compare
    from cxr_rewards.evaluation.comparison import Comparison, Estimate, NonInferiority, Pair
    from cxr_rewards.evaluation.evaluating import evaluate
    from cxr_rewards.evaluation.protocol import Evaluation, Protocol
    from cxr_rewards.evaluation.protocol_tables import tables_of
    from cxr_rewards.evaluation.scores import JoinedScores, SystemScores, join_scores, load_scores

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Comparison": "cxr_rewards.evaluation.comparison",
        "Estimate": "cxr_rewards.evaluation.comparison",
        "Evaluation": "cxr_rewards.evaluation.protocol",
        "JoinedScores": "cxr_rewards.evaluation.scores",
        "NonInferiority": "cxr_rewards.evaluation.comparison",
        "Pair": "cxr_rewards.evaluation.comparison",
        "Protocol": "cxr_rewards.evaluation.protocol",
        "SystemScores": "cxr_rewards.evaluation.scores",
        "change_of": "cxr_rewards.evaluation.changes",
        "compare": "cxr_rewards.evaluation.comparing",
        "evaluate": "cxr_rewards.evaluation.evaluating",
        "join_scores": "cxr_rewards.evaluation.scores",
        "load_scores": "cxr_rewards.evaluation.scores",
        "reward_of": "cxr_rewards.evaluation.baselines",
        "tables_of": "cxr_rewards.evaluation.protocol_tables",
        "Audit": "cxr_rewards.evaluation.auditing.result",
        "audit": "cxr_rewards.evaluation.auditing.run",
    },
)
