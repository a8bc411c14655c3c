"""Texts to token ids, in bulk. Special tokens and limits are set here, not left to a release's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.checkpoint import reading

if TYPE_CHECKING:
    import torch


class Tokenizer:
    """A fast Hugging Face tokenizer that adds one special token before a text and one after it.

    Attributes:
        first: id of the token before a text ([CLS], <s>).
        last: id of the token after it ([SEP], </s>).
        pad: id for padding.
        fast: the transformers tokenizer itself.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        """Args: folder: holds the files.  options: for the tokenizer's own constructor, e.g. `add_prefix_space`."""
        from transformers import AutoTokenizer

        with reading(folder, "a tokenizer"):
            self.fast: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_fast=True, **options
            )
        if not self.fast.is_fast:
            raise ModelLoadError(f"{folder}: has no fast tokenizer; it needs a tokenizer.json")
        self.first = _first_of(self.fast.cls_token_id, self.fast.bos_token_id)
        self.last = _first_of(self.fast.sep_token_id, self.fast.eos_token_id)
        self.pad = _first_of(self.fast.pad_token_id, 0)
        if self.first is None or self.last is None:
            raise ModelLoadError(f"{folder}: the tokenizer has no [CLS] and [SEP] (or <s> and </s>)")
        # The first call removes limits that a tokenizer.json may set. Later calls change nothing, so threads may share
        # the tokenizer.
        with reading(folder, "a tokenizer"):
            self.pieces(["a"])

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without special tokens and without a limit."""
        if not texts:
            return []
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # lone surrogates cannot be encoded
        encoded = self.fast(
            clean,
            add_special_tokens=False,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Return the ids of each text between its special tokens, cut to at most `max_length` in total."""
        return [[self.first, *ids[: max_length - 2], self.last] for ids in self.pieces(texts)]

    def windows(self, texts: Sequence[str], max_length: int) -> list[list[list[int]]]:
        """Return the ids of each text in consecutive windows of at most `max_length`, special tokens included.

        A short text has one window.
        """
        step = max_length - 2
        return [
            [[self.first, *ids[start : start + step], self.last] for start in range(0, len(ids) or 1, step)]
            for ids in self.pieces(texts)
        ]


def _first_of(*ids: int | None) -> Any:
    return next((i for i in ids if i is not None), None)


def pad(ids: Sequence[Sequence[int]], padding: int, device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of ids at their ends.

    Returns:
        The ids, `(batch, longest)` int64, and the length of each row, `(batch,)` int64, both on `device`.
    """
    import torch

    lengths = torch.tensor([len(row) for row in ids])
    longest = int(lengths.max())
    rows = torch.tensor([[*row, *(padding,) * (longest - len(row))] for row in ids])
    return rows.to(device, non_blocking=True), lengths.to(device, non_blocking=True)
