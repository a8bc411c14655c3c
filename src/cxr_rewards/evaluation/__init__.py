"""Evaluation of systems by their files of scores: joined by case, with intervals and tests; and of rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = ["Audit", "Evaluation", "Protocol", "audit", "change_of", "evaluate", "load_scores", "reward_of", "tables_of"]

if TYPE_CHECKING:
    from cxr_rewards.evaluation.auditing.result import Audit
    from cxr_rewards.evaluation.auditing.run import audit
    from cxr_rewards.evaluation.baselines import reward_of
    from cxr_rewards.evaluation.changes import change_of
    from cxr_rewards.evaluation.evaluating import evaluate
    from cxr_rewards.evaluation.protocol import Evaluation, Protocol
    from cxr_rewards.evaluation.protocol_tables import tables_of
    from cxr_rewards.evaluation.scores import load_scores

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Evaluation": "cxr_rewards.evaluation.protocol",
        "Protocol": "cxr_rewards.evaluation.protocol",
        "change_of": "cxr_rewards.evaluation.changes",
        "evaluate": "cxr_rewards.evaluation.evaluating",
        "load_scores": "cxr_rewards.evaluation.scores",
        "reward_of": "cxr_rewards.evaluation.baselines",
        "tables_of": "cxr_rewards.evaluation.protocol_tables",
        "Audit": "cxr_rewards.evaluation.auditing.result",
        "audit": "cxr_rewards.evaluation.auditing.run",
    },
)
