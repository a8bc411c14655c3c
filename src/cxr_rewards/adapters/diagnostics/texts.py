"""Numbers of the reports of a step, each beside that of their references."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from functools import cache, lru_cache
from statistics import fmean
from typing import NamedTuple

from cxr_rewards.adapters.diagnostics.parts import group_of
from cxr_rewards.adapters.diagnostics.word_pairs import FEWEST, WordPairs
from cxr_rewards.core.engine import Engine
from cxr_rewards.findings import Finding, Report, compare, merge, ontology, reading
from cxr_rewards.reward.config import build_component
from cxr_rewards.types import Case

SAMPLE = 64
"""Candidates of a step that are read: enough for a share, and cheap."""
_OLD = frozenset(("old", "calcified"))
_HEALED = frozenset(("granuloma", "calcified_lymph_node"))
"""Names of what is calcified: a calcified nodule is a granuloma."""
_STEPS = 10
"""Steps over which equal texts are counted."""


class _Text(NamedTuple):
    """A report as read: its findings and how much of it is not understood."""

    report: Report
    hedged: int
    old: int
    sentences: int
    unread: int
    words: int
    strange: int


class TextMetrics:
    """Measures the reports of each step; remembers the word pairs of the references, and the texts of ten steps."""

    def __init__(self) -> None:
        self._pairs = WordPairs()
        self._steps: deque[tuple[int, Counter[str], Counter[str]]] = deque(maxlen=_STEPS)

    def of(self, cases: Sequence[Case]) -> dict[str, float]:
        """Return the numbers of a step; one that has nothing to be measured on is left out.

        Args:
            cases: one or more, with texts that can be read.
        """
        sample = cases[:: max(1, len(cases) // SAMPLE)][:SAMPLE]
        ours, theirs = [_read(case.candidate) for case in sample], [_read(case.reference) for case in sample]
        words = [(len(case.candidate.split()), len(case.reference.split())) for case in cases]
        metrics = {"length_ratio": sum(c for c, _ in words) / max(1, sum(r for _, r in words))}
        metrics |= _rates(ours)
        metrics |= {f"reference_{key}": value for key, value in _rates(theirs).items()}
        metrics |= _agreement(theirs, ours)
        metrics |= self._odd_pairs(sample)
        metrics |= self._equal_texts(sample)
        return metrics | _guarded(sample)

    def _odd_pairs(self, sample: Sequence[Case]) -> dict[str, float]:
        """Return how much more of the candidates' pairs of words are new than of their references'."""
        for reference in dict.fromkeys(case.reference for case in sample):
            self._pairs.add(reference)
        if self._pairs.references < FEWEST:
            return {}
        ours = [self._pairs.new(case.candidate, case.reference) for case in sample]
        theirs = [self._pairs.new(case.reference, case.reference) for case in sample]
        (new, of), (usual, of_usual) = (
            (sum(new for new, _ in counted), sum(of for _, of in counted)) for counted in (ours, theirs)
        )
        return {"odd_pair_rate": new / of - usual / of_usual} if of and of_usual else {}

    def _equal_texts(self, sample: Sequence[Case]) -> dict[str, float]:
        groups = [group_of(case) for case in sample]
        ours = {(group, _plain(case.candidate)) for group, case in zip(groups, sample, strict=True)}
        theirs = {(group, _plain(case.reference)) for group, case in zip(groups, sample, strict=True)}
        self._steps.append((len(set(groups)), Counter(text for _, text in ours), Counter(text for _, text in theirs)))
        total = sum(count for count, _, _ in self._steps)
        counted = {
            "same_text_rate": sum((texts for _, texts, _ in self._steps), Counter()),
            "reference_same_text_rate": sum((texts for _, _, texts in self._steps), Counter()),
        }
        return {key: max(texts.values()) / total for key, texts in counted.items()}


@cache
def _guards() -> Engine:
    names = ("copy_prior", "repetition")
    return Engine({name: build_component(name, {}, "diagnostics") for name in names})


def _guarded(sample: Sequence[Case]) -> dict[str, float]:
    """Return how much repeats itself, in candidates and references, and how much is copied from a prior."""
    references = [Case(candidate=text, reference=text) for text in dict.fromkeys(case.reference for case in sample)]
    rows = _guards().run([*sample, *references])
    ours, theirs = rows[: len(sample)], rows[len(sample) :]
    copied = [copy for case, (copy, _) in zip(sample, ours, strict=True) if any(text.strip() for text in case.priors)]
    scores = {
        "copy_prior_rate": copied,
        "repetition_rate": [repetition for _, repetition in ours],
        "reference_repetition_rate": [repetition for _, repetition in theirs],
    }
    known = {key: [score.value for score in of if score.value is not None] for key, of in scores.items()}
    return {key: fmean(values) for key, values in known.items() if values}


@lru_cache(maxsize=2048)  # the rollouts of a study share their reference
def _read(text: str) -> _Text:
    found = reading(text)
    report = merge(found.findings)
    return _Text(
        report=report,
        hedged=sum(finding.certainty != "present" for finding in report.abnormal),
        old=sum(map(_is_old, report.abnormal)),
        sentences=found.sentences,
        unread=len(found.unread),
        words=found.words,
        strange=len(found.strange),
    )


def _is_old(finding: Finding) -> bool:
    """Return whether a finding is called old, chronic or calcified, which takes its weight away."""
    healed = ontology().observations[finding.observation].ancestors
    return not _OLD.isdisjoint(finding.descriptors) or not _HEALED.isdisjoint((finding.observation, *healed))


def _rates(texts: Sequence[_Text]) -> dict[str, float]:
    """Return the shares of reports, findings, sentences and words that are of a kind."""
    abnormal = sum(len(text.report.abnormal) for text in texts)
    shares = {
        "normal_rate": (sum(not text.report.abnormal for text in texts), len(texts)),
        "contradiction_rate": (sum(bool(text.report.contradicted) for text in texts), len(texts)),
        "hedge_rate": (sum(text.hedged for text in texts), abnormal),
        "old_rate": (sum(text.old for text in texts), abnormal),
        "unread_rate": (sum(text.unread for text in texts), sum(text.sentences for text in texts)),
        "strange_rate": (sum(text.strange for text in texts), sum(text.words for text in texts)),
    }
    return {key: share / of for key, (share, of) in shares.items() if of}


def _agreement(references: Sequence[_Text], candidates: Sequence[_Text]) -> dict[str, float]:
    """Return precision and recall of the candidates' findings against those of their references, all counted alike."""
    compared = [compare(one.report, two.report) for one, two in zip(references, candidates, strict=True)]
    matched = sum(len(comparison.matched) for comparison in compared)
    false = sum(len(comparison.false) for comparison in compared)
    missed = sum(len(comparison.missed) for comparison in compared)
    shares = {"findings_precision": matched + false, "findings_recall": matched + missed}
    return {key: matched / of for key, of in shares.items() if of}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
