"""Sentence vectors from a sentence-transformers folder: an encoder, pooling, unit length."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.checkpoint import load_json
from cxr_rewards.models.encoder import TextEncoder

_KNOWN = ("Transformer", "Pooling", "Normalize")


class SentenceEncoder(nn.Module):
    """Sentences to unit vectors, as `sentence_transformers` computes them for folders of Transformer and Pooling.

    Attributes:
        text: the encoder, with its tokenizer.
        mean: whether a sentence's vector is the mean of its tokens'; else it is that of the first token ([CLS]).
        max_length: longest sentence in tokens, special ones included.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.text = TextEncoder(folder)
        self.mean = True
        self.max_length = self.text.max_length
        what = "a part of a sentence-transformers folder"
        modules = load_json(folder / "modules.json", what)
        pooling = load_json(folder / "1_Pooling" / "config.json", what)
        foreign = [m["type"] for m in modules if m["type"].rpartition(".")[2] not in _KNOWN]
        modes = [key for key, on in pooling.items() if key.startswith("pooling_mode") and on is True]
        known = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
        if isinstance(pooling.get("pooling_mode"), str):  # as newer releases write it
            modes = [f"pooling_mode_{pooling['pooling_mode']}_tokens".replace("cls_tokens", "cls_token")]
        if foreign or len(modes) != 1 or modes[0] not in known:
            raise ModelLoadError(
                f"{folder}: knows {', '.join(_KNOWN)} with mean or CLS pooling, not {foreign or modes}"
            )
        self.mean = known[modes[0]]

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return unit vectors.

        Args:
            ids: `(batch, tokens)` int64, padded at the end.
            lengths: `(batch,)` int64, tokens of each sentence.

        Returns:
            `(batch, hidden)` float32, on the model's device.
        """
        if not self.mean:
            return nn.functional.normalize(self.text(ids, lengths, first_only=True)[:, 0].float(), dim=-1)
        vectors = self.text(ids, lengths).float()
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])[..., None]
        return nn.functional.normalize((vectors * mask).sum(1), dim=-1)
