"""The command `score`: a file, or each file of a folder."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import fail, note, os_error_message, shown, working
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CacheOption,
    CandidateColumn,
    ConfigOption,
    ContextColumn,
    DelimiterOption,
    DeviceOption,
    DtypeOption,
    EncodingOption,
    FormatOption,
    IdColumn,
    JsonOption,
    JudgeModelOption,
    JudgeUrlOption,
    PresetOption,
    PriorColumn,
    ReferenceColumn,
    SheetOption,
)
from cxr_rewards.cli.render import print_summary, summary_as_json
from cxr_rewards.cli.rewards import build_ray_reward, build_reward, judges_of
from cxr_rewards.core.progress import Progress
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import InputError

if TYPE_CHECKING:
    from cxr_rewards.files import Inputs, Scored
    from cxr_rewards.reward.base import BaseReward


class EngineName(StrEnum):
    """Place where cases are scored."""

    local = "local"
    ray = "ray"


class OnBadRow(StrEnum):
    """Treatment of a row that cannot be read."""

    stop = "stop"
    keep_going = "keep-going"


class Placeholder(StrEnum):
    """Meaning of a cell that says nothing is there, such as `nan` or `N/A`."""

    absent = "absent"
    text = "text"


def score(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Reports: .csv, .tsv, .jsonl, .json, .parquet or .xlsx, text also as .gz or .zst; - for the standard "
            "input; or a folder of files.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Where to write, in any of these formats; - for the standard output; of a folder, a folder.",
        ),
    ],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    id_col: IdColumn = None,
    no_ids: Annotated[
        bool,
        typer.Option("--no-ids", help="Use no column of case ids, for example if a file of rollouts repeats them."),
    ] = False,
    context_col: ContextColumn = None,
    references: Annotated[
        Path | None, typer.Option(help="File of the references, if IN has the candidates only; joined by --on.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="Column of ids in both files, or COLUMN=COLUMN if it has another name in the references; by default "
            "the usual name that both have, such as study_id."
        ),
    ] = None,
    input_format: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    sheet: SheetOption = None,
    out_format: Annotated[
        str | None, typer.Option(help="Format of the standard output; by default that of the input.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Also summarise by this column; ages in bands. Repeat it for several, which are also crossed."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column of patients, studies or groups whose rows are not independent, for the intervals. Detected "
            "by default; 'none': all rows are independent."
        ),
    ] = None,
    on_error: Annotated[
        OnBadRow, typer.Option(help="If a row cannot be read: stop before scoring, or leave that row unscored.")
    ] = OnBadRow.stop,
    placeholders: Annotated[
        Placeholder,
        typer.Option(help="Cells such as nan, N/A, None or null: absent (not scored), or the text of a report."),
    ] = Placeholder.absent,
    prefix: Annotated[str, typer.Option(help="Prefix of the names of the new columns.")] = "",
    details: Annotated[
        Path | None,
        typer.Option(
            help="Also write what explains each score, a row a case: .jsonl or .parquet; of a folder, a folder."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Also add columns from the details, separated by commas, such as chexprompt.significant,chexprompt.A."
        ),
    ] = None,
    cache: CacheOption = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    engine: Annotated[EngineName, typer.Option(help="Score in this process, or in actors of a Ray cluster.")] = (
        EngineName.local
    ),
    workers: Annotated[int, typer.Option(min=1, help="Actors, with --engine ray.")] = 2,
    gpus_per_worker: Annotated[float, typer.Option(min=0, help="GPUs per actor; 0.25 lets four share one.")] = 0.0,
    restart: Annotated[bool, typer.Option("--restart", help="Discard the progress of an interrupted run.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file that is not a file of scores.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score each row of IN and add columns for each component, the reward, and the reason if a row is unscored.

    With `-o -` the scores go to the standard output and the summary to the standard error.

    Repeat the same command to resume an interrupted run. The output appears when it is complete. Exit code 1: nothing
    was scored, or some file of a folder was not.
    """
    if no_ids and id_col:
        raise InputError(f"give either --id-col {id_col} or --no-ids, not both")
    from cxr_rewards.files import Inputs

    inputs = Inputs(
        kind=input_format, encoding=encoding, delimiter=delimiter, sheet=sheet, references=references, on=on
    )
    judge = {"base_url": judge_url, "model": judge_model}
    settings: dict[str, Any] = {"device": device, "dtype": dtype, "allow_code": allow_code}
    with working("preparing the reward"):  # starts actors, reads weights for the signature
        if engine is EngineName.ray:
            reward = build_ray_reward(preset, config, cache, workers, gpus_per_worker, judge=judge, **settings)
        else:
            reward = build_reward(preset, config, cache, judge=judge, **settings)
        digest = reward.signature.rpartition("#")[2]
    note(f"reward: {reward.name} #{digest}")
    if not getattr(reward.cache, "shared", False) and judges_of(reward):
        note("judges' replies stay in memory; --cache FILE keeps them for a resumed run and for other runs")
    named = {
        "candidate": candidate_col,
        "reference": reference_col,
        "priors": prior_col or (),
        "case_id": "" if no_ids else id_col,
        "context": context_col or (),
    }
    options: dict[str, object] = {
        "on_error": on_error.value,
        "placeholders": placeholders.value,
        "prefix": prefix,
        "details": details,
        "detail_columns": [name for names in columns or () for part in names.split(",") if (name := part.strip())],
        "by": [name for name in by or () if name],
        "cluster": "" if cluster == "none" else cluster,
        "restart": restart,
        "force": force,
    }
    if engine is EngineName.ray:
        options["chunk"] = 4096 * workers  # enough to keep all actors busy
    score_files(source, out, reward, named, options, inputs, as_json=as_json, out_format=out_format)


