"""The command `pairs`: training data of scored candidates."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import fail, note, shown
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
    JsonOption,
    JudgeModelOption,
    JudgeUrlOption,
    PriorColumn,
    ReferenceColumn,
    SheetOption,
)
from cxr_rewards.cli.rewards import build_reward
from cxr_rewards.cli.score import OnBadRow
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cxr_rewards.adapters.preferences import Candidate, Preferences
    from cxr_rewards.adapters.preferences.table import CandidateColumns
    from cxr_rewards.files import Table
    from cxr_rewards.reward.composite import CompositeReward


class Form(StrEnum):
    """Form of prompts and completions."""

    auto = "auto"
    standard = "standard"
    conversational = "conversational"
    messages = "messages"


def pairs(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Candidates, several to a prompt: a file that `score` wrote, a run's rollouts, or reports to score; "
            "- for the standard input.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Where to write: .jsonl (also .gz, .zst) or .parquet; - for the standard output."
        ),
    ],
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="Column whose equal values are one prompt's candidates, such as study_id. Repeat it for "
            "several, such as study_id and step. Default: group."
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Column of prompts: texts, or a chat's messages (in CSV as JSON). Default: prompt."),
    ] = None,
    prompt_text: Annotated[str, typer.Option(help="The prompt of all candidates, if there is no column of it.")] = "",
    margin: Annotated[float, typer.Option(min=0, help="Least difference in reward of a pair.")] = 0.0,
    per_group: Annotated[
        int,
        typer.Option(
            min=0,
            help="Pairs of a group: 1 takes the greatest difference in reward, more so many at random, 0 all.",
        ),
    ] = 1,
    best_of: Annotated[
        int, typer.Option(min=0, help="Write so many of the best of each group instead, to fine-tune on.")
    ] = 0,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Write each candidate of a pair as a row with a label, for KTO.")
    ] = False,
    form: Annotated[
        Form,
        typer.Option(
            help="standard: texts; conversational: a chat's messages; auto: as the prompts are; messages: with "
            "--best-of, prompt and completion as one chat."
        ),
    ] = Form.auto,
    min_reward: Annotated[
        float | None, typer.Option(help="Least reward of the better candidate, or of the best.")
    ] = None,
    max_length_ratio: Annotated[
        float | None, typer.Option(min=1, help="Most that one of a pair may be longer than the other, in words.")
    ] = None,
    balance_lengths: Annotated[
        bool,
        typer.Option(
            "--balance-lengths",
            help="Leave out pairs until the better are in the mean neither longer nor shorter than the worse.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the random choice of pairs.")] = 0,
    keep: Annotated[
        list[str] | None, typer.Option(help="Column to keep, such as image. Repeat it for several.")
    ] = None,
    reward_col: Annotated[
        str | None,
        typer.Option(
            help="Column of rewards. Default: reward. Without it, or with --preset or --config, candidates are scored."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", "-p", help="Preset to score with, if there are no rewards. [default: rules]")
    ] = "",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    context_col: ContextColumn = None,
    references: Annotated[
        Path | None,
        typer.Option(help="Another file with columns of each study, such as prompt or reference; joined by --on."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="Column of ids in both files, or COLUMN=COLUMN if it has another name in the other."),
    ] = None,
    input_format: FormatOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    sheet: SheetOption = None,
    on_error: Annotated[
        OnBadRow, typer.Option(help="If a row cannot be read: stop, or leave that row out.")
    ] = OnBadRow.stop,
    cache: CacheOption = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file that is not one of pairs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make training data of scored candidates: preference pairs (DPO, KTO), or the best of each group (fine-tuning).

    The rows are in trl's formats. A summary tells how many groups were used, and why others were not. Exit code 1: no
    row was written.
    """
    from cxr_rewards.adapters.preferences import best_of as choose_best
    from cxr_rewards.adapters.preferences import preference_pairs, rows_of
    from cxr_rewards.adapters.preferences.table import CandidateColumns
    from cxr_rewards.adapters.preferences.write import check_target, write_lines, write_rows
    from cxr_rewards.files import Inputs, read_provenance

    pairs_only = bool(margin or per_group != 1 or unpaired or max_length_ratio is not None or balance_lengths)
    _check_options(form, best=best_of > 0, pairs_only=pairs_only)
    inputs = Inputs(
        kind=input_format, encoding=encoding, delimiter=delimiter, sheet=sheet, references=references, on=on
    )
    table = inputs.open(source)
    for line in table.notes:
        note(f"{table.name}: {line}")
    target = None if str(out) == "-" else check_target(out, table, force=force)
    by: dict[str, Any] = {
        "group": _group(table, group),
        "prompt": _prompt(table, prompt, prompt_text),
        "prompt_text": prompt_text,
    }
    record = None if str(source) == "-" else read_provenance(source)
    scored = reward_col or (f"{record['prefix']}reward" if record else "reward")
    reward = None
    if preset or config or (reward_col is None and scored not in table.columns):
        if reward_col is not None:
            raise InputError(f"--reward-col {reward_col}: leave it out to score now with --preset or --config")
        judge = {"base_url": judge_url, "model": judge_model}
        reward = build_reward(
            preset or "rules", config, cache, judge, device=device, dtype=dtype, allow_code=allow_code
        )
        note(f"scoring with {reward.name} #{reward.signature.rpartition('#')[2]}")
    elif cache or device or dtype or judge_url or judge_model:
        raise InputError(f"{table.name}: has rewards, so nothing is scored; to score now, name --preset or --config")
    columns = CandidateColumns(
        candidate=candidate_col or (record["columns"]["candidate"] if record else ""),
        reward="" if reward else scored,
        keep=tuple(keep or ()),
        **by,
    )
    columns.check(table)
    named: dict[str, Any] = {"reference": reference_col, "priors": prior_col or (), "context": context_col or ()}
    given, columns = _candidates(table, columns, reward, named, on_error)
    options: dict[str, Any] = {"min_reward": min_reward}
    if best_of:
        options["most"] = best_of
    else:
        options |= {"margin": margin, "per_group": per_group, "max_length_ratio": max_length_ratio}
        options |= {"balance_lengths": balance_lengths, "seed": seed}
    chosen = choose_best(given, **options) if best_of else preference_pairs(given, **options)
    rows = list(rows_of(chosen, form=form.value, unpaired=unpaired))
    numbers = {"rows": len(rows), **chosen.describe()}
    if target is None:
        write_lines(sys.stdout.buffer, rows)
    elif rows:
        signature = reward.signature if reward else record["reward"]["signature"] if record else None
        options |= {"form": form.value, "unpaired": unpaired}
        made = {"input": Path(table.name).name, **table.fingerprint(), "reward": signature}
        write_rows(target, rows, {**made, "columns": asdict(columns), "options": options, "numbers": numbers})
    if as_json:
        typer.echo(json.dumps(numbers, indent=2, ensure_ascii=False), err=target is None)
    else:
        _print(chosen, len(rows), "the standard output" if target is None else str(out))
    if not rows:
        fail("no group gave a row, so nothing was written")


