"""Checks on made-up reports, which need no references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.material import material
from cxr_rewards.types import Case

Items = list[tuple[str, float]]
Ask = Callable[[str, str], float | None]
"""Takes a candidate and a reference, returns the reward."""


def add_made_up(book: Book) -> None:
    """Add all pairs of made-up reports."""
    numbers = count()
    for candidate, reference in _pairs():
        book.add("made up", next(numbers), Case(candidate=candidate, reference=reference))


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield each candidate and reference that the questions below ask for, by asking them."""
    asked: list[tuple[str, str]] = []

    def ask(candidate: str, reference: str) -> float:
        asked.append((candidate, reference))
        return 0.0

    for question in QUESTIONS.values():
        question(ask)
    yield from dict.fromkeys(asked)


def answers(book: Book) -> dict[str, Items]:
    """Return what each question was answered, in units of the reward; only what has been scored."""
    scored = book.values("made up")
    values = {pair: scored.get(number) for number, pair in enumerate(_pairs())}
    return {
        name: question(lambda candidate, reference: values[candidate, reference])
        for name, question in QUESTIONS.items()
    }


def _contradictions(ask: Ask) -> Items:
    """Gain of stating and denying a finding over leaving it out; of a normal statement beside it, over stating it."""
    found: Items = []
    for entry in material()["contradictions"]:
        both = ask(f"{entry['stated']} {entry['denied']}", entry["reference"])
        other = ask(entry["omitted" if entry["kind"] == "itself" else "stated"], entry["reference"])
        _add(found, f"{entry['stated']} {entry['denied']}", both, other)
    return found


def _chatter(ask: Ask) -> Items:
    """Mean cost of each text, appended to right reports."""
    references = [entry["reference"] for entry in material()["paraphrases"]][:4]
    found: Items = []
    for kind, text in material()["chatter"].items():
        costs: Items = []
        for reference in references:
            _add(costs, kind, ask(reference, reference), ask(f"{reference} {text}", reference))
        if costs:
            found.append((kind, sum(cost for _, cost in costs) / len(costs)))
    return found


def _lost(ask: Ask) -> Items:
    found: Items = []
    for entry in material()["lost"]:
        for text in entry["candidates"]:
            _add(found, text, ask(entry["reference"], entry["reference"]), ask(text, entry["reference"]))
    return found


def _flips(ask: Ask) -> Items:
    """Gain of a correct paraphrase over a copy with one critical flip."""
    found: Items = []
    for entry in material()["flips"]:
        paraphrase, flipped = (ask(entry[key], entry["reference"]) for key in ("paraphrase", "flipped"))
        _add(found, f"{entry['kind']}: {entry['flipped']}", paraphrase, flipped)
    return found


def _long(ask: Ask) -> Items:
    """Share of its cost that an urgent difference keeps in a long report; 1 if it costs nothing in a short one."""
    data: Any = material()["long"]
    found: Items = []
    for entry in data["differences"]:
        costs: Items = []
        for around in ("Mild cardiomegaly.", data["around"]):
            reference, candidate = (f"{around} {entry[key]}".strip() for key in ("reference", "candidate"))
            _add(costs, around, ask(reference, reference), ask(candidate, reference))
        if len(costs) == 2:
            short, long = (cost for _, cost in costs)
            name = f"{entry['kind']}: {entry['reference'] or entry['candidate']}"
            found.append((name, long / short if short > 0 else 0.0))
    return found


def _wording(ask: Ask) -> Items:
    """Cost of the same report in other words."""
    found: Items = []
    for entry in material()["paraphrases"]:
        for text in entry["candidates"]:
            _add(found, text, ask(entry["reference"], entry["reference"]), ask(text, entry["reference"]))
    return found


def _add(items: Items, name: str, one: float | None, other: float | None) -> None:
    if one is not None and other is not None:
        items.append((name, one - other))


QUESTIONS: dict[str, Callable[[Ask], Items]] = {
    "contradictions": _contradictions,
    "chatter": _chatter,
    "lost_denials": _lost,
    "flips": _flips,
    "long_reports": _long,
    "wording": _wording,
}
