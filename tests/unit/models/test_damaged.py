"""Weights that are damaged, forged or not the published ones: an error of ours with its cure, never other numbers."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import tarfile
import zipfile
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file, save_file

from cxr_rewards import CompositeReward
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ModelLoadError, ModelWarning
from cxr_rewards.features.chexbert import ChexbertEmbedding
from cxr_rewards.features.radgraph import RadgraphAnnotations
from cxr_rewards.features.rate_entities import RateEntities
from cxr_rewards.features.token_embeddings import TokenEmbeddings
from cxr_rewards.models import checkpoint, published
from cxr_rewards.models.checkpoint import load_config, load_state, load_state_bytes, read_archive
from cxr_rewards.models.pool import POOL
from cxr_rewards.models.published import MADE_UP, SHA256, check_published, sha256_of
from cxr_rewards.models.sources import Source

SCORERS = "StanfordAIMI--RRG_scorers"


def member(name, data=b"", **about):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in about.items():
        setattr(info, key, value)
    return info, io.BytesIO(data)


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            tar.addfile(info, data)
    return path


CONTENT = {"config.json": b'{"model": 1}', "weights.th": bytes(range(256)) * 3}


@pytest.fixture
def small(tmp_path):
    return archive(tmp_path / "small.tar.gz", *(member(f"./{name}", data) for name, data in CONTENT.items()))


def test_every_flipped_byte_of_an_archive_is_an_error_or_changes_nothing(small):
    data, rng = small.read_bytes(), random.Random(0)
    refused = 0
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8)
        small.write_bytes(changed)
        with suppress(ModelLoadError):
            assert read_archive(small, tuple(CONTENT)) == CONTENT
            continue
        refused += 1
    assert refused > 0.9 * len(data)


def test_an_archive_cut_short_or_with_something_behind_is_refused(small):
    data = small.read_bytes()
    for changed in (*(data[:-n] for n in (1, 4, 8, 9, 100)), data + b"x", data + gzip.compress(b"more"), b""):
        small.write_bytes(changed)
        with pytest.raises(ModelLoadError, match=r"small.tar.gz: cannot be read as an archive.*Fetch it again"):
            read_archive(small, tuple(CONTENT))
    small.write_bytes(data + bytes(100))  # padding
    assert read_archive(small, tuple(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (member("weights.th", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link or a device"),
        (member("weights.th", type=tarfile.LNKTYPE, linkname="config.json"), "is a link or a device"),
        (member("null", type=tarfile.CHRTYPE), "is a link or a device"),
        (member("pipe", type=tarfile.FIFOTYPE), "is a link or a device"),
        (member("/etc/weights.th", b"x"), "lies outside"),
        (member("a/../../weights.th", b"x"), "lies outside"),
        (member("config.json", b"x"), "is there twice"),
    ],
)
def test_an_archive_with_odd_members_is_refused(tmp_path, odd, why):
    path = archive(tmp_path / "odd.tar.gz", member("./config.json", b"{}"), odd)
    with pytest.raises(ModelLoadError, match=why):
        read_archive(path, ("config.json",))


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_UNPACKED", 1 << 20)
    path = archive(tmp_path / "bomb.tar.gz", member("other", bytes(8 << 20)), member("config.json", b"{}"))
    with pytest.raises(ModelLoadError, match="unpacks to far more"):
        read_archive(path, ("config.json",))


def flips(path, read, turns=200, seed=0):
    """Flip single bytes of a file; return how often reading it failed with an error of ours."""
    data, rng, refused = path.read_bytes(), random.Random(seed), 0
    for _ in range(turns):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with suppress(ModelLoadError):
            read(path)
            continue
        refused += 1
    for length in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:length])
        with pytest.raises(ModelLoadError, match="Fetch it again"):
            read(path)
    return refused


def test_flips_and_cuts_of_a_torch_archive_never_change_a_number(tmp_path):
    tensors = {"w": torch.arange(300.0), "v": torch.ones(7)}
    path = tmp_path / "weights.pth"
    torch.save(tensors, path)

    def read(path):
        state = load_state(path)
        assert state.keys() == tensors.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
        state = load_state_bytes(path.read_bytes(), str(path))
        assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())

    assert flips(path, read) > 100


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_flips_and_cuts_of_other_weights_end_in_an_error_of_ours(tmp_path):
    save_file({"w": torch.zeros(3), "v": torch.ones(2)}, tmp_path / "model.safetensors")
    torch.save({"w": torch.zeros(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert flips(tmp_path / "model.safetensors", load_state)
    assert flips(tmp_path / "old.pth", load_state)


def test_a_zip_that_torch_would_not_write_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("archive/data.pkl", bytes(1 << 20))
    with pytest.raises(ModelLoadError, match="compressed or repeated"):
        load_state(path)


@pytest.mark.parametrize("content", [[torch.zeros(2)], torch.zeros(2), {1: torch.zeros(2)}, 7])
def test_a_file_that_holds_no_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelLoadError, match="holds no tensors by name"):
        load_state(tmp_path / "w.pth")


DEEP = "[" * 100_000
BAD_JSON = ["", "{", "[]", "7", "null", DEEP, '{"a":' * 100_000, "\ud800"]


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:6])
def test_a_configuration_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelLoadError, match="cannot be read as a model's configuration"):
        load_config(tmp_path)


@pytest.fixture
def copied(models_folder, tmp_path, monkeypatch):
    """A models folder of one's own, to be damaged."""
    shutil.copytree(models_folder, tmp_path / "models")
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path / "models"))
    POOL.release()
    yield tmp_path / "models"
    POOL.release()


