"""A file of scores says what made it."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import cxr_rewards
from cxr_rewards import CompositeReward
from cxr_rewards.errors import InputError
from cxr_rewards.files import choose_columns, open_table, read_provenance, score_file

ROWS = "study_id,patient_id,candidate,reference,prior_report\n" + "".join(
    f"s{i},p{i // 2},Clear lungs.,Clear lungs {i}.,Effusion.\n" for i in range(4)
)
REWARD = CompositeReward(["bleu", "repetition"], weights={"bleu": 1.0, "repetition": -0.5})
FORMATS = ["csv", "tsv", "jsonl", "parquet"]


def score(folder: Path, out: str, **options: object) -> Path:
    (folder / "in.csv").write_text(ROWS)
    table = open_table(folder / "in.csv")
    columns = choose_columns(table.columns, case_id="study_id")
    score_file(table, columns, REWARD, folder / out, **options)  # type: ignore[arg-type]
    return folder / out


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_says_the_same_about_its_run(tmp_path: Path, extension: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    out = score(tmp_path, f"out.{extension}", prefix="x_", details=tmp_path / "details.jsonl")
    made = read_provenance(out)
    assert made is not None
    assert before <= datetime.fromisoformat(made.pop("date")) <= datetime.now(UTC)
    assert made == {
        "format": "cxr_rewards scores",
        "version": cxr_rewards.__version__,
        "input": "in.csv",
        "rows": 4,
        "columns": {
            "candidate": "candidate",
            "reference": ["reference"],
            "priors": ["prior_report"],
            "id": "study_id",
            "cluster": "patient_id",
        },
        "prefix": "x_",
        "reward": {"name": REWARD.name, "signature": REWARD.signature, "bounds": [-0.5, 1.0]},
        "components": {
            label: {
                "column": f"x_{label}",
                "signature": component.signature,
                "bounds": list(component.bounds),
                "higher_is_better": component.higher_is_better,
                "weight": {"bleu": 1.0, "repetition": -0.5}[label],
            }
            for label, component in REWARD.components.items()
        },
        "details": "details.jsonl",
    }
    assert (tmp_path / f"out.{extension}.meta.json").exists() == (extension != "parquet")


def test_a_parquet_file_keeps_its_columns_beside_the_record(tmp_path: Path) -> None:
    out = score(tmp_path, "out.parquet")
    assert list(pl.read_parquet(out).columns)[-4:] == ["repetition", "reward", "reason", "reason_kind"]


@pytest.mark.parametrize("extension", FORMATS)
def test_a_file_without_a_record_is_no_error(tmp_path: Path, extension: str) -> None:
    out = tmp_path / f"out.{extension}"
    pl.DataFrame({"reward": [0.5]}).write_parquet(out) if extension == "parquet" else out.write_text("reward\n0.5\n")
    assert read_provenance(out) is None


def test_details_in_another_folder_are_found_from_the_scores(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    made = read_provenance(score(tmp_path, "out.csv", details=tmp_path / "d" / "details.parquet"))
    assert made is not None
    assert made["details"] == "d/details.parquet"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": "cxr_rewards scores"}', '{"format": "other"}'])
def test_a_broken_record_is_an_error_that_names_it_and_the_cure(tmp_path: Path, content: str) -> None:
    out = score(tmp_path, "out.csv")
    (tmp_path / "out.csv.meta.json").write_text(content)
    with pytest.raises(
        InputError, match=r"out\.csv\.meta\.json: is not a record of scores .*; delete it, or score out\.csv again"
    ):
        read_provenance(out)


def test_a_later_run_replaces_the_record_and_never_another_file(tmp_path: Path) -> None:
    out = score(tmp_path, "out.csv")
    score(tmp_path, "out.csv", prefix="y_", force=True)
    made = read_provenance(out)
    assert made is not None
    assert made["prefix"] == "y_"
    record = tmp_path / "out.csv.meta.json"
    record.write_text('{"mine": true}')
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"out\.csv\.meta\.json: .* or --force \(it is not overwritten\)"):
        score(tmp_path, "out.csv", prefix="y_")
    assert json.loads(record.read_text()) == {"mine": True}
    assert out.read_bytes() == before


def test_a_failed_write_leaves_the_earlier_scores_with_their_record(tmp_path: Path) -> None:
    out = score(tmp_path, "out.csv")
    made = read_provenance(out)
    (tmp_path / ".out.csv.partial").mkdir()
    with pytest.raises(InputError, match="in the way"):
        score(tmp_path, "out.csv")
    assert read_provenance(out) == made


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_the_record_is_found_through_a_link_to_the_scores(tmp_path: Path) -> None:
    out = score(tmp_path, "out.csv")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "latest.csv").symlink_to(out)
    assert read_provenance(tmp_path / "links" / "latest.csv") == read_provenance(out) is not None
