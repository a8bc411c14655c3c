"""A training run as a page: what `Diagnostics` and `RolloutLog` wrote, read back and drawn.

`steps.py` reads files of diagnostics, one a process, and joins them; `rollouts.py` picks rollouts of the start, the
middle and the end; `page.py` makes the page of both, which `cxr_rewards.evaluation.report` writes.
"""

from cxr_rewards.evaluation.training.page import training_page
from cxr_rewards.evaluation.training.rollouts import Rollout, read_rollouts
from cxr_rewards.evaluation.training.steps import Step, read_steps

__all__ = ["Rollout", "Step", "read_rollouts", "read_steps", "training_page"]
