"""How well the reader finds what human indexers put down: precision, recall and F1 against their index terms.

Run: `python benchmarks/mesh.py --data iu_xray_reports.csv [--split dev|held_out|all] [--per-term]
[--disagreements NAME] [--json FILE]`. The data are reports with the columns `uid`, `findings`, `impression` and `mesh`,
the index terms ("Opacity/lung/base/left;Cardiomegaly/mild"), as in the Open-i collection of Indiana University. What a
term means, and when a reading is wrong, is in mesh_terms.toml. A third of the reports, chosen by a hash of the uid, is
held out: words are added to the ontology from the other two thirds alone.

A possible finding counts as present. `reader` judges every class of the table, by its rules, and `keywords` what
keywords.py finds; `exact` allows no kinship and no `accept`: the classes read must be those indexed. `chexpert` judges
the CheXpert classes that the table reaches, for the reader and for a baseline of one regular expression a class and a
"no" that denies its sentence. `sides` is the share of rightly read findings with an indexed side that are read with
just that side.

Perfect agreement is out of reach: indexers saw the image and the indication as well, and pass over much that they deem
slight.
"""

from __future__ import annotations

import csv
import hashlib
import re
import statistics
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.findings import merge, ontology, read
from cxr_rewards.findings.places import sides_meet
from keywords import stated_keywords
from report import options_of, report

TERMS = Path(__file__).with_name("mesh_terms.toml")
SIDES = ("left", "right", "bilateral")
BASELINE = {
    "enlarged_cardiomediastinum": r"(?:widened|enlarged) (?:cardio)?mediastin|mediastinal widening",
    "cardiomegaly": r"cardiomegaly|(?:heart|cardiac \w+) (?:is |size is )?(?:\w+ )?enlarged|enlarged (?:heart|cardiac)",
    "lung_opacity": r"opaci|infiltrat|airspace disease|densit",
    "lung_nodule": r"nodul|\bmass(?:es)?\b|lesion",
    "pulmonary_edema": r"edema|congestion|heart failure|\bchf\b",
    "consolidation": r"consolidat",
    "pneumonia": r"pneumonia|infection",
    "atelectasis": r"atelecta|collapse",
    "pneumothorax": r"pneumothora",
    "pleural_effusion": r"effusion",
    "pleural_thickening": r"pleural (?:\w+ )?(?:thickening|scar|plaque)",
    "fracture": r"fractur",
    "support_device": r"catheter|tube|pacemaker|\bpicc\b|\bport\b|defibrillator|\bleads?\b|central line|stent",
}
"""An observation of each CheXpert class, and the words by which the baseline knows it."""
_NO = re.compile(r"\b(?:no|not|without|negative|free)\b")


class Row(NamedTuple):
    """A report: its text and its index entries, each a term and its qualifiers."""

    uid: str
    text: str
    entries: tuple[tuple[str, ...], ...]


class Class(NamedTuple):
    """A class of the table: its patterns, the observations it names, and those that satisfy it as well."""

    name: str
    terms: tuple[str, ...]
    readings: frozenset[str]
    accept: frozenset[str]

    def entries(self, row: Row) -> list[tuple[str, ...]]:
        """Return the index entries of a report that this class stands for."""
        return [entry for entry in row.entries if any(_fits(pattern, entry) for pattern in self.terms)]

    def satisfied_by(self, observation: str) -> bool:
        return not (self.readings | self.accept).isdisjoint(_lineage(observation))


def _fits(pattern: str, entry: tuple[str, ...]) -> bool:
    term, *asked = pattern.split("/")
    if entry[0] != term:
        return False
    return all(
        ask[1:] not in entry if ask.startswith("-") else not set(ask.split("|")).isdisjoint(entry[1:]) for ask in asked
    )


@cache
def _lineage(observation: str) -> tuple[str, ...]:
    return (observation, *ontology().observations[observation].ancestors)


def load_table(path: Path = TERMS) -> dict[str, Class]:
    """Return the classes by name.

    Raises:
        ValueError: a class or observation that the ontology does not know, or a reading of two classes.
    """
    table = {}
    named: dict[str, str] = {}
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8"))["classes"].items():
        table[name] = Class(
            name, tuple(entry["terms"]), frozenset(entry.get("readings", [name])), frozenset(entry.get("accept", ()))
        )
        for observation in (name, *table[name].readings, *table[name].accept):
            if observation not in ontology().observations:
                raise ValueError(f"{path.name}: classes.{name}: unknown observation {observation!r}")
        for observation in table[name].readings:
            if named.setdefault(observation, name) != name:
                raise ValueError(
                    f"{path.name}: classes.{name}: {observation!r} belongs to {named[observation]} already"
                )
    return table


