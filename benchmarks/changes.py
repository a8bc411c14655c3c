"""How well the kind of change of a report is read: precision and recall by kind, against labels of one person.

Run: `python benchmarks/changes.py --data iu_xray_reports.csv [--disagreements] [--json FILE]`. The data are reports
with the columns `uid`, `findings` and `impression`. changes.toml holds the labels by uid, made by the rules of
`cxr_rewards.evaluation.changes` before the reports were classed. The reports were drawn at random among those that have
words of comparison, such as "developed", "increased", "improved" and "stable", so that each kind occurs. In these data,
"new" is often blacked out.
"""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from cxr_rewards.evaluation.changes import KINDS, change_of
from report import options_of, report

LABELS = Path(__file__).with_name("changes.toml")


def texts_of(path: Path) -> dict[str, str]:
    """Return the findings and impression of each report by uid."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["uid"]: " ".join(
                f"{name.upper()}: {row[name]}" for name in ("findings", "impression") if row[name].strip()
            )
            for row in csv.DictReader(file)
        }


def measure(labels: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, dict[str, float | int]]:
    """Return the number of labels, precision and recall of each kind."""
    found = {uid: change_of(texts[uid]) for uid in labels}
    pairs = Counter((labels[uid], found[uid]) for uid in labels)
    result: dict[str, dict[str, float | int]] = {}
    for kind in KINDS[1:]:
        right = pairs[kind, kind]
        labelled = sum(count for (label, _), count in pairs.items() if label == kind)
        read = sum(count for (_, other), count in pairs.items() if other == kind)
        result[kind] = {
            "reports": labelled,
            "precision": round(right / max(read, 1), 3),
            "recall": round(right / max(labelled, 1), 3),
        }
    right = sum(count for (label, kind), count in pairs.items() if label == kind)
    return {**result, "all": {"reports": len(labels), "right": round(right / len(labels), 3)}}


def main() -> None:
    """Print the table."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="iu_xray_reports.csv")
    parser.add_argument("--disagreements", action="store_true", help="list the reports that are classed otherwise")
    options = parser.parse_args()
    kinds: Mapping[str, list[str]] = tomllib.loads(LABELS.read_text(encoding="utf-8"))["reports"]
    labels = {uid: kind for kind, uids in kinds.items() for uid in uids}
    texts = texts_of(options.data)
    if options.disagreements:
        for uid, label in labels.items():
            if (kind := change_of(texts[uid])) != label:
                print(f"{uid}: {label}, read as {kind}: {texts[uid]}\n")
    report(measure(labels, texts), options.json)


if __name__ == "__main__":
    main()
