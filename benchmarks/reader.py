"""Speed of the clinical reader: report pairs a second beside ROUGE-L, time against length, and start.

Run: `python benchmarks/reader.py --data iu_xray_reports.csv [--json FILE]`. The data is a CSV with columns `findings`
and `impression`. All but `start` is one thread's processor time.

`pairs`: `CompositeReward(["findings_score"])`, made anew for each pass (so its cache, that of `cache=None` in memory,
is empty), and rouge-score's ROUGE-L with stemming, in turns on the same pairs. Half of the distinct reports are
references, each with one of the other half as the candidate: no text comes twice. The reader remembers sentences; it
has forgotten them at the start of each pass (`findings_score`, `read`), or they are never remembered (`no_memory`), or
it has seen all of the pass before (`seen_before`). Figures are medians over the passes.

`growth`: seconds per MB (million characters) for texts of 0.25, 0.5 and 1 MB, to read them (`read`), and to join their
findings and compare them with themselves (`compare`); the best of three. The exponent is that of a power of the length
from the first to the last; linear time has 1. `steep` is true where one is above 1.2, of times that are not too short
to tell. The garbage collector is off meanwhile: it comes in steps that look like growth, and adds up to a third. Where
a text takes longer than `--limit` seconds, longer ones are left out.

`start`: what a fresh interpreter takes to import the reader and to read a first report, beyond one that does nothing;
wall time, medians.
"""

from __future__ import annotations

import csv
import gc
import itertools
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from cxr_rewards import Case, CompositeReward
from cxr_rewards.findings import compare, merge, read, reader
from report import options_of, report

REMEMBERS = reader._remembered
STEEP = 1.2
TELLING = 0.02
"""Times below this, in seconds, say nothing of growth."""
FIRST = "Small left effusion. The heart is enlarged. No pneumothorax."
IMPORT = "from cxr_rewards.findings import read"
COMMANDS = {
    "nothing": "pass",
    "import": IMPORT,
    "import and read": f"{IMPORT}; read({FIRST!r})",
}


def load_reports(path: Path) -> dict[str, list[str]]:
    """Return the distinct reports: findings with impression, and findings alone."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["findings"].strip()]
    if not rows:
        sys.exit(f"{path}: no row has text in column 'findings'")
    return {
        "findings_and_impression": list(dict.fromkeys(f"{row['findings']} {row['impression']}" for row in rows)),
        "findings": list(dict.fromkeys(row["findings"] for row in rows)),
    }


def clock(function: Callable[[], Any]) -> float:
    """Return the seconds one call takes, of this process."""
    start = time.process_time()
    function()
    return time.process_time() - start


# ---------------------------------------------------------------- pairs


def measure_pairs(reports: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return pairs, and reports, a second."""
    half = len(reports) // 2
    cases = [Case(candidate=c, reference=r) for c, r in zip(reports[half:], reports[:half], strict=False)]
    texts = [text for case in cases for text in (case.candidate, case.reference)]
    rouge = RougeScorer(["rougeL"], use_stemmer=True)

    def score() -> None:
        CompositeReward(["findings_score"]).score_batch(cases)

    def read_all() -> None:
        for text in texts:
            read(text)

    def score_rouge() -> None:
        for case in cases:
            rouge.score(case.reference, case.candidate)

    turns: dict[str, list[float]] = {name: [] for name in ("seen", "rouge", "cold", "read", "forgetful", "forgets")}
    score()
    for _ in range(repeats):
        turns["seen"].append(clock(score))
        turns["rouge"].append(clock(score_rouge))
        REMEMBERS.cache_clear()
        turns["cold"].append(clock(score))
        REMEMBERS.cache_clear()
        turns["read"].append(clock(read_all))
        reader._remembered = reader._read_sentence  # type: ignore[assignment]
        turns["forgetful"].append(clock(score))
        turns["forgets"].append(clock(read_all))
        reader._remembered = REMEMBERS
    seconds = {name: statistics.median(values) for name, values in turns.items()}
    return {
        "pairs": len(cases),
        "characters_a_report": round(statistics.mean(map(len, texts))),
        "pairs_per_s": {
            "findings_score": round(len(cases) / seconds["cold"]),
            "findings_score_no_memory": round(len(cases) / seconds["forgetful"]),
            "findings_score_seen_before": round(len(cases) / seconds["seen"]),
            "rouge_l_package": round(len(cases) / seconds["rouge"]),
        },
        "ratio_to_rouge_l": {
            "findings_score": round(seconds["rouge"] / seconds["cold"], 2),
            "findings_score_no_memory": round(seconds["rouge"] / seconds["forgetful"], 2),
            "findings_score_seen_before": round(seconds["rouge"] / seconds["seen"], 2),
        },
        "reports_read_per_s": {
            "read": round(len(texts) / seconds["read"]),
            "read_no_memory": round(len(texts) / seconds["forgets"]),
        },
    }


# ---------------------------------------------------------------- growth


