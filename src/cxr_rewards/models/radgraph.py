"""RadGraph's entities and relations: the inference of a DyGIE++ model, in batches.

An encoder gives vectors of word pieces. A word is the mean of its pieces; a span of up to 8 words is the vectors of its
first word, its last word and its width. One feed-forward net labels spans as entities, another ranks them, and a third
labels pairs of the best. Wadden et al. 2019 (arXiv 1909.03546); Jain et al. 2021 (arXiv 2106.14463); Delbrouck et al.
2024 (RadGraph-XL). Results equal those of the `radgraph` package, which reads the same archives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxr_rewards.errors import ModelLoadError
from cxr_rewards.models.bert import Bert
from cxr_rewards.models.checkpoint import load_config, load_state_bytes, number_of, read_archive, reading, take
from cxr_rewards.models.encoder import without_compiling
from cxr_rewards.models.sources import TOKENIZER, Source, locate
from cxr_rewards.models.tokenizer import Tokenizer, pad

_PAIRS = 8192
"""Pairs of entities scored at a time; bounds memory if a text is as long as a book."""
_KNOWN_WORDS = 200_000


class Graph(NamedTuple):
    """Annotation of one report: spans as (first word, last word, label), relations as (from, to, kind) by index."""

    entities: list[tuple[int, int, str]]
    relations: list[tuple[int, int, str]]


class Pieces(NamedTuple):
    """A report as the encoder takes it: the ids of all its pieces, and the number of pieces of each word."""

    ids: list[int]
    counts: list[int]


class RadGraph(nn.Module):
    """An encoder with RadGraph's heads.

    Attributes:
        tokenizer: splits words into pieces.
        window: most pieces that the encoder takes at once; longer reports are encoded window by window.
    """

    def __init__(self, archive: Path, encoder: Path, kind: str) -> None:
        """Load it.

        Args:
            archive: the published `.tar.gz`.
            encoder: folder with the encoder's configuration and tokenizer; its weights are in the archive.
            kind: name of the model in the archive's vocabulary.

        Raises:
            ModelLoadError: the archive is unreadable or holds another model.
        """
        super().__init__()
        vocabulary = [f"vocabulary/{kind}__{what}_labels.txt" for what in ("ner", "relation")]
        files = read_archive(archive, ("config.json", "weights.th", *vocabulary))
        with reading(f"{archive}: config.json", "RadGraph's configuration"):
            config = json.loads(files["config.json"])["model"]
            about = config["embedder"]["token_embedders"]["bert"]
            about = {"max_length": 512, **about, "model_name": str(about["model_name"])}
            relation = config["modules"]["relation"]
        if about["model_name"].replace("/", "--") != encoder.name and not Path(about["model_name"]).exists():
            encoder = _named(about["model_name"], encoder)
        where = f"{archive}: config.json"
        self.window = number_of(about, "max_length", where, 3, 8192) - 2
        self.widths = number_of(config, "max_span_width", where, 1, 64)
        self.kept = number_of(relation, "spans_per_word", where, 0.0, 10.0)
        # The first entity label is the empty one, for spans that are not entities; relations have no such line.
        self.entity_labels = files[vocabulary[0]].decode().split("\n")[1:]
        self.relation_labels = files[vocabulary[1]].decode().split("\n")
        self.tokenizer = Tokenizer(encoder)
        self._known: dict[str, list[int]] = {}
        state = load_state_bytes(files["weights.th"], f"{archive}: weights.th")
        self.encoder = _encoder(encoder, state, str(archive))
        self.heads = nn.ParameterDict(_heads(state, kind, str(archive)))
        self.entity_labels = self.entity_labels[: self.heads["ner_bias"].shape[0]]
        self.relation_labels = self.relation_labels[: self.heads["relation_bias"].shape[0]]
        with reading(archive, "a model whose parts fit together"), torch.inference_mode():
            self.eval()
            self(self.pieces([["no", "effusion"]]))

    def pieces(self, reports: Sequence[Sequence[str]]) -> list[Pieces]:
        """Split the words of reports into pieces; repeated words are looked up."""
        known = self._known
        if len(known) > _KNOWN_WORDS:
            known = self._known = {}
        new = list({word for words in reports for word in words if word not in known})
        known.update(zip(new, self.tokenizer.pieces(new), strict=True))
        pieces = []
        for words in reports:
            by_word = [known[word] for word in words]
            pieces.append(Pieces([i for ids in by_word for i in ids], list(map(len, by_word))))
        return pieces

    def forward(self, reports: Sequence[Pieces]) -> list[Graph]:
        """Return the graphs of a batch of reports, each of at least one word."""
        device = self.heads["widths"].device
        words, counts = self._words(reports, device)
        heads, n = self.heads, len(words)

        # Spans of all reports, joined, by first word and then by last.
        ends = torch.repeat_interleave(counts.cumsum(0), counts)
        first = torch.arange(n, device=device)[:, None].expand(-1, self.widths)
        last = first + torch.arange(self.widths, device=device)
        valid = last < ends[:, None]
        first, last = first[valid], last[valid]
        width = last - first

        # W [s; e; w] = Ws s + We e + Ww w: three small products instead of one for each span.
        hidden = functional.relu(
            (words @ heads["span_first"])[first] + (words @ heads["span_last"])[last] + heads["span_width"][width]
        )
        as_entity, as_mention = hidden.chunk(2, dim=-1)
        scores = functional.relu(as_entity @ heads["ner_2"] + heads["ner_2_bias"]) @ heads["ner"] + heads["ner_bias"]
        best, label = scores.max(dim=-1)
        mention = functional.relu(as_mention @ heads["mention_2"] + heads["mention_2_bias"]) @ heads["mention"]
        mention = (mention + heads["mention_bias"])[:, 0]

        report = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)[first]
        entity = best > 0
        chosen = (entity & self._best_spans(mention, report, counts)).nonzero()[:, 0]
        spans = torch.cat([words[first[chosen]], words[last[chosen]], heads["widths"][width[chosen]]], dim=1)
        related = self._relations(spans, mention[chosen], report[chosen])

        index = entity.nonzero()[:, 0]
        starts = (counts.cumsum(0) - counts)[report[index]]
        rows = torch.stack([report[index], first[index] - starts, last[index] - starts, label[index]], dim=1).tolist()
        related[:2] = chosen[related[:2]]
        return self._graphs(len(reports), rows, index, related.T)

    def _words(self, reports: Sequence[Pieces], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return all words' vectors, `(words, hidden)` float32, and the words of each report, `(reports,)` int64."""
        windows = [
            [self.tokenizer.first, *report.ids[start : start + self.window], self.tokenizer.last]
            for report in reports
            for start in range(0, len(report.ids) or 1, self.window)
        ]
        ids, lengths = pad(windows, self.tokenizer.pad, device)
        vectors = self.encoder(ids, lengths)
        places = torch.arange(ids.shape[1], device=device)
        inner = (places > 0) & (places < lengths[:, None] - 1)
        pieces = vectors[inner].float()
        sizes = torch.tensor([count for report in reports for count in report.counts], device=device)
        owner = torch.repeat_interleave(torch.arange(len(sizes), device=device), sizes)
        words = pieces.new_zeros(len(sizes), pieces.shape[1]).index_add_(0, owner, pieces)
        counts = torch.tensor([len(report.counts) for report in reports], device=device)
        return words / sizes.clamp(min=1)[:, None], counts

    def _best_spans(self, mention: Tensor, report: Tensor, counts: Tensor) -> Tensor:
        """Mark the best spans of each report, half as many as it has words, rounded up: `(spans,)` bool."""
        keep = torch.ceil(counts.float() * self.kept).long()
        spans = torch.bincount(report, minlength=len(counts))
        row = torch.arange(len(report), device=report.device) - (spans.cumsum(0) - spans)[report]
        table = mention.new_full((len(counts), int(spans.max())), -torch.inf)
        table[report, row] = mention
        best = table.topk(int(keep.max()), dim=1).indices
        chosen = torch.zeros_like(table, dtype=torch.bool)
        chosen.scatter_(1, best, torch.arange(best.shape[1], device=best.device) < keep[:, None])
        return chosen[report, row]

    def _relations(self, spans: Tensor, worth: Tensor, report: Tensor) -> Tensor:
        """Return related pairs of spans of one report: `(3, pairs)` int64, the indices of both spans and the kind."""
        heads = self.heads
        from_one = spans @ heads["relation_one"] + heads["relation_one_bias"]
        from_other = spans @ heads["relation_other"]
        group = torch.bincount(report)
        fan, offset = group[report], (group.cumsum(0) - group)[report]
        # Each span is paired with every span of its report, itself included.
        one = torch.repeat_interleave(torch.arange(len(spans), device=spans.device), fan)
        other = torch.arange(len(one), device=one.device) - (fan.cumsum(0) - fan - offset)[one]
        related = [one.new_zeros(3, 0)]
        for start in range(0, len(one), _PAIRS):
            a, b = one[start : start + _PAIRS], other[start : start + _PAIRS]
            hidden = functional.relu(from_one[a] + from_other[b] + (spans[a] * spans[b]) @ heads["relation_both"])
            hidden = functional.relu(hidden @ heads["relation_2"] + heads["relation_2_bias"])
            scores = hidden @ heads["relation"] + heads["relation_bias"] + (worth[a] + worth[b])[:, None]
            best, kind = scores.max(dim=-1)
            hit = best > 0
            related.append(torch.stack([a[hit], b[hit], kind[hit]]))
        return torch.cat(related, dim=1)

    def _graphs(self, reports: int, rows: Sequence[Sequence[int]], index: Tensor, related: Tensor) -> list[Graph]:
        """Group entities and relations by report."""
        graphs = [Graph([], []) for _ in range(reports)]
        place: dict[int, tuple[int, int]] = {}
        for span, (report, first, last, label) in zip(index.tolist(), rows, strict=True):
            place[span] = (report, len(graphs[report].entities))
            graphs[report].entities.append((first, last, self.entity_labels[label]))
        for one, other, kind in related.tolist():
            report, subject = place[one]
            graphs[report].relations.append((subject, place[other][1], self.relation_labels[kind]))
        return graphs


