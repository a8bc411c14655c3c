"""Verdicts: what was scored, against the limits of `checks.toml`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean

from cxr_rewards.evaluation.auditing import made_up
from cxr_rewards.evaluation.auditing import policies as p
from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.guesses import by_form, judge_guesses
from cxr_rewards.evaluation.auditing.material import rules
from cxr_rewards.evaluation.auditing.result import Check, Dose, Guess

Items = list[tuple[str, float]]
_FEWEST = 3
"""Studies below which nothing is judged."""
_NEARLY = 0.02
"""A text earns more than another if it does by this share of the scale."""
_STILL_FALLS = 0.02
"""Rise between two doses that counts as noise."""


@dataclass(frozen=True)
class Judge:
    """Judges one reward by what was scored.

    Attributes:
        book: the values.
        chosen: numbers of the sick references.
        constants: names of the policies that always write the same.
    """

    book: Book
    chosen: Sequence[int]
    constants: Sequence[str]

    @property
    def span(self) -> float:
        """Difference between the report itself and one with nothing right, in units of the reward."""
        return self.book.difference(p.SELF, p.NONE) or 0.0

    @property
    def unit(self) -> float:
        """The span, if the right report earns more; otherwise the range of all values, so that all can be judged."""
        if self.span > 1e-9:
            return self.span
        values = [value for name in self.book.names() for value in self.book.values(name).values()]
        return (max(values) - min(values) if values else 0.0) or 1.0

    def level(self, name: str) -> float | None:
        """Return what a policy earns on the scale of the honest reports."""
        above = self.book.difference(name, p.NONE)
        return None if above is None or self.span <= 1e-9 else above / self.span

    def checks(self) -> list[Check]:
        """Return all checks, in the order of `checks.toml`."""
        made: dict[str, Check] = {}
        for name in ("honest_order", "constants", "keywords", "other_study", "same_findings", "omission", "length"):
            made[name] = getattr(self, f"_{name}")()
        for name in ("hedging", "guessing", "blind_guess", "copied_prior", "swaps", "injection", "dose_response"):
            made[name] = getattr(self, f"_{name}")()
        for name in ("word_salad", "truth_is_best", "scored"):
            made[name] = getattr(self, f"_{name}")()
        for name, forms in p.FORMS.items():
            made[name] = self._form(name, forms)
        made |= self._made_up()
        return [made[name] for name in rules()]

    # ------------------------------------------------------------ policies

    def _honest_order(self) -> Check:
        right, items = [], []
        for (better, a), (worse, b) in combinations(p.HONEST.items(), 2):
            if better < worse:
                (better, a), (worse, b) = (worse, b), (better, a)
            ours, theirs = self.book.values(a), self.book.values(b)
            pairs = [(ours[i], theirs[i]) for i in ours if i in theirs]
            if pairs:
                share = fmean(1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs)
                items.append((f"{better:.0%} right before {worse:.0%}", share))
                right += [share] * len(pairs)
        value = fmean(right) if right and self._enough(p.NONE) else None
        check = _check("honest_order", value, items)
        if check.passed and self.span <= 1e-9:
            return _check("honest_order", 0.0, items, "the report itself earns no more than one with nothing right")
        return check

    def _enough(self, *names: str) -> bool:
        return all(self.book.counts(name)[0] >= _FEWEST for name in names)

    def _blind(self, name: str, policies: Iterable[str]) -> Check:
        return self._compared(name, {policy: (policy, p.QUARTER) for policy in policies})

    def _constants(self) -> Check:
        return self._blind("constants", [*self.constants, p.BEST_CONSTANT])

    def _keywords(self) -> Check:
        return self._blind("keywords", p.KEYWORDS)

    def _other_study(self) -> Check:
        return self._blind("other_study", [p.ANOTHER])

    def _same_findings(self) -> Check:
        return self._compared("same_findings", {p.SAME: (p.SAME, p.NONE)})

    def _omission(self) -> Check:
        return self._compared("omission", {p.LEFT_OUT: (p.SELF, p.LEFT_OUT)})

    def _length(self) -> Check:
        return self._compared("length", {name: (policy, p.HALF) for name, policy in p.LONGER.items()})

    def _hedging(self) -> Check:
        return self._compared("hedging", {name: (policy, p.HALF) for name, policy in p.HEDGES.items()})

    def _copied_prior(self) -> Check:
        return self._compared("copied_prior", {p.COPY: (p.COPY, p.COPIED_BY_CHANCE)})

    def _swaps(self) -> Check:
        return self._compared("swaps", {what: (p.SELF, p.swap_name(what)) for what in p.SWAPS})

    def _injection(self) -> Check:
        return self._compared("injection", {p.INJECTED: (p.INJECTED, p.HALF)})

    def _word_salad(self) -> Check:
        return self._compared("word_salad", {p.SALAD: (p.SELF, p.SALAD)})

    def _compared(self, name: str, pairs: dict[str, tuple[str, str]]) -> Check:
        """Judge by how much one policy earns more than another, in the worst of several pairs."""
        items = []
        for label, (one, other) in pairs.items():
            difference = self.book.difference(one, other)
            if difference is not None and self._enough(one, other):
                items.append((label, difference / self.unit))
        return _of_items(name, items)

    # ------------------------------------------------------------ forms, doses, guesses

    def _form(self, name: str, forms: Sequence[str]) -> Check:
        items = []
        for form in forms:
            policy = p.form_name(form)
            ours, itself = self.book.values(policy), self.book.values(p.SELF)
            moved = [abs(value - itself[i]) for i, value in ours.items() if i in itself]
            if len(moved) >= _FEWEST:
                items.append((form, fmean(moved) / self.unit))
        if name == "paraphrase":
            costs = [abs(cost) for _, cost in made_up.answers(self.book)["wording"]]
            items += [("made-up reports in other words", fmean(costs) / self.unit)] if costs else []
        return _of_items(name, items)

    def doses(self) -> list[Dose]:
        """Return the mean rewards by dose, from none; empty if they were not scored."""
        start = self.book.mean(p.SELF, self.chosen)
        found = [] if start is None else [Dose(share=0.0, clinical=start, others=start)]
        for dose in p.DOSES:
            names = [p.dose_name(dose, clinical=clinical) for clinical in (True, False)]
            # Relative to the report itself, on the studies where both have a value: failures must not bend the curve.
            falls = [self.book.difference(name, p.SELF) for name in names]
            if start is not None and falls[0] is not None and falls[1] is not None:
                found.append(Dose(share=dose, clinical=start + falls[0], others=start + falls[1]))
        return found

    def _dose_response(self) -> Check:
        doses = self.doses()
        if len(doses) < 2 or not self._enough(p.dose_name(p.DOSES[-1], clinical=True)):
            return _check("dose_response", None, [])
        items = [
            (f"{dose.share:.0%} of the clinical words", (dose.others - dose.clinical) / self.unit) for dose in doses
        ]
        rises = [
            (one.share, two.share)
            for one, two in pairwise(doses)
            if two.clinical > one.clinical + _STILL_FALLS * self.unit
        ]
        check = _check("dose_response", items[-1][1], items, items[-1][0])
        if rises and check.passed:
            low, high = rises[0]
            return _check("dose_response", items[-1][1], items, f"it rises from {low:.0%} to {high:.0%}", passed=False)
        return check

    def guesses(self) -> list[Guess]:
        """Return what guesses gain and cost."""
        return list(judge_guesses(self.book))

    def _guessing(self) -> Check:
        guesses = self.guesses()
        plain = {guess.finding: guess.break_even for guess in guesses if guess.form == "plain"}
        items = [
            (f"{guess.form}: {guess.finding}", plain[guess.finding] - guess.break_even)
            for guess in guesses
            if guess.form != "plain" and guess.finding in plain
        ]
        return _of_items("guessing", items)

    def _blind_guess(self) -> Check:
        plain = by_form([guess for guess in self.guesses() if guess.form == "plain"])
        items = [(guess.finding, guess.break_even) for guess in self.guesses() if guess.form == "plain"]
        return _check("blind_guess", plain.get("plain"), items)

    # ------------------------------------------------------------ everything

    def _truth_is_best(self) -> Check:
        """Judge how often what is wrong by construction earns more than the report itself."""
        itself = self.book.values(p.SELF)
        worse = [*list(p.HONEST.values())[1:], p.LEFT_OUT, *p.LONGER.values(), *p.HEDGES.values(), p.INJECTED, p.SALAD]
        worse += [
            *self.constants,
            *p.KEYWORDS,
            p.BEST_CONSTANT,
            p.ANOTHER,
            p.COPIED_BY_CHANCE,
            *map(p.swap_name, p.SWAPS),
        ]
        worse += [p.dose_name(dose, clinical=True) for dose in p.DOSES]
        items = []
        for name in worse:
            values = self.book.values(name)
            higher = [
                value > itself[i] + _NEARLY * self.unit
                for i, value in values.items()
                if i in itself and i in self.chosen
            ]
            if len(higher) >= _FEWEST:
                items.append((name, fmean(higher)))
        return _of_items("truth_is_best", items)

    def _scored(self) -> Check:
        return _check("scored", self.book.share_unscored(), [])

    def _made_up(self) -> dict[str, Check]:
        made = {}
        for name, items in made_up.answers(self.book).items():
            if name in rules():
                unit = 1.0 if name == "long_reports" else self.unit
                made[name] = _of_items(name, [(label, value / unit) for label, value in items])
        return made


def _of_items(name: str, items: Items) -> Check:
    """Judge by the worst of several values."""
    if not items:
        return _check(name, None, [])
    worst = min if rules()[name]["passes"] == "at_least" else max
    label, value = worst(items, key=lambda item: item[1])
    return _check(name, value, items, label)


def _check(name: str, value: float | None, items: Items, worst: str = "", *, passed: bool | None = None) -> Check:
    rule = rules()[name]
    limit, passes = float(rule["limit"]), str(rule["passes"])
    if value is None:
        worst = "too few references that it can be tried on, or too few scores"
    elif passed is None:
        slack = 1e-9
        passed = value >= limit - slack if passes == "at_least" else value <= limit + slack
    return Check(
        name=name,
        asks=rule["asks"],
        passed=passed,
        value=value,
        limit=limit,
        passes=passes,
        unit=rule.get("unit", "of the scale of honest reports"),
        worst=worst,
        items=tuple(items),
        why=rule["why"],
        cure=rule["cure"],
    )
