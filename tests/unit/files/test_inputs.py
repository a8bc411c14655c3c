"""Forms in which people have their files: delimiters, encodings, compression, the standard input, Excel."""

import gc
import gzip
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cxr_rewards.errors import InputError
from cxr_rewards.files import Table, choose_columns, open_table, read_cases, write_table
from cxr_rewards.files.csv_table import DELIMITERS

zstandard = pytest.importorskip("zstandard")
ROWS = [("1", "Clear, no effusion; none.", "Normal.\nChest."), ("2", 'She said "fine".', "Öd|em\ta.")]
TEXT = 'id,candidate,reference\n1,"Clear, no effusion; none.","Normal.\nChest."\n2,"She said ""fine"".",Öd|em\ta.\n'


@pytest.fixture(autouse=True)
def _no_copies_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    yield
    gc.collect()
    assert not list(copies.iterdir()), "temporary copies are deleted"


def saved(folder: Path, content: str | bytes, name: str = "in.csv") -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def cells(table: Table) -> list[tuple[object, ...]]:
    rows = list(table)
    assert [row.error for row in rows] == [None] * len(rows)
    return [tuple(row.values.values()) for row in rows]


def with_delimiter(mark: str, end: str = "\n") -> str:
    lines = [("id", "candidate", "reference"), *ROWS]
    return "".join(mark.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line) + end for line in lines)


@pytest.mark.parametrize("mark", DELIMITERS.values(), ids=DELIMITERS)
@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_the_delimiter_is_found_in_the_header_and_told(tmp_path: Path, mark: str, name: str) -> None:
    table = open_table(saved(tmp_path, with_delimiter(mark, "\r\n"), name))
    assert cells(table) == ROWS
    assert bool(table.notes) == (mark != {"in.csv": ",", "in.tsv": "\t"}[name])


@pytest.mark.parametrize(("given", "mark"), [("semicolon", ";"), (";", ";"), ("\\t", "\t"), ("TAB", "\t"), ("^", "^")])
def test_the_delimiter_can_be_named(tmp_path: Path, given: str, mark: str) -> None:
    assert cells(open_table(saved(tmp_path, with_delimiter(mark)), delimiter=given)) == ROWS


@pytest.mark.parametrize("given", ["", ";;", '"', "\n"])
def test_an_impossible_delimiter_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(InputError, match="--delimiter: expected one character, or comma, semicolon, tab, pipe"):
        open_table(saved(tmp_path, TEXT), delimiter=given)


def test_a_wrong_delimiter_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"header \(line 1\) has no '\|'; name the delimiter .*, or leave it out"):
        open_table(saved(tmp_path, TEXT), delimiter="pipe")


def test_a_header_of_several_columns_is_never_split_otherwise(tmp_path: Path) -> None:
    assert open_table(saved(tmp_path, "a;b,c\n1;2,3\n")).columns == ("a;b", "c")


def test_excels_line_with_the_delimiter_is_not_a_row(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, b"\xef\xbb\xbfsep=;\r\n" + with_delimiter(";", "\r\n").encode()))
    assert cells(table) == ROWS
    assert [row.line for row in table] == [3, 5]


