"""How often the warnings of a training run are right: false alarms among good runs, and how many bad runs they find.

Run: `python benchmarks/collapse.py [--data iu_xray_reports.csv] [--seeds 4,5,6] [--kinds normal,old] [--json FILE]`.

A run is a policy written down: each rollout is the reference with some sentences kept, others lost and others added, as
many as the policy's skill says, and `Diagnostics` watches it with the preset `rules`. Good runs get better, stand
still, start from a bad policy, start with loops, gibberish and contradictions and get rid of them, start too long and
become shorter, start short and become longer, or meet another mix of prompts at the end. Bad runs are good ones in
which, from a step on, a rising share of the rollouts is spoiled in one way. A step has 6 studies of 4 rollouts.
Thresholds were chosen on the seeds 0, 1 and 3.

With `--data`, reports come from a CSV with the columns `findings` and `impression`; without, they are made of the
sentences below. Priors are made: half of the reference's sentences, half of another report's.
"""

from __future__ import annotations

import csv
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cxr_rewards import Case, CompositeReward
from cxr_rewards.adapters.diagnostics import Diagnostics
from cxr_rewards.adapters.diagnostics.signs import Signs
from cxr_rewards.findings import merge, read
from report import options_of, report

STEPS, ONSET, RAMP = 60, 25, 10
STUDIES, ROLLOUTS = 6, 4
STRENGTHS = (0.4, 0.8)

ABNORMAL = """Small left pleural effusion. Large right pleural effusion with compressive atelectasis. Mild
cardiomegaly. The heart is moderately enlarged. Patchy opacity at the left lung base. Right lower
lobe consolidation, concerning for pneumonia. Small right apical pneumothorax. Mild interstitial
pulmonary edema. Bibasilar atelectasis. A 9 mm nodule projects over the right upper lobe.
Displaced fracture of the left seventh rib. Compression deformity of a lower thoracic vertebral
body. The endotracheal tube ends 4 cm above the carina. A right jugular central line ends in the
superior vena cava. The enteric tube ends in the stomach. Left chest wall pacemaker with leads in
place. Hyperexpanded lungs with flattened diaphragms. Widened superior mediastinum. Right hilar
enlargement. Elevated left hemidiaphragm. Scarring at the right apex. Calcified granuloma in the
left upper lobe. Tortuous thoracic aorta. Degenerative changes of the spine. Moderate scoliosis of
the thoracic spine. Subcutaneous gas in the left chest wall. Lingular opacity. Pulmonary vascular
congestion. Left retrocardiac consolidation. A mass in the right middle lobe measures 4 cm."""
NORMAL = """The heart is normal in size. The lungs are clear. No pleural effusion. No pneumothorax. No focal
consolidation. The mediastinal contours are unremarkable. No acute osseous abnormality. The
pulmonary vasculature is normal. No free air under the diaphragm. No pleural effusion or
pneumothorax. Cardiomediastinal silhouette is within normal limits. The visualized bones are
intact. The hila are normal. No evidence of pulmonary edema. No focal airspace opacity, pleural
effusion or pneumothorax."""
CHATTER = """The sailors waited for the wind to turn. Nobody had told the gardener about it. She sold three of
them on Sunday. It was a long way back to the village. The train left before the music stopped."""
PSEUDO = ("florbid", "wexel", "quontic", "brandle", "zorvath", "pliment", "grusk", "tavonic")


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a report."""
    return [part.strip().rstrip(".") + "." for part in text.replace("\n", " ").split(". ") if part.strip(" .")]


@cache
def is_abnormal(sentence: str) -> bool:
    """Return whether a sentence states a finding."""
    return bool(merge(read(sentence)).abnormal)


class Study(NamedTuple):
    """A reference as sentences, and an earlier report."""

    sentences: tuple[str, ...]
    prior: str

    @property
    def reference(self) -> str:
        return " ".join(self.sentences)

    @property
    def is_sick(self) -> bool:
        return any(map(is_abnormal, self.sentences))


def made_up(rng: random.Random, number: int = 400) -> list[Study]:
    """Return studies made of the sentences above."""
    abnormal, normal = sentences_of(ABNORMAL), sentences_of(NORMAL)
    reports = []
    for _ in range(number):
        told = rng.sample(abnormal, rng.choice((0, 0, 1, 1, 2, 3)))
        wanted = len(told) + rng.randint(2, 5)
        for sentence in rng.sample(normal, len(normal)):
            if len(told) < wanted and not merge(read(" ".join([*told, sentence]))).contradicted:
                told.append(sentence)
        rng.shuffle(told)
        reports.append(told)
    return _with_priors(rng, reports)


def from_file(rng: random.Random, path: Path) -> list[Study]:
    """Return studies with the reports of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [f"{row['findings']} {row['impression']}" for row in csv.DictReader(file)]
    reports = [told for text in texts if 3 <= len(told := sentences_of(text)) <= 12]
    return _with_priors(rng, rng.sample(reports, min(len(reports), 1500)))


