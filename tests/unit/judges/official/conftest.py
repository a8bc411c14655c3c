"""Prompts of published judges in a folder of the test's own."""

from __future__ import annotations

import pytest
from tests.published_prompts import write_checkouts

from cxr_rewards.judges.official import store


@pytest.fixture
def checkouts(tmp_path, monkeypatch):
    """Folders of checkouts by judge; none of their prompts has been added."""
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path / "prompts"))
    return write_checkouts(tmp_path)


@pytest.fixture
def published(checkouts):
    """The same, added."""
    for name, folder in checkouts.items():
        store.add(name, folder)
    return checkouts
