"""Evaluation of systems by their files of scores: joined by case, with intervals and tests."""
