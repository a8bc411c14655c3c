"""GRPO of a chest X-ray report generator with trl.

`python -m cxr_rewards.recipes.grpo_trl --config unirg_step1 -o out/step1`; with several GPUs by `accelerate launch -m`.
`--tiny` rehearses the same script on a CPU, in a minute, with a model, processor and films made on the spot.

Data are JSONL files, a study a line: `image` (path, relative to the file), `reference`, `study_id`, and, where there
are some, `indication`, `comparison`, `prior_report`, `prior_image`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from cxr_rewards.adapters.rollouts import named_reward
from cxr_rewards.composite import CompositeReward
from cxr_rewards.diagnostics import Diagnostics
from cxr_rewards.errors import ConfigError, InputError, MissingDependencyError, unknown_name

TASK = "Write the report of this chest X-ray, with the sections FINDINGS and IMPRESSION."
_SECTIONS: Mapping[str, set[str] | None] = {
    "model": {"name", "lora_rank"},
    "data": {"train", "eval", "image_pixels", "with_prior"},
    "reward": {"preset", "config", "judge", "asynchronous", "cache"},
    "grpo": None,  # trl says what it does not know
}
TINY: Mapping[str, Any] = {
    "model": {"name": "", "lora_rank": 0},
    "data": {},
    "reward": {"preset": "rules"},
    "grpo": {
        "num_generations": 8, "per_device_train_batch_size": 128, "max_completion_length": 8, "learning_rate": 5e-4,
        "lr_scheduler_type": "constant", "beta": 0.0, "max_steps": 60, "use_cpu": True, "bf16": False,
        "activation_checkpointing": False, "dataloader_pin_memory": False, "save_strategy": "no", "logging_steps": 1,
        "disable_tqdm": True,
    },
}  # fmt: skip


def load_settings(name: str) -> dict[str, Any]:
    """Return the settings of a TOML file, or of a recipe that ships with the library, by name.

    Raises:
        ConfigError: there is no such file, it is no TOML, or it has an unknown table or key.
    """
    shipped = resources.files("cxr_rewards.recipes")
    try:
        if name.endswith(".toml"):
            text = Path(name).read_text(encoding="utf-8")
        else:
            text = (shipped / f"{name}.toml").read_text(encoding="utf-8")
        settings = tomllib.loads(text)
    except FileNotFoundError:
        known = sorted(p.name.removesuffix(".toml") for p in shipped.iterdir() if p.name.endswith(".toml"))
        raise ConfigError(unknown_name("grpo_trl", "recipe or file", name, known)) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be read as TOML: {error}") from None
    for table, entries in settings.items():
        if table not in _SECTIONS:
            raise ConfigError(unknown_name(name, "table", table, _SECTIONS))
        known_keys = _SECTIONS[table]
        if known_keys is None:
            continue
        for key in entries:
            if key not in known_keys:
                raise ConfigError(unknown_name(f"{name}: {table}", "key", key, known_keys))
    for table, key in (("model", "name"), ("data", "train")):
        if key not in settings.get(table, {}):
            raise ConfigError(f"{name}: {table}.{key} is missing")
    return settings


def read_rows(path: str | Path, *, with_prior: bool = True) -> Iterator[dict[str, Any]]:
    """Yield what trl trains on, of each line of a JSONL file: prompt, images, reference, study_id, prior_reports.

    Raises:
        InputError: the file or a line cannot be read; names file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image, reference = row["image"], row["reference"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: line {number}: {type(error).__name__}: {error}; needs image, reference"
            ) from None
        images = [image]
        told = [f"{key.capitalize()}: {row[key]}" for key in ("indication", "comparison") if row.get(key)]
        prior = row.get("prior_report") if with_prior else None
        if prior:
            told.append(f"Report of the last examination: {prior}")
        if with_prior and row.get("prior_image"):
            images.append(row["prior_image"])
            told.append("The second image is that of the last examination.")
        yield {
            "prompt": [{"role": "user", "content": "\n".join([*told, TASK])}],
            "images": [str(path.parent / image) for image in images],
            "reference": reference,
            "study_id": str(row.get("study_id", number)),
            "prior_reports": [prior] if prior else [],
        }


