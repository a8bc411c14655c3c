"""Reading JSONL: good rows, and every way a row or a file can be bad."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_rewards.errors import InputError
from cxr_rewards.files import Table, open_table

GOOD = b'{"a": "x", "b": null}\n'


def table(folder: Path, content: bytes) -> Table:
    path = folder / "in.jsonl"
    path.write_bytes(content)
    return open_table(path)


def test_columns_are_all_keys_in_order_of_appearance(tmp_path: Path) -> None:
    rows = table(tmp_path, b'\xef\xbb\xbf{"a": "x"}\n\n{"c": 1, "a": "y"}\n{"b": [1.5]}')
    assert rows.columns == ("a", "c", "b")
    assert [(row.number, row.line, row.values) for row in rows] == [
        (1, 1, {"a": "x"}),
        (2, 3, {"c": 1, "a": "y"}),
        (3, 4, {"b": [1.5]}),
    ]


@pytest.mark.parametrize(
    ("line", "message", "values"),
    [
        (
            b'{"a": "x" "b": 1}',
            ", column 11: broken JSON: Expecting ',' delimiter; each line must be one whole JSON",
            {},
        ),
        (b'{"a": "cut', ", column 7: broken JSON: Unterminated string starting at; each line must be one", {}),
        (b"[1, 2]", ': expected a JSON object such as {"candidate": "...", "reference": "..."}, got [1, 2]', {}),
        (b'{"a": "x", "b": NaN}', ": NaN is not a JSON value; write null", {"a": "x", "b": None}),
        (b'{"a": "x", "b": [-Infinity]}', ": -Infinity is not a JSON value; write null", {"a": "x", "b": [None]}),
        (b'{"a": 1e999}', ": the number '1e999' is too large; write null or text", {"a": None}),
        (b'{"a": "x", "a": "y"}', ": the key 'a' appears twice; rename or drop one", {"a": "y"}),
        (b'{"a": "caf\xe9"}', ", column 11: byte 0xE9 is not UTF-8; save the file as UTF-8", {"a": "caf\ufffd"}),
        (b'{"a": "x\\ud800", "b": 1}', ": has half of a surrogate pair", {"b": 1}),
        (b'{"a": ' + b"[" * 150 + b"]" * 150 + b', "b": 1}', ": is nested more than 100 levels deep", {"b": 1}),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", ": is nested more than 100 levels deep", {}),
        (b'{"a": ' + b"9" * 5_000 + b"}", ": Exceeds the limit", {}),
    ],
    ids=range(12),
)
def test_bad_line_spoils_one_row(tmp_path: Path, line: bytes, message: str, values: dict) -> None:
    rows = list(table(tmp_path, GOOD + line + b"\n" + GOOD))
    assert [row.error is None for row in rows] == [True, False, True]
    assert str(rows[1].error).startswith(f"{tmp_path / 'in.jsonl'}: row 2 (line 2){message}")
    assert rows[1].values == values


def test_whole_surrogate_pairs_and_escaped_text_are_good(tmp_path: Path) -> None:
    row = next(iter(table(tmp_path, b'{"a": "\\ud83d\\ude00 \\\\ud800"}\n')))
    assert row.error is None
    assert row.values == {"a": "\U0001f600 \\ud800"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a jsonl file with at least one row"),
        (b"\n \n", "has only blank lines; expected at least one row"),
        (b'[{"a": 1},\n{"a": 2}]\n', "no line can be read as a JSON object; the first: "),
        (b"{}\n", "no line can be read as a JSON object; the first: is empty"),
    ],
)
def test_unusable_file_is_refused_at_once(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        table(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'in.jsonl'}: {message}")


def test_data_used_as_keys_are_refused(tmp_path: Path) -> None:
    lines = "".join(json.dumps({f"k{i}": 1}) + "\n" for i in range(1_001))
    with pytest.raises(InputError, match=r"row 1001 \(line 1001\): more than 1,000 different keys"):
        table(tmp_path, lines.encode())


def test_each_column_has_one_parquet_type(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    values = {
        "bool": [True, None],
        "int": [1, 2**62],
        "float": [1, 2.5],
        "lossy": [2**53 + 1, 0.5],
        "huge": [2**70, 1],
        "text": ["x", None],
        "mixed": ["x", 1],
        "nested": [{"k": "é"}, [1]],
        "null": [None, None],
    }
    lines = [json.dumps({name: column[i] for name, column in values.items()}) for i in range(2)]
    rows = table(tmp_path, "\n".join(lines).encode())
    types = {name: str(kind) for name, kind in rows.schema().items()}
    assert types == dict.fromkeys(values, "String") | {"bool": "Boolean", "int": "Int64", "float": "Float64"}
    frame = pl.concat(list(rows.frames()))
    assert frame["int"].to_list() == [1, 2**62]
    assert frame["float"].to_list() == [1.0, 2.5]
    assert frame["text"].to_list() == ["x", None]
    assert frame["null"].to_list() == [None, None]
    assert frame["nested"].to_list() == ['{"k": "é"}', "[1]"]
    for name in ("lossy", "huge", "mixed"):
        assert [json.loads(cell) for cell in frame[name]] == values[name]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=4), min_size=1, max_size=5))
def test_any_json_objects_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row.values for row in open_table(path)] == rows
