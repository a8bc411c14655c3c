"""Data to train on, made of scored candidates: preference pairs (DPO), labelled ones (KTO), and the best of n (SFT).

```
table ──► candidates ──► choose: pairs, or the best of each group ──► rows in trl's formats ──► JSONL, Parquet
```
"""

from cxr_rewards.adapters.preferences.candidates import Candidate
from cxr_rewards.adapters.preferences.choosing import Preferences, best_of, preference_pairs
from cxr_rewards.adapters.preferences.rows import rows_of

__all__ = ["Candidate", "Preferences", "best_of", "preference_pairs", "rows_of"]
