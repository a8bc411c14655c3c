"""The vectors of a text's medical entities, for RaTEScore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.rate_entities import RateEntities
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.published import SHA256
from cxr_rewards.models.sources import ENCODER, TOKENIZER, Source

if TYPE_CHECKING:
    import numpy as np

    from cxr_rewards.models.encoder import TextEncoder

_MAX_LENGTH = 30
_KNOWN = 20_000


class RateEmbeddings(ModelFeature):
    """Unit vectors of a text's entities: (entities, hidden) float32, from BioLORD's [CLS], at most 30 tokens each.

    Recent entities are looked up, because reports repeat a few thousand of them.
    """

    name = "rate_embeddings"
    kind = "encoder"

    @property
    def needs(self) -> tuple[RateEntities]:
        return (RateEntities(**self.placement),)

    @property
    def sources(self) -> tuple[Source]:
        sums = (("model.safetensors", SHA256["BioLORD-2023-C"]),)
        return (Source("FremyCompany/BioLORD-2023-C", (*ENCODER, *TOKENIZER), sums, "RaTEScore's encoder"),)

    def load(self, folder: Path) -> TextEncoder:
        """Load the encoder."""
        from cxr_rewards.models.encoder import TextEncoder

        return TextEncoder(folder)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[np.ndarray]:
        """Encode the entities of texts."""
        import numpy as np
        import torch

        from cxr_rewards.models.tokenizer import pad

        (entities,) = self.needs
        encoder = self.models()[0][1]
        texts = [[name for name, _ in upstream.value(entities, text)] for text in items]
        known: dict[str, np.ndarray] = encoder.__dict__.setdefault("_known", {})
        if len(known) > _KNOWN:
            known = encoder.__dict__["_known"] = {}
        new = [name for name in dict.fromkeys(n for of_text in texts for n in of_text) if name not in known]
        rows = encoder.tokenizer.encode(new, _MAX_LENGTH)

        def forward(model: TextEncoder, batch: list[int]) -> list[np.ndarray]:
            ids, lengths = pad([rows[i] for i in batch], encoder.tokenizer.pad, model.device)
            vectors = model(ids, lengths, first_only=True)[:, 0].float()
            return list(torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy())

        known.update(zip(new, self.run(list(map(len, rows)), forward), strict=True))
        nothing = np.zeros((0, encoder.hidden), dtype=np.float32)
        return [np.stack([known[name] for name in of_text]) if of_text else nothing for of_text in texts]
