"""Reports of a policy, greedy or sampled, as files that `cxr-rewards score` and ReXrank read."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.core.progress import Progress
from cxr_rewards.text.sections import sections

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

COLUMNS = ("case_id", "study_id", "patient_id", "candidate", "reference", "prior_report")
"""Columns of the file of reports; `case_id` also has the number of the sample."""


def generate(
    model: PreTrainedModel,
    takes: ProcessorMixin | PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, Any]],
    batch_size: int = 16,
    max_new_tokens: int = 512,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[str]:
    """Return a report for each row.

    Args:
        model: the policy.
        takes: its processor, or its tokenizer if it takes no images.
        rows: of `read_rows`, or of the dataset made of them.
        batch_size: rows at a time.
        max_new_tokens: longest report.
        temperature: 0: greedy, as the paper evaluates; 1: as in training.
        seed: of the samples.
        progress: told of each batch.
    """
    import torch

    progress = progress or Progress()
    progress.begin("writing reports", total=len(rows), unit="reports")
    words = getattr(takes, "tokenizer", takes)
    reports: list[str] = []
    model.eval()
    options: dict[str, Any] = {"do_sample": False}
    if temperature:  # all else off: a model's own defaults (top_k, penalties) are not what was trained
        options = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}
    cuda = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):  # so that training goes on as if nothing had been written
        torch.manual_seed(seed)
        for start in range(0, len(rows), batch_size):
            batch = [rows[i] for i in range(start, min(len(rows), start + batch_size))]
            inputs = _inputs(takes, batch).to(model.device)
            with torch.inference_mode():
                tokens = model.generate(**inputs, **options, max_new_tokens=max_new_tokens)
            written = tokens[:, inputs["input_ids"].shape[1] :]
            reports += words.batch_decode(written, skip_special_tokens=True)
            progress.advance(len(batch))
    return reports


def _inputs(takes: Any, batch: Sequence[Mapping[str, Any]]) -> Any:
    films = [row["images"] if "images" in row else [row["image"]] if "image" in row else [] for row in batch]
    texts = []
    for row, shown in zip(batch, films, strict=True):
        content: Any = row["prompt"][0]["content"]
        if shown:
            content = [*({"type": "image"} for _ in shown), {"type": "text", "text": content}]
        messages = [{"role": "user", "content": content}]
        texts.append(takes.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    if any(films):
        return takes(text=texts, images=films, padding=True, return_tensors="pt")
    return takes(text=texts, padding=True, return_tensors="pt", add_special_tokens=False)


def write_reports(
    model: PreTrainedModel,
    takes: ProcessorMixin | PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    samples: int = 1,
    seed: int = 0,
    films: Any = None,
    **options: Any,
) -> list[str]:
    """Write the model's reports of these rows as a CSV that `cxr-rewards score` reads; return each row's first.

    With several processes (`accelerate launch`), each generates reports for its share of the rows, and the first writes
    the file. All must call this function, and each must hold the whole model.

    Args:
        model: the policy.
        takes: its processor or tokenizer.
        rows: of `read_rows`.
        path: of the file, which appears when it is complete.
        samples: reports of a study.
        seed: of the samples; the same seed, batch size and number of processes give the same reports.
        films: `dataset_of(rows)`, which opens the images; None: the rows hold them.
        **options: of `generate`.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState()
    places = [(i, k) for i in range(len(rows)) for k in range(samples)]
    mine = places[state.process_index :: state.num_processes]
    shown = _Rows(rows if films is None else films, [i for i, _ in mine])
    written = generate(model, takes, shown, seed=seed + state.process_index, **options)
    reports = dict(gather_object(list(zip(mine, written, strict=True))))
    if not state.is_main_process:
        return []
    ids = case_ids(rows)
    unfinished = path.with_name(f".{path.name}.partial")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, k in places:
            row = rows[i]
            priors = row.get("prior_reports") or []
            case = ids[i] if samples == 1 else f"{ids[i]}#{k + 1}"
            cells = (case, row["study_id"], row.get("patient_id", ""), reports[i, k], row["reference"])
            writer.writerow((*cells, json.dumps(priors) if priors else ""))
    unfinished.replace(path)
    return [reports[i, 0] for i in range(len(rows))]


class _Rows(Sequence[Mapping[str, Any]]):
    """Some rows of a dataset, in another order or repeated, opened on use."""

    def __init__(self, rows: Any, numbers: Sequence[int]) -> None:
        self._rows, self._numbers = rows, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, at: Any) -> Any:
        return self._rows[self._numbers[at]]


def case_ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an id for each row: its study's, with the number of the row if several rows have it."""
    counts = Counter(row["study_id"] for row in rows)
    return [
        row["study_id"] if counts[row["study_id"]] == 1 else f"{row['study_id']}:{number}"
        for number, row in enumerate(rows, 1)
    ]


def write_rexrank(rows: Sequence[Mapping[str, Any]], reports: Sequence[str], path: Path, split: str = "test") -> None:
    """Write reports as ReXrank's JSON: by study, the reference's sections, the context, and `model_prediction`."""
    entries = {}
    for name, row, report in zip(case_ids(rows), rows, reports, strict=True):
        parts = _findings_and_impression(row["reference"])
        images = row.get("images", [])
        age, sex = (row.get(key) or "None" for key in ("age", "sex"))
        entries[name] = {
            "image_path": images,
            "section_findings": parts[0],
            "section_impression": parts[1],
            "split": split,
            "subject_id": row.get("patient_id", ""),
            "context": f"Age:{age}.Gender:{sex}.Indication: {row.get('indication', '')}",
            "key_image_path": images[0] if images else "",
            "model_prediction": report,
        }
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _findings_and_impression(report: str) -> tuple[str, str]:
    """Return both sections; a report without headings is all findings."""
    found = {section.name: report[section.start : section.end].strip() for section in sections(report)}
    findings = found.get("findings", found.get("findings_impression", found.get("", "")))
    return findings, found.get("impression", "")
