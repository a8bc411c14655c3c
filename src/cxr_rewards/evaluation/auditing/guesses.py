"""Gain of a guessed sentence that is true, and cost of one that is false, by form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.material import material
from cxr_rewards.evaluation.auditing.policies import case_of
from cxr_rewards.evaluation.auditing.result import Guess
from cxr_rewards.evaluation.auditing.studies import Study, observations_of, related
from cxr_rewards.types import Case

_TRUE, _FALSE, _WITHOUT, _ITSELF = "guess: true", "guess: false", "guess: left out", "guess: nothing"


def add_guesses(book: Book, studies: Sequence[Study], most: int) -> None:
    """Add each guess on top of up to `most` reports that do not state the finding."""
    for finding in material()["guesses"]:
        about = observations_of(finding["plain"])
        bases = [study for study in studies if not related(about, study.observations)][:most]
        for number, study in enumerate(bases):
            with_it = f"{study.text} {finding['plain']}"
            truth = Case(candidate=study.text, reference=with_it, priors=study.priors, context=study.context)
            book.add(f"{_WITHOUT}: {finding['plain']}", number, truth)
            book.add(f"{_ITSELF}: {finding['plain']}", number, case_of(study, study.text))
            for form, guess in finding.items():
                text = f"{study.text} {guess}"
                true = Case(candidate=text, reference=with_it, priors=study.priors, context=study.context)
                book.add(f"{_TRUE}: {finding['plain']} {form}", number, true)
                book.add(f"{_FALSE}: {finding['plain']} {form}", number, case_of(study, text))


def judge_guesses(book: Book) -> Iterator[Guess]:
    """Yield gain, cost and break-even probability of each finding and form that was scored."""
    for finding in material()["guesses"]:
        plain = finding["plain"]
        for form in finding:
            names = (f"{_TRUE}: {plain} {form}", f"{_WITHOUT}: {plain}", f"{_ITSELF}: {plain}")
            gain = book.difference(names[0], names[1])
            cost = book.difference(names[2], f"{_FALSE}: {plain} {form}")
            if gain is not None and cost is not None:
                yield Guess(finding=plain, form=form, gain=gain, cost=cost, break_even=_break_even(gain, cost))


def _break_even(gain: float, cost: float) -> float:
    """Return the probability of truth at which gain and cost are level; 1 if the guess never pays."""
    if gain <= 0:
        return 1.0
    return max(cost, 0.0) / (max(cost, 0.0) + gain)


def by_form(guesses: Sequence[Guess]) -> dict[str, float]:
    """Return the mean break-even probability of each form."""
    forms = dict.fromkeys(guess.form for guess in guesses)
    return {form: fmean(guess.break_even for guess in guesses if guess.form == form) for form in forms}
