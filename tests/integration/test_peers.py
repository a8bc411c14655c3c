"""The packages themselves, unmodified, on the same weights: equal results."""

from __future__ import annotations

import contextlib
import json
import random

import numpy as np
import pytest
from tests.peers import PeerProcess

from cxr_rewards import Case
from cxr_rewards.components.bertscore import Bertscore
from cxr_rewards.components.radgraph_f1 import RadgraphF1
from cxr_rewards.components.ratescore import Ratescore
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.features.chexbert import ChexbertEmbedding, ChexbertLabels
from cxr_rewards.features.radgraph import ENCODERS, RadgraphAnnotations
from cxr_rewards.features.rate_entities import RateEntities
from cxr_rewards.testing.models import SENTENCES

ODD = [
    "Lungs:clear,no effusion/edema(s).Heart:normal!",
    '5.3mm nodule, 50%. "Stable" - see prior (2019).',
    "NO ACUTE DISEASE\n\nunchanged",
    "café au lait; Ünïcode — μ±",
]
TEXTS = [*SENTENCES, *ODD, " ".join(SENTENCES), " ".join(SENTENCES * 5)]


@pytest.fixture(scope="module")
def peer(models_folder, tmp_path_factory):
    """A process of the packages, which find the same weights."""
    with contextlib.closing(PeerProcess(models_folder, tmp_path_factory.mktemp("peers"))) as process:
        yield process


def own_pairs():
    """Each two texts of very different lengths, and reports of one to eight sentences."""
    rng = random.Random(0)
    reports = [" ".join(rng.choices([*SENTENCES, *ODD], k=rng.randint(1, 8))) for _ in range(100)]
    return [*((a, b) for a in TEXTS[:8] for b in TEXTS[8:]), *zip(reports[:50], reports[50:], strict=True)]


PAIRS = own_pairs()


