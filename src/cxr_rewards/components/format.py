"""Format guard: does the text have the sections that a report must have?"""

from __future__ import annotations

import re
from typing import Literal

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.text.sections import Section, sections
from cxr_rewards.types import Case, Score

_PROFILES = ("findings_impression", "findings", "impression", "free")
_OTHER = {"findings": "impression", "impression": "findings"}
_LETTER = re.compile(r"[^\W\d_]")


def _two_sections(text: str, parts: tuple[Section, ...]) -> dict[str, bool]:
    filled = {s.name for s in parts if _LETTER.search(text, s.start, s.end)}
    order = [s.name for s in parts if s.name in _OTHER]
    return {
        "findings": "findings" in filled,
        "impression": "impression" in filled,
        "once each, findings first": order == ["findings", "impression"],
    }


def _one_section(text: str, parts: tuple[Section, ...], wanted: str) -> dict[str, bool]:
    filled = any(s.name in ("", wanted) and _LETTER.search(text, s.start, s.end) for s in parts)
    unwanted = {_OTHER[wanted], "findings_impression"}
    return {wanted: filled, f"no {_OTHER[wanted]}": filled and not any(s.name in unwanted for s in parts)}


class Format(Component):
    """Share of a profile's conditions on sections and headings that the candidate meets.

    - `findings_impression`: a Findings section with words; an Impression section with words; each heading once,
      Findings first. Three conditions, so a report of findings alone scores 1/3.
    - `findings`: words under a Findings heading or under none; and no Impression. Half each; without the words, 0.
    - `impression`: the same with the two exchanged.
    - `free`: any words.

    A heading that joins the two ("FINDINGS AND IMPRESSION:") stands for neither. Other sections (history, technique,
    ...) may stand anywhere. A section has words if it has a letter: "FINDINGS: . IMPRESSION: 2." has none. Headings are
    read by `cxr_rewards.text.sections`.

    Range: [0, 1], higher is better; 1 exactly if all conditions are met, so it serves as a gate. Empty candidate: 0.

    Example:
        >>> Format().score("FINDINGS: The lungs are clear. IMPRESSION: Normal chest.", "Normal.").value
        1.0
        >>> score = Format().score("FINDINGS: The lungs are clear. IMPRESSION: .", "Normal.")
        >>> round(score.value, 3), score.details
        (0.667, {'unmet': ['impression']})
        >>> Format(profile="findings").score("The lungs are clear.", "Normal.").value
        1.0
    """

    name = "format"
    summary = "required sections are there, in order, with words"
    bounds = (0.0, 1.0)
    higher_is_better = True
    reads = ("candidate",)
    identical = "it judges the candidate alone, and a reference need not have the sections of the profile"
    profile: Literal["findings_impression", "findings", "impression", "free"] = setting(
        "findings_impression", "Required sections: findings_impression, findings, impression or free."
    )

    def __post_init__(self) -> None:
        if self.profile not in _PROFILES:
            raise self.invalid("profile", f"one of {', '.join(_PROFILES)}")

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the share of conditions met, with the others in the details."""
        text = case.candidate
        if self.profile == "free":
            conditions = {"words": bool(_LETTER.search(text))}
        elif self.profile == "findings_impression":
            conditions = _two_sections(text, sections(text))
        else:
            conditions = _one_section(text, sections(text), self.profile)
        return Score(
            sum(conditions.values()) / len(conditions), {"unmet": [c for c, met in conditions.items() if not met]}
        )
