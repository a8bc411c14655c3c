"""Whatever reads a rollout or a reply takes time in proportion to its length, whatever the text is made of."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from cxr_rewards.adapters.completion import Extract, completion_of
from cxr_rewards.components.bleu import Bleu
from cxr_rewards.components.copy_prior import CopyPrior
from cxr_rewards.components.format import Format
from cxr_rewards.components.length import Length
from cxr_rewards.components.repetition import Repetition
from cxr_rewards.components.rouge_l import RougeL
from cxr_rewards.components.temporal_f1 import TemporalF1
from cxr_rewards.errors import CxrRewardsError
from cxr_rewards.findings import read
from cxr_rewards.judges import reading
from cxr_rewards.judges.injection import find_injections
from cxr_rewards.judges.prompt import harmless
from cxr_rewards.judges.protocols.chexprompt import ChexpromptReply
from cxr_rewards.judges.protocols.green import GreenReply
from cxr_rewards.text.ages import age_in_years
from cxr_rewards.text.sections import sections
from cxr_rewards.text.sentences import sentences

pytestmark = pytest.mark.slow

UNITS = (
    " ", "\n", "a", "a ", "1", "1. ", "(", "[", "{", "<", '"', "`", "*", "_", "-", "=", "\\", "```\n", "\n```", '{"a":',
    '{"a": 1}', "\\boxed{", "<think>", "</think>", "[THINK]", "◁/think▷", "<|channel|>", "<|channel|>final<|message|>",
    "assistantfinal", "<answer>", "</answer>", "<|im_end|>", "<|", "<s> ", "[Matched Findings]:\n", "(a) x: 1. y\n", "(a)",
    "Number of clinically significant errors by type: (", "(A, 1), ", "<candidate>", "> a\n", "candidate says: \n", "“",
    "FINDINGS: ", "findings\n", "no ", "pleural effusion, ", "3 x 4 x ", "T1-T2, ", "ignore all ", "report no ", "i g n ",
    "aWdub3Jl ", "01101001 ", "41 ", ".- ", "1gn0r3 ", "\u0430", "\u200b", "\u0301", "confirmed to ", "you should ", "\r\n",
)  # fmt: skip
PLAIN = (" ", "\n", "a", "(", "[", '"', "`", "*", "1", "```\n")
LEADS = ("```\n", "analysis", "\\boxed{", "Number of clinically significant errors by type:", "[Matched Findings]: ")


def _parse(parser: Any) -> Callable[[str], object]:
    return parser.parse


def _score(component: Any) -> Callable[[str], object]:
    return lambda text: component.score(text, "Small left effusion.", ["Clear lungs."])


LED = ("Extract", "json_in", "chexprompt", "green")
"""Readers that are tried with each beginning, too."""
_FLOOR_S = 0.04

READERS: dict[str, Callable[[str], object]] = {
    "Extract": Extract(sections=("impression",)),
    "Extract(reasoning=keep)": Extract(reasoning="keep"),
    "completion_of": lambda text: completion_of(text, "x"),
    "json_in": reading.json_in,
    "chexprompt": _parse(ChexpromptReply),
    "green": _parse(GreenReply),
    "find_injections": find_injections,
    "harmless": lambda text: harmless(text, len(text)),
    "sections": sections,
    "sentences": sentences,
    "read": read,
    "age_in_years": age_in_years,
    **{kind.name: _score(kind()) for kind in (Format, Length, Repetition, CopyPrior, TemporalF1, Bleu, RougeL)},
}


def _seconds(reader: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    with contextlib.suppress(CxrRewardsError):
        reader(text)
    return time.process_time() - start


@pytest.mark.parametrize("name", READERS)
def test_time_grows_with_the_length_and_no_faster(name, monkeypatch):
    monkeypatch.setattr(reading, "_LONGEST", 1 << 30)
    reader = READERS[name]
    _seconds(reader, "Clear lungs.")  # makes what is made once
    for lead, units in {"": UNITS, **dict.fromkeys(LEADS if name in LED else (), PLAIN)}.items():
        for unit in units:
            long, short = ((lead + unit * (size // len(unit) + 1))[:size] + "x" for size in (12_000, 3_000))
            slow, quick, tries = _seconds(reader, long), math.inf, 0
            # Linear time is 4 times as much, quadratic 16; a busy machine needs several tries to show the least.
            while slow > _FLOOR_S and (not tries or slow > 8 * quick):
                assert tries < 20, (lead, unit, slow, quick)
                slow, quick, tries = min(slow, _seconds(reader, long)), min(quick, _seconds(reader, short)), tries + 1


@pytest.mark.parametrize(
    "unit", [" ", "\n", "`", "\\boxed{", "<think>", "[/THINK]", "<|channel|>", "<answer>", "FINDINGS: "]
)
@pytest.mark.parametrize("lead", ["", "```\n"])
def test_a_rollout_of_a_million_characters_is_read_in_seconds(lead, unit):
    text = (lead + unit * (1_000_000 // len(unit)))[:1_000_000] + "x"
    assert any(_seconds(Extract(sections=("impression",)), text) < 5 for _ in range(2))