def texts_of(reports: Sequence[str], length: int) -> dict[str, str]:
    """Return ordinary and hostile texts of a length."""
    chance = random.Random(0)
    words = sorted({word for text in reports[:300] for word in text.replace(":", "").split()})

    def some(parts: Sequence[str], joint: str) -> str:
        """Join parts drawn at random."""
        drawn, size = [], 0
        while size < length:
            drawn.append(chance.choice(parts))
            size += len(drawn[-1]) + len(joint)
        return joint.join(drawn)[:length]

    def again(part: str) -> str:
        return (part * (length // len(part) + 1))[:length]

    numbered = (f"FINDINGS: {text} Study {i}.\n" for i, text in enumerate(itertools.cycle(reports)))
    varied, size = [], 0
    while size < length:
        varied.append(next(numbered))
        size += len(varied[-1])
    noise = [chr(code) for code in (*range(1, 0x500), *range(0x2000, 0x2200), 0x1F600, 0xD800) if chr(code) != "\n"]
    return {
        "reports, numbered": "".join(varied)[:length],
        "words of reports, no order": some(words, " "),
        "one endless sentence": some([word.strip(".;!?") or "and" for word in words], " "),
        "endless list of findings": some(["effusion", "left nodule", "new edema", "rib fracture", "mass"], ", "),
        "effusion in ever other places": some(
            [f"{s} {p} effusion. " for s in ("left", "right", "") for p in ("apical", "basilar", "lower lobe", "")], ""
        ),
        "commas": again(","),
        "no": again("no "),
        "brackets": again("(("),
        "brackets, closed": again("(effusion) ["),
        "digits": again("8"),
        "decimals": again("1.2"),
        "8 mm": again("8 mm "),
        "8 x 8 x 8 mm nodule": again("8 x 8 x 8 mm nodule "),
        "headings": again("FINDINGS: "),
        "headings, alone in lines": again("FINDINGS\n"),
        "headings in prose": again("findings and impression "),
        "unicode noise": some(noise, ""),
        "letters": again("a"),
        "letters of a finding": again("effusion"),
        "misspelled": some(["pneumothroax", "effussion", "cardiomegally", "atelectatis"], " "),
        "left right": again("left right "),
        "and": again("and "),
        "or": again("effusion or "),
        "mild": again("mild "),
        "spaces": again(" "),
        "line feeds": again("\n"),
        "full stops": again(". "),
        "list numbers": again("1. "),
        "bullets": again("\u2022 effusion "),
        "it measures": again("Nodule. It measures 8 mm. "),
        "a?": again("a? "),
        "questions": again("effusion? "),
        "labels": again("Effusion: none. "),
        "cells": again("| effusion | none "),
        "two senses": again("a smaller nodule of increased density "),
        "told and denied": again("Left effusion. No effusion. "),
        "vertebrae": again("t1-t2-t3-t4-t5-t6-t7-t8-"),
        "ribs": again("ribs 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "),
    }


def read_anew(text: str) -> None:
    """Read a text with no sentence remembered."""
    REMEMBERS.cache_clear()
    read(text)


def per_mb(seconds: Sequence[float | None], sizes: Sequence[float]) -> list[float | None]:
    """Return the times divided by the lengths."""
    return [None if s is None else round(s / size, 3) for s, size in zip(seconds, sizes, strict=True)]


def exponent(seconds: Sequence[float | None], sizes: Sequence[float]) -> float | None:
    """Return the power of the length that the time goes with; None if that cannot be told."""
    pairs = [(size, s) for size, s in zip(sizes, seconds, strict=True) if s is not None]
    if len(pairs) < 2 or pairs[-1][1] < TELLING:
        return None
    (small, quick), (large, slow) = pairs[0], pairs[-1]
    return round(math.log(slow / quick) / math.log(large / small), 2)


def measure_growth(reports: Sequence[str], sizes: Sequence[float], limit: float) -> dict[str, Any]:
    """Return, for each kind of text, the times, the exponents and whether one is steep."""
    by_size = [texts_of(reports, round(size * 1e6)) for size in sizes]
    result: dict[str, Any] = {}
    for name in by_size[0]:
        times: dict[str, list[float | None]] = {"read": [], "compare": []}
        for texts in by_size:
            if any(s is None or s > limit for values in times.values() for s in values):
                for values in times.values():
                    values.append(None)
                continue
            found = read(texts[name])
            times["read"].append(min(clock(lambda text=texts[name]: read_anew(text)) for _ in range(3)))
            times["compare"].append(min(clock(lambda f=found: compare(merge(f), merge(f))) for _ in range(3)))
        powers = {stage: exponent(values, sizes) for stage, values in times.items()}
        result[name] = {
            **{f"{stage}_s_per_mb": per_mb(values, sizes) for stage, values in times.items()},
            "exponents": powers,
            "steep": any(power is not None and power > STEEP for power in powers.values()),
        }
    return result


# ---------------------------------------------------------------- start


def measure_start(repeats: int) -> dict[str, Any]:
    """Start each command in turns, many times."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, code in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["nothing"])
    return {
        name: {"ms": round(1000 * statistics.median(s)), "extra_ms": round(1000 * (statistics.median(s) - base))}
        for name, s in seconds.items()
    }


def main() -> None:
    """Measure all three, print JSON."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="millions of characters")
    parser.add_argument(
        "--limit", type=float, default=60.0, help="seconds a text may take before longer ones are left out"
    )
    options = parser.parse_args()
    reports = load_reports(options.data)
    read(FIRST)  # loads what the reader knows
    gc.disable()
    growth = measure_growth(reports["findings_and_impression"], options.sizes, options.limit)
    gc.enable()
    result = {
        "data": options.data.name,
        "python": sys.version.split()[0],
        "rouge_score": version("rouge-score"),
        "pairs": {name: measure_pairs(texts, options.repeats) for name, texts in reports.items()},
        "start": measure_start(options.repeats),
        "growth_mb": options.sizes,
        "growth": growth,
        "steep": [name for name, measured in growth.items() if measured["steep"]],
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
