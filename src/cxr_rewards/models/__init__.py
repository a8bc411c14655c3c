"""Model weights: where they are stored, how they are fetched, and the one copy of each that a process holds.

Only this package reads weights. Features get models through `ModelFeature`; torch is imported when one computes.
"""
