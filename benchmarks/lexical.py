"""BLEU and ROUGE-L side by side with the packages whose numbers they must equal: nltk and rouge-score.

Run: `python benchmarks/lexical.py [--data reports.csv] [--json FILE]`. The data is a CSV with a column `findings`;
without it, reports are put together from sentences below. Both sides score the same pairs one by one in the same
process, in turns, after a first run that is not counted; times and ratios are medians over the turns. It fails if a
number deviates. Also: microseconds a case of every lexical component and guard.

Shapes: `distinct`, where no two cases share a text; `grpo_8`, where 8 candidates in a row share a reference.
"""

from __future__ import annotations

import csv
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from cxr_rewards import Case
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.core.registry import load_component
from report import options_of, report

NEARBY = Path(__file__).parents[1].parent / "shared" / "data" / "iu_xray_reports.csv"
LEXICAL = ("bleu", "rouge_l", "temporal_f1", "format", "length", "repetition", "copy_prior")
TOLERANCE = {"bleu": 1e-12, "rouge_l": 0.0}
SENTENCES = """\
The lungs are clear.|Lungs are clear without focal consolidation.|The lungs are hyperexpanded.
No pleural effusion or pneumothorax.|Small left pleural effusion, unchanged.|There is a new right pleural effusion.
The heart is normal in size.|Heart size is mildly enlarged.|The cardiomediastinal silhouette is stable.
Low lung volumes with bibasilar atelectasis.|Patchy opacity at the right base, perhaps pneumonia.|No focal opacity.
No acute bony abnormality.|Healed fractures of the left sixth rib.|Degenerative changes of the thoracic spine.
The endotracheal tube ends 4 cm above the carina.|A right chest tube is in place.|Sternotomy wires are intact.
Pulmonary vascularity is within normal limits.|Mild interstitial edema has improved.|Granuloma in the left apex."""

Scorer = Callable[[Case], float]


def load_reports(data: Path | None, n: int) -> list[str]:
    """Return n different reports: those of `data`, or made-up ones; a running number tells repeated ones apart."""
    if data is None:
        chance = random.Random(0)
        groups = [line.split("|") for line in SENTENCES.splitlines()]
        return [" ".join([*map(chance.choice, groups), f"Study {i}."]) for i in range(n)]
    with data.open(newline="", encoding="utf-8") as file:
        texts = list(dict.fromkeys(row["findings"] for row in csv.DictReader(file) if row["findings"].strip()))
    if not texts:
        sys.exit(f"{data}: no row has text in column 'findings'")
    return [texts[i] if i < len(texts) else f"{texts[i % len(texts)]} Study {i}." for i in range(n)]


def our_scorer(name: str) -> Scorer:
    """Return a component's `score_case`, called as the engine calls it."""
    score_case, table = load_component(name)().score_case, FeatureTable({})
    return lambda case: score_case(case, table).value  # type: ignore[return-value]


def nltk_bleu() -> Scorer:
    """Return nltk's BLEU-2 with smoothing method 1, on the tokens that ReXrank uses."""
    smoothing = SmoothingFunction().method1

    def tokens(text: str) -> list[str]:
        return [token for token in text.lower().replace(".", " .").split(" ") if token]

    return lambda case: sentence_bleu(
        [tokens(case.reference)], tokens(case.candidate), weights=(0.5, 0.5), smoothing_function=smoothing
    )


def package_rouge() -> Scorer:
    """Return the F-measure of the rouge-score package."""
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return lambda case: scorer.score(case.reference, case.candidate)["rougeL"].fmeasure


def microseconds(scorer: Scorer, cases: Sequence[Case]) -> float:
    """Return the time a case takes, in one pass over the cases."""
    start = time.perf_counter()
    for case in cases:
        scorer(case)
    return (time.perf_counter() - start) / len(cases) * 1e6


def compare(name: str, peer: Scorer, cases: Sequence[Case], repeats: int) -> dict[str, float]:
    """Return times, ratio and largest deviation of ours and the peer's; fail if they deviate."""
    ours = our_scorer(name)
    deviation = max(abs(ours(case) - peer(case)) for case in cases)
    if not deviation <= TOLERANCE[name]:
        sys.exit(f"{name}: deviates from its peer by {deviation}, more than {TOLERANCE[name]}")
    turns = [(microseconds(ours, cases), microseconds(peer, cases)) for _ in range(repeats)]
    return {
        "cases": len(cases),
        "ours_us": round(statistics.median(own for own, _ in turns), 1),
        "peer_us": round(statistics.median(theirs for _, theirs in turns), 1),
        "ratio": round(statistics.median(theirs / own for own, theirs in turns), 2),
        "max_deviation": deviation,
    }


def main() -> None:
    """Compare on both shapes, time every component, print JSON."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, default=NEARBY if NEARBY.exists() else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--cases", type=int, default=2400, help="a multiple of 8; more than 256 references outrun caches"
    )
    options = parser.parse_args()

    # Twice as many texts as cases: in `distinct`, nothing that a component remembers of a reference can help it.
    texts = load_reports(options.data, 2 * options.cases)
    candidates, references = texts[: options.cases], texts[options.cases :]
    shapes = {
        "distinct": [Case(candidate=c, reference=r) for c, r in zip(candidates, references, strict=True)],
        "grpo_8": [Case(candidate=c, reference=references[i // 8]) for i, c in enumerate(candidates)],
    }
    with_priors = [
        Case(candidate=case.candidate, reference=case.reference, priors=(prior,))
        for case, prior in zip(shapes["distinct"], reversed(texts), strict=False)
    ]
    result: dict[str, Any] = {
        "data": options.data.name if options.data else "made up",
        "words_a_report": round(statistics.mean(len(text.split()) for text in texts), 1),
        "nltk": version("nltk"),
        "rouge_score": version("rouge-score"),
    }
    for name, peer in {"bleu": nltk_bleu(), "rouge_l": package_rouge()}.items():
        result[name] = {shape: compare(name, peer, cases, options.repeats) for shape, cases in shapes.items()}
    scorers = {name: our_scorer(name) for name in LEXICAL}
    turns = [{n: microseconds(scorer, with_priors) for n, scorer in scorers.items()} for _ in range(options.repeats)]
    result["us_a_case"] = {name: round(statistics.median(turn[name] for turn in turns), 1) for name in LEXICAL}
    report(result, options.json)


if __name__ == "__main__":
    main()
