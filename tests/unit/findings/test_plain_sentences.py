"""A text of plain sentences is read at once, with the result of the search for headings, layout and ends of sentences."""

from __future__ import annotations

import random

import pytest

from cxr_rewards.findings import reader
from cxr_rewards.text.sentences import is_plain

SENTENCES = (
    "The heart is normal in size",
    "Small left pleural effusion, new since the last image",
    "no pneumothorax",
    "Opacity in the RLL, follow-up advised",
    "RLZ opacity",
    "Consol",
    "opacity, bilat",
    "Effusion approx",
    "A nodule of 1.2 cm",
    "It measures 8 mm",
    "Seen by Dr",
    "Findings",
    "impression: normal chest",
    "Pneumothorax: none",
    "Pneumothorax absent",
    "Chest radiograph",
    "Left lung (upper lobe) is clear",
    "Heart size normal; lungs clear",
    "x",
    "",
    " Two spaces before",
    "1",
    "A wexel is seen",
    "2",
    "12",
    "123",
    "1. 2",
    "8 mm nodule",
    "1.5 cm nodule",
    "Nodule at 3) the apex",
    "Nodule (3 mm) of the left lung",
    "Nodule (x) of the left lung",
    "Disc disease at T7/T8",
    "Infiltrate/atelectasis of the left base",
    "Normal chest x-XXXX",
    "Low volumes - effusion",
    "Patient is rotated",
    "Findings of edema",
    "Follow-up advised",
    "RLL infiltr",
    "Effusion..",
    "Chest",
    "No",
    "0 absent 1 present",
    "XXXX",
)


def test_plain_texts_are_read_as_the_search_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    ends = (".", ".", "", ". ", " ", ".  ")
    texts = [". ".join(draw.choices(SENTENCES, k=draw.randint(1, 4))) + draw.choice(ends) for _ in range(2000)]
    readings = [reader.reading(text) for text in texts]
    plainly = [reader._read_plainly(text) is not None for text in texts]
    assert 0.1 < sum(plainly) / len(texts) < 0.5
    monkeypatch.setattr(reader, "_read_plainly", lambda text: None)
    assert readings == [reader.reading(text) for text in texts]


@pytest.mark.parametrize(
    "sentence",
    [
        "Opacity, bilat.",
        "Effusion approx.",
        "RLL consolidation.",
        "Nodule at 3) the apex.",
        "Opacity (left base).",
        "2.",
        "In 3 cm.",
        "Is no.",
        "No line\nend.",
        "Asked?",
        "e.",
    ],
)
def test_what_may_end_elsewhere_is_not_plain(sentence: str) -> None:
    assert not is_plain(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The lungs are clear.",
        "No effusion is seen.",
        "Heart size is 50% of the chest.",
        "A 1.2 cm nodule (left apex) is seen.",
        "Scarring/atelectasis is seen.",
        "Left basal consol.",
    ],
)
def test_ordinary_sentences_are_plain(sentence: str) -> None:
    assert is_plain(sentence)
