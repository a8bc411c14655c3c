"""Random RadGraph archives in the published format."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Module = TypeVar("Module", bound="torch.nn.Module")

ENTITIES = {
    "radgraph": ("ANAT-DP", "OBS-DP", "OBS-DA", "OBS-U"),
    "radgraph-xl": tuple(
        f"{kind}::{status}"
        for kind in ("Observation", "Anatomy", "Observation::measurement")
        for status in ("definitely present", "definitely absent", "uncertain")
    )[:7],
}
RELATIONS = ("modify", "located_at", "suggestive_of")


def write_radgraph(path: Path, kind: str, encoder: str, home: Path, sentences: Sequence[str]) -> None:
    """Write an archive as the `radgraph` package reads it, with the modules that it holds and never uses.

    Args:
        path: of the archive.
        kind: `radgraph` or `radgraph-xl`, or a name beside them.
        encoder: name of the encoder in the archive's configuration.
        home: folder of the encoder.
        sentences: on which the heads are calibrated.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    net = AutoModel.from_config(AutoConfig.from_pretrained(home)).eval()
    hidden = net.config.hidden_size
    span = 2 * hidden + 20
    labels = ENTITIES["radgraph" if kind == "radgraph" else "radgraph-xl"]
    entities, relations = f"{kind}__ner_labels", f"{kind}__relation_labels"
    state = {
        f"_embedder.token_embedder_bert._matched_embedder.transformer_model.{key}": tensor
        for key, tensor in net.state_dict().items()
    }

    def add(name: str, module: Module) -> Module:
        state.update({f"{name}.{key}": tensor for key, tensor in module.state_dict().items()})
        return module

    def forward(name: str, inputs: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            add(f"{name}._linear_layers.0", torch.nn.Linear(inputs, 150)),
            torch.nn.ReLU(),
            add(f"{name}._linear_layers.1", torch.nn.Linear(150, 150)),
            torch.nn.ReLU(),
        )

    widths = add("_endpoint_span_extractor._span_width_embedding", torch.nn.Embedding(8, 20))
    ner = forward(f"_ner._ner_scorers.{entities}.0._module", span)
    ner_scorer = torch.nn.Linear(150, len(labels))
    pruner = f"_relation._mention_pruners.{relations}._scorer"
    mention = forward(f"{pruner}.0._module", span)
    mention_scorer = add(f"{pruner}.1._module", torch.nn.Linear(150, 1))
    related = forward(f"_relation._relation_feedforwards.{relations}", 3 * span)
    relation_scorer = torch.nn.Linear(150, len(RELATIONS))
    add("_coref._distance_embedding", torch.nn.Embedding(10, 20))
    forward("_coref._antecedent_feedforward._module", 3 * span + 20)
    forward("_coref._mention_pruner._scorer.0._module", span)
    add("_coref._mention_pruner._scorer.1._module", torch.nn.Linear(150, 1))
    add("_coref._antecedent_scorer._module", torch.nn.Linear(150, 1))
    add("_coref._f_network._linear_layers.0", torch.nn.Linear(2 * span, span))
    add("_events._distance_embedding", torch.nn.Embedding(10, 20))

    with torch.no_grad():
        spans = torch.cat([_spans(net, home, sentence, widths) for sentence in sentences])
        # About 5% of spans are entities, and 9% of pairs of entities related.
        _balance(ner_scorer, ner(spans), 1 - 0.05 / len(labels))
        some = spans[(ner_scorer(ner(spans)) > 0).any(-1)][:60]
        n, worth = len(some), mention_scorer(mention(some))
        pairs = torch.cat(
            [some[:, None].expand(-1, n, -1), some[None].expand(n, -1, -1), some[:, None] * some[None]], -1
        )
        _balance(relation_scorer, related(pairs), 0.97, worth[:, None] + worth[None])
    add(f"_ner._ner_scorers.{entities}.1._module", ner_scorer)
    add(f"_relation._relation_scorers.{relations}", relation_scorer)

    bert = {"type": "pretrained_transformer_mismatched", "model_name": encoder, "max_length": 512}
    config = {
        "dataset_reader": {"type": "dygie", "max_span_width": 8, "token_indexers": {"bert": bert}},
        "model": {
            "type": "dygie",
            "embedder": {"token_embedders": {"bert": bert}},
            "initializer": {},
            "module_initializer": {},
            "feature_size": 20,
            "max_span_width": 8,
            "target_task": "relation",
            "feedforward_params": {"num_layers": 2, "hidden_dims": 150, "dropout": 0.4},
            "loss_weights": {"ner": 0.2, "relation": 1.0, "coref": 0.0, "events": 0.0},
            "modules": {
                "ner": {},
                "relation": {"spans_per_word": 0.5},
                "coref": {"spans_per_word": 0.3, "max_antecedents": 100, "coref_prop": 0},
                "events": {
                    "trigger_spans_per_word": 0.3,
                    "argument_spans_per_word": 0.8,
                    "loss_weights": {"trigger": 0.2, "arguments": 1.0},
                },
            },
        },
    }
    weights = io.BytesIO()
    torch.save(state, weights)
    files = {
        "config.json": json.dumps(config).encode(),
        "vocabulary/non_padded_namespaces.txt": b"*tags\n*labels\n",
        f"vocabulary/{entities}.txt": "\n".join(["", *labels, ""]).encode(),
        f"vocabulary/{relations}.txt": "\n".join([*RELATIONS, ""]).encode(),
        "weights.th": weights.getvalue(),
    }
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _spans(net: torch.nn.Module, home: Path, sentence: str, widths: torch.nn.Module) -> torch.Tensor:
    """Return the vectors of the spans of a sentence's pieces, taken as words: near enough for a quantile."""
    import torch

    from cxr_rewards.models.tokenizer import Tokenizer

    ids = torch.tensor(Tokenizer(home).encode([sentence], 512))
    vectors = net(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0, 1:-1]
    n = len(vectors)
    ends = [(i, j) for i in range(n) for j in range(i, min(n, i + 8))]
    first, last = (torch.tensor(side) for side in zip(*ends, strict=True))
    return torch.cat([vectors[first], vectors[last], widths(last - first)], -1)


def _balance(
    scorer: torch.nn.Linear, features: torch.Tensor, quantile: float, extra: torch.Tensor | float = 0.0
) -> None:
    """Set the biases so that a share of 1 - quantile of the scores is above 0, for each label."""
    import torch

    scorer.bias.data.zero_()
    scores = (scorer(features) + extra).reshape(-1, scorer.out_features)
    scorer.bias.data = -torch.quantile(scores, quantile, dim=0)
