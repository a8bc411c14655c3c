"""What a policy's reports say, by measures that are not the reward's and by the reward's own."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from cxr_rewards import Case, CompositeReward
from cxr_rewards.adapters.diagnostics.constant import CONSTANT
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.findings import merge, read
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.types import Reward
from grpo_parts.studies import Entries, Study
from keywords import stated_keywords
from mesh import Row, baseline_denials, baseline_findings, judge, labelled, load_table, read_findings

KEYWORDS_F1, RULES_F1, READER_F1 = "index_f1_keywords", "index_f1", "index_f1_reader"
"""F1 against the human index terms: all classes by keywords, CheXpert's classes by one rule each, all classes by the
reward's reader."""
SHARES = (
    "all_normal",
    "contradicted",
    "hedged",
    "open_end",
    "unread",
    "lost_words",
    "copied",
    "above_constant",
    "words",
)
"""Numbers of a report beside the scores."""
LOWER_IS_BETTER = ("contradicted", "open_end", "unread", "lost_words")


def stated(text: str) -> set[str]:
    """Return the CheXpert observations that simple rules find in a text and that no other sentence of it denies.

    Example:
        >>> sorted(stated("Small effusion. The heart is enlarged. No effusion or pneumothorax."))
        ['cardiomegaly']
    """
    return set(baseline_findings(text)) - baseline_denials(text)


def against_index(entries: Entries, found: Collection[str]) -> tuple[int, int, int]:
    """Return how many CheXpert classes of the index a report holds, holds wrongly, and misses."""
    indexed = indexed_classes(entries)
    right, missed, false = (len(names) for names in labelled(judge(_table(), indexed, found), _table(), indexed, found))
    return right, false, missed


def classes_against_index(entries: Entries, found: Collection[str]) -> tuple[int, int, int]:
    """Return the same over all classes of mesh_terms.toml."""
    judgement = judge(_table(), indexed_classes(entries), found)
    return len(judgement.right), len(judgement.false), len(judgement.missed)


_table = cache(load_table)


@cache
def indexed_classes(entries: Entries) -> tuple[str, ...]:
    row = Row("", "", entries)
    return tuple(name for name, one in _table().items() if one.entries(row))


def by_rules() -> CompositeReward:
    """Return the preset `rules` with all other components that need neither weights nor a judge, unweighted."""
    rules = CompositeReward.from_preset("rules")
    more = {
        name: load_component(name)()
        for name in component_names()
        if name not in rules.components and name != "external" and _is_rule(name)
    }
    return CompositeReward(
        {**rules.components, **more},
        weights={label: term.weight for label, term in rules.total.terms.items()},
        transforms={label: term.transforms for label, term in rules.total.terms.items()},
        gates=rules.total.gates,
        max_unread=rules.max_unread,
        name="rules",
    )


def _is_rule(name: str) -> bool:
    known = load_component(name)
    return not (known.requires or issubclass(known, JudgeComponent))


def read_reports(
    studies: Sequence[Study], texts: Mapping[str, Mapping[str, str]], known: Collection[str], reward: CompositeReward
) -> list[dict[str, object]]:
    """Return a row for each report.

    Args:
        studies: held-out ones.
        texts: the reports by uid, for each seed.
        known: the references of training: a report that equals one is a copy.
        reward: from `by_rules`.
    """
    plain_known = {_plain(text) for text in known}
    constants = dict(
        zip(
            studies, reward.score_batch([Case(candidate=CONSTANT, reference=s.reference) for s in studies]), strict=True
        )
    )
    rows: list[dict[str, object]] = []
    for seed, written in texts.items():
        some = [study for study in studies if study.uid in written]
        cases = [Case(candidate=written[s.uid], reference=s.reference, case_id=s.uid) for s in some]
        for study, case, result in zip(some, cases, reward.score_batch(cases), strict=True):
            rows.append(
                {
                    "case": f"{seed}:{study.uid}",
                    "uid": study.uid,
                    "seed": seed,
                    "candidate": case.candidate,
                    "reference": study.reference,
                    "reward": result.value,
                    **{name: score.value for name, score in result.parts.items()},
                    **_row(study, case.candidate, result, constants[study], plain_known),
                }
            )
    return rows


def _row(study: Study, text: str, result: Reward, constant: Reward, known: Collection[str]) -> dict[str, object]:
    report = merge(read(text))
    unread = [
        told["candidate"] for part in result.parts.values() if "candidate" in (told := part.details.get("unread", {}))
    ]
    counts = {
        KEYWORDS_F1: classes_against_index(study.entries, stated_keywords(text)),
        RULES_F1: against_index(study.entries, stated(text)),
        READER_F1: classes_against_index(study.entries, tuple(read_findings(text))),
    }
    return {
        "all_normal": float(not report.abnormal),
        "contradicted": float(bool(report.contradicted)),
        "hedged": float(any(finding.polarity == "possible" for finding in report.abnormal)),
        "open_end": float(not text.endswith((".", "!", "?"))),
        "unread": result.unread_share("candidate"),
        "lost_words": max((len(told["words"]) for told in unread), default=0),
        "copied": float(_plain(text) in known),
        "words": len(text.split()),
        "above_constant": None if result.value is None or constant.value is None else result.value - constant.value,
        **{
            column: value
            for name, (tp, fp, fn) in counts.items()
            for column, value in ((name, _f1(tp, fp, fn)), (f"{name}.tp", tp), (f"{name}.fp", fp), (f"{name}.fn", fn))
        },
    }


def _f1(tp: int, fp: int, fn: int) -> float:
    """Return the F1 of one report: 1 if there is nothing to find and nothing is found."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def write_rows(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows as a CSV that `cxr-rewards compare` and `report` read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)


def most_said(texts: Iterable[str], count: int = 5) -> list[tuple[str, int]]:
    """Return the sentences that most reports hold, and in how many."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({_plain(sentence) for sentence in re.split(r"(?<=[.?!])\s+", text) if sentence.strip()})
    return counts.most_common(count)
