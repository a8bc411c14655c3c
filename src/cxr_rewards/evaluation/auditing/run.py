"""Audit a reward: choose references, score what policies would write, and judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation.auditing import policies as p
from cxr_rewards.evaluation.auditing.book import PLACE, Book
from cxr_rewards.evaluation.auditing.checks import Judge
from cxr_rewards.evaluation.auditing.guesses import add_guesses
from cxr_rewards.evaluation.auditing.made_up import add_made_up
from cxr_rewards.evaluation.auditing.references import load_references
from cxr_rewards.evaluation.auditing.result import Audit, Kind, Policy
from cxr_rewards.evaluation.auditing.search import best_constant, pool_of
from cxr_rewards.evaluation.auditing.studies import GROUPS, Study, parse
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import Case

CALLS_OF_A_JUDGE = 2_000
"""Texts that are scored at most, by default, if the reward asks a judge."""
MAX_REFERENCES = 500
_FEWEST_SICK = 5
_STARTS = 5
"""Texts that the search starts from, beside sentences."""
_AT_LEAST = 40
"""Texts for each sick reference, at least: a size that is too large for the calls is passed over unwritten."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much an audit tries: references of both kinds, bases of guesses, and the search for a constant."""

    sick: int
    others: int
    bases: int
    pool: int
    searched: int
    rounds: int

    @property
    def search_calls(self) -> int:
        """The most texts that the search scores."""
        return (self.pool + _STARTS) * self.searched * self.rounds


_SIZES = (
    Size(200, 60, 8, 60, 40, 3),
    Size(100, 40, 5, 40, 30, 3),
    Size(60, 30, 4, 30, 20, 3),
    Size(40, 20, 3, 24, 16, 3),
    Size(25, 12, 2, 16, 10, 3),
    Size(16, 8, 2, 12, 8, 2),
    Size(10, 4, 1, 8, 6, 2),
    Size(6, 2, 1, 6, 5, 1),
)
"""From the largest to the smallest audit: the first that stays within the calls is made."""


