"""The task: indication and index terms, of which some are left out, to the findings of the report."""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.findings import SIGNIFICANCES, merge, read, significance
from grpo_parts import made_up
from mesh import load_rows

Entries = tuple[tuple[str, ...], ...]
NORMAL: Entries = (("normal",),)


class Study(NamedTuple):
    """One study.

    Attributes:
        uid: its name.
        prompt: what the policy is given.
        reference: the findings as a radiologist wrote them.
        entries: the index entries, all of them, each a term and its qualifiers.
    """

    uid: str
    prompt: str
    reference: str
    entries: Entries

    @property
    def normal(self) -> bool:
        """Whether the indexer put down nothing."""
        return self.entries == NORMAL


class Studies(NamedTuple):
    """Studies of training and validation, and held-out ones."""

    train: tuple[Study, ...]
    validation: tuple[Study, ...]
    held_out: tuple[Study, ...]


def drawn(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def prompt_of(uid: str, indication: str, entries: Entries, dropped: float) -> str:
    """Return the prompt of a study; each of several abnormal entries is left out with probability `dropped`.

    At least one entry stays, or the prompt of an abnormal study would be that of a study without an index.
    """
    kept = [entry for entry in entries if drawn("dropped", uid, *entry) >= dropped]
    shown = "; ".join(", ".join(entry) for entry in kept or entries[:1])
    asked = " ".join(indication.replace("XXXX", "").split()).strip(" .,")
    return f"Indication: {asked or 'none'}\nIndex: {shown}\nFindings:"


def load_studies(path: Path | None, length: Callable[[str], int], settings: Mapping[str, Any]) -> Studies:
    """Return the studies of a CSV (`uid`, `indication`, `findings`, `mesh`), or made-up ones without a path.

    Args:
        path: the file. Its third that `mesh.load_rows` holds out, by a hash of the uid, is held out here as well: no
            word of it was used for the reader. Reports with `XXXX` for removed words are left out.
        length: of a text in tokens.
        settings: the tables `data` and `sft`.
    """
    data = settings["data"]
    if path is None:
        halves = made_up.studies()
    else:
        with path.open(encoding="utf-8", newline="") as file:
            records = {record["uid"]: record for record in csv.DictReader(file)}
        halves = tuple(
            [(row.uid, records[row.uid]["indication"], row.entries, records[row.uid]["findings"]) for row in rows]
            for rows in (load_rows(path, "dev"), load_rows(path, "held_out"))
        )
    known, held_out = (
        [Study(uid, prompt_of(uid, why, entries, data["dropped"]), text, entries) for uid, why, entries, text in half]
        for half in halves
    )

    def usable(study: Study, prompt: int, report: int) -> bool:
        text = study.reference
        return bool(text) and "XXXX" not in text and length(text) < report and length(study.prompt) <= prompt

    known = [s for s in _shuffled(known) if usable(s, data["prompt_tokens"], data["report_tokens"])]
    held_out = [s for s in _shuffled(held_out) if usable(s, data["held_out_tokens"], data["held_out_tokens"])]
    kept = settings["sft"]["validation"]
    return Studies(
        tuple(known[kept:]),
        tuple(known[:kept]),
        weighted(held_out, data["held_out"], data["held_out_normal"]),
    )


def _shuffled(studies: Sequence[Study]) -> list[Study]:
    return sorted(studies, key=lambda study: drawn("order", study.uid))


def weighted(studies: Sequence[Study], count: int, normal: float) -> tuple[Study, ...]:
    """Return studies to evaluate on: those with the most pressing findings first, and a share of normal ones."""
    abnormal = sorted((s for s in studies if not s.normal), key=lambda study: pressing(study.reference))
    ordinary = [s for s in studies if s.normal]
    wanted = min(len(abnormal), count - round(count * normal))
    return (*abnormal[:wanted], *ordinary[: count - wanted])


def pressing(text: str) -> int:
    """Return the place in SIGNIFICANCES of a report's most pressing finding; one more than all without any."""
    found = [SIGNIFICANCES.index(significance(finding)) for finding in merge(read(text)).abnormal]
    return min(found, default=len(SIGNIFICANCES))


def prompts_of(studies: Sequence[Study], count: int, seed: int, abnormal: float) -> list[Study]:
    """Return the studies of a training run in their order, each pass over them shuffled anew.

    Args:
        studies: of training.
        count: how many prompts.
        seed: of the order; all arms of one seed see the same prompts.
        abnormal: the share of abnormal studies.
    """
    rng = random.Random(seed)
    pools = {kind: [s for s in studies if s.normal == kind] for kind in (True, False)}
    waiting: dict[bool, list[Study]] = {True: [], False: []}
    chosen = []
    for _ in range(count):
        kind = rng.random() >= abnormal
        if not waiting[kind]:
            waiting[kind] = rng.sample(pools[kind], len(pools[kind]))
        chosen.append(waiting[kind].pop())
    return chosen
