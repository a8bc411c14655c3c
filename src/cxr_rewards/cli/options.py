"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
PresetOption = Annotated[str, typer.Option("--preset", "-p", help="A preset; `cxr-rewards presets` lists them.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="A reward's TOML, instead of a preset.")]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", help="Let the reward's TOML name Python code to run; by default it is only data."),
]
MetricsOption = Annotated[
    list[str] | None, typer.Option(help="Metrics or columns, separated by commas. Default: reward and components.")
]
LowerIsBetterOption = Annotated[
    list[str] | None, typer.Option(help="Columns of other programs that are better if lower, separated by commas.")
]
NamesOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="Name of a system, instead of its file's; once for each file, in order."),
]
OnOption = Annotated[
    str | None, typer.Option(help="Column of case ids that joins the files; by default found. 'none': row by row.")
]
CandidateColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the reports to score. An absent report (null in JSONL and Parquet) is unscored; "
        "an empty CSV cell is an empty report."
    ),
]
ReferenceColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the reference reports; several that hold a section each, such as findings,impression, are put "
        "together as 'Findings: ... Impression: ...'."
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Format of IN if its name does not tell: csv, tsv, jsonl, json, parquet or xlsx."),
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of IN, such as cp1252 or utf-16-le; by default UTF-8, or as a mark says.")
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        help="Delimiter of a CSV: one character, comma, semicolon, tab or pipe; by default as the header shows."
    ),
]
SheetOption = Annotated[str | None, typer.Option(help="Sheet of an Excel file; by default the first.")]
PriorColumn = Annotated[
    list[str] | None,
    typer.Option(help="Column of earlier reports: a JSON list or one text; repeat it for several, oldest first."),
]
IdColumn = Annotated[str | None, typer.Option(help="Column of case ids, each at most once.")]
CacheOption = Annotated[Path | None, typer.Option(help="SQLite cache file shared by runs.")]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu or cuda:N; separate several by commas.")]
DtypeOption = Annotated[str, typer.Option(help="Precision of the models: float32, bfloat16 or float16.")]
JudgeUrlOption = Annotated[
    str, typer.Option(help="Base URL of the judge's endpoint, up to /v1; separate several by commas.")
]
JudgeModelOption = Annotated[str, typer.Option(help="The judge's model, as the endpoint names it.")]
ContextColumn = Annotated[
    list[str] | None, typer.Option(help="Column of context (age, sex, indication, ...); repeat it for several.")
]
