"""Checks of one's own run beside ours, in one call or as pytest's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cxr_rewards.components.bleu import Bleu
from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.testing import Check, component_checks, parametrize_with_checks, run_checks
from cxr_rewards.testing.checks import rule_of
from cxr_rewards.testing.component_rules import COMPONENT_RULES
from cxr_rewards.testing.protocol_rules import PROTOCOL_RULES


def passes():
    pass


def fails():
    raise AssertionError("it: is wrong")


def breaks():
    raise KeyError("x")


def absent():
    raise ModelLoadError("no weights")


def check_of(run):
    return Check("it", run.__name__, "A rule.", run)


def test_results_come_in_order_with_status_and_error():
    results = run_checks(map(check_of, (passes, fails, breaks)), on_fail="return")
    assert [result.status for result in results] == ["passed", "failed", "failed"]
    assert [result.breach for result in results] == ["", "fails: it: is wrong", "breaks: KeyError('x')"]
    assert isinstance(results[2].error, KeyError)


def test_breaches_are_raised_at_the_end_with_the_first_as_their_cause():
    with pytest.raises(AssertionError) as caught:
        run_checks(map(check_of, (passes, fails, breaks)))
    assert str(caught.value) == "it: 2 of 3 checks failed\n- fails: it: is wrong\n- breaks: KeyError('x')"
    assert str(caught.value.__cause__) == "it: is wrong"


def test_what_cannot_work_here_ends_the_run():
    with pytest.raises(ModelLoadError, match="no weights"):
        run_checks([check_of(absent)], on_fail="return")


def test_a_check_of_ones_own_runs_beside_ours():
    own = Check("bleu", "is_cheap", "It needs no features.", passes)
    results = run_checks([*component_checks(Bleu()), own])
    assert results[-1].check is own


def test_each_check_is_a_parameter_named_after_subject_and_rule():
    mark = parametrize_with_checks(
        [check_of(passes)], [check_of(fails)], expected_failed_checks={"fails": "as it must"}
    )
    name, parameters = mark.args
    assert name == "check"
    assert [parameter.id for parameter in parameters] == ["it-passes", "it-fails"]
    assert list(parameters[0].marks) == []
    (expected,) = parameters[1].marks
    assert (expected.name, expected.kwargs) == ("xfail", {"reason": "as it must", "strict": True})


def test_a_parametrisation_that_expects_an_unknown_check_is_an_error():
    with pytest.raises(ConfigError, match="unknown check 'pases'.*Did you mean 'passes'"):
        parametrize_with_checks([check_of(passes)], expected_failed_checks={"pases": "x"})


THIRD_PARTY = """
from cxr_rewards import Component, Score
from cxr_rewards.testing import component_checks, parametrize_with_checks

class Half(Component):
    name = "half"
    summary = "always a half"
    {docstring}

    def score_case(self, case, features):
        return Score(0.5)

@parametrize_with_checks(component_checks(Half()), expected_failed_checks={expected})
def test_half(check):
    check()
"""


def test_a_third_party_needs_one_line_and_no_conftest(tmp_path):
    expected = {
        "test_named.py": {"gives_identical_texts_the_best_bound": "it is a half"},
        "test_unnamed.py": {},
        "test_misnamed.py": {"gives_identical_texts_the_best_bound": "a half", "has_a_summary": "none"},
    }
    for name, failures in expected.items():
        (tmp_path / name).write_text(THIRD_PARTY.format(docstring='__doc__ = "A half."', expected=failures))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", *expected]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 77 passed, 2 xfailed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_unnamed.py::test_half[half-gives_identical_texts_the_best_bound]" in done.stdout
    assert "FAILED test_misnamed.py::test_half[half-has_a_summary]" in done.stdout


@pytest.mark.parametrize(
    ("page", "rules"),
    [("adding-a-component.md", COMPONENT_RULES), ("judges.md", PROTOCOL_RULES)],
    ids=["component", "protocol"],
)
def test_the_documentation_states_each_rule(page, rules):
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    for rule in rules:
        assert f"| `{rule.__name__}` | {rule_of(rule)} |" in text
