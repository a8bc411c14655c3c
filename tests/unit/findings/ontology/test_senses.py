"""Words with more than one sense are read by the company they keep."""

from __future__ import annotations

import pytest

from cxr_rewards.findings import read
from cxr_rewards.findings.ontology.load import data_files, parse

SENSES = next(parse(file) for path, file in data_files() if path == "senses.toml")["senses"]
EXAMPLES = [(name, *example) for name, sense in SENSES.items() for example in sense.get("examples", {}).items()]


def describe(findings):
    """Return findings in the notation of the examples."""
    return ", ".join(" ".join(filter(None, (f.observation, f.polarity, f.side, f.change))) for f in findings)


@pytest.mark.parametrize(("name", "text", "expected"), EXAMPLES, ids=[f"{name}: {text}" for name, text, _ in EXAMPLES])
def test_an_example_is_read_as_its_sense_says(name, text, expected):
    assert describe(read(text)) == expected


def test_every_sense_has_an_example():
    assert {name for name, *_ in EXAMPLES} == set(SENSES)