def _with_priors(rng: random.Random, reports: Sequence[Sequence[str]]) -> list[Study]:
    studies = []
    for told in reports:
        other = rng.choice(reports)
        prior = [*told[: len(told) // 2], *other[len(other) // 2 :]]
        studies.append(Study(tuple(told), " ".join(prior)))
    return studies


class Policy(NamedTuple):
    """How reports are written at a step.

    Attributes:
        skill: share of the reference's sentences that are kept; the others are lost or replaced.
        extra: sentences of other reports that are added, on average.
        chatter: normal sentences that are added.
    """

    skill: float = 0.6
    extra: float = 0.5
    chatter: float = 0.0

    def write(self, rng: random.Random, study: Study, pool: Sequence[str], normal: Sequence[str]) -> list[str]:
        """Return the sentences of a rollout."""
        told = []
        for sentence in study.sentences:
            if rng.random() < self.skill:
                told.append(sentence)
            elif rng.random() < 0.6:
                told.append(rng.choice(pool))
        told += [rng.choice(pool) for _ in range(_about(rng, self.extra))]
        told += [rng.choice(normal) for _ in range(_about(rng, self.chatter))]
        return told or [rng.choice(pool)]


def _about(rng: random.Random, mean: float) -> int:
    whole = int(mean)
    return whole + (rng.random() < mean - whole)


def between(start: Policy, end: Policy, at: float) -> Policy:
    """Return the policy between two, at 0 to 1."""
    return Policy(*(one + (two - one) * at for one, two in zip(start, end, strict=True)))


# ---------------------------------------------------------------- ways to spoil a rollout


class Draft(NamedTuple):
    """A rollout to be spoiled."""

    rng: random.Random
    study: Study
    told: list[str]
    normal: Sequence[str]
    strength: float


def all_normal(draft: Draft) -> str:
    return " ".join(draft.rng.sample(draft.normal, min(len(draft.normal), max(2, len(draft.told)))))


def one_text(_: Draft) -> str:
    return "Mild cardiomegaly. Small left pleural effusion. No pneumothorax."


def longer(draft: Draft) -> str:
    more = int(len(draft.told) * (0.5 + 2 * draft.strength))
    return " ".join([*draft.told, *(draft.rng.choice(draft.normal) for _ in range(more))])


def shorter(draft: Draft) -> str:
    return " ".join(draft.told[: max(1, round(len(draft.told) * (0.7 - 0.5 * draft.strength)))])


def copied(draft: Draft) -> str:
    return draft.study.prior


def _findings_as(draft: Draft, *begins: str) -> str:
    return " ".join(
        f"{draft.rng.choice(begins)} {told[0].lower()}{told[1:]}" if is_abnormal(told) else told for told in draft.told
    )


def hedged(draft: Draft) -> str:
    return _findings_as(draft, "Possible", "Questionable", "There may be")


def called_old(draft: Draft) -> str:
    return _findings_as(draft, "Old", "Calcified", "Old healed")


def contradicted(draft: Draft) -> str:
    found = merge(read(" ".join(draft.told))).abnormal
    return " ".join([*draft.told, *(f"No {finding.observation.replace('_', ' ')}." for finding in found)])


def unread(draft: Draft) -> str:
    return " ".join([*draft.told, *draft.rng.sample(sentences_of(CHATTER), 2)])


def strange(draft: Draft) -> str:
    words = " ".join(draft.told).split()
    return " ".join(draft.rng.choice(PSEUDO) if draft.rng.random() < 0.2 else word for word in words)


def lost_words(draft: Draft) -> str:
    words = " ".join(draft.told).split()
    return " ".join(word for word in words if word.endswith(".") or draft.rng.random() > 0.25)


def repeated(draft: Draft) -> str:
    return " ".join([*draft.told, *[draft.told[-1]] * 6])


def too_long(_: Draft) -> str:
    return "x" * 100_001


SPOILERS: dict[str, tuple[Callable[[Draft], str], str]] = {
    "normal": (all_normal, "normal"),
    "one_text": (one_text, "one_text"),
    "longer": (longer, "length"),
    "shorter": (shorter, "length"),
    "copy": (copied, "copy"),
    "hedge": (hedged, "hedge"),
    "old": (called_old, "old"),
    "contradiction": (contradicted, "contradiction"),
    "unread": (unread, "unread"),
    "strange": (strange, "strange"),
    "lost_words": (lost_words, "lost_words"),
    "repetition": (repeated, "repetition"),
    "unscored": (too_long, "unscored"),
}
"""Kind of bad run: how its rollouts are spoiled, and the sign that should show. `falling` and `variance` are apart."""
BAD = (*SPOILERS, "falling", "variance")
SIGN_OF = {**{kind: sign for kind, (_, sign) in SPOILERS.items()}, "falling": "falling/recall", "variance": "variance"}

GOOD = ("improving", "bad start", "still", "cleaned", "shortened", "lengthened", "sicker", "healthier")


class Run(NamedTuple):
    """A run: its kind, how strongly it is spoiled (0: good), and the seed."""

    kind: str
    strength: float
    seed: int


def runs(seeds: Sequence[int], kinds: Sequence[str] = (*GOOD, *BAD)) -> Iterator[Run]:
    """Yield the runs of a benchmark."""
    for seed in seeds:
        for kind in kinds:
            for strength in STRENGTHS if kind in BAD else (0.0,):
                yield Run(kind, strength, seed)


def steps_of(run: Run, material: Sequence[Study]) -> Iterator[list[Case]]:
    """Yield the rollouts of each step of a run."""
    rng = random.Random(f"{run}")
    pool = sorted({sentence for study in material for sentence in study.sentences})
    normal = [sentence for sentence in pool if not is_abnormal(sentence) and read(sentence)]
    sick, healthy = ([study for study in material if study.is_sick is is_sick] for is_sick in (True, False))
    for step in range(STEPS):
        at = step / (STEPS - 1)
        spoiled = min(1.0, max(0.0, (step - ONSET) / RAMP))
        policy = _policy(run, at, spoiled)
        sick_share = {"sicker": 0.2 + 0.7 * at, "healthier": 0.9 - 0.7 * at}.get(run.kind, len(sick) / len(material))
        cases = []
        for number in range(STUDIES):
            study = rng.choice(sick if rng.random() < sick_share else healthy)
            texts = [
                _text(run, Draft(rng, study, policy.write(rng, study, pool, normal), normal, run.strength), at, spoiled)
                for _ in range(ROLLOUTS)
            ]
            if run.kind == "variance" and rng.random() < (0.7 + 0.3 * run.strength) * spoiled:
                texts = [texts[0]] * len(texts)
            cases += [
                Case(candidate=text, reference=study.reference, priors=(study.prior,), group=f"{step}.{number}")
                for text in texts
            ]
        yield cases


def _text(run: Run, draft: Draft, at: float, spoiled: float) -> str:
    """Return the text of a rollout, spoiled as the run says."""
    if run.kind == "cleaned":
        if draft.rng.random() < 0.8 * (1 - at) ** 2:
            return draft.rng.choice((repeated, strange, contradicted, lost_words))(draft)
    elif run.kind in SPOILERS:
        # Of length all rollouts change, and the strength is by how much.
        share = spoiled if run.kind in ("longer", "shorter") else spoiled * run.strength
        if draft.rng.random() < share:
            return SPOILERS[run.kind][0](draft)
    return " ".join(draft.told)


def _policy(run: Run, at: float, spoiled: float) -> Policy:
    start, end = {
        "improving": (Policy(0.5), Policy(0.8, 0.2)),
        "bad start": (Policy(0.15, 1.0), Policy(0.7, 0.3)),
        "shortened": (Policy(0.55, 1.0, 5.0), Policy(0.75, 0.2, 0.0)),
        "lengthened": (Policy(0.3, 0.0), Policy(0.8, 0.5, 0.5)),
        "cleaned": (Policy(0.4), Policy(0.7)),
        # It stops guessing, and stops naming what is there.
        "falling": (Policy(0.75, 4.0), Policy(0.75, 4.0)),
    }.get(run.kind, (Policy(0.55), Policy(0.65)))
    policy = between(start, end, at)
    if run.kind == "falling":
        quiet = Policy(0.65 - 0.35 * run.strength, 0.0)
        policy = between(policy, quiet, spoiled)
    return policy


def record(run: Run, material: Sequence[Study], reward: CompositeReward) -> list[dict[str, float]]:
    """Return the numbers of each step of a run."""
    watcher = Diagnostics(warn=False)
    return [watcher.observe(reward, cases, reward.score_batch(cases)) for cases in steps_of(run, material)]


def began(steps: Sequence[Mapping[str, float]], reward: CompositeReward) -> dict[str, int]:
    """Return the step from which on each sign shows in a run."""
    signs, first = Signs(), dict[str, int]()
    for number, metrics in enumerate(steps):
        for name in signs.after(reward, metrics):
            first.setdefault(name, number)
    return first


def measure(recorded: Sequence[tuple[Run, Mapping[str, int]]]) -> dict[str, dict[str, float | str | None]]:
    """Return for each sign how often it is false, and how often and how soon it finds the bad runs of its kind.

    It is false in a good run, and in a bad one before anything is spoiled. That a bad run also shows signs of other
    kinds is not counted: gibberish is not understood, and has odd pairs of words.

    Args:
        recorded: runs with the step at which each sign began. `falling/...` are one sign here.
    """
    joined = [(run, _joined(steps)) for run, steps in recorded]
    table: dict[str, dict[str, float | str | None]] = {}
    for sign in dict.fromkeys((*SIGN_OF.values(), "carrier")):
        name = sign.partition("/")[0]
        bad = [(run, steps) for run, steps in joined if SIGN_OF.get(run.kind) == sign]
        late = [steps[name] - ONSET for _, steps in bad if steps.get(name, -1) >= ONSET]
        false = sum(name in steps and (run.kind in GOOD or steps[name] < ONSET) for run, steps in joined)
        row: dict[str, float | str | None] = {"false": f"{false}/{len(joined)}"}
        for strength in STRENGTHS:
            of = [steps.get(name, -1) >= ONSET for run, steps in bad if run.strength == strength]
            row[f"found at {strength:g}"] = f"{sum(of)}/{len(of)}" if of else None
        row["recall"] = len(late) / len(bad) if bad else None
        row["precision"] = len(late) / (len(late) + false) if late or false else None
        row["median steps"] = statistics.median(late) if late else None
        table[name] = row
    return table


def _joined(steps: Mapping[str, int]) -> dict[str, int]:
    joined: dict[str, int] = {}
    for name, step in steps.items():
        short = name.partition("/")[0]
        joined[short] = min(step, joined.get(short, step))
    return joined


def shown(table: Mapping[str, Mapping[str, float | str | None]]) -> str:
    """Return the table as Markdown."""
    heads = ["sign", *next(iter(table.values()))]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for sign, row in table.items():
        cells = ("" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values())
        lines.append(f"| `{sign}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Record runs, and print what the signs are worth."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, help="a CSV of reports with the columns findings and impression")
    parser.add_argument("--seeds", default="4,5,6", help="of the runs")
    parser.add_argument("--kinds", default=",".join((*GOOD, *BAD)), help="kinds of runs")
    given = parser.parse_args()
    rng, reward = random.Random(0), CompositeReward()
    material = made_up(rng) if given.data is None else from_file(rng, given.data)
    recorded = []
    for run in runs([int(seed) for seed in given.seeds.split(",")], given.kinds.split(",")):
        recorded.append((run, began(record(run, material, reward), reward)))
        print(*run, recorded[-1][1], file=sys.stderr, flush=True)
    table = measure(recorded)
    print(shown(table), file=sys.stderr)
    report({"signs": table, "runs": [[*run, steps] for run, steps in recorded]}, given.json)


if __name__ == "__main__":
    main()
