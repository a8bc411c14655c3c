"""Texts that the policies of an audit write for each study."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cxr_rewards.evaluation.auditing import rewrite
from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.material import material
from cxr_rewards.evaluation.auditing.studies import (
    Study,
    observations_of,
    partly_right,
    with_some_left_out,
)
from cxr_rewards.types import Case

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
DOSES = (0.1, 0.2, 0.3, 0.4)
HONEST = {share: f"{share:.0%} of the findings right, the rest wrong" for share in SHARES[1:]} | {
    1.0: "the report itself"
}
"""Names of the honest policies by the share of abnormal sentences that they get right."""
SELF, HALF, QUARTER, NONE = HONEST[1.0], HONEST[0.5], HONEST[0.25], HONEST[0.0]
ANOTHER = "another study's report"
SAME = "another study's report with the same findings"
LEFT_OUT = "half of the findings right, the rest left out"
LISTED = "the right findings, as a list of words"
SALAD = "the words of the report, shuffled"
COPY, COPIED_BY_CHANCE = "the prior report, copied", "the same text beside another prior"
BEST_CONSTANT = "the best constant found by search"
KEYWORDS = ("a list of frequent findings", "a list of all findings")
LONGER = {"said twice": "half right, said twice", "padding": "half right, padded"} | {
    "list of findings": "half right, with a list of common findings"
}
HEDGES = {kind: f"half right, all {kind}" for kind in ("hedged", "called old", "called calcified")}
INJECTED = "half right, with a line to the judge"
SWAPS = ("side", "severity", "change")
FORMS: Mapping[str, tuple[str, ...]] = {
    "paraphrase": ("other words",),
    "sentence_order": ("another order",),
    "layout": ("a line a sentence", "bullets", "under a heading"),
    "spelling": ("capitals", "small letters", "British"),
    "marks": ("XXXX",),
}
"""Forms of the same report, by the check that judges them."""
_FREQUENT, _ALL = 12, 40


def swap_name(what: str) -> str:
    """Return the name of the policy that swaps the side, the severity or the change."""
    return f"the report with each {what} swapped"


def dose_name(share: float, *, clinical: bool) -> str:
    """Return the name of the policy that corrupts words."""
    return f"{share:.0%} of the clinical words corrupted" + ("" if clinical else ": as many others instead")


def form_name(form: str) -> str:
    """Return the name of the policy that writes the report in another form."""
    return f"the report: {form}"


@dataclass(frozen=True)
class Sources:
    """Material that policies draw from.

    Attributes:
        studies: all references, in random order.
        sick: those that most checks are made on.
        seed: of what is drawn by chance.
    """

    studies: Sequence[Study]
    sick: Sequence[Study]
    seed: int

    @cached_property
    def abnormal_sentences(self) -> list[str]:
        """All abnormal sentences of the references."""
        texts = (text for study in self.studies for text in study.abnormal_sentences)
        return list(dict.fromkeys(text for text in texts if text[:1].isupper()))

    @cached_property
    def findings(self) -> list[str]:
        """Names of the abnormal findings, the most frequent first."""
        counted = Counter(name for study in self.studies for name, _ in sorted(study.stated))
        return [name.replace("_", " ") for name, _ in counted.most_common()]

    @cached_property
    def words(self) -> dict[bool, list[str]]:
        """Clinical words (True) and others (False) of the references, as often as they occur."""
        found: dict[bool, list[str]] = {True: [], False: []}
        for study in self.sick:
            text = study.text
            for kind, spans in zip((True, False), rewrite.word_spans(text), strict=True):
                found[kind] += [text[start:end].lower() for start, end in spans]
        return found

    @cached_property
    def frequent_reports(self) -> list[str]:
        """The three most frequent reports, of those that occur several times."""
        counted = Counter(study.text for study in self.studies).most_common(3)
        return [text for text, count in counted if count > 1]

    @cached_property
    def by_findings(self) -> dict[frozenset[tuple[str, str]], list[Study]]:
        """The studies with the same abnormal findings on the same sides."""
        found: dict[frozenset[tuple[str, str]], list[Study]] = {}
        for study in self.studies:
            found.setdefault(study.stated, []).append(study)
        return found

    @cached_property
    def _written(self) -> dict[int, list[tuple[str, str]]]:
        return {}

    def written(self, number: int) -> list[tuple[str, str]]:
        """Return what is written for a sick reference, beside the constants and the copies: name and text."""
        if number not in self._written:
            self._written[number] = list(_texts(self, number, self.sick[number]))
        return self._written[number]

    def constants(self) -> dict[str, str]:
        """Return the texts that are always the same, by name."""
        frequent = {f"the most frequent report, no. {i}": text for i, text in enumerate(self.frequent_reports, 1)}
        return {**material()["constants"], **frequent}

    def keywords(self) -> dict[str, str]:
        """Return lists of findings without sentences, by name."""
        return {name: ", ".join(self.findings[:most]) for name, most in zip(KEYWORDS, (_FREQUENT, _ALL), strict=True)}


def add_constants(book: Book, sources: Sources, studies: Sequence[tuple[int, Study]]) -> None:
    """Add the policies that never look at the image, and the report itself."""
    always = {**sources.constants(), **sources.keywords()}
    for place, (number, study) in enumerate(studies):
        other = studies[(place + 1) % len(studies)][1]
        for name, text in {SELF: study.text, **always, ANOTHER: other.text}.items():
            book.add(name, number, case_of(study, text))


def add_study(book: Book, sources: Sources, number: int, study: Study) -> None:
    """Add what is written for a sick reference, beside the constants."""
    for name, text in sources.written(number):
        book.add(name, number, case_of(study, text))
    prior = study.priors[-1] if study.priors else _half(sources, study)
    unrelated = sources.sick[number - 1].text
    book.add(COPY, number, case_of(study, prior, priors=study.priors or (prior,)))
    book.add(COPIED_BY_CHANCE, number, case_of(study, prior, priors=(unrelated,)))


def case_of(study: Study, text: str, priors: tuple[str, ...] | None = None) -> Case:
    """Return the case of a text and a study's reference."""
    given = study.priors if priors is None else priors
    return Case(candidate=text, reference=study.text, priors=given, context=study.context, case_id=study.case_id)