def _named(name: str, expected: Path) -> Path:
    """Return the folder of the encoder that an archive names; `expected`, if that is a copy of it."""
    if not (expected / "config.json").exists():
        raise ModelLoadError(f"{expected}: lacks config.json")
    if name.rpartition("/")[2] in str(expected):  # a snapshot of Hugging Face's cache, or a shorter id
        return expected
    return locate(Source(name, ("config.json", *TOKENIZER), purpose="RadGraph's encoder"))


def _encoder(folder: Path, state: Mapping[str, Tensor], where: str) -> nn.Module:
    config = load_config(folder)
    prefix = "_embedder.token_embedder_bert._matched_embedder.transformer_model."
    inner = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not inner:
        raise ModelLoadError(f"{where}: holds no tensor named {prefix}...: not the weights of RadGraph")
    if "encoder.layer.0.attention.self.query.weight" in inner:  # a BERT, whatever its configuration calls it
        return Bert.from_state({**config, "model_type": "bert"}, inner, where)
    return _Foreign(folder, inner, where)


class _Foreign(nn.Module):
    """An encoder of another family, such as ModernBERT."""

    def __init__(self, folder: Path, state: Mapping[str, Tensor], where: str) -> None:
        from transformers import AutoConfig, AutoModel

        super().__init__()
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self.net: Any = AutoModel.from_config(config)
        without_compiling(self.net)
        absent = self.net.load_state_dict(dict(state), strict=False).missing_keys
        if absent:
            raise ModelLoadError(f"{where}: lacks {len(absent)} tensors of the encoder, such as {absent[0]}")

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        vectors: Tensor = self.net(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
        return vectors


def _heads(state: Mapping[str, Tensor], kind: str, where: str) -> dict[str, nn.Parameter]:
    """Return the heads' matrices, transposed; first layers are split into parts for first word, last word and width."""

    def get(name: str) -> Tensor:
        tensor: Tensor = take(state, name, where)
        return tensor

    ner = f"_ner._ner_scorers.{kind}__ner_labels"
    mention = f"_relation._mention_pruners.{kind}__relation_labels._scorer"
    relation = f"_relation._relation_feedforwards.{kind}__relation_labels"
    scorer = f"_relation._relation_scorers.{kind}__relation_labels"
    widths = get("_endpoint_span_extractor._span_width_embedding.weight")

    # The nets for entities and for mentions read the same spans, so their first layers are joined.
    layers = [get(f"{net}.0._module._linear_layers.0.weight") for net in (ner, mention)]
    biases = [get(f"{net}.0._module._linear_layers.0.bias") for net in (ner, mention)]
    both, bias = torch.cat(layers).T, torch.cat(biases)
    size = (both.shape[0] - widths.shape[1]) // 2
    pair = get(f"{relation}._linear_layers.0.weight").T
    span = pair.shape[0] // 3
    first, last, narrow = both[:size], both[size : 2 * size], widths @ both[2 * size :] + bias
    tensors = {
        "widths": widths,
        "span_first": first,
        "span_last": last,
        "span_width": narrow,
        "ner_2": get(f"{ner}.0._module._linear_layers.1.weight").T,
        "ner_2_bias": get(f"{ner}.0._module._linear_layers.1.bias"),
        "ner": get(f"{ner}.1._module.weight").T,
        "ner_bias": get(f"{ner}.1._module.bias"),
        "mention_2": get(f"{mention}.0._module._linear_layers.1.weight").T,
        "mention_2_bias": get(f"{mention}.0._module._linear_layers.1.bias"),
        "mention": get(f"{mention}.1._module.weight").T,
        "mention_bias": get(f"{mention}.1._module.bias"),
        "relation_one": pair[:span],
        "relation_one_bias": get(f"{relation}._linear_layers.0.bias"),
        "relation_other": pair[span : 2 * span],
        "relation_both": pair[2 * span :],
        "relation_2": get(f"{relation}._linear_layers.1.weight").T,
        "relation_2_bias": get(f"{relation}._linear_layers.1.bias"),
        "relation": get(f"{scorer}.weight").T,
        "relation_bias": get(f"{scorer}.bias"),
    }
    return {name: nn.Parameter(tensor.contiguous()) for name, tensor in tensors.items()}
