"""`--details` and `--columns`: what explains each score, beside the output and in columns of it."""

from __future__ import annotations

import json
from itertools import islice

import polars as pl
import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.errors import InputError
from cxr_rewards.files import choose_columns, open_table, read_details, score_file
from cxr_rewards.judges.client import close_judges
from cxr_rewards.testing.fake_judge import FakeJudge

FINDINGS = (
    "Left effusion",
    "Right pneumothorax",
    "Cardiomegaly",
    "Edema",
    "Right lower lobe pneumonia",
    "Rib fracture",
)
COUNT = 1_000
DISTINCT = 60
"""Different pairs among them: equal ones are asked once."""


def said(messages):
    """Answer with as many significant errors of type B as the candidate names, one per finding of the text."""
    text = messages[-1]["content"]
    number = int(text.rpartition("case ")[2].split()[0].rstrip(".")) % 6
    if "[Matched Findings]" in messages[0]["content"]:
        return f"[Clinically Significant Errors]:\n(b) x: {number}.\n[Clinically Insignificant Errors]:\nNone\n" \
            "[Matched Findings]:\n2. one; two"  # fmt: skip
    errors = [{"type": "B", "significant": True, "what": f"no {FINDINGS[i]} \ud800"} for i in range(number)]
    return json.dumps({"errors": [*errors, {"type": "A", "significant": False, "what": "x"}]})


@pytest.fixture(scope="module")
def judge():
    with FakeJudge(answer=said) as fake:
        yield {"model": "m", "base_url": fake.url, "concurrency": 32}
    close_judges()


def write_reports(path, count=COUNT):
    rows = (f'{i},"Left effusion, case {i % DISTINCT}.",{FINDINGS[i % 6]}.\n' for i in range(count))
    path.write_text("case_id,candidate,reference\n" + "".join(rows))
    return path


def score(source, out, reward, **options):
    table = open_table(source)
    return score_file(table, choose_columns(table.columns), reward, out, **options)


def judged(judge, cache=None, **more):
    return CompositeReward.from_preset("judge_only", judge=judge, cache=cache, **more)


@pytest.fixture(scope="module")
def run(judge, tmp_path_factory):
    """A thousand judged cases with details in both formats; the second run asks nothing."""
    folder = tmp_path_factory.mktemp("run")
    source = write_reports(folder / "in.csv")
    scored = [
        score(source, folder / f"out.{kind}.csv", judged(judge, folder / "c.sqlite"), details=folder / f"d.{kind}")
        for kind in ("jsonl", "parquet")
    ]
    return folder, scored[0]


def test_a_thousand_judged_cases_round_trip_in_both_formats(run):
    folder, _ = run
    jsonl, parquet = (list(read_details(folder / f"d.{kind}")) for kind in ("jsonl", "parquet"))
    assert len(jsonl) == COUNT
    assert jsonl == parquet
    assert [row["row"] for row in jsonl] == list(range(1, COUNT + 1))
    assert [row["case_id"] for row in islice(jsonl, 3)] == ["0", "1", "2"]
    values = pl.read_csv(folder / "out.jsonl.csv")
    assert [row["reward"] for row in jsonl] == values["reward"].to_list()
    assert [row["parts"]["green"]["value"] for row in jsonl] == values["green"].to_list()


def test_the_file_holds_what_score_details_hold(run, judge):
    folder, _ = run
    reward = judged(judge, folder / "c.sqlite")
    for row in islice(read_details(folder / "d.jsonl"), 5):
        number = row["row"] - 1
        result = reward.score(f"Left effusion, case {number % DISTINCT}.", f"{FINDINGS[number % 6]}.")
        assert {label: part["details"] for label, part in row["parts"].items()} == {
            label: score.details for label, score in result.parts.items()
        }
        assert all(part["failure"] is None for part in row["parts"].values())


