"""Settings and data of all recipes.

Data are JSONL files with one study per line: `image` (path, relative to the file), `reference`, `study_id`, and, if
known, `indication`, `comparison`, `prior_report`, `prior_image`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import ConfigError, InputError, unknown_name

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

TASK = "Write the report of this chest X-ray, with the sections FINDINGS and IMPRESSION."
_SECTIONS: Mapping[str, set[str] | None] = {
    "model": {"name", "lora_rank"},
    "data": {"train", "eval", "image_pixels", "with_prior"},
    "reward": {"preset", "config", "judge", "asynchronous", "cache"},
    "grpo": None,  # trl checks these keys
}


def load_settings(name: str) -> dict[str, Any]:
    """Return the settings of a TOML file, or of a recipe that ships with the library, by name.

    Raises:
        ConfigError: the file does not exist, is not TOML, or has an unknown table or key.
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
        raise ConfigError(unknown_name("recipes", "recipe or file", name, known)) from None
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
    """Yield trl's training row for each line of a JSONL file: prompt, images, reference, study_id, prior_reports.

    Raises:
        InputError: the file or a line cannot be read; the message names both.
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
        facts = [f"{key.capitalize()}: {row[key]}" for key in ("indication", "comparison") if row.get(key)]
        prior = row.get("prior_report") if with_prior else None
        if prior:
            facts.append(f"Report of the last examination: {prior}")
        if with_prior and row.get("prior_image"):
            images.append(row["prior_image"])
            facts.append("The second image is that of the last examination.")
        yield {
            "prompt": [{"role": "user", "content": "\n".join([*facts, TASK])}],
            "images": [str(path.parent / image) for image in images],
            "reference": reference,
            "study_id": str(row.get("study_id", number)),
            "prior_reports": [prior] if prior else [],
        }


def dataset_of(rows: Sequence[Mapping[str, object]], pixels: int = 0) -> Dataset:
    """Return a dataset that opens images on use and shrinks them to sides of at most `pixels` (0: as they are)."""
    from datasets import Dataset, Image, List

    dataset = Dataset.from_list([dict(row) for row in rows])
    if "images" not in dataset.column_names:
        return dataset
    dataset = dataset.cast_column("images", List(Image(mode="RGB")))
    if not pixels:
        return dataset

    def shrink(batch: dict[str, list[Image.Image]]) -> dict[str, list[Image.Image]]:
        for images in batch["images"]:
            for image in images:
                image.thumbnail((pixels, pixels))
        return batch

    return dataset.with_transform(shrink)