def _rng(sources: Sources, study: Study, what: str) -> random.Random:
    return random.Random(f"{sources.seed} {what} {study.text}")  # noqa: S311 - no secret


def _half(sources: Sources, study: Study) -> str:
    return partly_right(study, 0.5, sources.abnormal_sentences, _rng(sources, study, HALF))


def _texts(sources: Sources, number: int, study: Study) -> Iterator[tuple[str, str]]:
    def rng(what: str) -> random.Random:
        return _rng(sources, study, what)

    for share in SHARES[1:]:
        yield HONEST[share], partly_right(study, share, sources.abnormal_sentences, rng(HONEST[share]))
    yield LEFT_OUT, with_some_left_out(study, 0.5, rng(LEFT_OUT))
    yield LISTED, ", ".join(sorted(name.replace("_", " ") for name in study.observations))
    yield SALAD, rewrite.shuffled(study.text, rng(SALAD))
    others = [other for other in sources.by_findings[study.stated] if other.text != study.text]
    if others:
        yield SAME, rng(SAME).choice(others).text
    half, data = _half(sources, study), material()
    yield LONGER["said twice"], f"{half} {half}"
    yield LONGER["padding"], " ".join((half, *data["fillers"]))
    common = (name for name in sources.findings if not study.observations & observations_of(name))
    yield LONGER["list of findings"], " ".join((half, *(f"{name.capitalize()}." for name in list(common)[:10])))
    yield HEDGES["hedged"], rewrite.hedged(study, half)
    yield HEDGES["called old"], rewrite.called(study, half, "old")
    yield HEDGES["called calcified"], rewrite.called(study, half, "calcified")
    yield INJECTED, f"{half} {data['injections'][number % len(data['injections'])]}"
    for what in SWAPS:
        if (text := rewrite.swapped(study, what)) != study.text:
            yield swap_name(what), text
    for clinical in (True, False):
        pool = sources.words[clinical] or ["the"]
        for dose in DOSES:
            text = rewrite.corrupted(study.text, dose, pool, rng("dose"), clinical=clinical)
            yield dose_name(dose, clinical=clinical), text
    forms = {
        "other words": rewrite.paraphrased(study),
        "another order": rewrite.in_other_order(study, rng("another order")),
        **rewrite.layouts(study),
        **rewrite.spellings(study.text),
        "XXXX": rewrite.masked(study.text, rng("XXXX")),
    }
    for form, text in forms.items():
        if text != study.text:
            yield form_name(form), text
