"""The reader reads a sentence form alike whatever finding stands in it. `frames.toml` has the forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cxr_rewards.findings import Finding, read
from cxr_rewards.findings.ontology import ontology

NOUNS = {
    "pneumothorax": ("pneumothorax", "pneumothoraces"),
    "pleural_effusion": ("pleural effusion", "pleural effusions"),
    "lung_nodule": ("lung nodule", "lung nodules"),
    "atelectasis": ("atelectasis", "atelectasis"),
    "endotracheal_tube": ("endotracheal tube", "endotracheal tubes"),
    "chest_tube": ("chest tube", "chest tubes"),
    "central_line": ("central venous catheter", "central venous catheters"),
    "cardiac_device": ("pacemaker", "pacemakers"),
}
FILLINGS = (
    {
        "X": "pneumothorax",
        "Y": "atelectasis",
        "Z": "pleural_effusion",
        "D": "endotracheal_tube",
        "S": "left",
        "O": "right",
    },
    {"X": "pleural_effusion", "Y": "lung_nodule", "Z": "pneumothorax", "D": "chest_tube", "S": "right", "O": "left"},
    {"X": "lung_nodule", "Y": "pneumothorax", "Z": "pleural_effusion", "D": "central_line", "S": "left", "O": "right"},
    {
        "X": "atelectasis",
        "Y": "pleural_effusion",
        "Z": "pneumothorax",
        "D": "cardiac_device",
        "S": "right",
        "O": "left",
    },
)
SIDES = {"B": "bilateral"}
CHANGES = frozenset(("new", "increased", "decreased", "stable", "resolved"))
ASIDE = frozenset(("comparison", "limited_study", "support_device"))
"""Observations that a frame may hold besides."""

FRAMES: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("frames.toml").read_text(encoding="utf-8"))
CASES = [(frame, expected) for table in FRAMES.values() for frame, expected in table.items()]


class Expected(NamedTuple):
    """What a frame says of one of its slots; `frames.toml` explains the words."""

    observation: str
    certainty: frozenset[str]
    side: str
    changes: frozenset[str]
    size: float


def fill(frame: str, filling: dict[str, str]) -> str:
    """Return a frame with words in its slots, and a capital at its head unless it begins with "~"."""

    def words(match: re.Match[str]) -> str:
        article, inside = match[1], match[2]
        text = re.sub(r"\b([XYZDSO])(s?)\b", lambda slot: _word(slot[1], bool(slot[2]), filling), inside)
        if not article or "atelectasis" in text:
            return text
        return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"

    text = re.sub(r"\{(a )?([^}]*)\}", words, frame)
    return text[1:] if text.startswith("~") else text[:1].upper() + text[1:]


def _word(slot: str, plural: bool, filling: dict[str, str]) -> str:
    return filling[slot] if slot in "SO" else NOUNS[filling[slot]][plural]


def expectations(expected: str, filling: dict[str, str]) -> list[Expected]:
    result = []
    for part in expected.split("; "):
        slot, certainty, *more = part.split(" ")
        sides = [filling.get(word, SIDES.get(word, "")) for word in more if word in ("S", "O", "B")]
        size = next((float(word[1:]) for word in more if word.startswith("=")), 0.0)
        named = {word.rstrip("?") for word in more if word.rstrip("?") in CHANGES}
        optional = not named or any(word.endswith("?") for word in more)
        changes = CHANGES | {""} if "any_change" in more else frozenset(named | ({""} if optional else set()))
        result.append(
            Expected(
                filling[slot], frozenset(certainty.split("/")), sides[0] if sides else "", frozenset(changes), size
            )
        )
    return result


def faults(text: str, expected: list[Expected]) -> list[str]:
    """Return what is read otherwise than expected."""
    found, known = read(text), ontology().observations
    result = [fault for one in expected if (fault := _fault(one, found))]
    named = {one.observation for one in expected}
    family = named.union(*(known[name].ancestors for name in named))
    for finding in found:
        kin = {finding.observation, *known[finding.observation].ancestors}
        if finding.certainty != "absent" and not kin & family and finding.observation not in ASIDE:
            result.append(f"{finding.observation} is read besides")
    return result


def _fault(expected: Expected, found: tuple[Finding, ...]) -> str:
    own = [finding for finding in found if finding.observation == expected.observation and not finding.implied]
    if "anything" in expected.certainty:
        return ""
    if not own:
        return "" if "unsaid" in expected.certainty else f"{expected.observation} is not read"
    if any(finding.certainty not in expected.certainty for finding in own):
        return f"{expected.observation} is {[finding.certainty for finding in own]}"
    sides = {finding.side for finding in own}
    if expected.side == "bilateral" and sides == {"left", "right"}:
        sides = {"bilateral"}
    if expected.side and sides != {expected.side}:
        return f"{expected.observation} is on the sides {sides}"
    if any(finding.change not in expected.changes for finding in own):
        return f"{expected.observation} has changed: {[finding.change for finding in own]}"
    if expected.size and all(abs(finding.size_mm - expected.size) > 0.5 for finding in own):
        return f"{expected.observation} measures {[finding.size_mm for finding in own]}"
    return ""


@pytest.mark.parametrize(("frame", "expected"), CASES, ids=[frame for frame, _ in CASES])
def test_a_frame_is_read_alike_with_every_finding_in_it(frame: str, expected: str) -> None:
    wrong: list[Any] = []
    for filling in FILLINGS:
        if "=" in expected and filling["X"] == "atelectasis":  # has no size
            continue
        text = fill(frame, filling)
        wrong += [(text, fault) for fault in faults(text, expectations(expected, filling))]
    assert not wrong


CONTEXTS = (
    "On this supine portable view, {}.",
    "Of note, {}.",
    "Within the limits of the study, {}.",
    "As discussed with Dr. Smith, {}.",
    "The heart is normal in size and {}.",
    "The heart is normal in size, and {}.",
    "{} on this examination.",
    "{} in this patient.",
    "{}, as discussed with the team.",
    "{}, for which follow-up is advised.",
    "{}, and the heart is normal.",
    "{}; the heart is normal.",
)
STATEMENTS = [
    (frame, expected)
    for kind in ("denial", "doubt", "exclusion", "resolution", "change", "present")
    for frame, expected in FRAMES[kind].items()
    if " {X} is " in frame or frame.startswith("{X} is ") or "There is " in frame
    if ";" not in expected and frame.count(".") == 1 and not set(frame) & set("?:")
]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_frame_is_read_alike_in_company(context: str) -> None:
    wrong: list[Any] = []
    for i, (frame, expected) in enumerate(STATEMENTS[::3]):
        filling = FILLINGS[i % 3]
        text = fill(frame, filling).removesuffix(".")
        text = context.format(text if context.startswith("{") else text[:1].lower() + text[1:])
        found = expectations(expected, filling)
        wrong += [(text, fault) for fault in faults(text, found)]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "expected", "fault"),
    [
        ("Pneumothorax.", "X absent", "is ['present']"),
        ("No effusion.", "X absent", "is not read"),
        ("Left pneumothorax.", "X present O", "is on the sides"),
        ("New pneumothorax.", "X present increased", "has changed"),
        ("Pneumothorax of 8 mm.", "X present =12", "measures"),
        ("Pneumothorax with a fracture.", "X present", "is read besides"),
    ],
)
def test_a_wrong_reading_is_a_fault(text: str, expected: str, fault: str) -> None:
    assert fault in "".join(faults(text, expectations(expected, FILLINGS[0])))
