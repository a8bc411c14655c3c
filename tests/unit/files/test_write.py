"""Writing a table with its results: exact, complete, in one step."""

import csv
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_rewards.errors import InputError
from cxr_rewards.files import Table, check_output, open_table, write_table
from cxr_rewards.files.write import Result

RESULTS = {"reward": float, "reward_reason": str}
TINY = 5e-324


def table(folder: Path, content: str | bytes, name: str = "in.csv") -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path)


def parquet(path: Path) -> Any:
    return pytest.importorskip("polars").read_parquet(path, glob=False)


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',"\n\r;\t\x00\u2028 '), max_size=20)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
@settings(deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, NUMBER, st.none() | TEXT), min_size=1, max_size=5))
def test_texts_and_numbers_survive_unchanged(
    tmp_path_factory: pytest.TempPathFactory, extension: str, rows: list[tuple]
) -> None:
    folder = tmp_path_factory.mktemp("write")
    with (folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *(row[:2] for row in rows)])
    out = folder / f"out.{extension}"
    assert write_table(out, open_table(folder / "in.csv"), RESULTS, [row[2:] for row in rows]) == len(rows)
    back = [tuple(row.values.values()) for row in open_table(out)]
    if extension == "csv":
        assert all(row.error is None for row in open_table(out))
        numbers = [float(row[2]) if row[2] else None for row in back]
        assert [(a, b, x, c) for (a, b, _, c), x in zip(back, numbers, strict=True)] == [
            (a, b, x, c or "") for a, b, x, c in rows
        ]
    else:
        assert back == rows


def test_csv_has_line_feeds_and_quotes_only_where_needed(tmp_path: Path) -> None:
    source = table(tmp_path, 'a,b\r\nplain,"x, y"\r\n"He said ""no""","two\r\nlines"\r\n')
    write_table(tmp_path / "out.csv", source, RESULTS, [(0.1 + 0.2, None), (None, "judge: no, really")])
    assert (tmp_path / "out.csv").read_bytes() == (
        b'a,b,reward,reward_reason\nplain,"x, y",0.30000000000000004,\n'
        b'"He said ""no""","two\r\nlines",,"judge: no, really"\n'
    )


def test_bad_rows_are_written_with_what_could_be_read(tmp_path: Path) -> None:
    source = table(tmp_path, b"a,b\n1\n2,\xff\n3,4\n")
    write_table(
        tmp_path / "out.csv", source, RESULTS, [(None, str(row.error)[-8:] if row.error else "") for row in source]
    )
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["1,,,ide them", "2,\ufffd,,Latin-1)", "3,4,,"]
    source = table(tmp_path, b'{"a": 1}\n{"a": \n', "in.jsonl")
    write_table(tmp_path / "out.jsonl", source, RESULTS, [(1, None), (None, "broken")])
    assert (tmp_path / "out.jsonl").read_text().splitlines() == [
        '{"a": 1, "reward": 1, "reward_reason": null}',
        '{"reward": null, "reward_reason": "broken"}',
    ]


def test_jsonl_values_keep_their_types(tmp_path: Path) -> None:
    line = '{"a": "é", "n": 3, "x": 1e-05, "l": [{"k": null}], "t": true}'
    source = table(tmp_path, line + '\n{"a": "b"}\n', "in.jsonl")
    write_table(tmp_path / "out.jsonl", source, {"reward": float}, [(TINY,), (None,)])
    first, second = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert first == line[:-1] + ', "reward": 5e-324}'
    assert json.loads(second) == {"a": "b", "reward": None}
    write_table(tmp_path / "out.csv", source, {"reward": float}, [(TINY,), (None,)])
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines() == [
        "a,n,x,l,t,reward",
        'é,3,1e-05,"[{""k"": null}]",true,5e-324',
        "b,,,,,",
    ]
    write_table(tmp_path / "out.parquet", source, {"reward": float}, [(TINY,), (None,)])
    assert parquet(tmp_path / "out.parquet").rows() == [
        ("é", 3, 1e-05, '[{"k": null}]', True, TINY),
        ("b", None, None, None, None, None),
    ]