def dataset_of(rows: Sequence[Mapping[str, Any]], pixels: int = 0) -> Any:
    """Return a dataset that opens images when they are used, none of its sides longer than `pixels`."""
    from datasets import Dataset, Image, List

    made = Dataset.from_list([dict(row) for row in rows])
    if "images" not in made.column_names:
        return made
    made = made.cast_column("images", List(Image(mode="RGB")))
    if not pixels:
        return made

    def shrink(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for images in batch["images"]:
            for image in images:
                image.thumbnail((pixels, pixels))
        return batch

    return made.with_transform(shrink)


def generate(model: Any, processor: Any, rows: Any, batch_size: int = 16, max_new_tokens: int = 512) -> list[str]:
    """Return the model's reports, greedily (temperature 0, as the paper evaluates)."""
    import torch

    reports: list[str] = []
    model.eval()
    for start in range(0, len(rows), batch_size):
        batch = [rows[i] for i in range(start, min(len(rows), start + batch_size))]
        images = [row["images"] if "images" in row else [row["image"]] for row in batch]
        texts = []
        for row, films in zip(batch, images, strict=True):
            content = [*({"type": "image"} for _ in films), {"type": "text", "text": row["prompt"][0]["content"]}]
            messages = [{"role": "user", "content": content}]
            texts.append(processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            tokens = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        told = tokens[:, inputs["input_ids"].shape[1] :]
        reports += processor.tokenizer.batch_decode(told, skip_special_tokens=True)
    return reports


def evaluate(model: Any, processor: Any, rows: Any, reward: CompositeReward, out: Path, **options: Any) -> float | None:
    """Write the model's reports and their scores, as `cxr-rewards score` would; return the mean reward."""
    from cxr_rewards.io import choose_columns, open_table
    from cxr_rewards.score_file import score_file

    reports = generate(model, processor, rows, **options)
    source = out.with_suffix(".reports.csv")
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("study_id", "candidate", "reference", "prior_report"))
        for row, report in zip(rows, reports, strict=True):
            priors = row.get("prior_reports") or []
            writer.writerow((row["study_id"], report, row["reference"], json.dumps(priors) if priors else ""))
    table = open_table(source)
    columns = choose_columns(table.columns, case_id="", where=str(source))
    scored = score_file(table, columns, reward, out, restart=True)
    return scored.summary.overall()["reward"].mean


def load_model(settings: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return model, processor and, for LoRA, its configuration."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    name, rank = settings["name"], settings.get("lora_rank", 0)
    processor = AutoProcessor.from_pretrained(name, padding_side="left")
    model = AutoModelForImageTextToText.from_pretrained(name, dtype="bfloat16")
    if not rank:
        return model, processor, None
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingDependencyError("grpo_trl: lora_rank needs peft: pip install peft") from None
    return model, processor, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def load_tiny(seed: int) -> tuple[Any, Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a tiny model that often errs, its processor, and rows to train and to evaluate on."""
    import torch

    from cxr_rewards.recipes import tiny

    torch.set_num_threads(1)  # on a shared machine two threads wait for each other
    processor = tiny.processor()
    model = tiny.model(processor.tokenizer, seed)
    tiny.warm_start(model, processor, steps=400, seed=seed)
    return model, processor, tiny.rows(256, seed=1), tiny.rows(64, seed=2)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, evaluate before and after, and return both means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="unirg_step1", help="unirg_step1, unirg_step2, or a TOML file like them")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for the policy, reports, scores and diagnostics"
    )
    parser.add_argument("--tiny", action="store_true", help="rehearse on a CPU, without data or weights")
    parser.add_argument("--max-steps", type=int, default=0, help="stop after this many steps")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingDependencyError(f'grpo_trl: needs trl: pip install "cxr_rewards[trl]" ({error})') from error

    settings = dict(TINY) if given.tiny else load_settings(given.config)
    given.out.mkdir(parents=True, exist_ok=True)
    peft = None
    if given.tiny:
        model, processor, train, held_out = load_tiny(given.seed)
    else:
        data = settings["data"]
        files = [data["train"], *([data["eval"]] if "eval" in data else [])]
        train, held_out = [*(list(read_rows(f, with_prior=data.get("with_prior", True))) for f in files), []][:2]
        model, processor, peft = load_model(settings["model"])
    pixels = settings["data"].get("image_pixels", 0)
    told = dataset_of(held_out, pixels) if held_out else []

    told_of = settings["reward"]
    overrides = {key: told_of[key] for key in ("judge", "cache") if key in told_of}
    reward = named_reward(told_of.get("config") or told_of.get("preset", ""), **overrides)
    is_first = os.environ.get("RANK", "0") == "0"  # of several processes one evaluates, and writes
    watch = Diagnostics(given.out / "diagnostics.jsonl" if is_first else None, at_exit=is_first)
    score = reward.as_trl(
        priors=None if given.tiny else "prior_reports", group="study_id", diagnostics=watch,
        asynchronous=settings["reward"].get("asynchronous", False),
    )  # fmt: skip
    options = {**settings["grpo"], **({"max_steps": given.max_steps} if given.max_steps else {})}
    config = GRPOConfig(output_dir=str(given.out), seed=given.seed, **{"report_to": "none", **options})
    trainer = GRPOTrainer(
        model=model, reward_funcs=score, args=config, train_dataset=dataset_of(train, pixels),
        processing_class=processor, peft_config=peft,
    )  # fmt: skip
    limit = {"max_new_tokens": config.max_completion_length}
    result: dict[str, Any] = {}
    if held_out and is_first:
        result["before"] = evaluate(trainer.model, processor, told, reward, given.out / "before.csv", **limit)
    trainer.train()
    if held_out and is_first:
        result["after"] = evaluate(trainer.model, processor, told, reward, given.out / "after.csv", **limit)
    if not given.tiny:
        trainer.save_model(str(given.out))
    if is_first:
        if not given.tiny:
            processor.save_pretrained(str(given.out))
        (given.out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
