"""Entities and relations of a report, annotated by RadGraph."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ModelWarning
from cxr_rewards.formulas.radgraph import Entity
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.published import SCORERS_COMMIT, SHA256
from cxr_rewards.models.sources import TOKENIZER, Source

if TYPE_CHECKING:
    from cxr_rewards.models.radgraph import Graph, RadGraph

RadgraphModel = Literal["radgraph", "radgraph-xl", "modern-radgraph-xl"]
ENCODERS: dict[str, str] = {
    "radgraph": "microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract-fulltext",
    "radgraph-xl": "microsoft/BiomedVLP-CXR-BERT-general",
    "modern-radgraph-xl": "answerdotai/ModernBERT-base",
}

MODERN_WARNING = (
    "modern-radgraph-xl: its encoder is taken to be answerdotai/ModernBERT-base, by the size of its file, and its "
    "annotations with these weights were never compared: the radgraph package's own port to transformers 5 is reported "
    "to give wrong ones (radgraph, pull request 16). Prefer radgraph-xl"
)

# As the models were trained: the first one's text is split before and after these characters, `,` to `.` among them.
_V1 = re.compile(r"(?<! )(?=[/,-,:,.,!?()])|(?<=[/,-,:,.,!?()])(?! )")
_WORD = re.compile(r"\w+|[^\w\s]+")
_ESCAPES = (("\\n", "  "), ("\\f", "  "), ("\\u2122", "      "), ("\n", " "), ('\\"', "``"))
_ENDINGS = ((").", ") ."), ("%.", "% ."), (".'", ". '"), ("%,", "% ,"), ("%)", "% )"))


def split_words(text: str, model: str) -> list[str]:
    """Return the words of a report, split as in the model's training.

    Example:
        >>> split_words("Small left-sided effusion.", "radgraph"), split_words("Left-sided (trace).", "radgraph-xl")
        (['Small', 'left-sided', 'effusion', '.'], ['Left', '-', 'sided', '(', 'trace', ')', '.'])
    """
    if model == "radgraph":
        return _V1.sub(" ", text).split()
    for old, new in _ESCAPES:
        text = text.replace(old, new)
    text = " ".join(_WORD.findall(text))
    for old, new in _ENDINGS:
        text = text.replace(old, new)
    return text.split()


class RadgraphAnnotations(ModelFeature):
    """The RadGraph annotation of a text: its entities by number, as the `radgraph` package writes them in JSON.

    A text without words has no entities. Reports longer than the encoder's 512 pieces are encoded in windows, as in
    the package.
    """

    name = "radgraph_annotations"

    model: RadgraphModel = setting("radgraph-xl", "radgraph, radgraph-xl or modern-radgraph-xl (unproved).")

    @property
    def kind(self) -> str:  # type: ignore[override]
        """Models of this name are shared."""
        return self.model

    @property
    def sources(self) -> tuple[Source, Source]:
        archive = f"{self.model}.tar.gz"
        sums = ((archive, SHA256[archive]),) if archive in SHA256 else ()  # no checksum is known for radgraph.tar.gz
        return (
            Source("StanfordAIMI/RRG_scorers", (archive,), sums, f"RadGraph ({self.model})", SCORERS_COMMIT),
            Source(ENCODERS[self.model], ("config.json", *TOKENIZER), purpose="RadGraph's tokenizer"),
        )

    def load(self, archive: Path, encoder: Path) -> RadGraph:
        """Load RadGraph."""
        from cxr_rewards.models.radgraph import RadGraph

        if self.model == "modern-radgraph-xl":
            warnings.warn(MODERN_WARNING, ModelWarning, stacklevel=2)
        return RadGraph(archive / f"{self.model}.tar.gz", encoder, self.model)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[dict[str, Entity]]:  # noqa: ARG002
        """Annotate texts."""
        words = [split_words(text.encode("utf-8", "replace").decode(), self.model) for text in items]
        filled = [i for i, of_text in enumerate(words) if of_text]
        annotations: list[dict[str, Entity]] = [{} for _ in items]
        if not filled:
            return annotations
        reports = self.models()[0][1].pieces([words[i] for i in filled])

        def forward(model: RadGraph, batch: list[int]) -> Sequence[Graph]:
            graphs: list[Graph] = model([reports[i] for i in batch])
            return graphs

        for i, graph in zip(filled, self.run([len(r.ids) + 2 for r in reports], forward), strict=True):
            annotations[i] = _as_json(graph, words[i])
        return annotations


def _as_json(graph: Graph, words: list[str]) -> dict[str, Entity]:
    entities: dict[str, Entity] = {
        str(number): {
            "tokens": " ".join(words[first : last + 1]),
            "label": label,
            "start_ix": first,
            "end_ix": last,
            "relations": [],
        }
        for number, (first, last, label) in enumerate(graph.entities, start=1)
    }
    for one, other, kind in graph.relations:
        entities[str(one + 1)]["relations"].append([kind, str(other + 1)])
    return entities
