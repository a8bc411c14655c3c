"""Batches of texts of similar length within a token budget, on one device or several; recovers if memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Model = TypeVar("Model")
Value = TypeVar("Value")

CPU_TOKENS = 1024
"""Tokens in a batch on a CPU, padding included. Larger batches are not faster."""
GPU_TOKENS = 32_768
"""Tokens in a batch on a GPU: about 300 reports, 4 GB of a BERT-base's activations in float32."""


def plan_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return batches of indices, longest first; each takes at most `budget` tokens with padding, or is a single item.

    Example:
        >>> plan_batches([3, 9, 4, 8], budget=18)
        [[1, 3], [2, 0]]
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and longest * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = max(1, lengths[index])
    return batches


def run_batches(
    lengths: Sequence[int],
    forward: Callable[[Model, list[int]], Sequence[Value]],
    models: Sequence[tuple[str, Model]],
    budget: int = 0,
) -> list[Value]:
    """Return one result for each item of `lengths`, computed in batches.

    Args:
        lengths: tokens of each item.
        forward: called with a model and a batch of indices, longest first; returns their results in order.
        models: copies of one model, each after its device; a batch goes to whichever is free.
        budget: tokens in a batch, padding included; 0 for the device's default. If a GPU runs out of memory, the batch
            is halved and the call goes on; a single item that does not fit raises.
    """
    import torch

    results: dict[int, Value] = {}
    size = budget or (CPU_TOKENS if models[0][0].startswith("cpu") else GPU_TOKENS)
    free: SimpleQueue[Model] = SimpleQueue()
    batches = plan_batches(lengths, size)

    def run(model: Model, batch: list[int]) -> None:
        try:
            with torch.inference_mode():
                values = forward(model, batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            values = None
        if values is None:  # outside the handler, which would keep the batch's tensors alive
            torch.cuda.empty_cache()
            half = len(batch) // 2
            run(model, batch[:half])
            run(model, batch[half:])
            return
        results.update(zip(batch, values, strict=True))

    if len(models) == 1:
        for batch in batches:
            run(models[0][1], batch)
        return [results[index] for index in range(len(lengths))]
    for _, model in models:
        free.put(model)

    def run_on_free_model(batch: list[int]) -> None:
        model = free.get()
        try:
            run(model, batch)
        finally:
            free.put(model)

    with ThreadPoolExecutor(len(models)) as pool:
        list(pool.map(run_on_free_model, batches))
    return [results[index] for index in range(len(lengths))]