def test_the_histogram_equals_a_hand_count(run):
    folder, scored = run
    numbers = [i % 6 for i in range(COUNT)]  # significant errors of each report
    corpus = scored.corpus["chexprompt"]
    assert corpus["at_most_1"] == sum(n <= 1 for n in numbers) / COUNT
    assert corpus["exactly_2"] == numbers.count(2) / COUNT
    assert corpus["exactly_3"] == numbers.count(3) / COUNT
    assert corpus["at_least_4"] == sum(n >= 4 for n in numbers) / COUNT
    assert corpus["significant"] == corpus["significant.B"] == sum(numbers) / COUNT
    assert corpus["insignificant.A"] == corpus["errors"] - corpus["significant"] == 1.0
    from_file = [len(row["parts"]["chexprompt"]["details"]["errors"]) - 1 for row in read_details(folder / "d.jsonl")]
    assert from_file == numbers


def test_the_output_is_the_same_without_details(run, judge):
    folder, _ = run
    score(folder / "in.csv", folder / "plain.csv", judged(judge, folder / "c.sqlite"))
    plain = (folder / "plain.csv").read_bytes()
    assert plain == (folder / "out.jsonl.csv").read_bytes()
    assert (
        plain.splitlines()[0]
        == b"case_id,candidate,reference,chexprompt,green,injection_flag,reward,reason,reason_kind"
    )


def test_columns_from_details_stand_between_the_components_and_the_reward(run, judge):
    folder, _ = run
    names = ["chexprompt.significant", "chexprompt.A", "chexprompt.errors", "green.matched", "chexprompt.model"]
    reward = judged(judge, folder / "c.sqlite")
    score(folder / "in.csv", folder / "more.parquet", reward, detail_columns=names)
    frame = pl.read_parquet(folder / "more.parquet")
    assert frame.columns[3:] == ["chexprompt", "green", "injection_flag", *names, "reward", "reason", "reason_kind"]
    assert frame["chexprompt.significant"].to_list() == [float(i % 6) for i in range(COUNT)]
    assert set(frame["chexprompt.A"].to_list()) == {1.0}
    assert frame["chexprompt.errors"].to_list() == [1.0 + i % 6 for i in range(COUNT)]
    assert set(frame["green.matched"].to_list()) == {2.0}
    assert set(frame["chexprompt.model"].to_list()) == {"m"}
    score(folder / "in.csv", folder / "more.parquet", reward)  # such a file is one of scores, which is replaced


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chexprompt.signifcant", "unknown detail of chexprompt 'signifcant'.*A, B.*Did you mean 'significant'"),
        ("chexprompt.significant.G", "unknown detail of chexprompt 'significant.G'"),
        ("chexprompt.replies.0", "unknown detail of chexprompt"),
        ("chexpromt.A", "unknown component 'chexpromt'.*chexprompt, green, injection_flag"),
        ("chexprompt", "unknown component 'chexprompt'.*Write the component, a dot"),
        ("injection_flag.nothing", "unknown detail of injection_flag 'nothing'.*found"),
    ],
)
def test_an_unknown_column_is_an_error_before_anything_is_scored(tmp_path, judge, name, message):
    reward = judged({**judge, "base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(InputError, match=f"(?s){message}"):
        score(write_reports(tmp_path / "in.csv", 3), tmp_path / "out.csv", reward, detail_columns=[name])
    assert not list(tmp_path.glob(".out*"))


def test_details_of_other_components_can_be_columns(tmp_path):
    names = ["findings_f1.missed", "bleu.brevity_penalty"]
    reward = CompositeReward(["findings_f1", "bleu"])
    score(write_reports(tmp_path / "in.csv", 3), tmp_path / "out.jsonl", reward, detail_columns=names, prefix="p_")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["p_findings_f1.missed"] for row in rows] == [0.0, 1.0, 1.0]
    assert all(isinstance(row["p_bleu.brevity_penalty"], float) for row in rows)


def test_bad_and_unscored_rows_have_their_reasons_in_the_details(tmp_path):
    rows = [
        {"candidate": "Clear.", "reference": ""},
        {"candidate": 3, "reference": "x"},
        {"candidate": "A b c d.", "reference": "A b c d."},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"details": tmp_path / "d.parquet", "on_error": "keep-going", "detail_columns": ["bleu.brevity_penalty"]}
    score(tmp_path / "in.jsonl", tmp_path / "out.csv", CompositeReward(["bleu"]), **options)
    blank, bad, good = read_details(tmp_path / "d.parquet")
    assert blank["parts"]["bleu"]["failure"]["kind"] == blank["reason_kind"] == "missing_text"
    assert (bad["reward"], bad["reason_kind"], bad["parts"]) == (None, "invalid_input", {})
    assert "expected text, got 3" in bad["reason"]
    assert (good["reward"], good["reason"], good["parts"]["bleu"]["failure"]) == (1.0, None, None)


def test_an_interrupted_run_resumes_with_the_same_details(tmp_path):
    class Stops(CompositeReward):
        left = 2

        def parts(self, cases, is_gone=None):
            if not Stops.left:
                raise KeyboardInterrupt
            Stops.left -= 1
            return super().parts(cases, is_gone)

    source = write_reports(tmp_path / "in.csv", 100)
    options = {"chunk": 20, "details": tmp_path / "d.jsonl"}
    with pytest.raises(KeyboardInterrupt):
        score(source, tmp_path / "out.csv", Stops(["bleu"]), **options)
    assert not (tmp_path / "d.jsonl").exists()
    with pytest.raises(InputError, match="details"):
        score(source, tmp_path / "out.csv", CompositeReward(["bleu"]), chunk=20)
    scored = score(source, tmp_path / "out.csv", CompositeReward(["bleu"]), **options)
    assert (scored.resumed, scored.details) == (40, tmp_path / "d.jsonl")
    resumed = (tmp_path / "d.jsonl").read_bytes()
    score(source, tmp_path / "out.csv", CompositeReward(["bleu"]), **options)
    assert (tmp_path / "d.jsonl").read_bytes() == resumed
    assert len(resumed.splitlines()) == 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d.csv", "details are nested, which .csv cannot hold; write .jsonl or .parquet"),
        ("none/d.jsonl", "the folder .* does not exist"),
        ("out.jsonl", "is the input or the output itself"),
        ("notes.jsonl", "exists and is not a file of details"),
    ],
)
def test_a_wrong_place_for_details_is_an_error_before_anything_is_scored(tmp_path, name, message):
    (tmp_path / "notes.jsonl").write_text('{"mine": 1}\n')
    source = write_reports(tmp_path / "in.csv", 3)
    with pytest.raises(InputError, match=message):
        score(source, tmp_path / "out.jsonl", CompositeReward(["bleu"]), details=tmp_path / name)
    assert not (tmp_path / "out.jsonl").exists()
    assert (tmp_path / "notes.jsonl").read_text() == '{"mine": 1}\n'


