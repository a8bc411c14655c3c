"""Embeddings of a text's word pieces, for BERTScore."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.sources import ENCODER, TOKENIZER, Source

if TYPE_CHECKING:
    import numpy as np

    from cxr_rewards.models.encoder import TextEncoder

LongTexts = Literal["truncate", "windows"]
Stored = Literal["float32", "float16", "no"]
DISTILROBERTA = "distilbert/distilroberta-base"


class TokenEmbeddings(ModelFeature):
    """Unit vectors of a text's pieces and their weights: (pieces, hidden + 1) float32, the weight in the last column.

    The pieces include [CLS] and [SEP], which may be matched but weigh nothing. Others weigh 1, or their IDF in
    `idf_corpus`. Beyond the encoder's limit a text is cut, or encoded window by window. A blank text has no rows.
    """

    name = "token_embeddings"
    kind = "encoder"

    model: str = setting(DISTILROBERTA, "Repository or folder of the encoder.", changes_scores=False)
    layer: int = setting(5, "Layer whose vectors are used; 0: the input embeddings.")
    idf_corpus: str = setting("", "Text file with one report per line, for IDF weights.", changes_scores=False)
    long_texts: LongTexts = setting("truncate", "Beyond the encoder's limit: truncate, or windows.")
    stored: Stored = setting("no", "Vectors in a cache file: float32, float16 (rounded), or no.")

    @property
    def persistent(self) -> bool:  # type: ignore[override]
        """Whether vectors go into a cache file."""
        return self.stored != "no"

    @property
    def sources(self) -> tuple[Source]:
        return (Source(self.model, (*ENCODER, *TOKENIZER), purpose="BERTScore's encoder"),)

    def _sign(self) -> str:
        if not self.idf_corpus:
            return super()._sign()
        from cxr_rewards.models.idf import digest

        return f"{super()._sign()}+idf={digest(self.idf_corpus)}"

    def load(self, folder: Path) -> TextEncoder:
        """Load the encoder."""
        from cxr_rewards.models.encoder import TextEncoder

        return TextEncoder(folder)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[np.ndarray]:  # noqa: ARG002
        """Encode texts."""
        import numpy as np
        import torch

        from cxr_rewards.models.tokenizer import pad

        encoder = self.models()[0][1]
        encoder.check_layer(self.layer, "bertscore")
        texts = [re.sub(" +", " ", text.strip()) for text in items]
        if self.long_texts == "windows":
            windows = encoder.tokenizer.windows(texts, encoder.max_length)
        else:
            windows = [[ids] for ids in encoder.tokenizer.encode(texts, encoder.max_length)]
        rows = [row for of_text in windows for row in of_text]

        def forward(model: TextEncoder, batch: list[int]) -> list[np.ndarray]:
            ids, lengths = pad([rows[i] for i in batch], encoder.tokenizer.pad, model.device)
            vectors = model(ids, lengths, self.layer).float()
            vectors = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()
            return [vectors[k, : len(rows[i])] for k, i in enumerate(batch)]

        vectors = iter(self.run(list(map(len, rows)), forward))
        weigh = self._weights(encoder)
        embeddings = []
        for of_text in windows:
            parts = [next(vectors) for _ in of_text]
            ids = [i for row in of_text for i in row]
            if len(ids) == 2 * len(of_text):
                embeddings.append(np.zeros((0, parts[0].shape[1] + 1), dtype=np.float32))
                continue
            value = np.empty((len(ids), parts[0].shape[1] + 1), dtype=np.float32)
            np.concatenate(parts, out=value[:, :-1])
            value[:, -1] = weigh(ids)
            embeddings.append(value.astype(np.float16).astype(np.float32) if self.stored == "float16" else value)
        return embeddings

    def _weights(self, encoder: TextEncoder) -> Callable[[Sequence[int]], list[float]]:
        """Return a function from ids to weights."""
        if not self.idf_corpus:
            marks = (encoder.tokenizer.first, encoder.tokenizer.last)
            return lambda ids: [0.0 if i in marks else 1.0 for i in ids]
        from cxr_rewards.models import idf

        content = idf.digest(self.idf_corpus)
        known, other = idf.weights(self.idf_corpus, content, encoder.tokenizer, encoder.max_length)
        return lambda ids: [known.get(i, other) for i in ids]

    def encode(self, value: np.ndarray) -> np.ndarray:
        """Return the form that a cache file keeps."""
        return value.astype(self.stored)

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return the vectors in float32."""
        return stored.astype("float32")