def load_rows(path: Path, split: str) -> list[Row]:
    """Return the indexed reports of `dev`, `held_out` or `all`."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for record in csv.DictReader(file):
            held_out = int(hashlib.sha256(f"mesh-1:{record['uid']}".encode()).hexdigest(), 16) % 3 == 0
            if record["mesh"] == "No Indexing" or (split != "all" and held_out != (split == "held_out")):
                continue
            text = f"FINDINGS: {record['findings']}\nIMPRESSION: {record['impression']}"
            terms = [tuple(part.strip() for part in term.split("/")) for term in record["mesh"].split(";")]
            rows.append(Row(record["uid"], text, tuple(terms)))
    return rows


def read_findings(text: str) -> dict[str, set[str]]:
    """Return the observations the reader finds present or possible, each with its sides.

    A finding that the report takes back counts as not said.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    findings = read(text)
    denied = merge(findings).taken_back
    for finding in findings:
        if finding.polarity != "absent" and not any(
            finding.observation == other.observation and sides_meet(finding, other) for other in denied
        ):
            found[finding.observation].add(finding.side)
    return found


def baseline_findings(text: str) -> dict[str, set[str]]:
    """Return the observations that the baseline's words find in a sentence without a "no"."""
    return {name: set() for name, denied in _baseline(text) if not denied}


def baseline_denials(text: str) -> set[str]:
    """Return the observations whose words stand in a sentence with a "no"."""
    return {name for name, denied in _baseline(text) if denied}


