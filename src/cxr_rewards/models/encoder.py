"""One interface to any encoder in a Hugging Face folder: our own code for BERT and RoBERTa, else transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.models.bert import FAMILIES, Bert
from cxr_rewards.models.checkpoint import encoder_state, load_config, reading
from cxr_rewards.models.tokenizer import Tokenizer, pad


class TextEncoder(nn.Module):
    """Token ids to vectors, with the encoder's own tokenizer.

    Attributes:
        tokenizer: makes the ids.
        max_length: longest text in tokens, special ones included.
        layers: number of layers.
        hidden: length of a token's vector.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        config = load_config(folder)
        family = config.get("model_type")
        self.hidden: int = config.get("hidden_size") or config["dim"]
        # bert-score, whose numbers must be matched, gives RoBERTa a space before the first word.
        self.tokenizer = Tokenizer(folder, **({"add_prefix_space": True} if family == "roberta" else {}))
        self.net: Any
        if family in FAMILIES:
            self.net = Bert.from_state(config, encoder_state(folder), str(folder))
            self.max_length = self.net.max_length
            self.layers = len(self.net.layers)
        else:
            # The pooler is never used, and BioLORD's weights may lack it.
            self.net = _foreign(folder, **({"add_pooling_layer": False} if family == "mpnet" else {}))
            limit = getattr(self.net.config, "max_position_embeddings", None) or 512
            self.max_length = min(limit - (2 if family == "mpnet" else 0), 8192)
            self.layers = len(_layers(self.net))
        self.max_length = min(self.max_length, self.tokenizer.fast.model_max_length)
        try_out(self, folder)

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return next(self.parameters()).device

    def forward(self, ids: Tensor, lengths: Tensor, layer: int | None = None, first_only: bool = False) -> Tensor:
        """Return the vectors of a batch of token ids; the arguments are those of `Bert.forward`.

        An intermediate `layer` of ModernBERT goes through the final norm, as if the model ended there.

        Returns:
            `(batch, tokens, hidden)`, or `(batch, 1, hidden)` with `first_only`, in the model's dtype, on its device.
            Vectors of padding mean nothing.
        """
        if isinstance(self.net, Bert):
            bert_vectors: Tensor = self.net(ids, lengths, layer, first_only)
            return bert_vectors
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        if layer is None or layer == self.layers:
            out = self.net(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
        else:
            states = self.net(
                input_ids=ids, attention_mask=mask, output_hidden_states=True, return_dict=True
            ).hidden_states
            out = states[layer]
            if hasattr(self.net, "final_norm"):
                out = self.net.final_norm(out)
        vectors: Tensor = out[:, :1] if first_only else out
        return vectors

    def check_layer(self, layer: int, where: str) -> None:
        """Raise `ConfigError` if the model has no such layer."""
        if not 0 <= layer <= self.layers:
            raise ConfigError(f"{where}: layer must be 0 to {self.layers} for this model, got {layer}")


def try_out(model: Any, folder: Path) -> None:
    """Encode one word, so that mismatched parts fail when a model is loaded and not for each report."""
    with reading(folder, "a model whose parts fit together"), torch.inference_mode():
        model.eval()
        model(*pad(model.tokenizer.encode(["effusion"], 8), model.tokenizer.pad, "cpu"))


def _layers(net: Any) -> Any:
    for path in ("encoder.layer", "transformer.layer", "layers"):
        module = net
        for part in path.split("."):
            module = getattr(module, part, None)
        if module is not None:
            return module
    raise ModelLoadError(f"{type(net).__name__}: do not know where its layers are")


def _foreign(folder: Path, **options: Any) -> nn.Module:
    """Load a model of another family with transformers."""
    from transformers import AutoModel

    model: nn.Module = from_folder(AutoModel, folder, "an encoder", **options)
    without_compiling(model)
    return model


def from_folder(kind: Any, folder: Path, what: str, **options: Any) -> Any:
    """Load a model with transformers. A missing tensor is an error here; transformers would make it random.

    Raises:
        ModelLoadError: the folder does not hold such a model, or not all of it.
    """
    with reading(folder, what):
        model, about = kind.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    absent = sorted(name for name in map(str, about["missing_keys"]) if "pooler" not in name)
    if absent or about["mismatched_keys"]:
        wrong = absent or [str(key) for key in about["mismatched_keys"]]
        raise ModelLoadError(f"{folder}: lacks {len(wrong)} tensors of {what}, such as {wrong[0]}: another model?")
    return model


def without_compiling(model: Any) -> None:
    """Keep ModernBERT from compiling itself on a GPU, which takes minutes if lengths vary."""
    if getattr(model.config, "reference_compile", False) is not False:
        model.config.reference_compile = False
