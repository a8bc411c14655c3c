"""Model weights: where they lie, how they are fetched, and the one copy of each that a process holds.

The only place that reads weights. Features ask for models with `ModelFeature`; torch is imported when one computes.
"""
