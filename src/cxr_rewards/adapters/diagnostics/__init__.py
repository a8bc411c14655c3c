"""Watch a reinforcement-learning run: the numbers of each step, and the first signs of a policy that games its reward.

`watch.py` holds `Diagnostics`. The others each make or use some of its numbers: `parts.py` (rewards and components),
`texts.py` (the reports), `word_pairs.py`, `constant.py` (the reward above that of a constant report), `signs.py`
(what is warned of), `logged.py` (what a trainer logs).
"""

from cxr_rewards.adapters.diagnostics.logged import Log, check_log, logged
from cxr_rewards.adapters.diagnostics.signs import CollapseWarning
from cxr_rewards.adapters.diagnostics.watch import Diagnostics, Summary

__all__ = ["CollapseWarning", "Diagnostics", "Log", "Summary", "check_log", "logged"]
