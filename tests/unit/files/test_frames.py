"""Frames in and out, and rewards in notebooks."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cxr_rewards import CompositeReward, Failure, Reward, Score
from cxr_rewards.errors import InputError
from cxr_rewards.files import open_table, score_file, score_frame, to_frame

pandas: Any = pytest.importorskip("pandas")
REWARD = CompositeReward(["bleu", "repetition"], weights={"bleu": 1.0, "repetition": -0.5})
ROWS = {
    "study": ["a", "b", "c", "d"],
    "candidate": ["Clear lungs.", None, "Small effusion. Small effusion.", "nan"],
    "reference": ["Clear lungs.", "Edema.", "Small left effusion.", "Edema."],
    "priors": [["Edema."], [], None, ["x", "y"]],
    "age": [63, None, 7, 80],
}
ADDED = ["bleu", "repetition", "reward", "reason", "reason_kind"]


def of_file(folder: Path) -> dict[str, list[object]]:
    pl.DataFrame(ROWS).write_parquet(folder / "in.parquet")
    table = open_table(folder / "in.parquet")
    score_file(table, table.choose_columns(), REWARD, folder / "out.parquet")
    return pl.read_parquet(folder / "out.parquet").select(ADDED).to_dict(as_series=False)


def test_a_polars_frame_gets_the_columns_of_the_command_line(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS)
    scored = score_frame(frame, REWARD)
    assert isinstance(scored, pl.DataFrame)
    assert scored.columns == [*ROWS, *ADDED]
    assert scored.select(ADDED).to_dict(as_series=False) == of_file(tmp_path)
    assert frame.columns == list(ROWS), "the frame itself is not changed"
    assert scored["reason"].to_list()[3] == "column 'candidate': 'nan' stands for no report"


@pytest.mark.parametrize("missing", [None, float("nan"), pandas.NA, pandas.NaT])
@pytest.mark.parametrize("index", [[3, 1, 1, 0], ["w", "x", "y", "z"]])
def test_a_pandas_frame_keeps_its_index_and_every_null_is_absent(
    tmp_path: Path, missing: object, index: list[Any]
) -> None:
    rows = {**ROWS, "candidate": [missing if cell is None else cell for cell in ROWS["candidate"]]}
    frame = pandas.DataFrame(rows, index=index)
    scored = score_frame(frame, REWARD)
    assert isinstance(scored, pandas.DataFrame)
    assert list(scored.index) == index
    assert list(scored.columns) == [*ROWS, *ADDED]
    assert scored["reward"].dtype == float
    told = {
        name: [None if absent else value for value, absent in zip(scored[name], scored[name].isna(), strict=True)]
        for name in ADDED
    }
    assert told == of_file(tmp_path)
    assert list(frame.columns) == list(ROWS)


def test_an_array_in_a_cell_is_a_list(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pl.DataFrame(ROWS).write_parquet(tmp_path / "in.parquet")
    scored = score_frame(pandas.read_parquet(tmp_path / "in.parquet"), REWARD)
    assert scored["reward"].notna().tolist() == [True, False, True, False]


def test_columns_can_be_named_and_prefixed() -> None:
    frame = pandas.DataFrame({"mine": ["Clear."], "theirs": ["Clear."], 3: [1], "reward": [2.0]})
    with pytest.raises(InputError, match="frame: already has the result column 'reward'; drop it, or give a prefix"):
        score_frame(frame, REWARD, candidate="mine", reference="theirs")
    scored = score_frame(frame, REWARD, candidate="mine", reference="theirs", prefix="x_")
    assert list(scored.columns) == ["mine", "theirs", 3, "reward", *(f"x_{name}" for name in ADDED)]
    assert scored["x_bleu"].tolist() == [1.0]


@pytest.mark.parametrize("kind", [pl.DataFrame, pandas.DataFrame])
def test_bad_rows_stop_or_stay_unscored(kind: Any) -> None:
    frame = kind({"candidate": ["Clear.", "a\0b"], "reference": ["Clear.", "Clear."]})
    with pytest.raises(
        InputError, match="frame: row 2, column 'candidate': has a NUL character(.|\n)*1 of 2 rows cannot be"
    ):
        score_frame(frame, REWARD)
    scored = score_frame(frame, REWARD, on_error="keep-going")
    assert list(scored["reason_kind"])[1] == "invalid_input"


@pytest.mark.parametrize("kind", [pl.DataFrame, pandas.DataFrame])
def test_an_empty_frame_gets_the_columns(kind: Any) -> None:
    scored = score_frame(kind({"candidate": [], "reference": []}), REWARD)
    assert [*scored.columns] == ["candidate", "reference", *ADDED]
    assert len(scored) == 0


def test_what_is_not_a_frame_is_refused() -> None:
    with pytest.raises(InputError, match="expected a pandas or polars DataFrame, got <LazyFrame.*; collect"):
        score_frame(pl.LazyFrame(ROWS), REWARD)
    with pytest.raises(InputError, match="expected a pandas or polars DataFrame, got "):
        score_frame([{"candidate": "a"}], REWARD)  # type: ignore[type-var,unused-ignore]
    frame = pandas.DataFrame([["a", "b", "c"]], columns=["candidate", "reference", "reference"])
    with pytest.raises(
        InputError, match="several columns could be the reference|column name 'reference' appears twice"
    ):
        score_frame(frame, REWARD)


def test_pandas_is_not_imported_for_polars() -> None:
    import subprocess

    code = (
        "import sys, polars as pl; from cxr_rewards.files import score_frame; from cxr_rewards import CompositeReward;"
        "score_frame(pl.DataFrame({'candidate': ['a'], 'reference': ['a']}), CompositeReward(['bleu']));"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_rewards_become_a_frame_and_rows_that_json_can_hold() -> None:
    rewards = REWARD.score_batch(candidates=["Clear lungs.", "Edema."], references=["Clear lungs.", ""])
    frame = to_frame(rewards)
    assert frame.to_dicts() == [reward.to_dict() for reward in rewards]
    assert frame.schema == {
        "bleu": pl.Float64,
        "repetition": pl.Float64,
        "reward": pl.Float64,
        "reason": pl.String,
        "reason_kind": pl.String,
    }
    assert rewards[1].to_dict()["reason_kind"] == "missing_text"
    told = json.loads(json.dumps(rewards[0].to_dict(details=True)))
    assert told["signature"] == REWARD.signature
    assert set(told["details"]) == {"bleu", "repetition"}
    assert to_frame([]).columns == ["reward", "reason", "reason_kind"]


def test_a_notebook_shows_a_small_table_without_colours_of_its_own() -> None:
    failed = Score(None, failure=Failure("judge", "said <b>no</b> " + "x" * 500, "refusal"))
    page = Reward(None, {"bleu": Score(0.123456), "<i>judge</i>": failed}, gates=("copy<",))._repr_html_()
    assert "0.1235" in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;no" in page
    assert "copy&lt;" in page
    assert "x..." in page
    assert len(page) < 1_500
    assert "color" not in page
