"""The command line as its users meet it: real files, and real processes and signals if a test is about them."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from tests.command_line import run, run_process

from cxr_rewards import CompositeReward
from cxr_rewards.cache import SqliteCache
from cxr_rewards.core.feature import Feature
from cxr_rewards.files import read_details

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample_reports.csv"
RULES = [*CompositeReward().components, "reward", "reason", "reason_kind"]


csv.field_size_limit(10**6)


def read(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path, rows, columns=None):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def reports(n):
    return [
        {"id": i, "candidate": f"Small left effusion. Study {i}.", "reference": f"Left effusion. Study {i}."}
        for i in range(n)
    ]


def test_score_keeps_the_input_and_adds_components_reward_and_reason(tmp_path):
    done = run_process("score", SAMPLE, "-o", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    before, after = read(SAMPLE), read(tmp_path / "out.csv")
    assert list(after[0]) == [*before[0], *RULES]
    assert [{k: row[k] for k in before[0]} for row in after] == before
    expected = CompositeReward().score_batch(
        candidates=[r["candidate"] for r in before],
        references=[r["reference"] for r in before],
        priors=[[r["prior_report"]] if r["prior_report"].strip() else [] for r in before],
        contexts=[{key: r[key] for key in ("age", "sex", "indication")} for r in before],
    )
    assert [float(r["reward"]) if r["reward"] else None for r in after] == [e.value for e in expected]
    assert "candidate from 'candidate', reference from 'reference', priors from 'prior_report'" in done.stderr
    assert "findings_soft_f1" in done.stdout
    assert "95% interval" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.csv.meta.json"], "nothing else is left behind"


@pytest.mark.parametrize("inner", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("outer", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rewards(tmp_path, inner, outer):
    rows = [{**row, "prior_reports": ["Clear."] if row["id"] % 2 else []} for row in reports(30)]
    source, out = tmp_path / f"in.{inner}", tmp_path / f"out.{outer}"
    if inner == "csv":
        write(source, [{**row, "prior_reports": json.dumps(row["prior_reports"])} for row in rows])
    elif inner == "jsonl":
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pl.DataFrame(rows).write_parquet(source)
    done = run("score", source, "-o", out)
    assert done.returncode == 0, done.stderr
    if outer == "parquet":
        values = pl.read_parquet(out)["reward"].to_list()
    elif outer == "jsonl":
        values = [json.loads(line)["reward"] for line in out.read_text().splitlines()]
    else:
        values = [float(row["reward"]) for row in read(out)]
    expected = CompositeReward().score_batch(
        candidates=[r["candidate"] for r in rows],
        references=[r["reference"] for r in rows],
        priors=[r["prior_reports"] for r in rows],
    )
    assert values == [e.value for e in expected]


def test_json_summary_is_for_machines(tmp_path):
    done = run("score", SAMPLE, "-o", tmp_path / "out.csv", "--json", "--by", "sex")
    data = json.loads(done.stdout)
    rows = read(tmp_path / "out.csv")
    scored = [float(r["reward"]) for r in rows if r["reward"]]
    estimate = data["scores"]["reward"]
    assert data["rows"] == len(rows)
    assert estimate["n"] == len(scored)
    assert estimate["mean"] == pytest.approx(sum(scored) / len(scored), abs=1e-12)
    assert estimate["low"] < estimate["mean"] < estimate["high"]
    assert set(data["by"]["groups"]) == {r["sex"] for r in rows}
    assert data["reward"]["signature"] == CompositeReward().signature


def test_all_columns_of_by_are_summarised_alone_and_crossed(tmp_path):
    given = ("--by", "sex", "--by", "site")
    done = run("score", SAMPLE, "-o", tmp_path / "out.csv", "--json", *given)
    tables = {table["column"]: table["groups"] for table in json.loads(done.stdout)["by"]}
    rows = read(SAMPLE)
    assert set(tables["sex"]) == {r["sex"] for r in rows}
    assert set(tables["site"]) == {r["site"] for r in rows}
    crossed = Counter(f"{r['sex']} × {r['site']}" for r in rows)
    assert {name: group["rows"] for name, group in tables["sex × site"].items()} == dict(crossed)
    printed = run("score", SAMPLE, "-o", tmp_path / "out.csv", *given).stdout
    assert [line.strip() for line in printed.splitlines() if line.startswith("by ")] == [
        "by sex",
        "by site",
        "by sex × site",
    ]


def test_copies_of_rows_do_not_narrow_the_interval(tmp_path):
    rows = [{"study_id": i, **row} for i, row in enumerate(read(SAMPLE))]
    rows = [{key: value for key, value in row.items() if key != "patient_id"} for row in rows]
    once, often = write(tmp_path / "once.csv", rows), write(tmp_path / "often.csv", rows * 8)

    def interval(source, *options):
        done = run("score", source, "-o", tmp_path / "out.csv", "--json", *options)
        estimate = json.loads(done.stdout)["scores"]["reward"]
        return done.stderr, [estimate["low"], estimate["high"]]

    messages, expected = interval(once)
    assert "intervals: rows of one 'study_id' count as one" in messages
    assert interval(often)[1] == pytest.approx(expected)
    assert interval(often, "--cluster", "study_id")[1] == pytest.approx(expected)
    messages, narrow = interval(often, "--cluster", "none")
    assert "count as one" not in messages
    assert narrow[1] - narrow[0] < (expected[1] - expected[0]) / 2
    one = write(tmp_path / "one.csv", [{**row, "study_id": "s"} for row in rows])
    messages, by_rows = interval(one)
    assert "all rows have one 'study_id', so each row counts for itself" in messages
    assert by_rows == pytest.approx(expected)


def test_placeholder_cells_are_reported_before_the_run_and_unscored(tmp_path):
    good = {"candidate": "Clear lungs.", "reference": "Clear lungs.", "prior_report": ""}
    rows = [good, {**good, "candidate": "nan"}, {**good, "reference": "N/A"}, {**good, "prior_report": "None"}]
    rows += [{**good, "candidate": "NaN"}]
    source = write(tmp_path / "in.csv", rows)
    done = run("score", source, "-o", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    after = read(tmp_path / "out.csv")
    assert [bool(row["reward"]) for row in after] == [True, False, False, True, False]
    assert after[0]["reward"] == after[3]["reward"]
    assert after[1]["reason"] == "column 'candidate': 'nan' stands for no report"
    assert [row["reason_kind"] for row in after] == ["", "missing_text", "missing_text", "", "missing_text"]
    assert after[2]["reason"] == "column 'reference': 'N/A' stands for no report"
    assert "column 'candidate': 2 cells such as 'nan' (first: row 2 (line 3)), taken as absent: unscored" in done.stderr
    assert (
        "column 'prior_report': 1 cell such as 'None' (first: row 4 (line 5)), taken as absent: no priors"
        in done.stderr
    )
    kept = run("score", source, "-o", tmp_path / "out.csv", "--placeholders", "text")
    assert [bool(row["reward"]) for row in read(tmp_path / "out.csv") if row["reference"] != "N/A"] == [True] * 4
    assert "taken as the text of a report; --placeholders absent" in kept.stderr
    lines = tmp_path / "in.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("score", lines, "-o", tmp_path / "out.csv").returncode == 0
    assert [bool(row["reward"]) for row in read(tmp_path / "out.csv")] == [True, False, False, True, False]


def test_subgroups_by_age_are_bands(tmp_path):
    done = run("score", SAMPLE, "-o", tmp_path / "out.csv", "--by", "age")
    assert done.returncode == 0
    assert "60-79" in done.stdout


def test_subgroups_may_be_bands_already_or_missing(tmp_path):
    bands = ["0-59", "60+", "", "0-59"]
    rows = [{**row, "age_group": band} for row, band in zip(reports(4), bands, strict=True)]
    done = run("score", write(tmp_path / "in.csv", rows), "-o", tmp_path / "out.csv", "--by", "age_group", "--json")
    groups = json.loads(done.stdout)["by"]["groups"]
    assert {name: group["rows"] for name, group in groups.items()} == {"0-59": 2, "60+": 1, "unknown": 1}


def test_only_what_is_surely_an_age_is_put_into_a_band(tmp_path):
    ages = ["63", "063Y", "19", "90+", "<60", "60+", "63M", ""]
    rows = [{**row, "Patient Age": age} for row, age in zip(reports(8), ages, strict=True)]
    done = run("score", write(tmp_path / "in.csv", rows), "-o", tmp_path / "out.csv", "--by", "Patient Age", "--json")
    groups = {name: group["rows"] for name, group in json.loads(done.stdout)["by"]["groups"].items()}
    assert groups == {"60-79": 2, "18-39": 1, "80+": 1, "<60": 1, "60+": 1, "63M": 1, "unknown": 1}


def test_a_subgroup_of_one_has_a_mean_but_no_interval(tmp_path):
    rows = [{**row, "site": "north" if i else "south"} for i, row in enumerate(reports(4))]
    source = write(tmp_path / "in.csv", rows)
    data = json.loads(run("score", source, "-o", tmp_path / "out.csv", "--by", "site", "--json").stdout)
    alone = data["by"]["groups"]["south"]["scores"]["reward"]
    assert (alone["n"], alone["low"], alone["high"]) == (1, None, None)
    assert alone["mean"] is not None
    table = run("score", source, "-o", tmp_path / "out.csv", "--by", "site").stdout
    south = next(line for line in table.splitlines() if line.startswith("│ south"))
    assert south.split("│")[-2].strip() == "-"


def test_an_absent_report_is_unscored_and_an_empty_one_is_a_report(tmp_path):
    source = tmp_path / "in.jsonl"
    good = {"candidate": "Clear lungs.", "reference": "Clear lungs."}
    rows = [good, {**good, "candidate": None}, {"candidate": "Clear."}, {**good, "candidate": ""}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("score", source, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    after = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["reward"] is not None for row in after] == [True, False, False, True]
    assert [row["reason"] for row in after] == [
        None, "candidate: expected text, got None", "reference: expected text, got None", None,
    ]  # fmt: skip
    assert [row["reason_kind"] for row in after] == [None, "missing_text", "missing_text", None]
    pl.DataFrame({"candidate": ["Clear.", None], "reference": ["Clear.", "Clear."]}).write_parquet(
        tmp_path / "in.parquet"
    )
    assert run("score", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet").returncode == 0
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame["reason"].to_list() == [None, "candidate: expected text, got None"]
    assert frame["reason_kind"].to_list() == [None, "missing_text"]


def test_rollouts_that_repeat_their_ids_are_scored_without_ids(tmp_path):
    source = write(
        tmp_path / "in.csv", [{**row, "id": row["id"] // 2, "prompt_id": row["id"] // 2} for row in reports(8)]
    )
    refused = run("score", source, "-o", tmp_path / "out.csv")
    assert refused.returncode == 1
    assert "or take none with --no-ids" in refused.stderr
    done = run("score", source, "-o", tmp_path / "out.csv", "--no-ids")
    assert done.returncode == 0, done.stderr
    assert "no case ids" in done.stderr
    assert all(row["reward"] for row in read(tmp_path / "out.csv"))
    both = run("score", source, "-o", tmp_path / "out.csv", "--no-ids", "--id-col", "id")
    assert "give either --id-col id or --no-ids, not both" in both.stderr


def test_equal_reasons_of_many_rows_are_one_line(tmp_path):
    source = tmp_path / "in.csv"
    rows = [f"{i % 3},Clear lungs {i}.,Clear lungs." for i in range(503)]
    rows += [f"{1000 + i},{'x' * (100_001 + i)},Clear lungs." for i in range(3)]
    rows += [f"{2000 + i},ab{'c' * i}\0,Clear lungs." for i in range(3)]
    rows += ["3,too,many,fields", "3,far,too,many,fields"]
    source.write_text("id,candidate,reference\n" + "\n".join(rows) + "\n")
    done = run("score", source, "-o", tmp_path / "out.csv", "--on-error", "keep-going", "--json")
    summary = json.loads(done.stdout)
    assert summary["unscored_kinds"] == {"invalid_input": 505, "too_long": 3}
    assert Counter(row["reason_kind"] for row in read(tmp_path / "out.csv")) == {"": 3, **summary["unscored_kinds"]}
    unscored = summary["unscored"]
    assert {reason.partition(";")[0]: count for reason, count in unscored.items()} == {
        "column 'id': case id ... is already that of row ... (line ...)": 500,
        "column 'candidate': has ... characters, more than ...": 3,
        "column 'candidate': has a NUL character after ... characters": 3,
        "has ... fields, expected ...": 2,
    }
    lines = run("score", source, "-o", tmp_path / "out.csv", "--on-error", "keep-going").stdout.splitlines()
    assert sum("case id ..." in line for line in lines) == 1


def test_an_identifier_as_subgroup_is_refused_before_anything_is_scored(tmp_path):
    done = run("score", write(tmp_path / "in.csv", reports(300)), "-o", tmp_path / "out.csv", "--by", "id")
    assert done.returncode == 1
    assert "column 'id' has more than 200 distinct values" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_columns_can_be_named_and_new_columns_prefixed(tmp_path):
    rows = [{"mine": "Clear lungs.", "theirs": "Clear lungs.", "reward": "old"}]
    source = write(tmp_path / "in.csv", rows)
    clash = run("score", source, "-o", tmp_path / "out.csv", "--candidate-col", "mine", "--reference-col", "theirs")
    assert clash.returncode == 1
    assert "already has the result column 'reward'" in clash.stderr
    assert "with --prefix" in clash.stderr
    same = run("score", source, "-o", tmp_path / "out.csv", "--candidate-col", "mine", "--reference-col", "mine")
    assert same.returncode == 1
    assert "column 'mine' is named for both candidate and reference" in same.stderr
    done = run(
        "score", source, "-o", tmp_path / "out.csv", "--candidate-col", "mine", "--reference-col", "theirs", "--prefix", "cxr_"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = read(tmp_path / "out.csv")
    assert row["reward"] == "old"
    assert float(row["cxr_reward"]) > 0.9


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", (), "in.csv: is empty"),
        (b"candidate,reference\n", (), "has a header (candidate, reference) but no rows"),
        (b"candidate,text\na,b\n", (), "no column for the reference; columns: 'candidate', 'text'. Name it with --reference-col"),
        (b"candidate,reference\na,b\n", ("--candidate-col", "canddate"), "unknown column 'canddate'; known: candidate, refer"),
        (b"candidate,reference\na,b\n", ("--by", "sex"), "unknown column 'sex'"),
        (b"candidate,reference\na,b,c\nd,e\n", (), "in.csv: row 1 (line 2) has 3 fields, expected 2"),
        (b"candidate,reference\na,\xff\n", (), "in.csv: row 1 (line 2), column 'reference': byte 0xFF"),
        (b"candidate,reference\na," + b"x" * 1_000_001 + b"\nc,d\n", (), "column 'reference': has 1,000,001 characters"),
        (b"id,candidate,reference\n1,a,b\n1,c,d\n", (), "column 'id': case id '1' is already that of row 1 (line 2)"),
        (b"candidate,reference\na,b\n", ("--preset", "rule"), "rexrank, rules, rules_v1, unirg, unirg_radcliq, unirg_step2, unirg_xl, unirg_xl_step2. Did you mean 'rules'?"),
        (b"candidate,reference\na,b\n", ("--config", "no.toml"), "no.toml: no such file"),
        (b"candidate,reference\na, \n", (), "none of the 1 rows was scored"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_with_its_place_and_a_non_zero_exit(tmp_path, content, arguments, message):
    source = tmp_path / "in.csv"
    source.write_bytes(content)
    done = run("score", source, "-o", tmp_path / "out.csv", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_keep_going_scores_the_good_rows_and_tells_the_bad_ones(tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(
        b"id,candidate,reference\n1,Clear lungs.,Clear lungs.\n2,too,many,fields\n3,Caf\xe9,Clear lungs.\n"
        b"1,Clear lungs.,Clear lungs.\n5,"
        + b"x" * 200_000
        + b",Clear lungs.\n6,Clear lungs.,\n7,Clear lungs.,Clear lungs.\n"
    )
    stopped = run("score", source, "-o", tmp_path / "out.csv")
    assert stopped.returncode == 1
    assert "4 of 7 rows cannot be read; nothing was scored" in stopped.stderr
    assert not (tmp_path / "out.csv").exists()
    done = run("score", source, "-o", tmp_path / "out.csv", "--on-error", "keep-going")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out.csv")
    assert [bool(row["reward"]) for row in rows] == [True, False, False, False, False, False, True]
    reasons = [row["reason"] for row in rows]
    for reason, part in zip(
        reasons,
        [
            "",
            "row 2 (line 3) has 4 fields",
            "byte 0xE9",
            "already that of row 1",
            "has 200,000 char",
            "reference: is empty",
            "",
        ],
        strict=True,
    ):
        assert part in reason
        assert bool(part) == bool(reason)
    assert "reference: is empty: there is nothing to compare with" in done.stdout


SLOW = """
    import os, time
    from cxr_rewards import Component, Score

    class Slow(Component):
        \"\"\"Length of the candidate, slowly; writes down what it scores.\"\"\"
        name = "slow"
        summary = "slow length"
        bounds = (0.0, float("inf"))

        def score_case(self, case, features):
            with open(os.environ["SLOW_LOG"], "a") as log:
                log.write(case.case_id + "\\n")
            time.sleep(float(os.environ["SLOW_S"]))
            return Score(len(case.candidate) / 7)
