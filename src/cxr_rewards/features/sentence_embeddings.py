"""The vectors of a text's sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.settings import setting
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.sources import ENCODER, TOKENIZER, Source
from cxr_rewards.text.sentences import sentences

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from cxr_rewards.models.sentences import SentenceEncoder

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def sentences_of(text: str) -> list[str]:
    """Return the sentences that hold a letter or a digit.

    Example:
        >>> sentences_of("FINDINGS: Clear lungs. ... No effusion.")
        ['FINDINGS: Clear lungs.', 'No effusion.']
    """
    pieces = (text[a:b] for a, b in sentences(text))
    return [sentence for sentence in pieces if any(map(str.isalnum, sentence))]


class SentenceEmbeddings(ModelFeature):
    """Unit vectors of a text's sentences: (sentences, hidden) float32, possibly without rows.

    Equal sentences of a chunk of texts are encoded once.
    """

    name = "sentence_embeddings"
    version = 1

    model: str = setting(MINILM, "Repository or folder of a sentence-transformers model.", changes_scores=False)

    @property
    def sources(self) -> tuple[Source]:
        files = (*ENCODER, *TOKENIZER, "modules.json", "1_Pooling/config.json")
        return (Source(self.model, files, purpose="sentence encoder"),)

    def load(self, folder: Path) -> SentenceEncoder:
        """Load the encoder."""
        from cxr_rewards.models.sentences import SentenceEncoder

        return SentenceEncoder(folder)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[np.ndarray]:  # noqa: ARG002
        """Encode texts."""
        import numpy as np

        from cxr_rewards.models.tokenizer import pad

        encoder = self.models()[0][1]
        tokenizer = encoder.text.tokenizer
        split = [sentences_of(text) for text in items]
        place = {sentence: i for i, sentence in enumerate(dict.fromkeys(s for of_text in split for s in of_text))}
        rows = tokenizer.encode(list(place), encoder.max_length)

        def forward(model: SentenceEncoder, batch: list[int]) -> list[np.ndarray]:
            ids, lengths = pad([rows[i] for i in batch], tokenizer.pad, model.text.device)
            vectors: Tensor = model(ids, lengths)
            return list(vectors.cpu().numpy())

        vectors = self.run(list(map(len, rows)), forward)
        width = encoder.text.hidden
        return [
            np.stack([vectors[place[s]] for s in of_text]) if of_text else np.zeros((0, width), dtype=np.float32)
            for of_text in split
        ]