FILES = [
    (TokenEmbeddings, "distilbert--distilroberta-base", "config.json"),
    (TokenEmbeddings, "distilbert--distilroberta-base", "tokenizer.json"),
    (ChexbertEmbedding, "google-bert--bert-base-uncased", "config.json"),
    (RadgraphAnnotations, "microsoft--BiomedVLP-CXR-BERT-general", "config.json"),
    (RateEntities, "Angelakeke--RaTE-NER-Deberta", "config.json"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("feature", "folder", "name"), FILES, ids=[f"{f.name} {n}" for f, _, n in FILES])
def test_damaged_files_beside_the_weights_end_in_an_error_of_ours(copied, feature, folder, name):
    path = copied / folder / name
    whole = json.loads(path.read_text())
    for text in [DEEP, *(json.dumps(odd) for odd in _odd(whole))]:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        POOL.release()
        with suppress(ModelLoadError):
            feature().compute(["Small effusion."], FeatureTable({}))


def _odd(whole):
    """Yield a JSON object with each of its first values replaced by something else."""
    for key in list(whole)[2:6]:
        for value in (None, -1, 10**12, "x", [], {"a": []}):
            if whole[key] != value:
                yield {**whole, key: value}
                break


def test_weights_that_are_no_numbers_are_refused(copied):
    path = copied / "distilbert--distilroberta-base" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "layer.1" in name)
    tensors[name][0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(ModelLoadError, match="holds NaN: the weights are damaged"):
        TokenEmbeddings().compute(["Effusion."], FeatureTable({}))


def test_a_tensor_that_is_lacking_is_no_random_one(copied):
    path = copied / "Angelakeke--RaTE-NER-Deberta" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("attention.output.dense.weight"))
    tensors[name + "x"] = tensors.pop(name)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match="lacks 1 tensors of a token classifier"):
        RateEntities(accept_other_weights=True).compute(["Effusion."], FeatureTable({}))


# --- published checksums


def test_other_weights_are_refused_with_both_checksums_and_accepted_on_purpose(copied):
    (copied / SCORERS / MADE_UP).unlink()
    got = sha256_of(copied / SCORERS / "chexbert.pth")
    reward = CompositeReward.from_preset("unirg")
    with pytest.raises(ModelLoadError) as caught:
        reward.score("Small effusion.", "Small effusion.")
    assert got in str(caught.value)
    assert SHA256["chexbert.pth"] in str(caught.value)
    assert "accept_other_weights = true" in str(caught.value)
    accepting = CompositeReward.from_preset("unirg", accept_other_weights=True)
    assert accepting.score("Small effusion.", "Small effusion.").value is not None
    assert accepting.signature == reward.signature
    with pytest.raises(ModelLoadError, match="published file"):  # the shared copy is no back door
        reward.score("Small effusion.", "Large effusion.")


def test_each_feature_names_whole_checksums():
    pinned = {
        name: digest
        for model in ("radgraph", "radgraph-xl", "modern-radgraph-xl")
        for source in (*RadgraphAnnotations(model=model).sources, *ChexbertEmbedding().sources, *RateEntities().sources)
        for name, digest in source.sha256
    }
    assert set(pinned) == {"chexbert.pth", "radgraph-xl.tar.gz", "modern-radgraph-xl.tar.gz", "model.safetensors"}
    assert all(len(digest) == 64 and int(digest, 16) for digest in SHA256.values())


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """A file with its source, in a machine whose cache folder is empty, and the number of bytes that were hashed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights")
    published._sha256.cache_clear()
    return Source(str(tmp_path), ("w.bin",), (("w.bin", sha256_of(path)),))


def test_a_checksum_is_remembered_between_processes_and_a_changed_file_hashed_again(hashed, tmp_path, monkeypatch):
    check_published(hashed, tmp_path)
    published._sha256.cache_clear()

    class NoHash:
        @staticmethod
        def sha256():
            raise AssertionError("hashed again")

    with monkeypatch.context() as patched:
        patched.setattr(published, "hashlib", NoHash)
        check_published(hashed, tmp_path)
    (tmp_path / "w.bin").write_bytes(b"weighty")
    with pytest.raises(ModelLoadError, match="has sha256"):
        check_published(hashed, tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", DEEP.encode(), b'{"w.bin": 3}'])
def test_what_is_remembered_may_be_damaged_or_not_be_written(hashed, tmp_path, monkeypatch, content):
    (tmp_path / "cache" / "cxr_rewards" / "sha256.json").write_bytes(content)
    published._sha256.cache_clear()
    check_published(hashed, tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    published._sha256.cache_clear()
    check_published(hashed, tmp_path)


def test_the_model_whose_numbers_are_in_doubt_says_so_when_it_is_loaded(models):
    POOL.release()
    feature = RadgraphAnnotations(model="modern-radgraph-xl")
    with pytest.warns(ModelWarning, match="pull request 16.*Prefer radgraph-xl"):
        feature.compute(["Small effusion."], FeatureTable({}))