"""


@pytest.fixture
def slow(tmp_path):
    """An installed third-party component that takes its time, and a reward that uses it."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "slow.py").write_text(textwrap.dedent(SLOW))
    info = folder / "slow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cxr_rewards.components]\nslow = slow:Slow\n")
    (tmp_path / "slow.toml").write_text("[components.slow]\nweight = 1.0\n[components.bleu]\nweight = 0.5\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "SLOW_LOG": str(tmp_path / "log"), "SLOW_S": "0.002"}


def start(tmp_path, env):
    arguments = ["score", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--config", tmp_path / "slow.toml"]
    return subprocess.Popen(
        [sys.executable, "-m", "cxr_rewards", *map(str, arguments)],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path, slow, how):
    write(tmp_path / "in.csv", reports(1500))
    log = Path(slow["SLOW_LOG"])
    whole = start(tmp_path, {**slow, "SLOW_S": "0"})
    assert whole.wait(60) == 0
    whole.stderr.close()
    uninterrupted = (tmp_path / "out.csv").read_bytes()
    (tmp_path / "out.csv").unlink()
    log.unlink()

    process = start(tmp_path, slow)
    deadline = time.monotonic() + 60
    while not (log.exists() and len(log.read_text().splitlines()) > 700):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    code, message = process.wait(60), process.stderr.read()
    process.stderr.close()
    assert code == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGINT:
        assert "interrupted; repeat the same command to resume" in message
        assert "Traceback" not in message
    assert not (tmp_path / "out.csv").exists(), "the output appears only when it is complete"
    finished = (tmp_path / ".out.csv.progress").read_text().splitlines()
    kept = len(finished) - 1
    assert 512 <= kept < 1500

    log.unlink()
    again = start(tmp_path, {**slow, "SLOW_S": "0"})
    assert again.wait(60) == 0
    again.stderr.close()
    assert (tmp_path / "out.csv").read_bytes() == uninterrupted
    assert log.read_text().splitlines() == [str(i) for i in range(kept, 1500)], "finished rows are not scored again"
    assert not (tmp_path / ".out.csv.progress").exists()


def test_progress_of_another_run_is_not_mixed_in(tmp_path, slow):
    write(tmp_path / "in.csv", reports(1500))
    process = start(tmp_path, slow)
    progress = tmp_path / ".out.csv.progress"
    while not (progress.exists() and progress.read_bytes().count(b"\n") > 1):
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stderr.close()
    other = run("score", tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert other.returncode == 1
    assert "holds the progress of another run; they differ in reward" in other.stderr
    assert "Pass --restart" in other.stderr
    assert run("score", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--restart").returncode == 0


def test_a_setup_error_in_the_first_batch_blocks_nothing(tmp_path, slow):
    code = textwrap.dedent(SLOW).replace("time.sleep(", "raise SetupError('no licence') #")
    (tmp_path / "site" / "slow.py").write_text("from cxr_rewards.errors import SetupError\n" + code)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.csv", reports(3))
    for source, out in (
        (write(tmp_path / "in.csv", reports(3)), tmp_path / "out.csv"),
        (tmp_path / "in", tmp_path / "out"),
    ):
        done = run_process("score", source, "-o", out, "--config", tmp_path / "slow.toml", env=slow)
        assert done.returncode == 1
        assert "error: no licence" in done.stderr
        assert run("score", source, "-o", out).returncode == 0, "the corrected command"
    assert not (tmp_path / ".out.csv.progress").exists()


def test_a_file_without_a_score_is_not_a_finished_one(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.csv", [{"candidate": "nan", "reference": "Clear."}])
    for _ in range(2):
        done = run("score", tmp_path / "in", "-o", tmp_path / "out")
        assert done.returncode == 1
        assert "1 of 1 files without a score: a.csv" in done.stderr
    assert run("score", tmp_path / "in", "-o", tmp_path / "out", "--config", _one(tmp_path, "bleu")).returncode == 1


def test_a_file_that_is_not_of_scores_needs_force(tmp_path):
    source, out = write(tmp_path / "in.csv", reports(3)), tmp_path / "out.csv"
    out.write_text("my,own\n1,2\n")
    for option in ((), ("--restart",)):
        refused = run("score", source, "-o", out, *option)
        assert refused.returncode == 1
        assert "out.csv: exists and is not a file of scores, so it is not overwritten" in refused.stderr
        assert out.read_text() == "my,own\n1,2\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    assert run("score", source, "-o", out, "--force").returncode == 0
    assert run("score", source, "-o", out, "--config", _one(tmp_path, "bleu")).returncode == 0, "scores may be replaced"
    assert run("score", source, "-o", out).returncode == 0, "those of another reward, too"
    assert "is the input itself" in run("score", source, "-o", source, "--force", "--prefix", "x").stderr


def _one(folder, name):
    (folder / f"{name}.toml").write_text(f"[components.{name}]\nweight = 1.0\n")
    return folder / f"{name}.toml"


def test_a_touched_input_loses_no_finished_row(tmp_path, slow):
    write(tmp_path / "in.csv", reports(900))
    process = start(tmp_path, slow)
    progress = tmp_path / ".out.csv.progress"
    deadline = time.monotonic() + 60
    while not (progress.exists() and progress.read_bytes().count(b"\n") > 256):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.utime(tmp_path / "in.csv")
    code, message = process.wait(60), process.stderr.read()
    process.stderr.close()
    assert code == 0, message
    assert len(read(tmp_path / "out.csv")) == 900


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("limit", [1_000, 100_000], ids=["progress", "output"])
def test_a_full_disk_is_reported_with_its_path_and_the_run_goes_on_after_it(tmp_path, extension, limit):
    import resource

    noise = random.Random(0)  # Parquet cannot make it small
    rows = [{"candidate": f"Effusion {noise.randbytes(1000).hex()}", "reference": "Effusion."} for _ in range(200)]
    source, out = write(tmp_path / "in.csv", rows), tmp_path / f"out.{extension}"
    full = run_process(
        "score", source, "-o", out, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    assert full.returncode == 1
    assert f"error: {out}: " in full.stderr
    assert "File too large" in full.stderr
    assert "fix that, then repeat the same command to resume" in full.stderr
    assert "Traceback" not in full.stderr
    assert not out.exists()
    again = run("score", source, "-o", out)
    assert again.returncode == 0, again.stderr
    assert "200 rows" in again.stdout
    if limit == 100_000:
        assert "(200 of them by an earlier run)" in again.stdout


ENTRY_POINTS = [[sys.executable, "-m", "cxr_rewards"], [str(Path(sys.executable).with_name("cxr-rewards"))]]


COMMANDS = ["score IN -o OUT", "score IN -o OUT --json", "components", "show rules --toml"]
CLOSED = [(ENTRY_POINTS[0], closed, command) for closed in (">&-", ">&- 2>&-") for command in COMMANDS]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(("entry", "closed", "command"), [*CLOSED, (ENTRY_POINTS[1], ">&- 2>&-", COMMANDS[0])])
def test_closed_output_is_no_error(tmp_path, entry, closed, command):
    command = command.replace("IN", str(SAMPLE)).replace("OUT", str(tmp_path / "out.csv"))
    done = subprocess.run(
        ["sh", "-c", f'"$@" {command} {closed}', "sh", *entry], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if command.startswith("score"):
        assert [row["candidate"] for row in read(tmp_path / "out.csv")] == [row["candidate"] for row in read(SAMPLE)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("entry", ENTRY_POINTS, ids=["module", "script"])
def test_output_that_cannot_be_printed_is_one_message(entry):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*entry, "components", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
    assert done.returncode == 1
    assert done.stderr == "error: No space left on device\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_as_input_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "in.csv")
    done = run("score", tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "in.csv: is not a regular file" in done.stderr


def printed_at(width, *arguments):
    """Return what a terminal of this width shows."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "cxr_rewards", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env={**env, "NO_COLOR": "1"}) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how Linux tells that the other end is closed
            while chunk := os.read(ours, 65536):
                shown += chunk
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode())


def test_a_narrow_terminal_shows_every_number_on_one_line(tmp_path):
    narrow = printed_at(80, "score", SAMPLE, "-o", tmp_path / "out.csv", "--by", "sex")
    assert "measures" not in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    wide = printed_at(120, "score", SAMPLE, "-o", tmp_path / "out.csv", "--by", "sex")
    assert "measures" in wide
    interval = re.compile(r"\[-?\d\.\d{3}, -?\d\.\d{3}\]")
    assert interval.findall(narrow) == interval.findall(wide)
    assert len(interval.findall(narrow)) == 3 * (len(RULES) - 2)  # the reasons have none


def peak_mb(tmp_path, n):
    write(tmp_path / "in.csv", [{**row, "note": f"{row['id']:03000}"} for row in reports(250) * (n // 250)])
    code = (
        "import sys; from cxr_rewards.cli.app import app; "
        f"app(['score', {str(tmp_path / 'in.csv')!r}, '-o', {str(tmp_path / 'out.csv')!r}, '--no-ids'], standalone_mode=False);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1]) / 1000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory where Linux tells it")
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    small, large = peak_mb(tmp_path, 1_500), peak_mb(tmp_path, 7_500)
    assert large < small * 1.1


def test_components_are_listed_with_direction_range_and_availability():
    data = {row["name"]: row for row in json.loads(run("components", "--json").stdout)}
    assert data["bleu"]["bounds"] == [0.0, 1.0]
    assert data["repetition"]["higher_is_better"] is False
    assert data["copy_prior"]["reads"] == ["candidate", "reference", "priors"]
    assert all(row["available"] for row in data.values())
    table = run("components").stdout
    assert [name for name in data if name not in table] == []


def test_a_missing_package_is_shown_with_its_pip_line(tmp_path, slow):
    code = textwrap.dedent(SLOW).replace(
        'summary = "slow length"', 'summary = "slow"; requires = ("absent_x",); extra = "models"'
    )
    (tmp_path / "site" / "slow.py").write_text(code)
    rows = {row["name"]: row for row in json.loads(run_process("components", "--json", env=slow).stdout)}
    assert rows["slow"]["available"] is False
    assert rows["slow"]["install"] == 'pip install "cxr_rewards[models]"'
    done = run_process("score", SAMPLE, "-o", tmp_path / "out.csv", "--config", tmp_path / "slow.toml", env=slow)
    assert done.returncode == 1
    assert 'slow: needs absent_x: pip install "cxr_rewards[models]"' in done.stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import absent_x", "cannot be imported: No module named 'absent_x'"),
        ("raise RuntimeError('no licence')", "cannot be imported: RuntimeError: no licence"),
        ("class Slow: pass", "is not a subclass of cxr_rewards.Component"),
    ],
)
def test_a_component_that_cannot_be_imported_leaves_the_others_in_the_table(tmp_path, slow, code, reason):
    (tmp_path / "site" / "slow.py").write_text(code)
    rows = {row["name"]: row for row in json.loads(run_process("components", "--json", env=slow).stdout)}
    assert rows["slow"]["available"] is False
    assert reason in rows["slow"]["reason"]
    assert rows["bleu"]["available"] is True
    assert rows["bleu"]["reason"] == ""
    assert len({frozenset(row) for row in rows.values()}) == 1, "all rows have the same keys"
    table = run_process("components", env=slow)
    assert table.returncode == 0, table.stderr
    assert "bleu" in table.stdout
    assert "no: " in next(line for line in table.stdout.splitlines() if "slow" in line)


def test_what_a_component_needs_is_shown(tmp_path, slow):
    code = textwrap.dedent(SLOW).replace('summary = "slow length"', 'requires = ("json",); extra = "models"')
    (tmp_path / "site" / "slow.py").write_text(code)
    rows = {row["name"]: row for row in json.loads(run_process("components", "--json", env=slow).stdout)}
    assert (rows["slow"]["requires"], rows["slow"]["extra"], rows["slow"]["available"]) == (["json"], "models", True)
    assert (rows["bleu"]["requires"], rows["bleu"]["extra"]) == ([], "")
    assert "json [models]" in run_process("components", env=slow).stdout


def test_presets_can_be_listed_shown_and_started_from(tmp_path):
    assert "rules: " in run("presets").stdout
    assert "higher is better" in run("show", "rules").stdout
    toml = run("show", "rules", "--toml").stdout
    (tmp_path / "mine.toml").write_text(toml)
    assert run("show", tmp_path / "mine.toml").stdout == run("show", "rules").stdout
    assert "unknown preset 'rule'" in run("show", "rule").stderr


@pytest.mark.parametrize("option", [(), ("--toml",)])
def test_a_reward_that_cannot_be_shown_is_reported(tmp_path, option):
    absent = run("show", tmp_path / "nosuch.toml", *option)
    assert absent.returncode == 1
    assert "nosuch.toml: no such file" in absent.stderr
    assert "Traceback" not in absent.stderr
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    bad = run("show", tmp_path / "bad.toml", *option)
    assert bad.returncode == 1
    assert "bad.toml: cannot be read as UTF-8 text" in bad.stderr


def test_version_and_help():
    from cxr_rewards import __version__

    assert run("--version").stdout.strip() == __version__
    assert "score" in run("--help").stdout
    assert run("score").returncode == 2


class Stored(Feature):
    name = "stored"

    def compute(self, items, upstream):
        return [len(item) for item in items]


def test_a_cache_can_be_looked_after(tmp_path):
    path = tmp_path / "cache.sqlite"
    with SqliteCache(path) as cache:
        cache.put_many(Stored(), {f"text {i}": i for i in range(50)})
    stats = json.loads(run("cache", "stats", path, "--json").stdout)
    assert stats["entries"] == 50
    assert [(f["signature"], f["entries"]) for f in stats["features"]] == [(Stored().signature, 50)]
    assert "50 entries" in run("cache", "stats", path).stdout
    assert "50 entries, all good" in run("cache", "verify", path).stdout
    assert "dropped 50 entries, kept 0" in run("cache", "prune", path, "--max-mb", "0").stdout
    for option, value in [("--max-mb", "nan"), ("--max-mb", "inf"), ("--max-mb", "-1"), ("--older-than-days", "nan")]:
        refused = run("cache", "prune", path, option, value)
        assert refused.returncode == 1
        assert refused.stderr == f"error: {option} must be 0 or more and finite, got {value}\n"
    assert "no such file" in run("cache", "stats", tmp_path / "no.sqlite").stderr
    (tmp_path / "foreign.sqlite").write_bytes(b"hello, I am something else")
    foreign = run("cache", "verify", tmp_path / "foreign.sqlite")
    assert foreign.returncode == 1
    assert "Traceback" not in foreign.stderr
    assert (tmp_path / "foreign.sqlite").read_bytes() == b"hello, I am something else"


def test_a_damaged_cache_entry_is_found(tmp_path):
    path = tmp_path / "cache.sqlite"
    with SqliteCache(path) as cache:
        cache.put_many(Stored(), {"text": 1})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE entries SET value = ?", (b"j2",))
    connection.commit()
    connection.close()
    done = run("cache", "verify", path)
    assert done.returncode == 1
    assert "its checksum differs" in done.stderr


def test_scoring_with_a_cache_file_gives_the_same_output(tmp_path):
    for name in ("a", "b"):
        done = run("score", SAMPLE, "-o", tmp_path / f"{name}.csv", "--cache", tmp_path / "cache.sqlite")
        assert done.returncode == 0, done.stderr
    run("score", SAMPLE, "-o", tmp_path / "c.csv")
    assert len({(tmp_path / f"{name}.csv").read_bytes() for name in "abc"}) == 1


def test_a_folder_is_scored_file_by_file_and_goes_on_where_it_was(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write(source / "a.csv", reports(3))
    write(source / "b.csv", reports(4))
    (source / "notes.txt").write_text("no reports")
    first = run("score", source, "-o", out)
    assert first.returncode == 0
    assert "notes.txt: left out: not a .csv, .tsv, .jsonl" in " ".join(first.stderr.split())
    assert [len(read(out / name)) for name in ("a.csv", "b.csv")] == [3, 4]
    (out / "b.csv").unlink()
    before = (out / "a.csv").stat().st_mtime_ns
    os.utime(source / "a.csv")  # its content is the same
    again = run("score", source, "-o", out)
    assert again.returncode == 0
    assert "a.csv: has its scores; --restart scores it again" in " ".join(again.stderr.split())
    assert len(read(out / "b.csv")) == 4
    assert (out / "a.csv").stat().st_mtime_ns == before
    other = run(
        "score", source, "-o", out, "--preset", "judge_only", "--judge-url", "http://x/v1", "--judge-model", "m"
    )
    assert other.returncode != 0
    assert "holds scores of another reward" in " ".join(other.stderr.split())
    assert run("score", source, "-o", out, "--restart").returncode == 0
    assert (out / "a.csv").stat().st_mtime_ns != before
    (tmp_path / "empty").mkdir()
    assert "holds no .csv" in run("score", tmp_path / "empty", "-o", out).stderr
    assert "so this must be one" in " ".join(run("score", source, "-o", source / "a.csv").stderr.split())


def test_details_and_columns_from_them_are_written_for_a_file_and_for_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    source = write(tmp_path / "in" / "a.csv", reports(3))
    options = ("--columns", "bleu.brevity_penalty, findings_score.missed", "--columns", "rouge_l.recall")
    done = run("score", source, "-o", tmp_path / "out.csv", "--details", tmp_path / "d.jsonl", *options)
    assert done.returncode == 0, done.stderr
    assert "details -> " in done.stdout
    rows, details = read(tmp_path / "out.csv"), list(read_details(tmp_path / "d.jsonl"))
    added = ["bleu.brevity_penalty", "findings_score.missed", "rouge_l.recall", "reward", "reason", "reason_kind"]
    assert list(rows[0])[-6:] == added
    assert [float(row["reward"]) for row in rows] == [row["reward"] for row in details]
    recalls = [row["parts"]["rouge_l"]["details"]["recall"] for row in details]
    assert [float(row["rouge_l.recall"]) for row in rows] == recalls
    folder = ("score", tmp_path / "in", "-o", tmp_path / "out", "--details")
    assert run(*folder, tmp_path / "details", *options).returncode == 0
    assert list(read_details(tmp_path / "details" / "a.csv.jsonl")) == details
    assert "so give a folder for the details" in run(*folder, tmp_path / "d.jsonl").stderr
    assert "holds scores of another reward, or with other settings" in " ".join(run(*folder[:-1]).stderr.split())
    unknown = run("score", source, "-o", tmp_path / "new.csv", "--columns", "bleu.brevity")
    assert unknown.returncode != 0
    assert "unknown detail of bleu 'brevity'; known: brevity_penalty, precisions" in " ".join(unknown.stderr.split())


def test_a_folder_of_every_format_is_one_json_document(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write(source / "a.CSV", reports(3))
    (source / "b.ndjson").write_text("".join(json.dumps(row) + "\n" for row in reports(4)))
    pl.DataFrame(reports(5)).write_parquet(source / "c.pq")
    pl.DataFrame(reports(6)).write_csv(source / "d.tsv", separator="\t")
    (source / "e.csv").write_text("candidate,text\na,b\n")
    done = run("score", source, "-o", out, "--json")
    assert done.returncode == 1
    assert "error: 1 of 5 files without a score: e.csv" in done.stderr
    data = json.loads(done.stdout)
    assert [file.get("rows") for file in data["files"]] == [3, 4, 5, 6, None]
    assert "no column for the reference" in data["files"][4]["error"]
    records = ["a.CSV.meta.json", "b.ndjson.meta.json", "d.tsv.meta.json"]
    files = [".run.json", "a.CSV", "b.ndjson", "c.pq", "d.tsv", *records]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert (out / "d.tsv").read_text().startswith("id\tcandidate\treference\t")
    (source / "e.csv").unlink()
    again = json.loads(run("score", source, "-o", out, "--json").stdout)
    assert [file["finished_before"] for file in again["files"]] == [True] * 4


def test_a_slow_work_is_heard_of_without_a_terminal(tmp_path, slow):
    code = (
        "import cxr_rewards.core.progress as p, cxr_rewards.cli.console as c\n"
        "c.shown.__wrapped__.__kwdefaults__['every_s'] = 0.1\n"
        "from cxr_rewards.cli.app import main; main()"
    )
    source = write(tmp_path / "in.csv", reports(20))
    done = subprocess.run(
        [sys.executable, "-c", code, "score", source, "-o", tmp_path / "out.csv", "--config", tmp_path / "slow.toml"],
        capture_output=True, text=True, check=True, env={**os.environ, **slow, "SLOW_S": "0.1"}, timeout=120,
    )  # fmt: skip
    assert re.search(r"^scoring: 0 of 20 rows, none finished in the last \d+ s$", done.stderr, re.MULTILINE)
