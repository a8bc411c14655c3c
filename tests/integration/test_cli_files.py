"""Forms of input and output on the command line."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from tests.command_line import run, run_process

from cxr_rewards import CompositeReward
from cxr_rewards.files import read_provenance

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample_reports.csv"
BLEU = ("--config", "bleu.toml")


@pytest.fixture(autouse=True)
def _bleu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bleu.toml").write_text("[components]\nbleu = { weight = 1.0 }\n")


def scores(path):
    """Return the rewards of the sample by id, from a file in any format."""
    from cxr_rewards.files import open_table

    return [row.values["reward"] and float(row.values["reward"]) for row in open_table(path)]


@pytest.fixture
def expected(tmp_path):
    assert run("score", SAMPLE, "-o", "expected.csv", *BLEU).returncode == 0
    return scores(tmp_path / "expected.csv")


def forms(folder):
    """Write the sample in every form; return the arguments that score each."""
    text = SAMPLE.read_text(encoding="utf-8")
    frame = pl.read_csv(SAMPLE, infer_schema=False).fill_null("")
    rows = frame.to_dicts()
    (folder / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "b.csv").write_bytes(text.encode("utf-16"))
    (folder / "c.csv").write_bytes(text.encode("cp1252"))
    frame.write_csv(folder / "d.csv", separator=";")
    frame.write_csv(folder / "e.txt", separator="^")
    frame.with_row_index("").select("", *frame.columns).write_csv(folder / "f.tsv", separator="\t")
    (folder / "g.json").write_text(json.dumps({row["study_id"]: row for row in rows}))
    (folder / "h.json").write_text(json.dumps(rows))
    frame.select("study_id", "candidate").write_parquet(folder / "i.parquet")
    frame.drop("candidate").reverse().write_csv(folder / "references.csv")
    return {
        "a.csv.gz": (),
        "b.csv": (),
        "c.csv": ("--encoding", "cp1252"),
        "d.csv": (),
        "e.txt": ("--format", "csv", "--delimiter", "^"),
        "f.tsv": (),
        "g.json": (),
        "h.json": (),
        "i.parquet": ("--references", "references.csv", "--on", "study_id"),
    }


def test_every_form_of_input_gives_the_same_scores(tmp_path, expected):
    for name, options in forms(tmp_path).items():
        done = run("score", name, "-o", f"out_{name}.jsonl", *BLEU, *options)
        assert done.returncode == 0, (name, done.stderr)
        assert scores(tmp_path / f"out_{name}.jsonl") == expected, name


@pytest.mark.parametrize("out", ["out.csv.gz", "out.tsv", "out.jsonl.gz", "out.json", "out.parquet"])
def test_every_form_of_output_holds_the_same_scores_and_says_what_made_it(tmp_path, expected, out):
    done = run("score", SAMPLE, "-o", out, *BLEU)
    assert done.returncode == 0, done.stderr
    assert scores(tmp_path / out) == expected
    assert read_provenance(tmp_path / out)["reward"]["signature"] == CompositeReward.from_config("bleu.toml").signature
    assert run("score", SAMPLE, "-o", out, *BLEU).returncode == 0, "a file of scores is replaced unasked"


def test_excel_goes_in_and_out(tmp_path, expected):
    pytest.importorskip("fastexcel")
    pytest.importorskip("xlsxwriter")
    assert run("score", SAMPLE, "-o", "a.xlsx", *BLEU).returncode == 0
    assert scores(tmp_path / "a.xlsx") == pytest.approx(expected, rel=1e-15)
    done = run("score", "a.xlsx", "-o", "b.csv", *BLEU, "--prefix", "again_", "--sheet", "scores")
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "b.csv")["again_reward"].to_list() == expected


def test_stdin_to_stdout_is_a_pipe(tmp_path, expected):
    with SAMPLE.open("rb") as file:
        done = run_process("score", "-", "-o", "-", *BLEU, "--out-format", "jsonl", stdin=file)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["reward"] for line in done.stdout.splitlines()] == expected
    assert "reward" in done.stderr
    assert "stdin: candidate from 'candidate'" in done.stderr


def test_stdout_has_the_format_of_the_input_and_the_summary_goes_to_stderr(tmp_path):
    done = run("score", SAMPLE, "-o", "-", *BLEU, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("bleu,reward,reason,reason_kind")
    assert json.loads(done.stderr[done.stderr.index("\n{") :])["out"] == "stdout"
    assert "is for -o -" in run("score", SAMPLE, "-o", "x.csv", "--out-format", "csv").stderr
    (tmp_path / "in").mkdir()
    assert "so give a folder for the scores" in run("score", "in", "-o", "-", *BLEU).stderr


def test_an_interrupted_run_of_two_files_resumes_with_the_same_output(tmp_path):
    forms(tmp_path)
    command = ("score", "i.parquet", "--references", "references.csv", *BLEU)
    assert run(*command, "-o", "whole.csv").returncode == 0
    from cxr_rewards.files import scoring

    count = 0
    score_rows = scoring.score_rows

    def interrupted(*arguments):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return score_rows(*arguments)

    five = patch.dict(scoring.score_file.__kwdefaults__, chunk=5)
    with patch.object(scoring, "score_rows", interrupted), five:
        stopped = run(*command, "-o", "out.csv")
    assert stopped.returncode == 130
    assert "repeat the same command to resume" in stopped.stderr
    other = (tmp_path / "references.csv").read_text()
    (tmp_path / "references.csv").write_text(other.replace("effusion", "EFFUSION"))
    changed = run(*command, "-o", "out.csv")
    assert "references_input_sha256" in changed.stderr
    (tmp_path / "references.csv").write_text(other)
    done = run(*command, "-o", "out.csv")
    assert done.returncode == 0, done.stderr
    assert "(10 of them by an earlier run)" in done.stdout
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_rexrank_scores_in_both_settings_by_age_and_sex(tmp_path):
    rows = pl.read_csv(SAMPLE, infer_schema=False).fill_null("").to_dicts()
    studies = {
        f"s{row['study_id']}": {
            "image_path": [f"{row['study_id']}.png"],
            "section_findings": row["reference"],
            "section_impression": None if i % 2 else "As above.",
            "context": f"Age:{10 * (i % 5)}-{10 * (i % 5) + 10}.Gender:{'MF'[i % 2]}.Indication: Cough.",
            "model_prediction": f"Findings: {row['candidate']}",
        }
        for i, row in enumerate(rows)
    }
    (tmp_path / "in.json").write_text(json.dumps(studies))
    means = {}
    for sections in ("section_findings", "section_findings,section_impression"):
        done = run("score", "in.json", "-o", "out.json", *BLEU, "--reference-col", sections, "--by", "sex", "--by", "age", "--json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        means[sections] = summary["scores"]["reward"]["mean"]
        assert {table["column"] for table in summary["by"]} == {"sex", "age", "sex × age"}
        assert set(next(table for table in summary["by"] if table["column"] == "sex")["groups"]) == {"M", "F"}
    assert len(set(means.values())) == 2
    both = run("score", "in.json", "-o", "default.json", *BLEU, "--json")
    assert json.loads(both.stdout)["scores"]["reward"]["mean"] == means["section_findings,section_impression"]
    after = json.loads((tmp_path / "default.json").read_text())
    assert [{key: row[key] for key in next(iter(studies.values()))} for row in after.values()] == list(studies.values())


def test_missing_and_repeated_ids_stop_the_run_or_stay_unscored(tmp_path):
    (tmp_path / "a.csv").write_text("study_id,prediction\n7,Clear.\n8,Clear.\n8,Effusion.\n007,Clear.\n")
    (tmp_path / "b.csv").write_text("study_id,report\n7,Clear.\n8,Clear.\n9,Clear.\n")
    command = ("score", "a.csv", "-o", "out.csv", "--references", "b.csv", *BLEU)
    stopped = run(*command)
    assert stopped.returncode == 1
    assert (
        "a.csv: row 4 (line 5), column 'study_id': '007' is not in b.csv (but '7' is: write ids the" in stopped.stderr
    )
    assert "b.csv: row 3 (line 4), column 'study_id': '9' is not in a.csv" in stopped.stderr
    assert "case id '8' is already that of row 2 (line 3)" in stopped.stderr
    assert "3 of 5 rows cannot be read; nothing was scored" in stopped.stderr
    done = run(*command, "--on-error", "keep-going")
    assert done.returncode == 0, done.stderr
    assert [bool(value) for value in scores(tmp_path / "out.csv")] == [True, True, False, False, False]
    assert "joins two files" in run("score", "a.csv", "-o", "x.csv", "--on", "study_id").stderr


def test_a_folder_is_scored_against_one_file_of_references(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("a", "b"):
        (tmp_path / "models" / f"{name}.csv").write_text("study_id,prediction\n1,Clear lungs.\n2,Effusion.\n")
    (tmp_path / "refs.csv").write_text("study_id,report\n1,Clear lungs.\n2,Small effusion.\n")
    command = ("score", "models", "-o", "out", "--references", "refs.csv", *BLEU)
    assert run(*command).returncode == 0
    assert len(scores(tmp_path / "out" / "b.csv")) == 2
    assert "has its scores" in run(*command).stderr
    (tmp_path / "refs.csv").write_text("study_id,report\n1,Clear lungs.\n2,Large effusion.\n")
    assert "holds scores of another reward, or with other settings (references)" in run(*command).stderr


def peak_mb(folder, name):
    code = (
        "from cxr_rewards.cli.app import app; import sys;"
        f"app(['score', {name!r}, '-o', 'out.csv', '-c', 'bleu.toml', '--references', 'refs.csv'], standalone_mode=False);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return int(done.stderr.splitlines()[-1]) / 1000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory where Linux tells it")
def test_memory_does_not_grow_with_json_or_compressed_files_joined(tmp_path):
    peaks = {}
    for name in ("in.json", "in.csv.gz"):
        for count in (6_000, 15_000):
            ids = [f"s{i}" for i in range(count)]
            notes = [f"{i:03000}" for i in range(count)]
            frame = pl.DataFrame({"study_id": ids, "prediction": ["Clear lungs."] * count, "note": notes})
            if name == "in.json":
                (tmp_path / name).write_text(json.dumps({row["study_id"]: row for row in frame.to_dicts()}))
            else:
                buffer = io.BytesIO()
                frame.write_csv(buffer)
                (tmp_path / name).write_bytes(gzip.compress(buffer.getvalue()))
            frame.select("study_id", report="prediction", more="note").write_csv(tmp_path / "refs.csv")
            peaks[name, count] = peak_mb(tmp_path, name)
        assert peaks[name, 15_000] < peaks[name, 6_000] * 1.25, peaks  # 9,000 rows more are 27 MB
