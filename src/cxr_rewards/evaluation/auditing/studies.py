"""The references of an audit, cut into sentences that state abnormal findings and others."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cxr_rewards.findings import READ_SECTIONS, merge, read, significance
from cxr_rewards.findings.pairing import kinship
from cxr_rewards.text.sections import sections
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import tidy
from cxr_rewards.types import Case

GROUPS = ("normal", "benign", "not_actionable", "actionable", "urgent")
"""Groups of references: by the significance of the gravest abnormal finding."""
SICK = ("actionable", "urgent")
_ENDS = (".", "!", "?", ":", ";")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A reference report.

    Attributes:
        sentences: of its findings and impression, without headings.
        abnormal: for each sentence, whether it states an abnormal finding that is not benign.
        worst: the gravest significance, one of `GROUPS`.
        observations: those that it states or leaves open.
        stated: its abnormal findings, as observation and side.
        priors: earlier reports, if the references have them.
        context: facts about the study, if the references have them.
        case_id: its id.
        original: the report as it was given, with single spaces.
    """

    sentences: tuple[str, ...]
    abnormal: tuple[bool, ...]
    worst: str
    observations: frozenset[str]
    stated: frozenset[tuple[str, str]]
    priors: tuple[str, ...] = ()
    context: Mapping[str, object] = field(default_factory=dict)
    case_id: str = ""
    original: str = ""

    @property
    def text(self) -> str:
        """The report that the others are compared with: its sentences, without headings."""
        return " ".join(self.sentences)

    @property
    def abnormal_sentences(self) -> list[str]:
        """The sentences that state an abnormal finding which is not benign."""
        return [text for text, marked in zip(self.sentences, self.abnormal, strict=True) if marked]

    @property
    def is_sick(self) -> bool:
        """Whether its worst finding is actionable or urgent."""
        return self.worst in SICK


def parse(case: Case) -> Study | None:
    """Return the study of a reference; None if nothing can be read in it.

    Example:
        >>> report = "INDICATION: Cough. FINDINGS: The heart is normal. Large left effusion. IMPRESSION: Effusion."
        >>> study = parse(Case(candidate="", reference=report))
        >>> study.sentences, study.abnormal, study.worst
        (('The heart is normal.', 'Large left effusion.', 'Effusion.'), (False, True, True), 'actionable')
    """
    text = tidy(case.reference or "")
    parts: list[str] = []
    for section in sections(text):
        if section.name in READ_SECTIONS:
            spans = sentences(text, section.start, section.end, tidied=True)
            parts += [_closed(" ".join(text[start:end].split())) for start, end in spans]
    joined = " ".join(parts)
    findings = read(joined)
    if not findings:
        return None
    abnormal = merge(findings).abnormal
    return Study(
        sentences=tuple(parts),
        abnormal=tuple(worst_of(part) not in GROUPS[:2] for part in parts),
        worst=max((significance(f) for f in abnormal), key=GROUPS.index, default="normal"),
        observations=observations_of(joined),
        stated=frozenset((f.observation, f.side) for f in abnormal),
        priors=case.priors,
        context=case.context,
        case_id=case.case_id,
        original=" ".join(case.reference.split()),
    )


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith(_ENDS) else sentence + "."


@lru_cache(maxsize=1 << 14)
def worst_of(text: str) -> str:
    """Return the gravest significance of a text's abnormal findings, one of `GROUPS`."""
    return max((significance(f) for f in merge(read(text)).abnormal), key=GROUPS.index, default="normal")


@lru_cache(maxsize=1 << 14)
def observations_of(text: str) -> frozenset[str]:
    """Return the observations that a text states or leaves open."""
    return frozenset(finding.observation for finding in read(text) if finding.polarity != "absent")


def related(one: Iterable[str], two: Iterable[str]) -> bool:
    """Return whether an observation of one set is, or is a kind of, or is often mistaken for one of the other."""
    others = list(two)
    return any(kinship(a, b) or kinship(b, a) for a in one for b in others)


def partly_right(study: Study, share: float, others: Sequence[str], rng: random.Random) -> str:
    """Return the report with a share of its abnormal sentences, and false ones of `others` for the rest.

    The number kept is the nearest whole one; halves go up or down by chance.
    """
    at = [i for i, marked in enumerate(study.abnormal) if marked]
    lost = set(rng.sample(at, len(at) - round(share * len(at) + rng.uniform(-0.01, 0.01))))
    lines = []
    for i, text in enumerate(study.sentences):
        if i not in lost:
            lines.append(text)
            continue
        drawn = (other for other in rng.sample(others, len(others)) if other not in lines)
        false = (other for other in drawn if not related(study.observations, observations_of(other)))
        lines += [next(false, "")]
    return " ".join(filter(None, lines))


def with_some_left_out(study: Study, share: float, rng: random.Random) -> str:
    """Return the report without a share of its abnormal sentences, at least one."""
    at = [i for i, marked in enumerate(study.abnormal) if marked]
    lost = set(rng.sample(at, max(1, round(share * len(at)))))
    return " ".join(text for i, text in enumerate(study.sentences) if i not in lost)
