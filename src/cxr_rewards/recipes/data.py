"""Data of all recipes.

JSONL files with one study per line: `reference`, `study_id`, and, if known, `image` (path, relative to the file),
`indication`, `comparison`, `prior_report`, `prior_image`, `patient_id`, `age`, `sex`. Without images, the policy is a
language model that reads the prompt alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.errors import InputError, shorten

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

TASK = "Write the report of this chest X-ray, with the sections FINDINGS and IMPRESSION."
PATIENT = ("patient_id", "age", "sex", "indication", "comparison")
"""Columns that a row keeps as text, empty if they are not known."""


def read_rows(path: str | Path, *, with_prior: bool = True, images: bool | None = None) -> list[dict[str, Any]]:
    """Return trl's training row for each line of a JSONL file: prompt, images, reference, study_id, prior_reports.

    Args:
        path: the file.
        with_prior: show the prior report and the prior image.
        images: whether the rows have images; None: they do if any line has one.

    Raises:
        InputError: the file or a line cannot be read, or an image is missing; the message names file and line.
    """
    path = Path(path)
    lines = _read_lines(path)
    if images is None:
        images = any(line.get("image") for _, line in lines)
    rows = []
    for number, line in lines:
        where = f"{path}: line {number}"
        shown: list[str] = []
        if images:
            wanted = [line.get("image"), *([line["prior_image"]] if with_prior and line.get("prior_image") else [])]
            shown = [_image(path.parent, image, where) for image in wanted]
        facts = [f"{key.capitalize()}: {line[key]}" for key in ("indication", "comparison") if line.get(key)]
        prior = line.get("prior_report") if with_prior else None
        if prior:
            facts.append(f"Report of the last examination: {prior}")
        if len(shown) > 1:
            facts.append("The second image is that of the last examination.")
        rows.append(
            {
                "prompt": [{"role": "user", "content": "\n".join([*facts, TASK])}],
                **({"images": shown} if images else {}),
                "reference": line["reference"],
                "study_id": str(line.get("study_id", number)),
                "prior_reports": [prior] if prior else [],
                **{key: str(line.get(key) or "") for key in PATIENT},
            }
        )
    return rows


def _read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return number and content of each line that is not blank."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON may hold U+2028
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file; the recipe needs a JSONL file with one study per line (reference, "
            "study_id, image, ...). Name it in [data], or its folder with --data"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: must be an object, got {shorten(row)}")
        reference = row.get("reference")
        if not isinstance(reference, str) or not reference.strip():
            got = shorten(reference) if "reference" in row else f"columns {', '.join(row) or 'none'}"
            raise InputError(f"{path}: line {number}: needs 'reference', the text of the true report; got {got}")
        found.append((number, row))
    if not found:
        raise InputError(f"{path}: has no rows; it needs one study per line")
    return found


def _image(folder: Path, name: object, where: str) -> str:
    if not isinstance(name, str) or not name:
        raise InputError(
            f"{where}: needs 'image', the path of a film, as other lines have it; for a policy without images set "
            "data.images = false"
        )
    if not (found := folder / name).is_file():
        raise InputError(f"{where}: the image {found} does not exist; paths are relative to the file")
    return str(found)


def has_images(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether rows have images, so that the policy must be a vision-language model."""
    return bool(rows) and "images" in rows[0]


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
        for images in batch.get("images", ()):
            for image in images:
                image.thumbnail((pixels, pixels))
        return batch

    return dataset.with_transform(shrink)
