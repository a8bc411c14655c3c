"""RadGraph's inference: batches, long and odd texts, foreign files."""

from __future__ import annotations

import shutil

import pytest
import torch

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ModelLoadError
from cxr_rewards.features.radgraph import ENCODERS, RadgraphAnnotations, split_words
from cxr_rewards.models.pool import POOL
from cxr_rewards.testing.models import SENTENCES

pytestmark = pytest.mark.filterwarnings("ignore:modern-radgraph-xl")
TEXTS = [*SENTENCES, " ".join(SENTENCES), " ".join(SENTENCES * 12), "No\teffusion\n\nseen/5mm.", "ø \u200b \x07 x"]


def annotate(texts, **settings):
    return RadgraphAnnotations(**settings).compute(texts, FeatureTable({}))


@pytest.mark.parametrize("model", ENCODERS)
def test_a_report_alone_has_the_annotation_it_has_among_others(models, model):
    together = annotate(TEXTS, model=model)
    assert together == [annotate([text], model=model)[0] for text in TEXTS]
    assert sum(map(len, together)) > 10
    assert together == annotate(TEXTS, model=model, batch_tokens=64)


def test_relations_are_found_and_lead_to_entities(models):
    for model in ENCODERS:
        graphs = annotate(TEXTS, model=model)
        relations = [(graph, other) for graph in graphs for e in graph.values() for _, other in e["relations"]]
        assert relations
        assert all(other in graph for graph, other in relations)


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x07"])
def test_text_without_words_has_no_entities(models, text):
    words = split_words(text, "radgraph-xl")
    assert annotate([text, SENTENCES[2]])[0] == {} or words


def test_entities_are_spans_of_their_text(models):
    for text, graph in zip(TEXTS, annotate(TEXTS), strict=True):
        words = split_words(text, "radgraph-xl")
        for entity in graph.values():
            assert entity["tokens"] == " ".join(words[entity["start_ix"] : entity["end_ix"] + 1])
            assert 0 <= entity["end_ix"] - entity["start_ix"] < 8
        assert list(graph) == [str(i + 1) for i in range(len(graph))]


def test_words_are_split_as_the_models_were_trained():
    assert split_words("Size: 3.5cm,left/right.", "radgraph") == [
        "Size",
        ":",
        "3",
        ".",
        "5cm",
        ",",
        "left",
        "/",
        "right",
        ".",
    ]
    assert split_words("Left-sided 50%. (new).", "radgraph-xl") == [
        "Left",
        "-",
        "sided",
        "50",
        "%",
        ".",
        "(",
        "new",
        ")",
        ".",
    ]


def test_rounded_numbers_change_little_and_heads_stay_exact(models):
    exact, rounded = annotate(TEXTS), annotate(TEXTS, dtype="bfloat16")
    assert abs(sum(map(len, exact)) - sum(map(len, rounded))) < 0.2 * sum(map(len, exact))
    held = [m for m in POOL.report() if m.name == "radgraph_annotations" and m.dtype == "bfloat16"]
    assert held


def broken(models, tmp_path, monkeypatch, change):
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    change(folder)
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(folder))
    POOL.release()
    return annotate(["Effusion."], accept_other_weights=True)


def test_an_archive_of_another_model_is_refused(models, tmp_path, monkeypatch):
    def swap(folder):
        scorers = folder / "StanfordAIMI--RRG_scorers"
        shutil.copy(scorers / "radgraph.tar.gz", scorers / "radgraph-xl.tar.gz")

    with pytest.raises(ModelLoadError, match=r"radgraph-xl.tar.gz: lacks vocabulary/radgraph-xl__ner_labels.txt"):
        broken(models, tmp_path, monkeypatch, swap)


def test_a_broken_archive_is_refused(models, tmp_path, monkeypatch):
    def cut(folder):
        path = folder / "StanfordAIMI--RRG_scorers" / "radgraph-xl.tar.gz"
        path.write_bytes(path.read_bytes()[:1000])

    with pytest.raises(ModelLoadError, match="cannot be read as an archive"):
        broken(models, tmp_path, monkeypatch, cut)


def test_an_absent_tokenizer_is_reported(models, tmp_path, monkeypatch):
    def remove(folder):
        shutil.rmtree(folder / "microsoft--BiomedVLP-CXR-BERT-general")

    with pytest.raises(ModelLoadError, match="microsoft/BiomedVLP-CXR-BERT-general: not on this machine"):
        broken(models, tmp_path, monkeypatch, remove)


def test_memory_of_a_book_is_bounded(models):
    (graph,) = annotate([" ".join(SENTENCES * 60)])  # 6,000 words
    assert graph
    assert torch.is_grad_enabled()