def _check_options(form: Form, *, best: bool, pairs_only: bool) -> None:
    if best and pairs_only:
        raise InputError(
            "--best-of: takes no pairs, so leave out --margin, --per-group, --unpaired, --max-length-ratio and "
            "--balance-lengths"
        )
    if form is Form.messages and not best:
        raise InputError("--form messages: is for --best-of; pairs are standard or conversational")


def _candidates(
    table: Table,
    columns: CandidateColumns,
    reward: CompositeReward | None,
    named: Mapping[str, Any],
    on_error: OnBadRow,
) -> tuple[list[Candidate], CandidateColumns]:
    """Return the candidates and their columns; they are scored if there is a reward to score with."""
    from cxr_rewards.adapters.preferences.table import read_candidates, score_candidates
    from cxr_rewards.files.columns import find_candidate

    if reward is None:
        columns = replace(columns, candidate=columns.candidate or find_candidate(table.columns, table.name))
        return read_candidates(table, columns, on_error=on_error.value, tell=note), columns
    cases = table.choose_columns(candidate=columns.candidate or None, case_id="", **named)
    columns, progress = replace(columns, candidate=cases.candidate), Progress()
    with shown(progress) as tell:
        given = score_candidates(table, columns, cases, reward, on_error=on_error.value, progress=progress, tell=tell)
    return given, columns


def _group(table: Table, group: list[str] | None) -> tuple[str, ...]:
    if not group and "group" not in table.columns:
        columns = ", ".join(map(repr, table.columns))
        raise InputError(
            f"{table.name}: name the column whose equal values are one prompt's candidates, such as --group study_id; "
            f"columns: {columns}"
        )
    return tuple(group or ("group",))


def _prompt(table: Table, prompt: str | None, text: str) -> str:
    if prompt and text:
        raise InputError(f"give either --prompt {prompt} or --prompt-text, not both")
    if not prompt and not text and "prompt" not in table.columns:
        columns = ", ".join(map(repr, table.columns))
        raise InputError(
            f"{table.name}: no column of prompts; name it with --prompt, give one text for all with --prompt-text, or "
            f"join a file that has them with --references and --on; columns: {columns}"
        )
    return prompt or ("" if text else "prompt")


def _print(chosen: Preferences, rows: int, out: str) -> None:
    counts = chosen.describe()
    lost = _listed(chosen.unscored)
    note(
        f"{chosen.candidates:,} candidates in {chosen.groups:,} groups; left out: "
        f"{sum(chosen.unscored.values()):,} unscored{lost and f' ({lost})'}, {chosen.duplicates:,} repetitions"
    )
    unused, why = sum(chosen.unused.values()), _listed(chosen.unused)
    note(f"{chosen.groups - unused:,} groups used, {unused:,} not{why and f': {why}'}")
    if chosen.left_out:
        before = chosen.longer_by_before or 0.0
        note(f"{chosen.left_out:,} pairs left out to balance lengths (chosen were {before:+.1f} words longer)")
    if chosen.pairs:
        note(
            f"reward: chosen {counts['reward_chosen']:.3f}, rejected {counts['reward_rejected']:.3f}; words: chosen "
            f"{counts['words_chosen']:.1f}, rejected {counts['words_rejected']:.1f} ({chosen.longer_by:+.1f}; "
            f"{counts['chosen_is_longer']:.0%} of the chosen are longer)"
        )
    elif chosen.best:
        note(f"reward: {counts['reward']:.3f}; words: {counts['words']:.1f}")
    note(f"{rows:,} rows: {out}")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {why}" for why, number in sorted(counts.items(), key=lambda item: -item[1]))