def test_parquet_keeps_its_schema(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "c": ["x", None],
            "p": [["é"], []],
            "d": [date(2020, 1, 2), None],
            "b": [b"\x00\xff", None],
            "f": [0.1, float("nan")],
        },
        schema_overrides={"c": pl.Categorical, "f": pl.Float32},
    )
    frame.write_parquet(tmp_path / "in.parquet")
    source = open_table(tmp_path / "in.parquet")
    results = [(0.5, None), (None, "timeout")]
    assert write_table(tmp_path / "out[1].parquet", source, RESULTS, results) == 2
    back = parquet(tmp_path / "out[1].parquet")
    assert dict(back.schema) == {**frame.schema, "reward": pl.Float64, "reward_reason": pl.String}
    assert back.drop("reward", "reward_reason").equals(frame)
    assert back.select("reward", "reward_reason").rows() == results
    write_table(tmp_path / "out.csv", source, {"reward": float}, [(0.5,), (None,)])
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        'x,"[""é""]",2020-01-02,AP8=,0.10000000149011612,0.5',
        ",[],,,nan,",
    ]
    write_table(tmp_path / "out.jsonl", source, {"reward": float}, [(0.5,), (None,)])
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[1]) == {
        "c": None, "p": [], "d": None, "b": None, "f": None, "reward": None,
    }  # fmt: skip


