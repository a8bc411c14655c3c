"""Calibration of a reward to radiologists: weights fitted to ratings or preferences, and what they are worth.

```
ratings.csv ──► Ratings ──► Problem ──► fit, chosen by cross-validation ──► Calibration ──► TOML
                 (texts)     (scored)    └─ nested: agreement on unseen cases ──┘
```
"""
