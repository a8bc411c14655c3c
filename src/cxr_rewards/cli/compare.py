"""The command `compare`: two or more files of scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import console, note, working
from cxr_rewards.cli.options import LowerIsBetterOption, MetricsOption, NamesOption, OnOption
from cxr_rewards.errors import ConfigError, InputError

if TYPE_CHECKING:
    from cxr_rewards.evaluation import Comparison


class Allowed(StrEnum):
    """Something that may differ between the files."""

    ids = "ids"
    references = "references"
    signatures = "signatures"


class IntervalName(StrEnum):
    """Kind of bootstrap interval."""

    percentile = "percentile"
    bca = "bca"


class CorrectionName(StrEnum):
    """Adjustment of p-values for their number."""

    holm = "holm"
    bh = "bh"
    none = "none"


class FormatName(StrEnum):
    """Form of the result."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    json = "json"


_BY_EXTENSION = {".md": FormatName.markdown, ".tex": FormatName.latex, ".json": FormatName.json}


def compare_files(
    files: Annotated[
        list[Path], typer.Argument(metavar="A B ...", help="Files of scores, one for each system: the output of score.")
    ],
    name: NamesOption = None,
    on: OnOption = None,
    metrics: MetricsOption = None,
    lower_is_better: LowerIsBetterOption = None,
    allow: Annotated[
        list[Allowed] | None,
        typer.Option(help="What may differ between the files; ids: compare the cases that all files have."),
    ] = None,
    baseline: Annotated[str, typer.Option(help="Compare each system with this one only. Default: all pairs.")] = "",
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column of patients, or of whatever makes cases alike: these are resampled together. Detected by "
            "default; 'none': all cases are independent."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Also compare the gaps between the groups of this column; ages in bands. May be repeated."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=NUMBER", help="Test non-inferiority by this margin. May be repeated."),
    ] = None,
    f1: Annotated[
        bool,
        typer.Option(
            "--f1", help="Add F1 over CheXpert's conditions, read from the reports by rules if the details have none."
        ),
    ] = False,
    no_corpus: Annotated[
        bool, typer.Option("--no-corpus", help="Leave out statistics that are not means, such as micro F1.")
    ] = False,
    interval: Annotated[IntervalName, typer.Option(help="Kind of bootstrap interval.")] = IntervalName.percentile,
    correction: Annotated[
        CorrectionName, typer.Option(help="Adjust p-values for their number: Holm, Benjamini-Hochberg, or not.")
    ] = CorrectionName.holm,
    resamples: Annotated[
        int, typer.Option(min=100, help="Resamples for intervals, and sign flips for p-values.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 12345,
    form: Annotated[
        FormatName | None,
        typer.Option("--format", help="Default: by the extension of --out (.md, .tex, .json), else a table."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write here instead of printing.")] = None,
) -> None:
    """Compare systems by their scores of the same cases: differences with intervals and p-values.

    The files are joined by case. Files with other cases, other references or scores of another kind are refused, with
    what differs.
    """
    from cxr_rewards.evaluation import compare

    form = form or _BY_EXTENSION.get(out.suffix.lower() if out else "", FormatName.table)
    if out is not None:
        _check_out(out, files)
    with working("comparing") as tell:
        found = compare(
            files,
            names=name or (),
            on="" if on == "none" else on,
            metrics=_listed(metrics),
            lower_is_better=_listed(lower_is_better),
            allow=[one.value for one in allow or ()],
            baseline=baseline,
            cluster="" if cluster == "none" else cluster,
            by=[column for column in by or () if column],
            corpus_statistics=not no_corpus,
            f1=f1,
            margins=_margins(margin or ()),
            method=interval.value,
            correction=correction.value,
            resamples=resamples,
            seed=seed,
            tell=tell,
        )
    if out is None and form is FormatName.table:
        _print(found, console())
        return
    text = _text(found, form)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        note(f"-> {out}")


def _text(found: Comparison, form: FormatName) -> str:
    from cxr_rewards.evaluation.tables import as_latex, as_markdown

    if form is FormatName.json:
        return json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    if form is FormatName.table:
        from io import StringIO

        from rich.console import Console

        stream = StringIO()
        _print(found, Console(file=stream, width=160, color_system=None, highlight=False, markup=False))
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
    write = as_markdown if form is FormatName.markdown else as_latex
    return write(found.tables(), found.notes)


def _print(found: Comparison, stream: Any) -> None:
    from cxr_rewards.evaluation.tables import as_rich

    for table in found.tables():
        stream.print(as_rich(table))
    for text in found.notes:
        stream.print(f"note: {text}")


def _listed(options: Sequence[str] | None) -> list[str]:
    return [name for names in options or () for part in names.split(",") if (name := part.strip())]


def _margins(options: Sequence[str]) -> dict[str, float]:
    margins = {}
    for option in options:
        name, equals, number = option.rpartition("=")
        try:
            margins[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"--margin {option}: expected a metric and a number, such as reward=0.02")
    return margins


def _check_out(out: Path, files: Sequence[Path]) -> None:
    if any(out.resolve() == file.resolve() for file in files):
        raise InputError(f"{out}: is one of the files to compare; give the result another file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: the folder {str(out.parent)!r} does not exist; create it first")
