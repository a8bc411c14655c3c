"""The BERT encoder in plain torch, for checkpoints of BERT and RoBERTa.

Devlin et al. 2019 (arXiv 1810.04805); Liu et al. 2019 (arXiv 1907.11692). Written out because the names in a checkpoint
never change while the modules that read them do, and because half of the metrics need only [CLS] of the last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.checkpoint import number_of, take

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
}
FAMILIES = ("bert", "roberta")
_SIZES = {
    "hidden_size": 16_384,
    "intermediate_size": 65_536,
    "num_attention_heads": 256,
    "num_hidden_layers": 200,
    "vocab_size": 1_000_000,
    "max_position_embeddings": 65_536,
}
"""Largest values accepted from a configuration; a larger one means it is damaged, and would only exhaust memory."""


class _Layer(nn.Module):
    def __init__(self, hidden: int, inner: int, heads: int, eps: float, activation: str) -> None:
        super().__init__()
        self.heads = heads
        self.activation = _ACTIVATIONS[activation]
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.attended = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps)
        self.widen = nn.Linear(hidden, inner)
        self.narrow = nn.Linear(inner, hidden)
        self.norm = nn.LayerNorm(hidden, eps)

    def forward(self, x: Tensor, rows: _Rows, first_only: bool) -> Tensor:
        """Args: x: `(tokens, hidden)`, all texts joined.  rows: the places of each text's tokens."""
        hidden = x.shape[1]
        if first_only:  # keys and values for all tokens, a query for the first only
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            x_first = rows.table(x)[:, 0]
            query = functional.linear(x_first, weight[:hidden], bias[:hidden])[:, None]
            key, value = rows.table(functional.linear(x, weight[hidden:], bias[hidden:])).chunk(2, dim=-1)
            x = x_first
        else:
            query, key, value = rows.table(self.query_key_value(x)).chunk(3, dim=-1)

        def split(t: Tensor) -> Tensor:
            return t.view(len(t), -1, self.heads, hidden // self.heads).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(split(query), split(key), split(value), attn_mask=rows.mask)
        mixed = mixed.transpose(1, 2).flatten(2)
        mixed = mixed[:, 0] if first_only else rows.flat(mixed)
        x = self.attention_norm(x + self.attended(mixed))
        out: Tensor = self.norm(x + self.narrow(self.activation(self.widen(x))))
        return out


class _Rows:
    """A batch of texts of unequal length, joined into one row of tokens, so that only attention computes on padding."""

    def __init__(self, lengths: Tensor, longest: int) -> None:
        self.shape = (len(lengths), longest)
        real = torch.arange(longest, device=lengths.device) < lengths[:, None]
        padded = bool((lengths < longest).any())
        self.places = real.flatten().nonzero()[:, 0] if padded else None
        self.mask = real[:, None, None, :] if padded else None

    def flat(self, table: Tensor) -> Tensor:
        """Return the `(tokens, width)` of a padded `(batch, longest, width)`."""
        table = table.reshape(-1, table.shape[-1])
        return table if self.places is None else table[self.places]

    def table(self, flat: Tensor) -> Tensor:
        """Return the padded `(batch, longest, width)` of a `(tokens, width)`, with zeros for padding."""
        if self.places is None:
            return flat.view(*self.shape, -1)
        table = flat.new_zeros(self.shape[0] * self.shape[1], flat.shape[-1])
        table[self.places] = flat
        return table.view(*self.shape, -1)


class Bert(nn.Module):
    """Token ids to vectors of the last layer, or of any earlier one.

    Built by `from_state`; equals `transformers.BertModel` and `RobertaModel` without their poolers.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        sizes = {key: number_of(config, key, "config.json", 1, most) for key, most in _SIZES.items()}
        hidden, eps = sizes["hidden_size"], config.get("layer_norm_eps", 1e-12)
        activation = config.get("hidden_act", "gelu")
        if activation not in _ACTIVATIONS:
            raise ModelLoadError(f"config.json: hidden_act {activation!r} is not one of {', '.join(_ACTIVATIONS)}")
        # RoBERTa's positions start after the id of its padding token.
        self.first_position = config.get("pad_token_id", 1) + 1 if config["model_type"] == "roberta" else 0
        self.words = nn.Embedding(sizes["vocab_size"], hidden)
        self.positions = nn.Embedding(sizes["max_position_embeddings"], hidden)
        self.kind = nn.Parameter(torch.zeros(hidden))
        self.norm = nn.LayerNorm(hidden, eps)
        inner, heads = sizes["intermediate_size"], sizes["num_attention_heads"]
        self.stack = [_Layer(hidden, inner, heads, eps, activation) for _ in range(sizes["num_hidden_layers"])]
        self.layers = nn.ModuleList(self.stack)

    @property
    def max_length(self) -> int:
        """Longest text in tokens, special ones included."""
        return self.positions.num_embeddings - self.first_position

    def forward(self, ids: Tensor, lengths: Tensor, layer: int | None = None, first_only: bool = False) -> Tensor:
        """Return the vectors of a batch of token ids.

        Args:
            ids: `(batch, tokens)` int64, padded at the end with any id.
            lengths: `(batch,)` int64, tokens of each text.
            layer: layer whose output to return, 0 for the embeddings; the last one if left out.
            first_only: compute that layer for the first token ([CLS]) only.

        Returns:
            `(batch, tokens, hidden)`, or `(batch, 1, hidden)` with `first_only`, in the model's dtype, on its device.
            Vectors of padding are zeros.
        """
        rows = _Rows(lengths, ids.shape[1])
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        x: Tensor = self.words(rows.flat(ids[..., None])[:, 0])
        x = self.norm(x + self.positions(rows.flat(places[..., None])[:, 0] + self.first_position) + self.kind)
        layers = self.stack if layer is None else self.stack[:layer]
        for number, step in enumerate(layers, start=1):
            only = first_only and number == len(layers)
            x = step(x, rows, only)
        if first_only:
            return x[:, None] if layers else rows.table(x)[:, :1]
        return rows.table(x)

    @classmethod
    def from_state(cls, config: Mapping[str, object], state: Mapping[str, Tensor], where: str) -> Bert:
        """Return the encoder that a checkpoint holds, in float32 on the CPU.

        Its tensors may have any common prefix; other tensors are ignored.

        Raises:
            ModelLoadError: a tensor is missing, or its shape disagrees with the configuration.
        """
        if config.get("model_type") not in FAMILIES:
            kind = config.get("model_type")
            raise ModelLoadError(f"{where}: model_type {kind!r} is not one of {', '.join(FAMILIES)}")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ModelLoadError(f"{where}: position_embedding_type must be absolute")
        ending = "embeddings.word_embeddings.weight"
        prefix = next((name.removesuffix(ending) for name in state if name.endswith(ending)), None)
        if prefix is None:
            raise ModelLoadError(f"{where}: holds no tensor named ...{ending}: not the weights of a BERT or RoBERTa")
        try:
            model = cls(config)
        except KeyError as error:
            raise ModelLoadError(f"{where}: config.json lacks {error}") from None
        hidden = config["hidden_size"]

        def get(name: str, *shape: int) -> Tensor:
            if f"{prefix}{name}" not in state and "LayerNorm" in name:  # as checkpoints from TensorFlow name them
                name = name.replace("weight", "gamma").replace("bias", "beta")
            tensor: Tensor = take(state, f"{prefix}{name}", where, shape or None)
            return tensor

        def fill(module: nn.Module, name: str) -> None:
            for key in ("weight", "bias"):
                parameter = getattr(module, key)
                parameter.data = get(f"{name}.{key}", *parameter.shape)

        model.words.weight.data = get("embeddings.word_embeddings.weight", *model.words.weight.shape)
        model.positions.weight.data = get("embeddings.position_embeddings.weight", *model.positions.weight.shape)
        kinds = get("embeddings.token_type_embeddings.weight")
        model.kind.data = kinds[0].clone()
        fill(model.norm, "embeddings.LayerNorm")
        for number, layer in enumerate(model.stack):
            at = f"encoder.layer.{number}"
            for key, shape in (("weight", (hidden, hidden)), ("bias", (hidden,))):
                parts = [get(f"{at}.attention.self.{part}.{key}", *shape) for part in ("query", "key", "value")]
                getattr(layer.query_key_value, key).data = torch.cat(parts)
            fill(layer.attended, f"{at}.attention.output.dense")
            fill(layer.attention_norm, f"{at}.attention.output.LayerNorm")
            fill(layer.widen, f"{at}.intermediate.dense")
            fill(layer.narrow, f"{at}.output.dense")
            fill(layer.norm, f"{at}.output.LayerNorm")
        return model
