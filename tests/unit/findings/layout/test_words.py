"""The words of `layout.toml` are checked when they are loaded."""

from __future__ import annotations

import pytest

from cxr_rewards.errors import ConfigError
from cxr_rewards.findings.layout.words import build


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"value": {}}, "layout.toml: unknown key 'value'"),
        ({"values": {"absent": {"phrase": []}}}, "layout.toml: values.absent: unknown key 'phrase'"),
        ({"values": {"absent": {"phrases": "no"}}}, "layout.toml: values.absent.phrases: expected a list of phrases"),
        (
            {"values": {"absent": {"phrases": ["no"]}, "present": {"phrases": ["no"]}}},
            "layout.toml: values.present.phrases: 'no' already belongs to absent; keep one",
        ),
        (
            {"values": {"absent": {"marks": ["-"]}, "present": {"marks": ["-"]}}},
            "layout.toml: values.present.marks: '-' already belongs to absent; keep one",
        ),
        ({"headings": {"thing": []}}, "layout.toml: headings: unknown heading 'thing'"),
    ],
)
def test_a_mistake_is_reported_with_its_place(raw, message):
    with pytest.raises(ConfigError) as error:
        build(raw)
    assert message in str(error.value)
