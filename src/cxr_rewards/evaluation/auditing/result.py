"""The result of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["honest", "blind", "other", "candidates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A way to write reports, and what it earns.

    Attributes:
        name: of the policy.
        kind: `honest` (part of the findings right), `blind` (never looks at the image), `other`, or `candidates` (a
            file of yours).
        value: mean reward on the sick references; None if nothing was scored.
        level: `value` on the scale of the honest reports: 0 for none of the abnormal findings right, 1 for the report
            itself. None if the two earn the same.
        scored: number of references it is the mean of.
        unscored: number of references without a score.
        by_group: mean reward by the gravest finding of the reference, as far as there are such references.
        example: a text that it writes.
    """

    name: str
    kind: Kind
    value: float | None
    level: float | None
    scored: int
    unscored: int
    by_group: Mapping[str, float]
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question about the reward, its answer and the verdict.

    Attributes:
        name: of the check, a key of `checks.toml`.
        asks: the question.
        passed: the verdict; None if the references leave nothing to judge by.
        value: the number that is judged; None if there is none.
        limit: its threshold.
        passes: whether the value must be `at_least` or `at_most` the limit.
        unit: of value and limit.
        worst: what the value belongs to, if several things were tried, or why there is no verdict.
        items: all that was tried, with its value.
        why: the reason for the limit.
        cure: what helps if it fails.
    """

    name: str
    asks: str
    passed: bool | None
    value: float | None
    limit: float
    passes: str
    unit: str
    worst: str
    items: tuple[tuple[str, float], ...]
    why: str
    cure: str

    @property
    def verdict(self) -> str:
        """`pass`, `FAIL` or `not judged`."""
        return {True: "pass", False: "FAIL", None: "not judged"}[self.passed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A made-up sentence added to right reports.

    Attributes:
        finding: the plain sentence.
        form: `plain`, `possible`, `likely`, `old`, `calcified`, `chronic`, `healed` or `trace`.
        gain: mean gain if the reference has the plain finding.
        cost: mean cost if it has not.
        break_even: probability of truth from which the guess pays; 1 if it never pays.
    """

    finding: str
    form: str
    gain: float
    cost: float
    break_even: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """Mean reward with a share of the clinical words corrupted, and with as many other words."""

    share: float
    clinical: float
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Verdicts on a reward.

    Attributes:
        reward: its name.
        signature: its signature.
        references: number of references that were read.
        sick: number of those on which the checks were made: with actionable or urgent findings.
        calls: number of texts that were scored.
        seed: of all that was drawn by chance.
        span: difference between the mean reward of the reports themselves and of reports with no abnormal finding
            right: the unit of the checks.
        checks: with their verdicts.
        policies: the highest first.
        doses: of corrupted words.
        guesses: by finding and form.
        unscored: reasons why texts had no score, with their number.
    """

    reward: str
    signature: str
    references: int
    sick: int
    calls: int
    seed: int
    span: float
    checks: tuple[Check, ...]
    policies: tuple[Policy, ...]
    doses: tuple[Dose, ...]
    guesses: tuple[Guess, ...]
    unscored: Mapping[str, int]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.passed is False)

    def check(self, name: str) -> Check:
        """Return a check by its name."""
        return next(check for check in self.checks if check.name == name)

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON-compatible data, with each check's verdict in words."""
        data = asdict(self)
        data["passed"] = self.passed
        for entry, check in zip(data["checks"], self.checks, strict=True):
            entry["verdict"] = check.verdict
            entry["items"] = [{"name": name, "value": value} for name, value in check.items]
        return data
