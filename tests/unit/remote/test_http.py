"""How long a server's `Retry-After` is heeded."""

from __future__ import annotations

import pytest

from cxr_rewards.remote.http import _seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0.0), ("2", 2.0), ("1e9", 30.0), ("inf", 30.0), ("-5", 0.0), ("nan", 0.0), ("soon", 0.0)],
)
def test_a_pause_that_a_server_asks_for_is_bounded(said, seconds):
    assert _seconds(said) == seconds
