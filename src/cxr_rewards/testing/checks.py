"""Named checks: run together by a function, or one by one by pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from cxr_rewards.errors import ConfigError, SetupError, unknown_name

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Check:
    """One rule that one thing must keep. Call it: it raises if the rule is broken.

    Write your own beside those of `component_checks` and `protocol_checks`; all run in the same way.

    Attributes:
        subject: name of the thing that is checked.
        name: the rule in a few words joined by `_`, such as `stays_within_bounds`.
        rule: the rule in one sentence.
        run: raises `AssertionError` if the rule is broken.

    Example:
        >>> def is_short():
        ...     assert len("green") < 3, "green: has 5 letters"
        >>> Check("green", "is_short", "A name has at most two letters.", is_short)()
        Traceback (most recent call last):
        AssertionError: green: has 5 letters
    """

    subject: str
    name: str
    rule: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Raise `AssertionError` if the rule is broken."""
        self.run()

    def __str__(self) -> str:
        return f"{self.subject}-{self.name}"


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes:
        check: the check that ran.
        error: what it raised; None if it passed.
        expected: why it was expected to fail; empty if it was not.
    """

    check: Check
    error: Exception | None
    expected: str = ""

    @property
    def status(self) -> Literal["passed", "failed", "failed as expected", "passed unexpectedly"]:
        """The outcome in words; `failed` and `passed unexpectedly` are breaches."""
        if self.error is None:
            return "passed unexpectedly" if self.expected else "passed"
        return "failed as expected" if self.expected else "failed"

    @property
    def breach(self) -> str:
        """The breach in one line, with the name of the check; empty if there is none."""
        name = self.check.name
        if self.status == "passed unexpectedly":
            return f"{name}: passes, but is expected to fail ({self.expected}); take it out of expected_failed_checks"
        if self.status == "failed":
            error = str(self.error) if isinstance(self.error, AssertionError) else repr(self.error)
            return f"{name}: {error}"
        return ""


def run_checks(
    checks: Iterable[Check],
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "return"] = "raise",
) -> list[CheckResult]:
    """Run every check, and report all breaches at once.

    Args:
        checks: from `component_checks`, `protocol_checks`, or your own.
        expected_failed_checks: why a check is expected to fail, by its name. It is a breach if such a check passes.
        on_fail: `raise` an error at the end, or `return` the results and leave it to the caller.

    Returns:
        One result a check, in order.

    Raises:
        AssertionError: lists every breach; only if `on_fail` is `raise`.
        ConfigError: `expected_failed_checks` names an unknown check.
        SetupError: what is checked cannot work here at all, for example because its weights are absent.

    Example:
        >>> from cxr_rewards.components.bleu import Bleu
        >>> from cxr_rewards.testing import component_checks
        >>> results = run_checks(component_checks(Bleu()), on_fail="return")
        >>> {result.status for result in results}
        {'passed'}
    """
    checks = list(checks)
    expected = _known(expected_failed_checks or {}, checks)
    results = [CheckResult(check, _error_of(check), expected.get(check.name, "")) for check in checks]
    breaches = [result for result in results if result.breach]
    if breaches and on_fail == "raise":
        subjects = ", ".join(dict.fromkeys(check.subject for check in checks))
        lines = "".join(f"\n- {result.breach}" for result in breaches)
        first = next((result.error for result in breaches), None)
        raise AssertionError(f"{subjects}: {len(breaches)} of {len(checks)} checks failed{lines}") from first
    return results


def parametrize_with_checks(
    *checks: Iterable[Check], expected_failed_checks: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Return a decorator that makes each check a pytest test of its own, with the argument `check`.

    Args:
        *checks: what `component_checks` or `protocol_checks` return, once for each thing to check.
        expected_failed_checks: why a check is expected to fail, by its name: it is marked as a strict `xfail`.

    Raises:
        ConfigError: `expected_failed_checks` names an unknown check.

    Example:
        >>> from cxr_rewards.components.bleu import Bleu
        >>> from cxr_rewards.testing import component_checks
        >>> @parametrize_with_checks(component_checks(Bleu()), component_checks(Bleu(max_order=4)))
        ... def test_bleu(check):
        ...     check()
    """
    import pytest

    every = list(chain.from_iterable(checks))
    expected = _known(expected_failed_checks or {}, every)
    parameters = []
    for check in every:
        reason = expected.get(check.name)
        marks = () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)
        parameters.append(pytest.param(check, id=str(check), marks=marks))
    return pytest.mark.parametrize("check", parameters)


def rule_of(rule: Callable[..., None]) -> str:
    """Return the rule that a check's function states in its docstring, on one line."""
    return " ".join((rule.__doc__ or "").split("\n\n")[0].split())


def _known(expected: Mapping[str, str], checks: Iterable[Check]) -> Mapping[str, str]:
    names = {check.name for check in checks}
    for name, reason in expected.items():
        if name not in names:
            raise ConfigError(unknown_name("expected_failed_checks", "check", name, names))
        if not reason:
            raise ConfigError(f"expected_failed_checks: {name} needs a reason, got {reason!r}")
    return expected


def _error_of(check: Check) -> Exception | None:
    try:
        check()
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a check raises, it has not passed, and the others still run
        return error
    return None
