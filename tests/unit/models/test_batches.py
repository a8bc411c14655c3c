"""Batches of like length within a budget; running out of memory; several copies."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.models.batches import plan_batches, run_batches


@given(st.lists(st.integers(0, 600)), st.integers(1, 2000))
def test_every_item_is_in_one_batch_within_the_budget(lengths, budget):
    batches = plan_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
        assert [lengths[i] for i in batch] == sorted((lengths[i] for i in batch), reverse=True)


def test_results_come_back_in_order():
    lengths = [5, 1, 9, 3]
    results = run_batches(lengths, lambda model, batch: [(model, i) for i in batch], [("cpu", "m")], budget=10)
    assert results == [("m", i) for i in range(4)]


def test_a_batch_too_large_for_memory_is_halved():
    seen = []

    def forward(model, batch):
        seen.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [i * 10 for i in batch]

    assert run_batches([1] * 7, forward, [("cpu", None)], budget=100) == [i * 10 for i in range(7)]
    assert seen[0] == 7
    assert max(seen[1:]) == 4


def test_an_item_too_large_for_memory_raises():
    def forward(model, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        run_batches([1, 1], forward, [("cpu", None)], budget=100)


def test_copies_work_at_the_same_time_and_one_batch_each():
    busy, together, lock = {"a": 0, "b": 0}, [], threading.Lock()
    pair = threading.Barrier(2)

    def forward(model, batch):
        with lock:
            busy[model] += 1
            together.append(sum(busy.values()))
            assert busy[model] == 1
        pair.wait(60)  # a batch of each copy
        with lock:
            busy[model] -= 1
        return [(model, i) for i in batch]

    results = run_batches([1] * 10, forward, [("cpu", "a"), ("cpu:0", "b")], budget=1)
    assert [i for _, i in results] == list(range(10))
    assert {model for model, _ in results} == {"a", "b"}
    assert max(together) == 2


def test_an_error_of_a_copy_is_raised():
    def forward(model, batch):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_batches([1, 1], forward, [("cpu", 1), ("cpu:0", 2)], budget=1)


def test_gradients_are_off():
    assert run_batches([1], lambda model, batch: [torch.is_inference_mode_enabled()], [("cpu", None)]) == [True]
