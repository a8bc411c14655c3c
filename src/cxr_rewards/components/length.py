"""Length guard: is the report about as long as the reference?"""

from __future__ import annotations

from math import inf, log

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.types import Case, Score


class Length(Component):
    """1 for a report of about the reference's length, falling smoothly to 0 the longer or shorter it is.

        x = |ln(c / r)| - ln(tolerance),  value = 1 if x <= 0 else 2 ** -(x / ln(halving)) ** 2

    c and r are the words of candidate and reference, split at white space. Twice as long and half as long count the
    same. With the defaults: 1 up to 1.5 times, 1/2 at 3 times, 1/16 at 6 times as long or short.

    Range: [0, 1], higher is better. Empty candidate: 0.

    Example:
        >>> Length().score("Clear lungs.", "The lungs are clear.").details
        {'words': 2, 'reference_words': 4}
        >>> Length().score("Normal.", "The lungs are clear and the heart is normal in size.").value
        0.00...
    """

    name = "length"
    summary = "length in words relative to the reference"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate", "reference")
    tolerance: float = setting(1.5, "Ratio of lengths, longer to shorter, up to which the value is 1; at least 1.")
    halving: float = setting(2.0, "Ratio beyond the tolerance at which the value is 1/2; more than 1.")

    def __post_init__(self) -> None:
        if not 1 <= self.tolerance < inf:
            raise self.invalid("tolerance", "a finite number of at least 1")
        if not 1 < self.halving < inf:
            raise self.invalid("halving", "a finite number above 1")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the value, with both lengths in the details."""
        words, wanted = len(case.candidate.split()), len(case.reference.split())
        details = {"words": words, "reference_words": wanted}
        if not words:
            return Score(0.0, details)
        beyond = abs(log(words / wanted)) - log(self.tolerance)
        return Score(1.0 if beyond <= 0 else 2.0 ** -((beyond / log(self.halving)) ** 2), details)
