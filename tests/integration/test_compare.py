"""`cxr-rewards compare` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.command_line import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Files of scores of the two sample systems, with details."""
    folder = tmp_path_factory.mktemp("scored")
    for name in ("sample_reports", "sample_reports_terse"):
        out = (folder / f"{name}.csv", "--details", folder / f"{name}.jsonl")
        assert run("score", EXAMPLES / f"{name}.csv", "-o", *out).returncode == 0
    return [folder / "sample_reports.csv", folder / "sample_reports_terse.csv"]


def compare(files, *options):
    return run("compare", *files, "--resamples", 400, *options)


def test_the_sample_systems_are_compared(scored):
    done = compare(scored, "--name", "A", "--name", "B", "--margin", "reward=0.1", "--by", "sex")
    assert done.returncode == 0, done.stderr
    for text in ("2 systems, 48 cases", "difference: A − B", "400 resamples of 46 'patient_id', seed 12345", "Holm, "):
        assert text in done.stdout
    assert "non-inferiority" in done.stdout
    assert "groups of the gaps" in done.stdout
    assert "note: cases of one 'patient_id' count as one (46 of them)" in done.stdout


def test_the_result_comes_in_each_form(scored, tmp_path):
    only = ("--metrics", "reward,rouge_l")
    for name, start in (
        ("a.md", "### 2 systems, 48 cases\n\n| measure |"),
        ("a.tex", "% cases of one 'patient_id'"),
        ("a.json", "{"),
    ):
        done = compare(scored, *only, "-o", tmp_path / name)
        assert (done.returncode, done.stdout) == (0, "")
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    measures = [one["name"] for one in json.loads((tmp_path / "a.json").read_text())["measures"]]
    assert measures == ["reward", "rouge_l"]
    latex = (tmp_path / "a.tex").read_text(encoding="utf-8")
    assert r"rouge\_l &" in latex
    assert r"\toprule" in latex
    assert json.loads(compare(scored, *only, "--format", "json").stdout)["resamples"] == 400
    compare(scored, *only, "-o", tmp_path / "a.txt")
    assert "rouge_l" in (tmp_path / "a.txt").read_text(encoding="utf-8")


def test_f1_is_read_from_the_texts(scored):
    done = compare(scored, "--metrics", "reward", "--f1", "--format", "markdown")
    assert "chexpert_rule_f1 weighted_f1_14" in done.stdout
    assert "chexpert_rule_f1" not in compare(scored, "--metrics", "reward", "--format", "markdown").stdout


def test_unequal_files_end_with_what_differs_and_code_1(scored, tmp_path):
    part = tmp_path / "part.csv"
    pl.read_csv(scored[1]).head(40).write_csv(part)
    done = compare([scored[0], part])
    assert done.returncode == 1
    assert "error: not in all files: 8 of 48 cases of sample_reports ('S041', 'S042', 'S043', ...)" in done.stderr
    assert compare([scored[0], part], "--allow", "ids", "--metrics", "reward").returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--margin", "reward"], "--margin reward: expected a metric and a number, such as reward=0.02"),
        (["--margin", "reward=x"], "--margin reward=x: expected a metric and a number"),
        (["--baseline", "C"], "--baseline: unknown system 'C'"),
        (["--metrics", "bluu"], "unknown metric 'bluu'"),
        (["-o", "no/folder.md"], "the folder 'no' does not exist"),
    ],
)
def test_wrong_options_are_told(scored, options, message):
    done = compare(scored, *options)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_input_is_not_overwritten(scored):
    before = scored[0].read_bytes()
    done = compare(scored, "-o", scored[0])
    assert (done.returncode, "is one of the files to compare" in done.stderr) == (1, True)
    assert scored[0].read_bytes() == before
