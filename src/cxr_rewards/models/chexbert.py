"""CheXbert: a BERT with one head for each of 14 observations."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.bert import Bert
from cxr_rewards.models.checkpoint import load_config, load_state, take
from cxr_rewards.models.encoder import try_out
from cxr_rewards.models.tokenizer import Tokenizer

_HEADS = 14
_WAYS = 4


class Chexbert(nn.Module):
    """The encoder, its tokenizer, and the 14 heads as one matrix.

    Smit et al. 2020 (arXiv 2004.09167). A head has four answers (blank, positive, negative, uncertain); the last one,
    No Finding, has two (blank, positive).

    Attributes:
        tokenizer: makes token ids.
        weight: `(56, hidden)` float32, the heads stacked, the last one padded to four rows.
        bias: `(56,)` float32, minus infinity for the answers that No Finding does not have.
    """

    def __init__(self, checkpoint: Path, base: Path) -> None:
        """Load it.

        Args:
            checkpoint: folder that holds `chexbert.pth`.
            base: folder that holds bert-base-uncased's configuration and tokenizer.

        Raises:
            ModelLoadError: the file is not a CheXbert checkpoint, or is incomplete.
        """
        super().__init__()
        path = checkpoint / "chexbert.pth"
        state = load_state(path).get("model_state_dict")
        if not isinstance(state, dict):
            raise ModelLoadError(f"{path}: holds no model_state_dict: not the weights of CheXbert")
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        config = load_config(base)
        self.tokenizer = Tokenizer(base)
        self.encoder = Bert.from_state(config, state, str(path))
        heads = [name for name in state if name.startswith("linear_heads.")]
        if len(heads) != 2 * _HEADS:
            raise ModelLoadError(f"{path}: has {len(heads) // 2} heads, expected {_HEADS}: another model?")
        weight = torch.zeros(_HEADS * _WAYS, config["hidden_size"])
        bias = torch.full((_HEADS * _WAYS,), -torch.inf)
        for head in range(_HEADS):
            ways = _WAYS if head < _HEADS - 1 else 2
            rows = slice(head * _WAYS, head * _WAYS + ways)
            weight[rows] = take(state, f"linear_heads.{head}.weight", str(path), (ways, config["hidden_size"]))
            bias[rows] = take(state, f"linear_heads.{head}.bias", str(path), (ways,))
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        try_out(self, checkpoint)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's vectors of [CLS].

        Args:
            ids: `(batch, tokens)` int64, padded at the end.
            lengths: `(batch,)` int64, tokens of each text.

        Returns:
            `(batch, hidden)` in the encoder's dtype, on its device.
        """
        vectors: Tensor = self.encoder(ids, lengths, first_only=True)[:, 0]
        return vectors

    def labels(self, vectors: Tensor) -> Tensor:
        """Return the answers of the heads.

        Args:
            vectors: `(n, hidden)` float32, on any device.

        Returns:
            `(n, 14)` int64 from 0 to 3, on the model's device.
        """
        scores = vectors.to(self.weight.device) @ self.weight.T + self.bias
        return scores.view(len(vectors), _HEADS, _WAYS).argmax(-1)