def _baseline(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the observations whose words a sentence holds, and whether it has a "no"."""
    for sentence in re.split(r"(?<=[.?!])\s+|\n", text.lower()):
        denied = _NO.search(sentence) is not None
        yield from ((name, denied) for name, words in BASELINE.items() if re.search(words, sentence))


class Judgement(NamedTuple):
    """What was made of one report: classes rightly found, missed and falsely found, and readings without support."""

    right: frozenset[str]
    missed: frozenset[str]
    false: frozenset[str]
    unsupported: frozenset[str]


def judge(table: Mapping[str, Class], indexed: Iterable[str], found: Iterable[str]) -> Judgement:
    """Compare the classes an indexer put down with the observations a system found."""
    found, classes = tuple(found), [table[name] for name in indexed]
    right = frozenset(c.name for c in classes if any(c.satisfied_by(observation) for observation in found))
    indexed_lineages = {ancestor for c in classes for reading in c.readings for ancestor in _lineage(reading)}
    unsupported = frozenset(
        observation
        for observation in found
        if observation not in indexed_lineages and not any(c.satisfied_by(observation) for c in classes)
    )
    false = {_class_of(table, observation) for observation in unsupported} - {""} - {c.name for c in classes}
    return Judgement(right, frozenset(c.name for c in classes) - right, frozenset(false), unsupported)


def _class_of(table: Mapping[str, Class], observation: str) -> str:
    """Return the class that names an observation or the nearest one it is a kind of, or ""."""
    for ancestor in _lineage(observation):
        for name, one in table.items():
            if ancestor in one.readings:
                return name
    return ""


class Counts:
    """True positives, false negatives and false positives by class."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.false: Counter[str] = Counter()

    def add(self, right: Iterable[str], missed: Iterable[str], false: Iterable[str]) -> None:
        self.right.update(right)
        self.missed.update(missed)
        self.false.update(false)

    def table(self) -> dict[str, dict[str, float]]:
        names = sorted({*self.right, *self.missed, *self.false})
        return {name: _scores(self.right[name], self.missed[name], self.false[name]) for name in names}

    def summary(self) -> dict[str, float]:
        table = self.table()
        indexed = [scores["f1"] for scores in table.values() if scores["indexed"]]
        micro = _scores(self.right.total(), self.missed.total(), self.false.total())
        return {"classes": len(indexed), "macro_f1": round(statistics.mean(indexed), 3), **micro}


def _scores(right: int, missed: int, false: int) -> dict[str, float]:
    """Return precision = right / (right + false), recall = right / (right + missed), F1; 0 where nothing is right."""
    return {
        "indexed": right + missed,
        "precision": round(right / max(1, right + false), 3),
        "recall": round(right / max(1, right + missed), 3),
        "f1": round(2 * right / max(1, 2 * right + missed + false), 3),
    }


def labelled(
    judgement: Judgement, table: Mapping[str, Class], indexed: Iterable[str], found: Iterable[str]
) -> Iterator[set[str]]:
    """Yield the CheXpert classes rightly found, missed and falsely found."""

    def labels(observations: Iterable[str]) -> set[str]:
        return {ontology().observations[observation].label for observation in observations} - {""}

    wanted = labels(indexed)
    right = wanted & (labels(found) | labels(judgement.right))
    yield right
    yield wanted - right
    yield labels(o for o in judgement.unsupported if _class_of(table, o)) - wanted


def _joined(sides: Iterable[str]) -> str:
    """Return one side: "bilateral" for left and right."""
    kept = {side for side in sides if side in SIDES}
    return "bilateral" if len(kept) > 1 else "".join(kept)


def _sides(table: Mapping[str, Class], name: str, found: Mapping[str, set[str]]) -> set[str]:
    """Return the sides of the readings of a class; where it has none, of those that satisfy it."""
    own = [sides for observation, sides in found.items() if _class_of(table, observation) == name]
    others = [sides for observation, sides in found.items() if table[name].satisfied_by(observation)]
    return set().union(*(own or others))


def main() -> None:
    """Judge all reports of a split and print the counts."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("dev", "held_out", "all"), default="dev")
    parser.add_argument("--per-term", action="store_true", help="also print recall by index term")
    parser.add_argument("--disagreements", metavar="NAME", help="print the reports that disagree on a class, and stop")
    options = parser.parse_args()
    table, rows = load_table(), load_rows(options.data, options.split)
    if options.disagreements and options.disagreements not in table:
        parser.error(f"unknown class {options.disagreements!r}; known: {', '.join(sorted(table))}")
    reader, keywords, exact, chexpert, baseline = (Counts() for _ in range(5))
    terms: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    sides: Counter[str] = Counter()
    for row in rows:
        entries = {name: kept for name, one in table.items() if (kept := one.entries(row))}
        found, plain = read_findings(row.text), baseline_findings(row.text)
        judgement = judge(table, entries, found)
        if options.disagreements in (*judgement.missed, *judgement.false):
            kind = "missed" if options.disagreements in judgement.missed else "false"
            index = "; ".join("/".join(entry) for entry in row.entries)
            print(f"{kind} {row.uid}\n{row.text}\nindexed: {index}\nread: {', '.join(sorted(found))}\n")
        reader.add(judgement.right, judgement.missed, judgement.false)
        by_keywords = judge(table, entries, stated_keywords(row.text))
        keywords.add(by_keywords.right, by_keywords.missed, by_keywords.false)
        classes = {_class_of(table, observation) for observation in found} - {""}
        exact.add(classes & entries.keys(), entries.keys() - classes, classes - entries.keys())
        chexpert.add(*labelled(judgement, table, entries, found))
        baseline.add(*labelled(judge(table, entries, plain), table, entries, plain))
        for name, kept in entries.items():
            for entry in kept:
                terms[entry[0]][name in judgement.right] += 1
            wanted = _joined(part for entry in kept for part in entry)
            if name in judgement.right and wanted and not ontology().observations[name].unpaired:
                given = _joined(_sides(table, name, found))
                sides["right" if given == wanted else "none" if not given else "other"] += 1
    if options.disagreements:
        return
    result: dict[str, Any] = {
        "split": options.split,
        "reports": len(rows),
        "reader": {**reader.summary(), "by_class": reader.table()},
        "keywords": keywords.summary(),
        "exact": exact.summary(),
        "sides": {
            "indexed": sides.total(),
            **{k: round(v / max(1, sides.total()), 3) for k, v in sorted(sides.items())},
        },
        "chexpert": {
            "reader": chexpert.summary(),
            "baseline": baseline.summary(),
            "by_class": {
                name: {"reader": scores, "baseline": baseline.table().get(name)}
                for name, scores in chexpert.table().items()
            },
        },
    }
    if options.per_term:
        result["recall_by_term"] = {
            term: {"indexed": counts.total(), "recall": round(counts[True] / counts.total(), 3)}
            for term, counts in sorted(terms.items(), key=lambda item: -item[1].total())
        }
    report(result, options.json)


if __name__ == "__main__":
    main()
