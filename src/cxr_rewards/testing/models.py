"""Small random models in the formats of the published ones, for tests and rehearsals without weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.models.published import write_made_up
from cxr_rewards.testing.radgraph_models import write_radgraph

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import BertModel

SENTENCES = (
    "No acute cardiopulmonary process.",
    "The lungs are clear without focal consolidation, effusion or edema.",
    "Small left pleural effusion with adjacent basilar atelectasis, unchanged.",
    "Moderate cardiomegaly with pulmonary vascular congestion and mild interstitial edema.",
    "Right apical pneumothorax measuring 2 cm, larger than on the prior film.",
    "Endotracheal tube tip projects 4 cm above the carina.",
    "Patchy opacity at the right base may represent pneumonia.",
    "Healed fractures of the left sixth and seventh ribs.",
    "Mediastinal contours are normal. No adenopathy.",
    "A 9 mm nodule in the left upper lobe is stable.",
    "Interval removal of the right chest tube; no residual air.",
    "Low lung volumes with crowding of the bronchovascular markings.",
)
"""Texts that calibrate the random heads."""

TYPES = ("ABNORMALITY", "NON-ABNORMALITY", "DISEASE", "NON-DISEASE", "ANATOMY")


def build_models(
    folder: str | Path, *, full_size: bool = False, vocab: str | Path | None = None, seed: int = 0
) -> Path:
    """Write a models folder with random weights, in the layout and formats of the published repositories.

    With `CXR_REWARDS_MODELS` set to it, every component with a model runs, but the scores mean nothing. Heads are
    calibrated so that labels, entities and relations vary between reports.

    Args:
        folder: folder to write to; created if missing.
        full_size: use the published sizes (base models, 2.5 GB in total) instead of 2 to 3 layers of 64 (12 MB).
        vocab: a `vocab.txt` for the models that split words into pieces, e.g. bert-base-uncased's; if left out, a small
            one is generated.
        seed: seed of the weights.

    Returns:
        The folder.

    Example:
        >>> import tempfile
        >>> sorted(path.name for path in build_models(tempfile.mkdtemp()).iterdir())[:2]
        ['Angelakeke--RaTE-NER-Deberta', 'FremyCompany--BioLORD-2023-C']
    """
    import torch

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(seed)
        with torch.no_grad():
            _Builder(folder, full_size, Path(vocab) if vocab else None).build()
    finally:
        torch.random.set_rng_state(state)
    return folder


class _Builder:
    def __init__(self, folder: Path, full: bool, vocab: Path | None) -> None:
        self.folder, self.full, self.vocab = folder, full, vocab
        self.size: dict[str, Any] = (
            {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12}
            if full
            else {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128, "num_hidden_layers": 2}
        )
        # A tiny model needs larger weights for its outputs to differ from text to text.
        self.std = 0.02 if full else 0.2

    def build(self) -> None:
        """Write all repositories."""
        self.pieces("google-bert--bert-base-uncased", self.bert())
        for repo in ("BiomedNLP-PubMedBERT-base-uncased-abstract-fulltext", "BiomedVLP-CXR-BERT-general"):
            self.pieces(f"microsoft--{repo}", self.bert())
        self.roberta()
        self.distilbert()
        self.modernbert("IAMJB--RadEvalModernBERT", layers=22, weights=True)
        self.modernbert("answerdotai--ModernBERT-base", layers=22, weights=False)
        self.deberta()
        self.mpnet()
        scorers = self.folder / "StanfordAIMI--RRG_scorers"
        scorers.mkdir(exist_ok=True)
        self.chexbert(scorers / "chexbert.pth")
        encoders = {
            "radgraph": "microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract-fulltext",
            "radgraph-xl": "microsoft/BiomedVLP-CXR-BERT-general",
            "modern-radgraph-xl": "answerdotai/ModernBERT-base",
        }
        for kind, encoder in encoders.items():
            write_radgraph(
                scorers / f"{kind}.tar.gz", kind, encoder, self.folder / encoder.replace("/", "--"), SENTENCES
            )
        for repository in self.folder.iterdir():
            write_made_up(repository)

    def bert(self, **other: Any) -> dict[str, Any]:
        """Return the configuration of a BERT."""
        return {
            "model_type": "bert",
            "architectures": ["BertForMaskedLM"],
            **self.size,
            "vocab_size": len(self.words()),
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
            "initializer_range": self.std,
            **other,
        }

    def words(self) -> list[str]:
        """Return the vocabulary of word pieces."""
        if self.vocab is not None:
            return self.vocab.read_text(encoding="utf-8").splitlines()
        letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
        words = {word.strip(".,;").lower() for sentence in SENTENCES for word in sentence.split()}
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        return [*specials, *letters, *(f"##{letter}" for letter in letters), *sorted(w for w in words if len(w) > 1)]

    def repository(self, name: str, config: Mapping[str, object], net: nn.Module | None = None) -> Path:
        """Write the configuration, and the weights if there are any."""
        from safetensors.torch import save_file

        home = self.folder / name
        home.mkdir(exist_ok=True)
        (home / "config.json").write_text(json.dumps(config, indent=1))
        if net is not None:
            tensors = {key: tensor.contiguous().clone() for key, tensor in net.state_dict().items()}
            save_file(tensors, home / "model.safetensors", metadata={"format": "pt"})
        return home

    def pieces(
        self, name: str, config: Mapping[str, object], net: nn.Module | None = None, kind: str = "BertTokenizer"
    ) -> Path:
        """Write a repository with a tokenizer of word pieces."""
        from tokenizers import BertWordPieceTokenizer

        home = self.repository(name, config, net)
        (home / "vocab.txt").write_text("\n".join(self.words()) + "\n", encoding="utf-8")
        numbers = {word: number for number, word in enumerate(self.words())}
        BertWordPieceTokenizer(numbers, lowercase=True).save(str(home / "tokenizer.json"))
        specials = {f"{key}_token": f"[{key.upper()}]" for key in ("cls", "sep", "pad", "unk", "mask")}
        about = {"tokenizer_class": kind, "do_lower_case": True, "model_max_length": 512, **specials}
        (home / "tokenizer_config.json").write_text(json.dumps(about))
        return home

    def bytes_(self, home: Path, specials: Sequence[str], about: Mapping[str, object]) -> int:
        """Write a byte-level tokenizer, and return the size of its vocabulary."""
        from tokenizers import ByteLevelBPETokenizer
        from tokenizers.processors import TemplateProcessing

        tokenizer = ByteLevelBPETokenizer(add_prefix_space=False)
        tokenizer.train_from_iterator(
            SENTENCES, vocab_size=600, min_frequency=1, special_tokens=list(specials), show_progress=False
        )
        first, last = about["cls_token"], about["sep_token"]
        tokenizer._tokenizer.post_processor = TemplateProcessing(
            single=f"{first} $A {last}", special_tokens=[(t, tokenizer.token_to_id(t)) for t in (first, last)]
        )
        home.mkdir(exist_ok=True)
        tokenizer.save(str(home / "tokenizer.json"))
        tokenizer.save_model(str(home))
        (home / "tokenizer_config.json").write_text(json.dumps(about))
        size: int = tokenizer.get_vocab_size()
        return size

    def roberta(self) -> None:
        from transformers import RobertaConfig, RobertaModel

        name = "distilbert--distilroberta-base"
        about = {
            "tokenizer_class": "RobertaTokenizer",
            "model_max_length": 512,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "cls_token": "<s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        }
        size = self.bytes_(self.folder / name, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"), about)
        layers = {"num_hidden_layers": 6}  # layer 5, which is used, must exist
        config = RobertaConfig(
            **{**self.size, **layers},
            vocab_size=size,
            max_position_embeddings=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            initializer_range=self.std,
        )
        self.repository(name, {**config.to_dict(), "model_type": "roberta"}, RobertaModel(config, False))

    def distilbert(self) -> None:
        from transformers import DistilBertConfig, DistilBertModel

        config = DistilBertConfig(
            vocab_size=len(self.words()),
            dim=self.size["hidden_size"],
            n_heads=self.size["num_attention_heads"],
            n_layers=6,
            hidden_dim=self.size["intermediate_size"],
            initializer_range=self.std,
        )
        name = "distilbert--distilbert-base-uncased"
        about = {**config.to_dict(), "model_type": "distilbert"}
        self.pieces(name, about, DistilBertModel(config), "DistilBertTokenizer")

    def modernbert(self, name: str, layers: int, weights: bool) -> None:
        from transformers import ModernBertModel

        config = self.modern_config(self.folder / name, layers)
        net = ModernBertModel(config) if weights else None
        self.repository(name, {**config.to_dict(), "model_type": "modernbert"}, net)

    def modern_config(self, home: Path, layers: int) -> Any:
        from transformers import ModernBertConfig

        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 8192,
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        }
        size = self.bytes_(home, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), about)
        parts = {**self.size, "num_hidden_layers": layers if self.full else 3}
        ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
        return ModernBertConfig(**parts, vocab_size=size, initializer_range=self.std, **ids)

    def deberta(self) -> None:
        import torch
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
        from tokenizers.decoders import Metaspace
        from transformers import DebertaV2Config, DebertaV2ForTokenClassification

        name = "Angelakeke--RaTE-NER-Deberta"
        specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Strip()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=400,
            special_tokens=specials,
            unk_token="[UNK]",  # noqa: S106
            show_progress=False,
            initial_alphabet=[chr(code) for code in range(33, 127)],
        )
        tokenizer.train_from_iterator(SENTENCES, trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        labels = ["O", *(f"{mark}-{kind}" for kind in TYPES for mark in "BI")]
        config = DebertaV2Config(
            **self.size,
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=512,
            relative_attention=True,
            position_buckets=256,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            max_relative_positions=-1,
            position_biased_input=False,
            type_vocab_size=0,
            layer_norm_eps=1e-7,
            initializer_range=self.std,
            id2label=dict(enumerate(labels)),
            label2id={k: i for i, k in enumerate(labels)},
        )
        net = DebertaV2ForTokenClassification(config).eval()
        ids = torch.tensor(tokenizer.encode(" ".join(SENTENCES)).ids)[None, :500]
        with torch.no_grad():
            scores = net(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        # All labels win about equally often, O more often.
        bias = -scores.mean(0) / scores.std(0)
        bias[0] += 0.5
        net.classifier.weight.data /= scores.std(0)[:, None]
        net.classifier.bias.data = bias
        home = self.repository(name, {**config.to_dict(), "model_type": "deberta-v2"}, net)
        tokenizer.save(str(home / "tokenizer.json"))
        marks = {f"{key}_token": f"[{key.upper()}]" for key in ("cls", "sep", "pad", "unk", "mask")}
        about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **marks}
        (home / "tokenizer_config.json").write_text(json.dumps(about))

    def mpnet(self) -> None:
        from transformers import MPNetConfig, MPNetModel

        config = MPNetConfig(
            **self.size,
            vocab_size=len(self.words()),
            max_position_embeddings=514,
            initializer_range=self.std,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
            layer_norm_eps=1e-5,
        )
        name = "FremyCompany--BioLORD-2023-C"
        home = self.pieces(name, {**config.to_dict(), "model_type": "mpnet"}, MPNetModel(config, False))
        pooling = home / "1_Pooling"
        pooling.mkdir(exist_ok=True)
        about = {"word_embedding_dimension": self.size["hidden_size"], "pooling_mode_mean_tokens": True}
        (pooling / "config.json").write_text(json.dumps({**about, "pooling_mode_cls_token": False}))
        modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
        listed = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ]
        (home / "modules.json").write_text(json.dumps(listed))

    def net(self, config: Mapping[str, object]) -> BertModel:
        """Return a BERT built by transformers."""
        from transformers import BertConfig, BertModel

        return BertModel(BertConfig(**{k: v for k, v in config.items() if k != "model_type"})).eval()

    def cls_vectors(self, net: BertModel, home: Path) -> Tensor:
        """Return the vector of [CLS] for each sentence: `(sentences, hidden)` float32."""
        import torch

        from cxr_rewards.models.tokenizer import Tokenizer, pad

        tokenizer = Tokenizer(home)
        ids, lengths = pad(tokenizer.encode(SENTENCES, 512), tokenizer.pad, "cpu")
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        with torch.no_grad():
            vectors: Tensor = net(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        return vectors

    def chexbert(self, path: Path) -> None:
        import torch

        net = self.net(self.bert())
        state = {f"module.bert.{key}": tensor for key, tensor in net.state_dict().items()}
        vectors = self.cls_vectors(net, self.folder / "google-bert--bert-base-uncased")
        for head in range(14):
            layer = torch.nn.Linear(vectors.shape[1], 4 if head < 13 else 2)
            scores = layer(vectors).detach()
            layer.weight.data /= scores.std(0)[:, None]
            layer.bias.data = -layer(vectors).detach().mean(0) + layer.bias.data
            state |= {f"module.linear_heads.{head}.{k}": t for k, t in layer.state_dict().items()}
        torch.save({"epoch": 0, "model_state_dict": state, "optimizer_state_dict": {}}, path)