@pytest.fixture(scope="session")
def real_pairs(real_reports):
    texts = [f"{row['findings'] or ''} {row['impression'] or ''}".strip() for row in real_reports]
    texts = [text for text in texts if len(text) > 40]
    return list(zip(texts[:200], texts[200:400], strict=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:modern-radgraph-xl")
@pytest.mark.parametrize("model", ENCODERS)
def test_annotations_are_those_of_radgraph(models, peer, model):
    theirs = peer.run({"run": "radgraph", "model": model, "texts": TEXTS})["values"]
    ours = RadgraphAnnotations(model=model).compute(TEXTS, FeatureTable({}))
    assert json.loads(json.dumps(ours)) == theirs
    assert sum(map(len, theirs)) > 30
    assert any(entity["relations"] for graph in theirs for entity in graph.values())


@pytest.mark.slow
def test_rewards_are_those_of_radgraph(models, peer):
    pairs = [(a, b) for a in TEXTS[:-2] for b in (TEXTS[-2], a)][:30]
    job = {
        "run": "radgraph_rewards",
        "model": "radgraph-xl",
        "candidates": [a for a, _ in pairs],
        "references": [b for _, b in pairs],
    }
    theirs = peer.run(job)["values"]
    cases = [Case(candidate=a, reference=b) for a, b in pairs]
    rows = [row[0].details for row in Engine({"r": RadgraphF1(case_sensitive=True)}).run(cases)]
    for level, values in zip(("simple", "partial", "complete"), theirs, strict=True):
        assert [row[level] for row in rows] == pytest.approx(values, abs=1e-6)
    assert 0 < np.mean(theirs) < 1


def chexbert(models, peer, texts):
    theirs = peer.run({"run": "chexbert", "texts": texts})["values"]
    feature = ChexbertLabels()
    (embedding,) = feature.needs
    vectors = embedding.compute(texts, FeatureTable({}))
    labels = feature.compute(texts, FeatureTable({embedding.signature: dict(zip(texts, vectors, strict=True))}))
    known = {"": "0", 1: "1", 0: "2", -1: "3"}
    assert labels == ["".join(known[label] for label in row) for row in theirs["labels"]]
    ours, wanted = np.stack([rows[0] for rows in vectors]), np.array(theirs["vectors"])
    assert np.max(np.abs(ours - wanted)) < 1e-5 * np.max(np.abs(wanted))
    assert ChexbertEmbedding() == embedding


@pytest.mark.slow
def test_labels_and_vectors_are_those_of_f1chexbert(models, peer):
    chexbert(models, peer, [*TEXTS, "", *(text for pair in PAIRS[-20:] for text in pair)])


@pytest.mark.slow
@pytest.mark.shared
def test_labels_and_vectors_of_real_reports_are_those_of_f1chexbert(models, peer, real_pairs):
    chexbert(models, peer, [text for pair in real_pairs[:40] for text in pair])


def bertscore(models, peer, pairs, ours, **job):
    candidates, references = map(list, zip(*pairs, strict=True))
    # One pair at a time, because the package's values of a batch depend on its padding (see tests/peers.py).
    job = {"run": "bertscore", "candidates": candidates, "references": references, "batch": 1, **job}
    theirs = np.array(peer.run(job)["values"])
    component = Bertscore(baseline=0.0, **ours)
    rows = [row[0].details for row in Engine({"b": component}).run([Case(candidate=a, reference=b) for a, b in pairs])]
    cells = np.array([[row[key] for row in rows] for key in ("precision", "recall", "f1")])
    assert np.max(np.abs(cells / theirs - 1)) < 1e-5
    assert theirs.std() > 0.001


def bertscore_of_corpus(models, peer, minilm, pairs, folder):
    corpus = [" ".join(b.split()) for _, b in pairs]
    (folder / "corpus.txt").write_text("\n".join(corpus), encoding="utf-8")
    settings = {"model_type": str(minilm), "num_layers": 4, "idf": True, "idf_sents": corpus}
    ours = {"model": str(minilm), "layer": 4, "idf_corpus": str(folder / "corpus.txt")}
    bertscore(models, peer, pairs[-60:], ours, settings=settings)


@pytest.mark.slow
def test_scores_of_real_vectors_are_those_of_bert_score(models, peer, minilm):
    settings = {"model_type": str(minilm), "num_layers": 6}
    bertscore(models, peer, PAIRS, {"model": str(minilm), "layer": 6}, settings=settings)


@pytest.mark.slow
def test_idf_of_a_corpus_is_that_of_bert_score(models, peer, minilm, tmp_path):
    bertscore_of_corpus(models, peer, minilm, PAIRS, tmp_path)


@pytest.mark.slow
@pytest.mark.shared
def test_scores_of_real_reports_are_those_of_bert_score(models, peer, minilm, real_pairs, tmp_path):
    settings = {"model_type": str(minilm), "num_layers": 6}
    bertscore(models, peer, real_pairs, {"model": str(minilm), "layer": 6}, settings=settings)
    bertscore_of_corpus(models, peer, minilm, real_pairs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model", "layer"),
    [
        ("distilbert--distilroberta-base", "distilbert/distilroberta-base", 5),
        ("distilbert--distilbert-base-uncased", "distilbert/distilbert-base-uncased", 5),
        ("IAMJB--RadEvalModernBERT", "IAMJB/RadEvalModernBERT", 2),
        ("distilbert--distilbert-base-uncased", "distilbert/distilbert-base-uncased", 6),
    ],
)
def test_other_encoders_score_as_in_bert_score(models, peer, name, model, layer):
    pairs = [(a, b) for a in TEXTS[:6] for b in TEXTS[6:14]]
    job = {"settings": {"model_type": str(models / name), "num_layers": layer}, "prefix_space": "roberta" in name}
    bertscore(models, peer, pairs, {"model": model, "layer": layer}, **job)


def ambiguous(entities):
    """Whether the same words are of several types: which of them is the nearest is then a matter of luck."""
    kinds = {}
    for text, kind in entities:
        kinds.setdefault(text.lower().strip(), set()).add(kind)
    return any(len(known) > 1 for known in kinds.values())


@pytest.mark.slow
def test_entities_and_scores_are_those_of_ratescore(models, peer):
    short = [" ".join(sentence.split()[:3]) for sentence in SENTENCES]
    texts = list(dict.fromkeys([*short, *SENTENCES, *TEXTS]))
    pairs = [(a, b) for a in texts for b in short]
    candidates, references = map(list, zip(*pairs, strict=True))
    job = {"run": "ratescore", "candidates": candidates, "references": references}
    job |= {
        "ner": str(models / "Angelakeke--RaTE-NER-Deberta"),
        "encoder": str(models / "FremyCompany--BioLORD-2023-C"),
    }
    theirs = peer.run(job)["values"]
    entities = dict(zip(candidates, theirs["entities"], strict=True))
    ours = dict(zip(texts, RateEntities().compute(texts, FeatureTable({})), strict=True))
    # The package drops an entity at the end of a sentence where two met before it: what it has, we have.
    assert all(entity in ours[text] for text in texts for entity in entities[text])
    assert sum(map(len, entities.values())) > 0.8 * sum(map(len, ours.values())) > 100

    component = Ratescore()
    of_text, vectors = component.needs
    known = {of_text.signature: entities}
    known[vectors.signature] = dict(zip(texts, vectors.compute(texts, FeatureTable(known)), strict=True))
    table, compared = FeatureTable(known), 0
    for (a, b), score in zip(pairs, theirs["scores"], strict=True):
        if not ambiguous(entities[a]) and not ambiguous(entities[b]):
            value = component.score_case(Case(candidate=a, reference=b), table).value
            assert value == pytest.approx(score, abs=1e-6)
            compared += value not in (0.0, 0.5)
    assert compared > 30
