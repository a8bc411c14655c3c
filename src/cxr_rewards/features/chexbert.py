"""CheXbert's embedding of a report and its labels, from one pass of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.published import SCORERS_COMMIT, SHA256
from cxr_rewards.models.sources import TOKENIZER, Source

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from cxr_rewards.models.chexbert import Chexbert

LongTexts = Literal["truncate", "windows"]
Stored = Literal["float32", "float16", "no"]

CHECKPOINT = Source(
    "StanfordAIMI/RRG_scorers",
    ("chexbert.pth",),
    sha256=(("chexbert.pth", SHA256["chexbert.pth"]),),
    purpose="CheXbert",
    commit=SCORERS_COMMIT,
)
BASE = Source("google-bert/bert-base-uncased", ("config.json", *TOKENIZER), purpose="CheXbert's tokenizer")
_MAX_LENGTH = 512


class _ChexbertFeature(ModelFeature):
    kind = "chexbert"

    long_texts: LongTexts = setting("truncate", "Beyond 512 tokens: `truncate`, or one vector for each window of 512.")

    @property
    def sources(self) -> tuple[Source, Source]:
        return (CHECKPOINT, BASE)

    def load(self, checkpoint: Path, base: Path) -> Chexbert:
        """Load CheXbert."""
        from cxr_rewards.models.chexbert import Chexbert

        return Chexbert(checkpoint, base)


class ChexbertEmbedding(_ChexbertFeature):
    """CheXbert's last [CLS] vectors of a text: (windows, 768) float32, one window unless `long_texts` says otherwise.

    Texts are cleaned as in CheXbert: each run of white space becomes one space. A blank text is [CLS][SEP].
    """

    name = "chexbert_embedding"

    stored: Stored = setting("float32", "Vectors in a cache file: float32, float16 (rounded), or no.")

    @property
    def persistent(self) -> bool:  # type: ignore[override]
        """Whether vectors go into a cache file."""
        return self.stored != "no"

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[np.ndarray]:  # noqa: ARG002
        """Encode texts."""
        import numpy as np

        from cxr_rewards.models.tokenizer import pad

        tokenizer = self.models()[0][1].tokenizer
        windows = tokenizer.windows([" ".join(text.split()) for text in items], _MAX_LENGTH)
        if self.long_texts == "truncate":
            windows = [of_text[:1] for of_text in windows]
        rows = [row for of_text in windows for row in of_text]

        def forward(model: Chexbert, batch: list[int]) -> list[np.ndarray]:
            ids, lengths = pad([rows[i] for i in batch], tokenizer.pad, model.weight.device)
            vectors: Tensor = model(ids, lengths)
            return list(vectors.float().cpu().numpy())

        vectors = np.stack(self.run(list(map(len, rows)), forward))
        if self.stored == "float16":
            vectors = vectors.astype(np.float16).astype(np.float32)
        ends = np.cumsum([len(of_text) for of_text in windows])
        return [part.copy() for part in np.split(vectors, ends[:-1])]

    def encode(self, value: np.ndarray) -> np.ndarray:
        """Return the form that a cache file keeps."""
        return value.astype(self.stored)

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return the vectors in float32."""
        return stored.astype("float32")


class ChexbertLabels(_ChexbertFeature):
    """CheXbert's labels of a text, 14 digits: 0 blank, 1 positive, 2 negative, 3 uncertain; No Finding is 0 or 1.

    If a text has several windows, an observation takes the first of positive, uncertain, negative and blank that any of
    them has. No Finding is 1 only if it is 1 in every window.
    """

    name = "chexbert_labels"

    stored: Stored = setting("float32", "As for the vectors.")

    @property
    def needs(self) -> tuple[ChexbertEmbedding]:
        return (ChexbertEmbedding(long_texts=self.long_texts, stored=self.stored, **self.placement),)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[str]:
        """Compute the labels from the vectors."""
        import numpy as np
        import torch

        (embedding,) = self.needs
        vectors = [upstream.value(embedding, text) for text in items]
        with torch.inference_mode():
            labels = self.models()[0][1].labels(torch.from_numpy(np.concatenate(vectors))).cpu().numpy()
        ends = np.cumsum([len(of_text) for of_text in vectors])
        return ["".join(map(str, _union(part))) for part in np.split(labels, ends[:-1])]


def _union(windows: np.ndarray) -> list[int]:
    """Return one row of labels from the rows of all windows."""
    if len(windows) == 1:
        row: list[int] = windows[0].tolist()
        return row
    strongest = [next(way for way in (1, 3, 2, 0) if way in column) for column in windows[:, :-1].T.tolist()]
    return [*strongest, int(windows[:, -1].min())]