def test_columns_without_a_name_are_called_as_pandas_does(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, ",candidate,reference,\n0,Clear.,Clear.,\n"))
    assert table.columns == ("Unnamed: 0", "candidate", "reference", "Unnamed: 3")
    assert "columns without a name are called as pandas does: Unnamed: 0, Unnamed: 3" in table.notes
    write_table(tmp_path / "out.csv", table, {"reward": float}, [(1.0,)])
    assert pl.read_csv(tmp_path / "out.csv").columns == [*table.columns, "reward"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.json"])
def test_a_marked_encoding_is_found(tmp_path: Path, encoding: str, name: str) -> None:
    content = {
        "in.csv": TEXT,
        "in.jsonl": "".join(
            json.dumps(dict(zip(("id", "candidate", "reference"), row, strict=True))) + "\n" for row in ROWS
        ),
        "in.json": json.dumps([dict(zip(("id", "candidate", "reference"), row, strict=True)) for row in ROWS]),
    }[name]
    table = open_table(saved(tmp_path, content.encode(encoding), name))
    assert cells(table) == ROWS
    assert (f"is in {encoding.upper()}" in table.notes) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16-le", "mac_roman", "utf-8"])
def test_the_encoding_can_be_named(tmp_path: Path, encoding: str) -> None:
    assert cells(open_table(saved(tmp_path, TEXT.encode(encoding)), encoding=encoding)) == ROWS


def test_a_byte_that_is_not_in_the_encoding_spoils_its_row_only(tmp_path: Path) -> None:
    table = open_table(saved(tmp_path, b"a,b\n1,x\x81y\n2,\xfc\n"), encoding="cp1252")
    bad, good = table
    assert "row 1 (line 2), column 'b': byte 0x81 after 1 characters is not CP1252; name another --encoding" in str(
        bad.error
    )
    assert good.values["b"] == "ü"


def test_bytes_that_are_not_utf8_name_the_option(tmp_path: Path) -> None:
    (row,) = open_table(saved(tmp_path, b"a,b\n1,\xfc\n"))
    assert "or name its encoding with --encoding (it may be Windows-1252" in str(row.error)
    (row,) = open_table(saved(tmp_path, b'{"a": "\xfc", "b": 1}\n', "in.jsonl"))
    assert "save the file as UTF-8, or name its --encoding" in str(row.error)


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (TEXT.encode(), "klingon", "--encoding: unknown encoding 'klingon'; examples: utf-8, utf-16, cp1252, latin-1"),
        (TEXT.encode(), "base64", "--encoding: unknown encoding 'base64'"),
        (TEXT.encode("utf-16-le")[:-1], "utf-16-le", "in.csv: cannot be read as utf-16-le after line"),
        (TEXT.encode("utf-8-sig"), "cp1252", "in.csv: begins with the mark of UTF-8, so it is not cp1252; leave out"),
        (b"\xff\xfe" + TEXT.encode("utf-16-le")[:-1], None, "in.csv: cannot be read as utf-16 after line"),
    ],
)
def test_a_wrong_encoding_is_told(tmp_path: Path, content: bytes, encoding: str | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_table(saved(tmp_path, content), encoding=encoding)
    assert message in str(caught.value)


PACKED = {"gz": gzip.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("extension", PACKED)
def test_compressed_text_is_read_and_written(tmp_path: Path, extension: str) -> None:
    path = saved(tmp_path, PACKED[extension](TEXT.encode()), f"in.csv.{extension}")
    table = open_table(path)
    assert cells(table) == ROWS
    assert next(iter(table)).where == f"{path}: row 1 (line 2)"
    outs = [tmp_path / f"{name}.jsonl.{extension}" for name in "ab"]
    for out in outs:
        write_table(out, table, {"reward": float}, [(1.0,), (None,)])
    assert cells(open_table(outs[0])) == [(*ROWS[0], 1.0), (*ROWS[1], None)]
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_data_of_several_frames_are_read_whole(tmp_path: Path) -> None:
    half = len(TEXT) // 2
    for extension, pack in PACKED.items():
        content = pack(TEXT[:half].encode()) + pack(TEXT[half:].encode())
        assert cells(open_table(saved(tmp_path, content, f"in.csv.{extension}"))) == ROWS


def test_compression_is_seen_without_the_name_and_parquet_may_be_compressed_too(tmp_path: Path) -> None:
    assert cells(open_table(saved(tmp_path, gzip.compress(TEXT.encode()), "in.csv"))) == ROWS
    buffer = io.BytesIO()
    pl.DataFrame(ROWS, schema=["a", "b", "c"], orient="row").write_parquet(buffer)
    assert cells(open_table(saved(tmp_path, gzip.compress(buffer.getvalue()), "in.parquet.gz"))) == ROWS


@pytest.mark.parametrize("extension", PACKED)
def test_damaged_compression_is_told(tmp_path: Path, extension: str) -> None:
    whole = PACKED[extension](TEXT.encode() * 50)
    with pytest.raises(InputError, match=r"in\.csv\.\w+: ends in the middle of its \w+ data after .* bytes of content"):
        open_table(saved(tmp_path, whole[:-3], f"in.csv.{extension}"))
    broken = whole[:20] + bytes(255 - byte for byte in whole[20:60]) + whole[60:]
    with pytest.raises(InputError, match=r"has damaged \w+ data"):
        open_table(saved(tmp_path, broken, f"in.csv.{extension}"))
    with pytest.raises(InputError, match=r"is not compressed with \w+, as its name says; rename it"):
        open_table(saved(tmp_path, TEXT, f"in.csv.{extension}"))


def test_an_output_that_needs_no_compression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"parquet files are compressed as they are; leave out \.gz"):
        write_table(tmp_path / "out.parquet.gz", open_table(saved(tmp_path, TEXT)), {"reward": float}, [])


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(ROWS, schema=["id", "candidate", "reference"], orient="row").write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-16"),
        with_delimiter("\t").encode(),
        gzip.compress(TEXT.encode()),
        zstandard.compress(TEXT.encode()),
        json.dumps([dict(zip("abc", row, strict=True)) for row in ROWS]).encode(),
        "".join(json.dumps(dict(zip("abc", row, strict=True))) + "\n" for row in ROWS).encode(),
        as_parquet(),
    ],
    ids=["csv", "utf-16", "tabs", "gz", "zst", "json", "jsonl", "parquet"],
)
def test_the_standard_input_is_told_by_its_first_bytes_and_read_often(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    stdin(monkeypatch, content)
    table = open_table("-")
    assert cells(table) == cells(table) == ROWS
    assert next(iter(table)).where.startswith("stdin: row 1")


def test_the_standard_input_may_be_empty_or_of_a_named_format(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"")
    with pytest.raises(InputError, match="stdin: is empty; expected a table with at least one row"):
        open_table("-")
    stdin(monkeypatch, TEXT.encode())
    with pytest.raises(InputError, match="stdin: is not a Parquet file"):
        open_table("-", kind="parquet")
    with pytest.raises(InputError, match="unknown format 'orc'; known: csv, tsv, jsonl, json, parquet, xlsx"):
        open_table("-", kind="orc")


def test_a_name_without_a_known_extension_needs_a_format(tmp_path: Path) -> None:
    path = saved(tmp_path, TEXT, "reports.txt")
    with pytest.raises(InputError, match=r"unknown extension '\.txt'"):
        open_table(path)
    assert cells(open_table(path, kind="csv")) == ROWS


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        (
            "in.parquet",
            {"encoding": "cp1252"},
            "--encoding is for csv, tsv, jsonl, json, but this is parquet; leave it",
        ),
        ("in.jsonl", {"delimiter": ";"}, "--delimiter is for csv, tsv, but this is jsonl"),
        ("in.csv", {"sheet": "a"}, "--sheet is for xlsx, but this is csv"),
    ],
)
def test_an_option_of_another_format_is_refused(
    tmp_path: Path, name: str, option: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_table(saved(tmp_path, "x", name), **option)  # type: ignore[arg-type]


def test_more_of_the_usual_names_are_known() -> None:
    for candidate in ("model_prediction", "predictions", "gen_report", "hypotheses"):
        assert choose_columns([candidate, "reference"]).candidate == candidate
    for reference in ("references", "ref", "answer"):
        assert choose_columns(["candidate", reference]).reference == reference
    columns = ["prediction", "predictions", "report", "ref", "answer"]
    assert (choose_columns(columns).candidate, choose_columns(columns).reference) == ("prediction", "report")


CHAT = [{"role": "user", "content": "Report."}, {"role": "assistant", "content": "<think>Hm.</think>Clear lungs."}]


@pytest.mark.parametrize(
    "cell",
    [
        CHAT,
        CHAT[1],
        [{"role": "assistant", "content": [{"type": "text", "text": "Clear lungs."}]}],
        json.dumps(CHAT),
        ["Clear lungs."],
    ],
    ids=["chat", "message", "parts", "text of a chat", "list of one"],
)
@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet", "in.csv"])
def test_a_chat_is_read_as_trainers_read_it(tmp_path: Path, name: str, cell: object) -> None:
    path = tmp_path / name
    if name == "in.parquet":
        pl.DataFrame({"completion": [cell], "reference": ["Clear."]}).write_parquet(path)
    elif name == "in.jsonl":
        path.write_text(json.dumps({"completion": cell, "reference": "Clear."}))
    elif isinstance(cell, str):
        pl.DataFrame({"completion": [cell], "reference": ["Clear."]}).write_csv(path)
    else:
        pytest.skip("a CSV cell is text")
    table = open_table(path)
    (row,) = read_cases(table, table.choose_columns())
    assert row.case is not None, row.error
    assert row.case.candidate == "Clear lungs."


@pytest.mark.parametrize("cell", [[], {}, ["a", "b"], {"text": "a"}, [["a"]]])
def test_other_lists_and_objects_are_no_report(tmp_path: Path, cell: object) -> None:
    path = saved(tmp_path, json.dumps({"completion": cell, "reference": "Clear."}), "in.jsonl")
    (row,) = read_cases(table := open_table(path), table.choose_columns())
    assert "column 'completion': expected text, got" in str(row.error)


def test_an_extract_of_a_trainer_gives_the_same_report() -> None:
    from cxr_rewards.adapters import Extract
    from cxr_rewards.text.chat import answer_of

    for said in (
        "```text\nClear.\n```",
        "<answer>Clear.</answer> Bye.",
        "\\boxed{Clear lungs today.}",
        "",
        "Clear.<|im_end|>",
    ):
        chat = [{"role": "assistant", "content": said}]
        assert answer_of(chat) == Extract()(chat)
