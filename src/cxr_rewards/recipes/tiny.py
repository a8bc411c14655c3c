"""A tiny vision-language model, its processor and synthetic films, to rehearse a training run on a CPU.

The model is a Qwen3-VL of 200,000 parameters with random weights; its vocabulary is the words of its reports. A film is
a noisy square whose stripes determine its report.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

REPORTS = (
    "Small left pleural effusion.",
    "Large right pneumothorax.",
    "Severe cardiomegaly with pulmonary edema.",
    "The lungs are clear.",
)
QUESTION = "Report this film."
STRIPES = ("across", "down", "both", "slantwise")
_SPECIALS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_PIXELS, _STRIPE = 64, 16
_RIGHT = 0.42
WRITTEN = "written"
"""A file that says that the rehearsal's folder is complete."""
_TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endif %} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)


def film(kind: int, seed: int) -> Image.Image:
    """Return a film: a noisy square whose stripes run in the direction `STRIPES[kind]`."""
    import numpy as np
    from PIL import Image

    down, across = np.mgrid[:_PIXELS, :_PIXELS] * (2 * np.pi / _STRIPE)
    wave = (np.sin(down), np.sin(across), np.sin(down) * np.sin(across), np.sin(down + across))[kind]
    pixels = np.random.default_rng(seed).normal(128 + 80 * wave, 20)
    grey = pixels.clip(0, 255).astype("uint8")
    return Image.fromarray(np.stack([grey] * 3, axis=-1))


def rows(count: int, seed: int = 0, *, films: bool = True) -> list[dict[str, Any]]:
    """Return rows like those of the recipes' data: prompt, image, reference, study_id.

    Without films, the prompt names the stripes, so that a text-only model can learn.
    """
    draw = random.Random(seed)  # noqa: S311 - data
    kinds = [draw.randrange(len(REPORTS)) for _ in range(count)]
    return [
        {
            "prompt": [{"role": "user", "content": QUESTION if films else f"{QUESTION} {STRIPES[kind]}"}],
            **({"image": film(kind, seed * 100_000 + i)} if films else {}),
            "reference": REPORTS[kind],
            "study_id": f"s{seed}-{i}",
        }
        for i, kind in enumerate(kinds)
    ]


def write(folder: Path, *, films: bool = True, seed: int = 0) -> None:
    """Write what a rehearsal needs: `model`, `train.jsonl`, `eval.jsonl`, `sft.jsonl`.

    The reports of the last are mostly wrong. Fine-tuned on them, the model writes the wrong report of a film more often
    than the right one: greedy decoding then gives the wrong one, sampling sometimes the right one, which is a fault for
    training to correct.
    """
    (folder / "films").mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)  # noqa: S311 - data
    for number, (name, count) in enumerate({"sft": 640, "train": 256, "eval": 64}.items()):
        lines = []
        for i in range(count):
            kind = draw.randrange(len(REPORTS))
            written = kind if name != "sft" or draw.random() < _RIGHT else (kind + 1) % len(REPORTS)
            line = {"study_id": f"{name}-{i}", "reference": REPORTS[written]}
            if films:
                line["image"] = f"films/{name}-{i}.png"
                film(kind, (seed * 10 + number) * 10_000 + i).save(folder / line["image"])
            else:
                line["indication"] = STRIPES[kind]
            lines.append(json.dumps(line))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = tokenizer()
    (model if films else text_model)(words, seed).save_pretrained(folder / "model")
    words.save_pretrained(folder / "model")
    (folder / WRITTEN).touch()


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token for each word of the reports."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for text in (*REPORTS, QUESTION, *STRIPES, "user assistant") for word in text.split()})
    known = ("<unk>", "<pad>", *_SPECIALS, *words)
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(known)}, unk_token="<unk>"))  # noqa: S106
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="<unk>",  # noqa: S106 - a token of the vocabulary
        pad_token="<pad>",  # noqa: S106
        eos_token="<|im_end|>",  # noqa: S106
        padding_side="left",
        chat_template=_TEMPLATE,
        additional_special_tokens=list(_SPECIALS),
        model_input_names=["input_ids", "attention_mask"],
    )


def processor() -> ProcessorMixin:
    """Return the processor of texts and films; it does not take videos, which would need torchvision."""
    from transformers import Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    class ImageProcessor(Qwen3VLProcessor):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
            return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)

        @property
        def model_input_names(self) -> list[str]:
            return ["input_ids", "attention_mask", "pixel_values", "image_grid_thw", "mm_token_type_ids"]

        def save_pretrained(self, folder: str, **_: object) -> list[str]:
            return list(
                self.tokenizer.save_pretrained(folder)
            )  # a video processor, which it lacks, would be saved, too

    images = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, temporal_patch_size=2, min_pixels=_PIXELS**2, max_pixels=_PIXELS**2
    )
    return ImageProcessor(images, tokenizer(), None, chat_template=_TEMPLATE)


def model(words: PreTrainedTokenizerFast, seed: int = 0) -> PreTrainedModel:
    """Return the untrained model.

    Args:
        words: its tokenizer.
        seed: seed of its weights.
    """
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = {name: words.convert_tokens_to_ids(token) for name, token in _IDS.items()}
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 512,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        tie_word_embeddings=True,
        **ids,
    )
    untrained = Qwen3VLForConditionalGeneration(config)
    untrained.generation_config.eos_token_id = words.eos_token_id
    untrained.generation_config.pad_token_id = words.pad_token_id
    return untrained


def text_model(words: PreTrainedTokenizerFast, seed: int = 0) -> PreTrainedModel:
    """Return an untrained text-only model, a Qwen2, for trainers and tests that need no films.

    Args:
        words: its tokenizer.
        seed: seed of its weights.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


_IDS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}


def warm_start(
    made: PreTrainedModel,
    takes: ProcessorMixin | PreTrainedTokenizerFast,
    steps: int = 80,
    right: float = _RIGHT,
    seed: int = 0,
) -> None:
    """Teach the model to write a film's own report with probability `right`, and otherwise that of another kind.

    Greedy decoding then gives a wrong report, sampling sometimes the right one: a fault for training to correct.

    Args:
        made: the model; trained in place.
        takes: its processor, or its tokenizer if it is text-only.
        steps: optimizer steps, of 16 rows each.
        right: probability of the right report; below 0.5, so that the wrong one is likelier.
        seed: seed of the rows.
    """
    import torch

    draw = random.Random(seed)  # noqa: S311 - data
    films = hasattr(takes, "image_processor")
    words = takes.tokenizer if films else takes
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    made.train()
    for step in range(steps):
        batch = rows(16, seed=10_000 + seed * steps + step, films=films)
        texts, images = [], []
        for row in batch:
            kind = REPORTS.index(row["reference"])
            report = REPORTS[kind if draw.random() < right else (kind + 1) % len(REPORTS)]
            content = [{"type": "text", "text": row["prompt"][0]["content"]}]
            if films:
                content.insert(0, {"type": "image"})
                images.append([row["image"]])
            messages = [{"role": "user", "content": content}]
            prompt = takes.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            texts.append((prompt, f"{report} <|im_end|>"))
        seen = {"images": images} if films else {}
        inputs = takes(text=[p + t for p, t in texts], padding=True, return_tensors="pt", **seen)
        lengths = [len(words(report)["input_ids"]) for _, report in texts]
        labels = inputs["input_ids"].clone()
        for i, length in enumerate(lengths):
            labels[i, :-length] = -100
        loss = made(**inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    made.eval()
