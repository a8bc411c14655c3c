"""CheXbert: vectors, labels read off them, windows, strict loading."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ModelLoadError
from cxr_rewards.features.chexbert import ChexbertEmbedding, ChexbertLabels
from cxr_rewards.models.pool import POOL
from cxr_rewards.testing.models import SENTENCES

LONG = " ".join(SENTENCES * 12)


def vectors_of(texts, **settings):
    return ChexbertEmbedding(**settings).compute(texts, FeatureTable({}))


def labels_of(texts, **settings):
    feature = ChexbertLabels(**settings)
    (embedding,) = feature.needs
    values = dict(zip(texts, embedding.compute(texts, FeatureTable({})), strict=True))
    return feature.compute(texts, FeatureTable({embedding.signature: values}))


def test_labels_are_fourteen_answers_that_differ_between_reports(models):
    labels = labels_of(list(SENTENCES))
    assert all(len(row) == 14 and set(row[:13]) <= set("0123") and row[13] in "01" for row in labels)
    assert len(set(labels)) > 6
    assert set("".join(labels)) == set("0123")


def test_white_space_is_squeezed_and_blank_texts_are_all_one(models):
    a, b = vectors_of(["No  effusion.\n\nClear\tlungs. ", "No effusion. Clear lungs."])
    assert np.allclose(a, b, atol=1e-6)
    empty, blank = vectors_of(["", " \n"])
    assert np.allclose(empty, blank, atol=1e-6)
    assert empty.shape == (1, a.shape[1])


def test_a_long_text_is_cut_or_windowed(models):
    (cut,) = vectors_of([LONG])
    (windows,) = vectors_of([LONG], long_texts="windows")
    assert cut.shape[0] == 1
    assert windows.shape[0] > 1
    assert np.allclose(windows[0], cut[0], atol=1e-5)


def test_labels_of_windows_are_joined(models):
    cut, joined = labels_of([LONG])[0], labels_of([LONG], long_texts="windows")[0]
    for first, of_all in zip(cut[:13], joined[:13], strict=True):
        if first == "1":
            assert of_all == "1"
        if first == "3":
            assert of_all in "13"
    assert joined[13] <= cut[13]


def test_stored_vectors_come_back_equal(models):
    for stored in ("float32", "float16"):
        feature = ChexbertEmbedding(stored=stored)
        (value,) = vectors_of([SENTENCES[0]], stored=stored)
        assert feature.encode(value).dtype == stored
        assert np.array_equal(feature.decode(feature.encode(value)), value)
    assert ChexbertEmbedding().persistent
    assert not ChexbertEmbedding(stored="no").persistent


def test_labels_and_vectors_share_one_model(models):
    POOL.release()
    labels_of(list(SENTENCES[:2]))
    assert len(POOL.report()) == 1


def rewritten(models, tmp_path, monkeypatch, change):
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    path = folder / "StanfordAIMI--RRG_scorers" / "chexbert.pth"
    checkpoint = torch.load(path, weights_only=True)
    torch.save(change(checkpoint), path)
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(folder))
    return vectors_of(["Effusion."], accept_other_weights=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"weights": 1}, "holds no model_state_dict: not the weights of CheXbert"),
        (lambda c: {"model_state_dict": {}}, "not the weights of a BERT"),
        (
            lambda c: {"model_state_dict": {k: v for k, v in c["model_state_dict"].items() if "heads.13" not in k}},
            "has 13 heads, expected 14: another model",
        ),
        (
            lambda c: {
                "model_state_dict": {**c["model_state_dict"], "module.linear_heads.13.weight": torch.zeros(4, 64)}
            },
            r"linear_heads.13.weight is of shape \(4, 64\), expected \(2, 64\)",
        ),
    ],
)
def test_a_file_that_is_no_chexbert_is_refused(models, tmp_path, monkeypatch, change, message):
    with pytest.raises(ModelLoadError, match=message):
        rewritten(models, tmp_path, monkeypatch, change)
