"""Evaluation of systems by their files of scores: joined by case, with intervals and tests; and of rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr_rewards._lazy import lazy

__all__ = [
    "Audit",
    "Calibration",
    "Comparison",
    "Estimate",
    "Evaluation",
    "JoinedScores",
    "NonInferiority",
    "Pair",
    "Protocol",
    "RatingColumns",
    "Ratings",
    "SystemScores",
    "audit",
    "calibrate",
    "change_of",
    "compare",
    "evaluate",
    "join_scores",
    "load_scores",
    "read_ratings",
    "reward_of",
    "tables_of",
]

if TYPE_CHECKING:
    from cxr_rewards.evaluation.auditing.result import Audit
    from cxr_rewards.evaluation.auditing.run import audit
    from cxr_rewards.evaluation.baselines import reward_of
    from cxr_rewards.evaluation.calibration.calibrate import calibrate
    from cxr_rewards.evaluation.calibration.rating_columns import RatingColumns
    from cxr_rewards.evaluation.calibration.ratings import Ratings, read_ratings
    from cxr_rewards.evaluation.calibration.result import Calibration
    from cxr_rewards.evaluation.changes import change_of
    from cxr_rewards.evaluation.comparing import compare
    from cxr_rewards.evaluation.comparison import Comparison, Estimate, NonInferiority, Pair
    from cxr_rewards.evaluation.evaluating import evaluate
    from cxr_rewards.evaluation.joining import JoinedScores, join_scores
    from cxr_rewards.evaluation.protocol import Evaluation, Protocol
    from cxr_rewards.evaluation.protocol_tables import tables_of
    from cxr_rewards.evaluation.scores import SystemScores, load_scores

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Audit": "cxr_rewards.evaluation.auditing.result",
        "Calibration": "cxr_rewards.evaluation.calibration.result",
        "Comparison": "cxr_rewards.evaluation.comparison",
        "Estimate": "cxr_rewards.evaluation.comparison",
        "Evaluation": "cxr_rewards.evaluation.protocol",
        "JoinedScores": "cxr_rewards.evaluation.joining",
        "NonInferiority": "cxr_rewards.evaluation.comparison",
        "Pair": "cxr_rewards.evaluation.comparison",
        "Protocol": "cxr_rewards.evaluation.protocol",
        "RatingColumns": "cxr_rewards.evaluation.calibration.rating_columns",
        "Ratings": "cxr_rewards.evaluation.calibration.ratings",
        "SystemScores": "cxr_rewards.evaluation.scores",
        "audit": "cxr_rewards.evaluation.auditing.run",
        "calibrate": "cxr_rewards.evaluation.calibration.calibrate",
        "change_of": "cxr_rewards.evaluation.changes",
        "compare": "cxr_rewards.evaluation.comparing",
        "evaluate": "cxr_rewards.evaluation.evaluating",
        "join_scores": "cxr_rewards.evaluation.joining",
        "load_scores": "cxr_rewards.evaluation.scores",
        "read_ratings": "cxr_rewards.evaluation.calibration.ratings",
        "reward_of": "cxr_rewards.evaluation.baselines",
        "tables_of": "cxr_rewards.evaluation.protocol_tables",
    },
)