def test_all_missing_results_have_their_types_in_parquet(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    write_table(tmp_path / "out.parquet", table(tmp_path, "a,b\n1,2\n"), RESULTS, [(None, None)])
    assert list(parquet(tmp_path / "out.parquet").schema.values()) == [pl.String, pl.String, pl.Float64, pl.String]


def test_order_is_kept_over_many_row_groups(tmp_path: Path) -> None:
    count = 25_000
    source = table(tmp_path, "a,b\n" + "".join(f"{i},x\n" for i in range(count)))
    write_table(tmp_path / "out.parquet", source, {"reward": float}, ((i / 2,) for i in range(count)))
    back = parquet(tmp_path / "out.parquet")
    assert back["a"].to_list() == [str(i) for i in range(count)]
    assert back["reward"].to_list() == [i / 2 for i in range(count)]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_failure_in_the_middle_leaves_the_old_output(tmp_path: Path, name: str) -> None:
    source = table(tmp_path, "a,b\n" + "1,2\n" * 3_000)
    out = tmp_path / name
    out.write_text("old")

    def failing() -> Iterator[Result]:
        yield from [(1.0, None)] * 2_000
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        write_table(out, source, RESULTS, failing())
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", name]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_rows_and_results_must_be_as_many(tmp_path: Path, name: str) -> None:
    source = table(tmp_path, "a,b\n1,2\n3,4\n")
    cure = "the input changed while it was scored; pass --restart"
    with pytest.raises(InputError, match=f"in.csv: has more rows than the 1 results; {cure}"):
        write_table(tmp_path / name, source, {"reward": float}, [(1.0,)])
    with pytest.raises(InputError, match=f"in.csv: has 2 rows, fewer than there are results; {cure}"):
        write_table(tmp_path / name, source, {"reward": float}, [(1.0,)] * 3)
    with pytest.raises(ValueError, match="expected 1 results a row, got 2"):
        write_table(tmp_path / name, source, {"reward": float}, [(1.0, None)] * 2)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_result_that_json_cannot_hold_is_reported_with_its_row(tmp_path: Path, value: float) -> None:
    source = table(tmp_path, "a,b\n1,2\n3,4\n")
    with pytest.raises(
        InputError, match=rf"in\.csv: row 2 \(line 3\): reward is {value!r}, which JSON cannot hold; wri"
    ):
        write_table(tmp_path / "out.jsonl", source, {"reward": float}, [(1.0,), (value,)])
    assert not (tmp_path / "out.jsonl").exists()


def test_leftover_of_a_killed_run_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.partial").write_text("half a table" * 1_000)
    write_table(tmp_path / "out.csv", table(tmp_path, "a,b\n1,2\n"), {"reward": float}, [(1.0,)])
    assert (tmp_path / "out.csv").read_text() == "a,b,reward\n1,2,1.0\n"
    assert not (tmp_path / ".out.csv.partial").exists()


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_link_in_the_place_of_the_unfinished_output_is_not_followed(
    tmp_path: Path, extension: str, link: str
) -> None:
    (tmp_path / "victim").write_text("mine")
    getattr(tmp_path / f".out.{extension}.partial", link)(tmp_path / "victim")
    out = tmp_path / f"out.{extension}"
    write_table(out, table(tmp_path, "a,b\n1,2\n"), {"reward": float}, [(1.0,)])
    assert (tmp_path / "victim").read_text() == "mine"
    assert [row.values["reward"] for row in open_table(out)] in ([1.0], ["1.0"])
    assert not out.is_symlink()


def test_a_folder_in_the_place_of_the_unfinished_output_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.partial").mkdir()
    with pytest.raises(InputError, match=r"\.out\.csv\.partial: is a folder"):
        write_table(tmp_path / "out.csv", table(tmp_path, "a,b\n1,2\n"), {"reward": float}, [(1.0,)])


def test_tsv_is_read_and_written_with_tabs(tmp_path: Path) -> None:
    source = table(tmp_path, 'a\tb\nx, y\t"two\ttabs"\nplain\t"q ""q"""\n', "in.TSV")
    assert [row.values for row in source] == [{"a": "x, y", "b": "two\ttabs"}, {"a": "plain", "b": 'q "q"'}]
    write_table(tmp_path / "out.tsv", source, {"reward": float}, [(1.0,), (None,)])
    assert (tmp_path / "out.tsv").read_text() == 'a\tb\treward\nx, y\t"two\ttabs"\t1.0\nplain\t"q ""q"""\t\n'


def test_output_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "out.csv").symlink_to("real.csv")
    write_table(tmp_path / "out.csv", table(tmp_path, "a,b\n1,2\n"), {"reward": float}, [(1.0,)])
    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a,b,reward\n1,2,1.0\n"


def test_output_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    source = table(tmp_path, "a,reward\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("in.csv")
    for name, message in [
        (
            "out.txt",
            "out.txt: unknown extension '.txt'; known: .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .pq, .xlsx, and",
        ),
        ("folder.csv", "folder.csv: is a folder; give a file"),
        ("nowhere/out.csv", "the folder '.*nowhere' does not exist; create it first"),
        ("in.csv", "in.csv: is the input itself; give another output"),
        ("link.csv", "in.csv: is the input itself; give another output"),
        (
            "out.csv",
            "in.csv: already has the result column 'reward'; rename or drop them in the input, or give the new "
            "names a prefix with --prefix",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            check_output(tmp_path / name, source, ["reward", "reason"])
    assert check_output(tmp_path / "out.csv", source, ["score"]) == (tmp_path / "out.csv").resolve()


def test_unwritable_folder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = table(tmp_path, "a,b\n1,2\n")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match=r"out\.csv: the folder '.*' is not writable; choose another output"):
        check_output(tmp_path / "out.csv", source, [])


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, name: str) -> None:
    def peak(rows: int) -> int:
        source = table(tmp_path, "a,b\n" + "".join(f"{i:08} {'lungs ' * 50},x\n" for i in range(rows)))
        tracemalloc.start()
        write_table(tmp_path / name, source, {"reward": float}, ((0.5,) for _ in range(rows)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)  # imports
    assert peak(12_000) < peak(2_000) + 100_000  # held in memory they would take 4 MB more