def score_files(
    source: Path,
    out: Path,
    reward: BaseReward,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
    inputs: Inputs,
    *,
    as_json: bool,
    out_format: str | None = None,
) -> None:
    """Score a file, or each file of a folder that has no scores yet, and print the summary.

    A file of a folder that cannot be scored is reported; the others keep their scores.

    Args:
        source: a file, a folder, or `-` for the standard input.
        out: where to write: a file or a folder, as `source`, or `-` for the standard output.
        reward: the reward to score with.
        named: arguments of `choose_columns`.
        options: arguments of `score_file`; of a folder, `details` is a folder that gets `NAME.jsonl` for each file.
        inputs: how the files are read.
        as_json: print one JSON document; for a folder it has a list of `files`.
        out_format: of the standard output; `None`: that of the input.
    """
    to_stdout = str(out) == "-"
    if out_format is not None and not to_stdout:
        raise InputError(f"--out-format {out_format}: is for -o -; the name of a file gives its format")
    if source.is_dir():
        if to_stdout:
            raise InputError(f"-o -: {source} is a folder, so give a folder for the scores")
        _score_folder(source, out, reward, named, options, inputs, as_json=as_json)
        return
    with _folder_of_output(to_stdout) as folder:
        scored, _ = _score(source, out, reward, named, options, inputs, folder=folder, out_format=out_format)
        if folder is not None:
            with scored.out.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            scored = replace(scored, out=Path("stdout"))
    if as_json:
        typer.echo(json.dumps(summary_as_json(scored, reward), indent=2, ensure_ascii=False), err=to_stdout)
    else:
        print_summary(scored, reward, error=to_stdout)
    if _nothing_scored(scored):
        fail(f"none of the {scored.rows:,} rows was scored; the reasons are in {scored.out}")


def _score_folder(
    source: Path,
    out: Path,
    reward: BaseReward,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
    inputs: Inputs,
    *,
    as_json: bool,
) -> None:
    from cxr_rewards.files import SUMS, Folder

    settings = {key: options[key] for key in ("on_error", "placeholders", "prefix")}
    settings |= {"detail_columns": options["detail_columns"]} if options["detail_columns"] else {}
    beside: Path | None = options["details"]
    if beside is not None:
        settings["details"] = True
        _make_details_folder(beside, source)
    run = {"reward": reward.signature, "columns": named, "writes": list(SUMS), **settings, **inputs.fingerprint()}
    folder = Folder(source, out, run, restart=options["restart"])
    for name, why in folder.left_out.items():
        note(f"{source / name}: left out: {why}")
    files: list[dict[str, object]] = []
    failed = []
    try:
        for file in folder.files:
            own = options if beside is None else {**options, "details": beside / f"{file.source.name}.jsonl"}
            if file.finished and (beside is None or own["details"].is_file()):
                note(f"{file.source}: has its scores; --restart scores it again")
                files.append({"in": str(file.source), "out": str(file.target), "finished_before": True})
                continue
            try:
                scored, sha256 = _score(file.source, file.target, reward, named, own, inputs)
            except InputError as error:
                note(f"error: {error}")
                files.append({"in": str(file.source), "error": str(error)})
                failed.append(file.source.name)
                continue
            files.append({"in": str(file.source), **summary_as_json(scored, reward)})
            if _nothing_scored(scored):
                failed.append(file.source.name)
            else:
                folder.finish(file, sha256)
            if not as_json:
                print_summary(scored, reward)
    finally:  # however the run ends, report the finished files
        if as_json:
            typer.echo(json.dumps({"files": files, "left_out": folder.left_out}, indent=2, ensure_ascii=False))
    if failed:
        fail(f"{len(failed)} of {len(folder.files)} files without a score: {', '.join(failed)}")


def _make_details_folder(folder: Path, source: Path) -> None:
    from cxr_rewards.files.formats import is_table

    if is_table(folder):
        raise InputError(f"--details {folder}: {source} is a folder, so give a folder for the details")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _folder_of_output(to_stdout: bool) -> Iterator[Path | None]:
    """Yield a temporary folder for what goes to the standard output; `None` if nothing does."""
    if not to_stdout:
        yield None
        return
    with TemporaryDirectory(prefix="cxr_rewards-") as folder:
        yield Path(folder)


def _score(
    source: Path,
    out: Path,
    reward: BaseReward,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
    inputs: Inputs,
    *,
    folder: Path | None = None,
    out_format: str | None = None,
) -> tuple[Scored, str]:
    """Return the result and the checksum of the input; with a `folder`, write there in a format of the input's."""
    from cxr_rewards.files import score_file

    again = "repeat the same command" if folder else "repeat the same command to resume"
    progress = Progress()
    progress.begin("opening")
    try:
        with shown(progress) as tell:
            table = inputs.open(source)
            for told in table.notes:
                tell(f"{table.name}: {told}")
            columns = table.choose_columns(**named)
            tell(f"{table.name}: {columns}")
            if folder is not None:
                out = folder / f"scores.{out_format or table.kind}"
            scored = score_file(table, columns, reward, out, progress=progress, tell=tell, **options)
    except KeyboardInterrupt:
        fail(f"interrupted; {again}", 130)
    except OSError as error:  # usually a full disk
        fail(f"{os_error_message(error, out)}; fix that, then {again}")
    finally:
        for model, tally in LEDGER.tallies().items():
            note(f"judge {model}: {tally}")
    summary = scored.summary
    if len(summary.by) > len(summary.tables()) - 1 > 0:
        note(f"{' × '.join(summary.by)}: more than 200 groups; shown only by each column alone")
    return scored, str(table.fingerprint()["input_sha256"])


def _nothing_scored(scored: Scored) -> bool:
    return scored.summary.overall()["reward"].n == 0
