"""The reader knows the words of `wordings.toml` in every form, and none where they mean something else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cxr_rewards.findings import Finding, read

TABLE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "wordings.toml").read_text(encoding="utf-8"))
NAMES = [(observation, name) for observation, words in TABLE["alike"].items() for name in words.get("names", ())]
SENTENCES = [
    (observation, text) for observation, words in TABLE["alike"].items() for text in words.get("sentences", ())
]
NOT_DENIED = re.compile("status|previous|post|prior|old|residual|healed|sequelae|signs")
SIZES = {"small": (1.0, 2.4), "moderate": (2.5, 3.4), "large": (3.5, 5.0)}
PLACES = {"lower": {"lower", "base", "costophrenic"}, "middle": {"middle"}, "upper": {"upper", "apex"}, "": set[str]()}


def stated(text: str) -> list[Finding]:
    return [finding for finding in read(text) if finding.polarity != "absent"]


def of(observation: str, findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.observation == observation]


def failures(checks: Sequence[tuple[str, bool]]) -> list[str]:
    return [text for text, right in checks if not right]


def test_every_wording_is_read_as_its_observation() -> None:
    texts = [(observation, f"There is {name}.") for observation, name in NAMES] + SENTENCES
    assert not failures([(text, bool(of(observation, stated(text)))) for observation, text in texts])


def test_every_wording_can_be_denied() -> None:
    texts = [(observation, f"No {name}.") for observation, name in NAMES if not NOT_DENIED.match(name)]
    assert not failures(
        [(text, bool(of(observation, read(text))) and not of(observation, stated(text))) for observation, text in texts]
    )


def test_a_change_belongs_to_every_wording() -> None:
    texts = [
        (observation, f"{name[0].upper()}{name[1:]}, unchanged since the prior study.") for observation, name in NAMES
    ]
    assert not failures(
        [(text, any(finding.change for finding in of(observation, stated(text)))) for observation, text in texts]
    )


@pytest.mark.parametrize("place", TABLE["places"])
def test_every_wording_of_a_place_is_read(place: str) -> None:
    side, _, zone = place.partition(" ")

    def right(findings: Sequence[Finding]) -> bool:
        return bool(findings) and findings[0].side == side and (not zone or bool(PLACES[zone] & {*findings[0].places}))

    assert not failures([(name, right(stated(f"There is {name}."))) for name in TABLE["places"][place]])


@pytest.mark.parametrize("size", TABLE["sizes"])
def test_every_wording_of_a_size_is_read(size: str) -> None:
    least, most = SIZES[size]
    checks = [
        (name, any(least <= finding.severity <= most for finding in stated(f"There is {name}.")))
        for name in TABLE["sizes"][size]
    ]
    assert not failures(checks)


@pytest.mark.parametrize("change", [change for change in TABLE["changes"] if change != "resolved"])
def test_every_wording_of_a_change_is_read(change: str) -> None:
    checks = [
        (text, any(f.change == change for f in of("pleural_effusion", stated(text))))
        for text in TABLE["changes"][change]
    ]
    assert not failures(checks)


def test_a_finding_that_is_gone_is_absent() -> None:
    texts = TABLE["changes"]["resolved"]
    assert not failures([(text, bool(read(text)) and not of("pleural_effusion", stated(text))) for text in texts])


def test_words_that_mean_something_else_are_no_findings() -> None:
    texts = TABLE["nothing"]["sentences"]
    assert not failures([(text, all(f.observation == "comparison" for f in stated(text))) for text in texts])
