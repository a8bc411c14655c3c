"""What the benchmark of a real judge counts, on judges whose replies are known."""

from __future__ import annotations

import pytest
from tests.benchmark_scripts import load_benchmark

from cxr_rewards.testing.fake_judge import FakeJudge

real_judge = load_benchmark("real_judge")


def row_of(fake, name="chexprompt", schema="auto"):
    return real_judge.run(name, real_judge.cases(4), {"model": "m", "base_url": fake.url}, schema)


def test_cases_are_distinct_pairs_of_the_sample_file():
    cases = real_judge.cases(20)
    assert len({(case.candidate, case.reference) for case in cases}) == 20
    assert all(case.candidate.strip() and case.reference.strip() for case in cases)


@pytest.mark.parametrize("name", real_judge.JUDGES)
def test_a_judge_whose_replies_can_be_read_scores_every_case_without_a_retry(name):
    with FakeJudge() as fake:
        row = row_of(fake, name)
    assert (row["scored"], row["unscored"], row["retries"], row["readable"]) == (4, {}, {}, 1.0)
    assert row["requests"] == row["replies"] == fake.requests


def test_a_judge_that_says_nothing_of_use_is_asked_twice_a_case():
    with FakeJudge(answer=lambda messages: "I am sorry for your loss.") as fake:
        row = row_of(fake)
    assert (row["scored"], row["unscored"], row["requests"], row["readable"]) == (0, {"unparsable": 4}, 8, 0.0)
    assert row["retries"] == {"no verdict": 4}
    assert "| `chexprompt` | auto | 0 of 4 | 4 unparsable | 8 | 4 no verdict |" in real_judge.table([row])


def test_a_server_that_refuses_schemas_costs_no_case():
    with FakeJudge(has_schema=False) as fake:
        asked, off = row_of(fake), row_of(fake, schema="off")
    assert (asked["scored"], off["scored"]) == (4, 4)
    assert off["retries"] == {}
