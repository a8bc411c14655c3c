"""Reports in another form: in other words, order, layout or spelling, with errors, with corrupted words.

Each function returns a text, the same one if there is nothing to rewrite.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from cxr_rewards.evaluation.auditing.material import material
from cxr_rewards.evaluation.auditing.studies import Study
from cxr_rewards.findings import ontology, read
from cxr_rewards.findings.phrases import items
from cxr_rewards.text.tidy import lower, tidy

_WORD = re.compile(r"[A-Za-z]{2,}")
_CLINICAL = ("observation", "structure", "quality", "modifier")
_TURNS = ("deny", "doubt", "set_aside", "disfavor", "leave_open", "consider", "replace")
"""Beginnings of the kinds of phrases that turn a finding round: neither clinical words nor ordinary ones."""


# ---------------------------------------------------------------- words


def replace_words(text: str, pairs: Iterable[Sequence[str]]) -> str:
    """Replace words, each occurrence at most once, keeping a capital at the beginning.

    Example:
        >>> replace_words("Left effusion, right clear.", [("left", "right"), ("right", "left")])
        'Right effusion, left clear.'
    """
    new, pattern = _pattern(tuple((old, other) for old, other in pairs))

    def replaced(match: re.Match[str]) -> str:
        word = new[match[0].lower()]
        return word[:1].upper() + word[1:] if match[0][:1].isupper() else word

    return pattern.sub(replaced, text)


@lru_cache(maxsize=32)
def _pattern(pairs: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], re.Pattern[str]]:
    """Return each word's replacement, of those listed twice the first, and the pattern of all words."""
    new = {old.lower(): other for old, other in reversed(pairs)}
    words = "|".join(map(re.escape, sorted(new, key=len, reverse=True)))
    return new, re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def paraphrased(study: Study) -> str:
    """Return the report in other words, sentence by sentence; a sentence that would be read differently stays."""
    pairs = material()["rewriting"]["synonyms"]
    lines = []
    for sentence in study.sentences:
        other = replace_words(sentence, pairs)
        lines.append(other if _said(other) == _said(sentence) else sentence)
    return " ".join(lines)


def _said(text: str) -> list[tuple[object, ...]]:
    return sorted((f[:-3] for f in read(text)), key=repr)


def swapped(study: Study, what: str) -> str:
    """Return the report with the side, severity or change of its abnormal findings swapped, both ways."""
    pairs = material()["rewriting"]["swaps"][what]
    both = [*pairs, *([two, one] for one, two in pairs)]
    return _each_abnormal(study.sentences, study.abnormal, lambda text: replace_words(text, both))


# ---------------------------------------------------------------- hedges


def hedged(study: Study, text: str) -> str:
    """Return a half right report with each abnormal sentence hedged."""
    return _others_than_normal(study, text, lambda s: f"Possibly {s if s[:2].isupper() else s[:1].lower() + s[1:]}")


def called(study: Study, text: str, kind: str) -> str:
    """Return a half right report with each abnormal sentence called old, or calcified."""
    return _others_than_normal(study, text, lambda s: f"{s.rstrip('.')}, {kind}.")


def _others_than_normal(study: Study, text: str, change: Callable[[str], str]) -> str:
    """Change the sentences of a report made of a study's, except those of the study that state nothing abnormal."""
    from cxr_rewards.text.sentences import sentences

    normal = {s for s, marked in zip(study.sentences, study.abnormal, strict=True) if not marked}
    parts = [text[start:end] for start, end in sentences(text, tidied=True)]
    return " ".join(part if part in normal else change(part) for part in parts)


def _each_abnormal(sentences: Sequence[str], abnormal: Sequence[bool], change: Callable[[str], str]) -> str:
    return " ".join(change(s) if marked else s for s, marked in zip(sentences, abnormal, strict=True))


# ---------------------------------------------------------------- form


def in_other_order(study: Study, rng: random.Random) -> str:
    """Return the sentences in another order."""
    return " ".join(rng.sample(study.sentences, len(study.sentences)))


def layouts(study: Study) -> dict[str, str]:
    """Return the report in other layouts, by name."""
    return {
        "a line a sentence": "\n".join(study.sentences),
        "bullets": "\n".join(f"- {sentence}" for sentence in study.sentences),
        "under a heading": f"FINDINGS: {study.text}",
    }


def spellings(text: str) -> dict[str, str]:
    """Return the text in other spellings, by name: British only if it has such words."""
    made = {"capitals": text.upper(), "small letters": text.lower()}
    british = replace_words(text, material()["rewriting"]["british"])
    return {**made, "British": british} if british != text else made


def masked(text: str, rng: random.Random, share: float = 0.1) -> str:
    """Return the text with a share of its words without clinical meaning as XXXX, at least one."""
    _, others = word_spans(text)
    count = min(len(others), max(1, round(share * len(others))))
    return _with_words(text, dict.fromkeys(rng.sample(others, count), "XXXX"))


def shuffled(text: str, rng: random.Random) -> str:
    """Return the words of a text in random order."""
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


# ---------------------------------------------------------------- corruption

Span = tuple[int, int]


@lru_cache(maxsize=1 << 12)
def word_spans(text: str) -> tuple[list[Span], list[Span]]:
    """Return the spans of the clinical words, and of those that are neither clinical nor a denial or doubt.

    Example:
        >>> text = "There is a small left effusion. No fracture is seen."
        >>> [[text[a:b] for a, b in spans] for spans in word_spans(text)]
        [['small', 'left', 'effusion', 'fracture'], ['There', 'is', 'is', 'seen']]
    """
    plain = lower(tidy(text))
    known: list[tuple[int, int, bool]] = []
    begin = 0
    for end in [*(match.end() for match in re.finditer(r"[.!?](?=\s)", plain)), len(plain)]:
        found, _ = items(ontology(), plain[begin:end])
        counted = (i for i in found if i.kind in _CLINICAL or i.kind.startswith(_TURNS))
        known += [(begin + i.start, begin + i.end, i.kind in _CLINICAL) for i in counted]
        begin = end
    clinical, others = [], []
    for match in _WORD.finditer(text):
        kinds = [marked for start, end, marked in known if start <= match.start() and match.end() <= end]
        if any(kinds):
            clinical.append(match.span())
        elif not kinds:
            others.append(match.span())
    return clinical, others


def corrupted(text: str, share: float, pool: Sequence[str], rng: random.Random, *, clinical: bool) -> str:
    """Return the text with other words in place of a share of its clinical words, or of as many others.

    The words of a larger share include those of a smaller one, for equal states of `rng`.

    Args:
        text: a report.
        share: of its clinical words.
        pool: words of the same kind, to draw from.
        rng: draws the words.
        clinical: corrupt the clinical words; otherwise as many of the rest.
    """
    spans = word_spans(text)
    most = min(map(len, spans))
    chosen = rng.sample(spans[0 if clinical else 1], most)
    words = [rng.choice(pool) for _ in range(most)]
    count = min(most, round(share * len(spans[0])))
    return _with_words(text, dict(zip(chosen[:count], words[:count], strict=True)))


def _with_words(text: str, words: dict[Span, str]) -> str:
    parts, at = [], 0
    for (start, end), word in sorted(words.items()):
        parts += [text[at:start], word]
        at = end
    return "".join([*parts, text[at:]])
