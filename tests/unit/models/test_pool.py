"""Each model once a device, for all threads."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cxr_rewards.errors import ConfigError
from cxr_rewards.models.pool import ModelPool, devices


class Encoded(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(2, 2)
        self.head = torch.nn.Linear(2, 2)


def test_threads_that_ask_at_once_share_one_model():
    pool, loads = ModelPool(), []

    def load():
        time.sleep(0.05)
        loads.append(1)
        return torch.nn.Linear(2, 2)

    with ThreadPoolExecutor(8) as threads:
        models = list(threads.map(lambda _: pool.get("linear", "key", "cpu", "float32", load), range(8)))
    assert len(loads) == 1
    assert all(model is models[0] for model in models)


def test_other_keys_devices_and_numbers_are_other_models():
    pool = ModelPool()
    made = {
        id(pool.get("linear", *key, lambda: torch.nn.Linear(2, 2)))
        for key in (
            ("a", "cpu", "float32"),
            ("b", "cpu", "float32"),
            ("a", "cpu", "bfloat16"),
            ("a", "cpu:0", "float32"),
        )
    }
    assert len(made) == 4


def test_models_are_ready_for_inference():
    model = ModelPool().get(
        "drop", "key", "cpu", "float32", lambda: torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout())
    )
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_heads_stay_exact_where_the_encoder_is_rounded():
    model = ModelPool().get("both", "key", "cpu", "bfloat16", Encoded)
    assert model.encoder.weight.dtype == torch.bfloat16
    assert model.head.weight.dtype == torch.float32


def test_the_report_tells_bytes_and_release_forgets():
    pool = ModelPool()
    pool.get("linear", "key", "cpu", "bfloat16", lambda: torch.nn.Linear(10, 10, bias=False))
    assert [tuple(loaded) for loaded in pool.report()] == [("linear", "cpu", "bfloat16", 200)]
    pool.release()
    assert pool.report() == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_loads_can_load():
    pool, loading, leave = ModelPool(), threading.Event(), threading.Event()

    def slow():
        loading.set()
        leave.wait(10)
        return torch.nn.Linear(1, 1)

    thread = threading.Thread(target=pool.get, args=("slow", "slow", "cpu", "float32", slow))
    thread.start()
    loading.wait(10)
    child = os.fork()
    if child == 0:
        pool.get("other", "other", "cpu", "float32", lambda: torch.nn.Linear(1, 1))
        os._exit(7)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_device_names():
    assert devices("cpu") == ["cpu"]
    assert devices("cpu, cpu:0") == ["cpu", "cpu:0"]
    assert devices("auto") == [f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"]
    with pytest.raises(ConfigError, match="expected auto, cpu, cuda or cuda:N, got 'gpu'"):
        devices("gpu")
    with pytest.raises(ConfigError, match="'cuda:99' is not on this machine"):
        devices("cuda:99")


def test_features_of_one_name_in_two_places_never_share_a_model(models):
    from cxr_rewards.core.feature import FeatureTable
    from cxr_rewards.models.feature import ModelFeature
    from cxr_rewards.models.sources import Source

    def make(size):
        class Sized(ModelFeature):
            name = "sized"
            sources = (Source("distilbert/distilroberta-base", ("config.json",)),)

            def load(self, folder):
                return torch.nn.Linear(size, 1)

            def compute(self, items, upstream):
                return [self.models()[0][1].in_features for _ in items]

        return Sized()

    assert [make(size).compute(["a"], FeatureTable({})) for size in (2, 3)] == [[2], [3]]
