"""Medical entities of a text, as read by RaTEScore."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.models.feature import ModelFeature
from cxr_rewards.models.published import SHA256
from cxr_rewards.models.sources import ENCODER, TOKENIZER, Source
from cxr_rewards.text.sentences import sentences

if TYPE_CHECKING:
    from cxr_rewards.models.entities import EntityTagger

_SHORTEST = 3
_MAX_LENGTH = 512


class RateEntities(ModelFeature):
    """The entities of a text, in order: a list of [text, type].

    Types are ABNORMALITY, NON-ABNORMALITY, DISEASE, NON-DISEASE and ANATOMY. Sentences are read one by one.
    Those of fewer than 3 characters are skipped, and those of more than 512 tokens are cut.
    """

    name = "rate_entities"

    @property
    def sources(self) -> tuple[Source]:
        sums = (("model.safetensors", SHA256["RaTE-NER-Deberta"]),)
        return (Source("Angelakeke/RaTE-NER-Deberta", (*ENCODER, *TOKENIZER), sums, "RaTEScore's entities"),)

    def load(self, folder: Path) -> EntityTagger:
        """Load the tagger."""
        from cxr_rewards.models.entities import EntityTagger

        return EntityTagger(folder)

    def compute(self, items: Sequence[str], upstream: FeatureTable) -> list[list[list[str]]]:  # noqa: ARG002
        """Tag texts."""
        from cxr_rewards.models.tokenizer import pad

        tagger = self.models()[0][1]
        split = [[text[a:b] for a, b in sentences(text) if b - a >= _SHORTEST] for text in items]
        place = {sentence: i for i, sentence in enumerate(dict.fromkeys(s for of_text in split for s in of_text))}
        rows = tagger.tokenizer.encode(list(place), _MAX_LENGTH)

        def forward(model: EntityTagger, batch: list[int]) -> list[list[list[str]]]:
            ids, lengths = pad([rows[i] for i in batch], tagger.tokenizer.pad, model.net.device)
            labels = model(ids, lengths).tolist()
            return [model.entities(rows[i], of_row) for i, of_row in zip(batch, labels, strict=True)]

        entities = self.run(list(map(len, rows)), forward)
        flat = [entities[place[s]] for of_text in split for s in of_text]
        return [
            [entity for of_sentence in flat[a:b] for entity in of_sentence]
            for a, b in pairwise(accumulate(map(len, split), initial=0))
        ]
