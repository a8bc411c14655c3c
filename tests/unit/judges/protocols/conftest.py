"""A judge on loopback for the tests of protocols."""

from __future__ import annotations

import pytest

from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_judge import FakeJudge


@pytest.fixture(scope="module")
def judge():
    """The settings that point a component to the fake judge."""
    with FakeJudge() as fake:
        yield {"model": "m", "base_url": fake.url}
    close_judges()
