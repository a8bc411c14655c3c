"""Our own BERT against transformers', and other families through one door."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel

from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.models.bert import Bert
from cxr_rewards.models.checkpoint import encoder_state, load_config
from cxr_rewards.models.encoder import TextEncoder
from cxr_rewards.models.tokenizer import Tokenizer, pad
from cxr_rewards.testing.models import SENTENCES

ENCODERS = (
    "distilbert--distilroberta-base",
    "distilbert--distilbert-base-uncased",
    "IAMJB--RadEvalModernBERT",
    "FremyCompany--BioLORD-2023-C",
)


def encode(encoder, texts, **options):
    ids, lengths = pad(encoder.tokenizer.encode(texts, encoder.max_length), encoder.tokenizer.pad, "cpu")
    with torch.inference_mode():
        return encoder(ids, lengths, **options), ids, lengths


@pytest.mark.parametrize("name", ["minilm", *ENCODERS])
def test_vectors_equal_those_of_transformers(models_folder, minilm, name):
    folder = minilm if name == "minilm" else models_folder / name
    encoder, reference = TextEncoder(folder).eval(), AutoModel.from_pretrained(folder).eval()
    for layer in (None, 1, encoder.layers):
        ours, ids, lengths = encode(encoder, SENTENCES, layer=layer)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        with torch.inference_mode():
            out = reference(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            wanted = out.last_hidden_state if layer in (None, encoder.layers) else out.hidden_states[layer]
            if layer == 1 and "Modern" in name:
                wanted = reference.final_norm(wanted)
        assert torch.allclose(ours[mask.bool()], wanted[mask.bool()], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_first_token_alone_is_the_same(models_folder, name):
    encoder = TextEncoder(models_folder / name).eval()
    whole, _, _ = encode(encoder, SENTENCES)
    first, _, _ = encode(encoder, SENTENCES, first_only=True)
    assert first.shape[1] == 1
    assert torch.allclose(first, whole[:, :1], rtol=1e-4, atol=2e-5)


def test_layer_0_is_the_embeddings(minilm):
    encoder, reference = TextEncoder(minilm).eval(), AutoModel.from_pretrained(minilm).eval()
    ours, ids, _ = encode(encoder, SENTENCES[:1], layer=0)
    with torch.inference_mode():
        assert torch.allclose(ours, reference.embeddings(ids), atol=1e-5)
    assert torch.equal(encode(encoder, SENTENCES[:1], layer=0, first_only=True)[0], ours[:, :1])


def test_a_text_alone_equals_the_text_among_others(minilm):
    encoder = TextEncoder(minilm).eval()
    among, _, lengths = encode(encoder, SENTENCES)
    for i, sentence in enumerate(SENTENCES):
        alone, _, _ = encode(encoder, [sentence])
        assert torch.allclose(alone[0], among[i, : lengths[i]], atol=1e-5)


def test_a_layer_that_is_not_there_is_refused(minilm):
    with pytest.raises(ConfigError, match="bertscore: layer must be 0 to 6 for this model, got 9"):
        TextEncoder(minilm).check_layer(9, "bertscore")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "model_type 't5' is not one of bert, roberta"),
        ({"hidden_act": "swish"}, "hidden_act 'swish' is not one of"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be absolute"),
        ({"num_hidden_layers": 7}, "layer.6.attention.self.query.weight is absent"),
        ({"intermediate_size": 100}, r"intermediate.dense.weight is of shape \(1536, 384\), expected \(100, 384\)"),
    ],
)
def test_weights_that_do_not_fit_their_configuration_are_refused(minilm, change, message):
    with pytest.raises(ModelLoadError, match=message):
        Bert.from_state({**load_config(minilm), **change}, encoder_state(minilm), "here")


def test_a_configuration_that_lacks_a_size_is_reported(minilm):
    config = {key: value for key, value in load_config(minilm).items() if key != "hidden_size"}
    with pytest.raises(ModelLoadError, match="config.json: hidden_size must be from 1 to 16,384, got None"):
        Bert.from_state(config, encoder_state(minilm), "here")
    with pytest.raises(ModelLoadError, match="not the weights of a BERT"):
        Bert.from_state(load_config(minilm), {}, "here")


def test_old_names_of_norms_are_known(minilm):
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in encoder_state(minilm).items()
    }
    assert Bert.from_state(load_config(minilm), state, "here").norm.weight.shape == (384,)


def test_a_vocabulary_alone_makes_the_same_tokenizer(minilm, tmp_path):
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((minilm / name).read_bytes())
    texts = [*SENTENCES, "Café, 5.3mm (left/right)."]
    assert Tokenizer(tmp_path).encode(texts, 512) == Tokenizer(minilm).encode(texts, 512)


def test_limits_of_a_tokenizer_file_do_not_count(minilm):
    assert len(Tokenizer(minilm).pieces(["effusion " * 400])[0]) > 400


def test_texts_are_cut_and_windowed(minilm):
    tokenizer = Tokenizer(minilm)
    long = "effusion " * 30
    (cut,) = tokenizer.encode([long], 12)
    assert len(cut) == 12
    assert (cut[0], cut[-1]) == (tokenizer.first, tokenizer.last)
    (windows,) = tokenizer.windows([long], 12)
    assert len(windows) > 2
    assert all(len(window) <= 12 for window in windows)
    assert [i for window in windows for i in window[1:-1]] == tokenizer.pieces([long])[0]
    assert tokenizer.windows([""], 12) == [[[tokenizer.first, tokenizer.last]]]
    assert tokenizer.pieces(["a\ud800b"])  # half a character of a broken text