def audit(
    reward: BaseReward,
    references: str | Path | Iterable[Case | str],
    *,
    candidates: Mapping[str, str | Path | Iterable[Case]] | None = None,
    max_calls: int | None = None,
    max_references: int = MAX_REFERENCES,
    template: str = PLACE,
    seed: int = 0,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Find out what a reward pays policies that look for holes in it.

    Args:
        reward: any reward; for one component alone, `CompositeReward(["bleu"])`.
        references: a file that `score` reads, or reports, as texts or as cases whose references (and priors) are used.
        candidates: by name, reports of yours for these references, as files or cases: they are ranked among the
            policies.
        max_calls: the most texts to score; by default 2,000 if the reward asks a judge, else no limit. A judge that is
            asked several times for a score counts once.
        max_references: the most references to read, drawn at random.
        template: a text with `{report}` in it that each report is put into, for a reward that wants a format.
        seed: of all that is drawn by chance.
        progress: told what is done.
        tell: called with what will be done, before it begins.

    Returns:
        The verdicts, with everything they are based on. Texts without a score are left out of means, and counted.

    Raises:
        ConfigError: too few calls, or a template without `{report}`.
        InputError: a file cannot be read, or has fewer than five references with an actionable or urgent finding; or
            none of the first texts has a score.

    Example:
        >>> from cxr_rewards import CompositeReward
        >>> from cxr_rewards.evaluation import audit
        >>> findings = ("Large left pleural effusion.", "Right pneumothorax.", "Cardiomegaly.", "Pulmonary edema.")
        >>> reports = [f"{a} {b} The bones are intact." for a in findings for b in findings if a != b]
        >>> audit(CompositeReward(["bleu"]), reports).check("flips").verdict
        'FAIL'
    """
    if PLACE not in template:
        raise ConfigError(f"template: {template!r} has no {PLACE}, the place of the report; write it in")
    if max_calls is None and asks_judge(reward):
        max_calls = CALLS_OF_A_JUDGE
    progress = progress or Progress()
    progress.begin("reading references")
    studies = _read(load_references(references), max_references, seed)
    sick = _sick(studies)
    given = {name: _by_reference(load_references(source, reports=True)) for name, source in (candidates or {}).items()}
    sources = p.Sources(studies, sick, seed)
    for size in _SIZES:
        if max_calls is not None and size is not _SIZES[-1] and _AT_LEAST * min(size.sick, len(sick)) > max_calls:
            continue
        trial = _Trial(reward, sources, given, size, Book(reward, template))
        trial.write()
        if max_calls is None or trial.most_calls <= max_calls:
            break
    else:
        raise ConfigError(f"max_calls: {max_calls:,} is too few; an audit needs {trial.most_calls:,}")
    tell(
        f"{len(trial.chosen)} of {len(sick)} sick references, {len(studies):,} in all; "
        f"at most {trial.most_calls:,} texts to score"
    )
    progress.begin("scoring", total=trial.most_calls, unit="texts")
    trial.book.score(progress.advance)
    trial.search(progress.advance)
    return trial.judged()


def asks_judge(reward: BaseReward) -> bool:
    """Return whether a component of a reward asks a language model, here or where the reward runs."""
    from cxr_rewards.core.registry import component_names, load_component
    from cxr_rewards.judges.component import JudgeComponent

    known = set(component_names())
    classes = (load_component(one.name) for one in reward.components.values() if one.name in known)
    return any(issubclass(cls, JudgeComponent) for cls in classes)


def _read(cases: Sequence[Case], most: int, seed: int) -> list[Study]:
    """Return up to `most` different references in which something can be read."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    distinct = list({case.reference: case for case in cases if (case.reference or "").strip()}.values())
    chosen = drawn.sample(distinct, min(most, len(distinct)))
    return [study for case in chosen if (study := parse(case)) is not None]


def _sick(studies: Sequence[Study]) -> list[Study]:
    """Return the references on which most checks are made, those with two abnormal sentences if there are enough."""
    sick = [study for study in studies if study.is_sick and any(study.abnormal)]
    several = [study for study in sick if sum(study.abnormal) >= 2]
    chosen = several if len(several) >= _FEWEST_SICK else sick
    if len(chosen) < _FEWEST_SICK:
        raise InputError(
            f"references: {len(chosen)} of {len(studies)} have an actionable or urgent finding; an audit needs "
            f"{_FEWEST_SICK} such references, better 50: give more reports"
        )
    return chosen


def _by_reference(cases: Sequence[Case]) -> dict[str, str]:
    return {" ".join((case.reference or "").split()): case.candidate for case in cases if case.candidate is not None}


@dataclass(frozen=True)
class _Trial:
    """One audit: what is scored, and the verdicts.

    Attributes:
        reward: to be audited.
        sources: the references, and what is written for them.
        given: by name of a file of candidates, reports by reference.
        size: how much is tried.
        book: takes what is to be scored.
    """

    reward: BaseReward
    sources: p.Sources
    given: Mapping[str, Mapping[str, str]]
    size: Size
    book: Book

    @cached_property
    def chosen(self) -> list[tuple[int, Study]]:
        """The sick references that are scored, by number."""
        return list(enumerate(self.sources.sick[: self.size.sick]))

    @cached_property
    def others(self) -> list[tuple[int, Study]]:
        """The references that are not sick, or too short, and are scored for comparison; numbers go on."""
        taken = set(map(id, self.sources.sick))
        others = [study for study in self.sources.studies if id(study) not in taken]
        return list(enumerate(others[: self.size.others], len(self.chosen)))

    @property
    def most_calls(self) -> int:
        """The number of texts that remain to be scored, with a search as long as it can get, and what it finds."""
        return self.book.waiting + self.size.search_calls + len(self.chosen)

    def write(self) -> None:
        """Write all texts except those of the search."""
        p.add_constants(self.book, self.sources, self.chosen)
        if self.others:
            p.add_constants(self.book, self.sources, self.others)
        for number, study in self.chosen:
            p.add_study(self.book, self.sources, number, study)
            for name, reports in self.given.items():
                if (text := reports.get(study.original)) is not None:
                    self.book.add(name, number, p.case_of(study, text))
        for name in self.given:
            if name not in self.book.names():
                raise InputError(f"{name}: has no report for any of the chosen references; give reports for these")
        # Sick and other references in turn: a false guess may cost more where nothing else is wrong.
        turns = zip_longest((study for _, study in self.chosen), (study for _, study in self.others))
        add_guesses(self.book, [study for both in turns for study in both if study is not None], self.size.bases)
        add_made_up(self.book)

    def search(self, advance: Callable[[int], None]) -> None:
        """Search for the best constant, if possible on references that are not judged, and score it."""
        most = self.size.searched
        sick = self.sources.sick
        among = [*sick[len(self.chosen) :], *sick][:most]
        constants = self.sources.constants()
        values = {name: self.book.mean(name) for name in constants}
        starts = sorted((name for name in constants if values[name] is not None), key=lambda name: values[name] or 0.0)
        text = best_constant(
            self.book,
            among,
            pool_of(self.sources, self.size.pool),
            [constants[name] for name in starts[-_STARTS:]],
            rounds=self.size.rounds,
            advance=advance,
        )
        for number, study in self.chosen:
            self.book.add(p.BEST_CONSTANT, number, p.case_of(study, text))
        self.book.score(advance)

    def judged(self) -> Audit:
        """Return the verdicts."""
        judge = Judge(self.book, [number for number, _ in self.chosen], list(self.sources.constants()))
        found = [
            self._policy(name, judge)
            for name in self.book.names()
            if not name.startswith(("search: ", "guess: ", "made up"))
        ]
        return Audit(
            reward=self.reward.name,
            signature=self.reward.signature,
            references=len(self.sources.studies),
            sick=len(self.chosen),
            calls=self.book.calls,
            seed=self.sources.seed,
            span=judge.span,
            checks=tuple(judge.checks()),
            policies=tuple(sorted(found, key=lambda one: float("inf") if one.value is None else -one.value)),
            doses=tuple(judge.doses()),
            guesses=tuple(judge.guesses()),
            unscored=dict(self.book.reasons.most_common()),
        )

    def _policy(self, name: str, judge: Judge) -> Policy:
        scored, unscored = self.book.counts(name)
        numbers: dict[str, list[int]] = {group: [] for group in GROUPS}
        for number, study in (*self.chosen, *self.others):
            numbers[study.worst].append(number)
        means = {group: self.book.mean(name, among) for group, among in numbers.items()}
        return Policy(
            name=name,
            kind=self._kind(name),
            value=self.book.mean(name, judge.chosen),
            level=judge.level(name),
            scored=scored,
            unscored=unscored,
            by_group={group: mean for group, mean in means.items() if mean is not None},
            example=self.book.text(name),
        )

    def _kind(self, name: str) -> Kind:
        if name in self.given:
            return "candidates"
        if name in p.HONEST.values():
            return "honest"
        always = (*self.sources.constants(), *p.KEYWORDS, p.BEST_CONSTANT, p.ANOTHER)
        return "blind" if name in always else "other"