def test_details_that_json_does_not_have_are_written_in_its_terms(tmp_path):
    from cxr_rewards.files.details import CaseDetails, part_details, write_details
    from cxr_rewards.types import Failure, Score

    part = part_details(Score(None, {"pair": (1, float("nan")), 3: {"x"}}, Failure("x", "y \ud800", "refusal")))
    row = CaseDetails(
        row=1, case_id="\ud800", reward=None, reason=None, reason_kind=None, gates=["g"], parts={"x": part}
    )
    for kind in ("jsonl", "parquet"):
        write_details(tmp_path / f"d.{kind}", [row])
        (read,) = read_details(tmp_path / f"d.{kind}")
        assert read["parts"]["x"]["details"] == {"pair": [1, None], "3": "{'x'}"}
        assert read["parts"]["x"]["failure"] == {"where": "x", "error": "y \ud800", "kind": "refusal"}
        assert read["gates"] == ["g"]


def test_a_file_that_is_not_one_of_details_is_not_read_as_one(tmp_path):
    (tmp_path / "d.jsonl").write_text('{"row": 1}\n')
    with pytest.raises(InputError, match="is not a file of details; make one with"):
        list(read_details(tmp_path / "d.jsonl"))


def test_the_details_of_a_case_do_not_depend_on_its_batch(judge):
    reward = judged(judge)
    cases = [Case(candidate=f"Edema, case {i}.", reference="Edema.") for i in range(3)]
    whole = reward.score_batch(cases)
    assert whole[1] == reward.score_batch(cases[1:2])[0]
