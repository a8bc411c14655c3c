"""A token classifier from a Hugging Face folder, whose labels mark named entities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxr_rewards.errors import ModelLoadError, shorten
from cxr_rewards.models.checkpoint import reading
from cxr_rewards.models.encoder import from_folder, try_out
from cxr_rewards.models.tokenizer import Tokenizer


class EntityTagger(nn.Module):
    """Token ids to labels of the form `O`, `B-TYPE`, `I-TYPE`.

    Attributes:
        tokenizer: makes the ids.
        labels: names of the labels, by number.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import AutoModelForTokenClassification

        self.tokenizer = Tokenizer(folder)
        self.net: Any = from_folder(AutoModelForTokenClassification, folder, "a token classifier")
        names = self.net.config.id2label
        with reading(folder, "a token classifier"):
            self.labels = [str(names[i]) for i in range(len(names))]
        if not all(name == "O" or name[:2] in ("B-", "I-") for name in self.labels):
            raise ModelLoadError(f"{folder}: labels must be O, B-TYPE or I-TYPE, got {shorten(self.labels)}")
        try_out(self, folder)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the number of each token's label.

        Args:
            ids: `(batch, tokens)` int64, padded at the end.
            lengths: `(batch,)` int64, tokens of each text.

        Returns:
            `(batch, tokens)` int64, on the model's device; those of padding mean nothing.
        """
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        labels: Tensor = self.net(input_ids=ids, attention_mask=mask, return_dict=True).logits.argmax(-1)
        return labels

    def entities(self, ids: Sequence[int], labels: Sequence[int]) -> list[list[str]]:
        """Return [text, type] of each entity: a token labelled B and the I tokens after it, whatever type they name.

        Args:
            ids: token ids of one text, special tokens included.
            labels: number of the label of each id; those of special tokens are ignored.
        """
        spans: list[tuple[int, int, str]] = []
        begin: int | None = None
        for place in range(1, len(ids)):
            label = self.labels[labels[place]] if place < len(ids) - 1 else "O"
            if begin is not None and not label.startswith("I-"):
                spans.append((begin, place, self.labels[labels[begin]][2:]))
                begin = None
            if label.startswith("B-"):
                begin = place
        fast = self.tokenizer.fast
        return [
            [fast.convert_tokens_to_string(fast.convert_ids_to_tokens(list(ids[a:b]))), kind.upper()]
            for a, b, kind in spans
        ]
