"""The command line `cxr-rewards`: thin, everything it does is a function of the library."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cxr_rewards.errors import ConfigError, CxrRewardsError, InputError, ModelLoadError, SetupError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cxr_rewards.composite import CompositeReward
    from cxr_rewards.judges.limits import Tally
    from cxr_rewards.score_file import Scored
    from cxr_rewards.summary import Estimate

app = typer.Typer(
    name="cxr-rewards",
    help="Score chest X-ray reports: one number a report, and what it is made of.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(help="Look after an SQLite cache file.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")


class EngineName(StrEnum):
    """Where cases are scored."""

    local = "local"
    ray = "ray"


class OnBadRow(StrEnum):
    """What a row that cannot be read does."""

    stop = "stop"
    keep_going = "keep-going"


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
PresetOption = Annotated[str, typer.Option("--preset", "-p", help="A preset; `cxr-rewards presets` lists them.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="A reward's TOML, instead of a preset.")]
CandidateColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the reports to score. An absent one (null in JSONL and Parquet) is unscored; "
        "an empty CSV cell is an empty report."
    ),
]
ReferenceColumn = Annotated[str | None, typer.Option(help="Column of the reference reports.")]
PriorColumn = Annotated[
    list[str] | None,
    typer.Option(help="Column of earlier reports: a JSON list or one text; repeat it for several, oldest first."),
]
IdColumn = Annotated[str | None, typer.Option(help="Column of case ids, each at most once.")]
CacheOption = Annotated[Path | None, typer.Option(help="SQLite cache file shared by runs.")]
DeviceOption = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda:N, several between commas.")]
DtypeOption = Annotated[str, typer.Option(help="Numbers of models: float32, bfloat16 or float16.")]
JudgeUrlOption = Annotated[str, typer.Option(help="Base of the judge's endpoint, up to /v1; several between commas.")]
JudgeModelOption = Annotated[str, typer.Option(help="The judge's model, by the endpoint's name for it.")]
ContextColumn = Annotated[
    list[str] | None, typer.Option(help="Column of context (age, sex, indication, ...); repeat it for several.")
]


def _console(*, error: bool = False, color: bool = True) -> Console:
    from rich.console import Console

    # Not a terminal: wide enough that no table is folded in a log file.
    stream = sys.stderr if error else sys.stdout
    return Console(
        file=stream, width=None if stream.isatty() else 120, color_system="auto" if color else None,
        highlight=False, markup=False, soft_wrap=error,
    )  # fmt: skip


_WIDE = 110
"""Columns of a terminal from which on a summary table also says what each score measures."""


def _note(text: str) -> None:
    typer.echo(text, err=True)


def _fail(message: str, code: int = 1) -> NoReturn:
    _note(f"error: {message}")
    raise typer.Exit(code)


def _version(value: bool) -> None:
    if value:
        from cxr_rewards import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def score(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Reports: .csv, .jsonl or .parquet; or a folder of them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write: .csv, .jsonl or .parquet; of a folder, a folder.")
    ],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    id_col: IdColumn = None,
    no_ids: Annotated[
        bool, typer.Option("--no-ids", help="Take no column for case ids: a file of rollouts repeats them.")
    ] = False,
    context_col: ContextColumn = None,
    by: Annotated[str, typer.Option(help="Repeat the summary for each value of this column; ages in bands.")] = "",
    on_error: Annotated[
        OnBadRow, typer.Option(help="A row that cannot be read: stop before scoring, or leave that row unscored.")
    ] = OnBadRow.stop,
    prefix: Annotated[str, typer.Option(help="Put before the names of the new columns.")] = "",
    cache: CacheOption = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    engine: Annotated[EngineName, typer.Option(help="Score in this process, or in actors of a Ray cluster.")] = (
        EngineName.local
    ),
    workers: Annotated[int, typer.Option(min=1, help="Actors, with --engine ray.")] = 2,
    gpus_per_worker: Annotated[float, typer.Option(min=0, help="GPUs of an actor; 0.25: four share one.")] = 0.0,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away the progress of an interrupted run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Score each row of IN and write it with a column for each component, the reward and the reason where unscored.

    An interrupted run goes on where it was when the same command is given again. The output appears when it is
    complete. Exit code 1: nothing was scored.
    """
    if no_ids and id_col:
        raise InputError(f"give either --id-col {id_col} or --no-ids, not both")
    judge = {"base_url": judge_url, "model": judge_model}
    settings = {"device": device, "dtype": dtype}
    if engine is EngineName.ray:
        reward = _ray_reward(preset, config, cache, workers, gpus_per_worker, judge=judge, **settings)
    else:
        reward = _reward(preset, config, cache, judge=judge, **settings)
    _note(f"reward: {reward.name} {_digest(reward)}")
    if not getattr(reward.cache, "shared", False) and _judges_of(reward):
        _note("judges' replies are kept in memory only; --cache FILE keeps them for this run's continuation and others")
    named = {
        "candidate": candidate_col, "reference": reference_col, "priors": prior_col or (),
        "case_id": "" if no_ids else id_col, "context": context_col or (),
    }  # fmt: skip
    options: dict[str, Any] = {"on_error": on_error.value, "by": by, "prefix": prefix, "restart": restart}
    run = json.dumps({"reward": reward.signature, "columns": named, **options, "restart": False}, default=str)
    if engine is EngineName.ray:
        options["chunk"] = 4096 * workers  # so that all have something to do most of the time
    for one, target in _files(source, out, run, restart=restart):
        _score_table(one, target, reward, named, options, as_json=as_json)


def _files(source: Path, out: Path, run: str, *, restart: bool) -> list[tuple[Path, Path]]:
    """Return a file, or each of a folder that is not finished, with where its scores go.

    A folder of scores holds in `.run.json` what they were made with, so that those of two rewards are not mixed.
    """
    if not source.is_dir():
        return [(source, out)]
    files = sorted(file for file in source.iterdir() if file.suffix in (".csv", ".jsonl", ".parquet"))
    if not files:
        raise InputError(f"{source}: holds no .csv, .jsonl or .parquet file")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: {source} is a folder, so this must be one")
    out.mkdir(parents=True, exist_ok=True)
    told = out / ".run.json"
    if not restart and told.exists() and told.read_text(encoding="utf-8") != run:
        raise InputError(f"{out}: holds scores of another reward, or with other settings: another folder, or --restart")
    told.write_text(run, encoding="utf-8")
    left = []
    for file in files:
        target = out / file.name
        if not restart and target.exists() and target.stat().st_mtime >= file.stat().st_mtime:
            _note(f"{file}: has its scores; --restart scores it again")
        else:
            left.append((file, target))
    return left


def _score_table(
    source: Path,
    out: Path,
    reward: CompositeReward,
    named: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    from cxr_rewards.io import choose_columns, open_table
    from cxr_rewards.score_file import score_file

    table = open_table(source)
    columns = choose_columns(table.columns, where=str(source), **named)
    _note(f"{source}: {columns}")
    try:
        with _progress() as progress:
            scored = score_file(table, columns, reward, out, progress=progress, **options)
    except KeyboardInterrupt:
        _fail("interrupted; give the same command again to go on where it was", 130)
    except OSError as error:  # a full disk, mostly
        _fail(f"{_told(error, out)}; mend that, and give the same command again to go on where it was")
    finally:
        for model, tally in _tallies().items():
            _note(f"judge {model}: {tally}")
    if as_json:
        typer.echo(json.dumps(_as_json(scored, reward), indent=2, ensure_ascii=False))
    else:
        _print_summary(scored, reward)
    if scored.summary.overall()["reward"].n == 0:
        _fail(f"none of the {scored.rows:,} rows was scored; the reasons are in {scored.out}")


def _ray_reward(
    preset: str,
    config: Path | None,
    cache: Path | None,
    workers: int,
    gpus: float,
    judge: Mapping[str, str],
    **changes: str,
) -> CompositeReward:
    """Return the reward in Ray actors; paths are made absolute, for actors begin elsewhere."""
    from cxr_rewards.ray_pool import RayReward

    given: dict[str, Any] = {**changes, "judge": {key: value for key, value in judge.items() if value}}
    given["cache"] = str(cache.absolute()) if cache else ""
    reward = _one_of(preset, config.absolute() if config else None)
    asked = {key: value for key, value in given.items() if value}
    return RayReward(reward, actors=workers, num_gpus=gpus, concurrency=8 if "judge" in asked else 1, **asked)


def _judges_of(reward: CompositeReward) -> list[tuple[str, str]]:
    """Return model and address of each judge of a reward."""
    from cxr_rewards.judges.settings import JudgeSettings

    judges = [judge for judge in reward.components.values() if isinstance(judge, JudgeSettings)]
    return list(dict.fromkeys((judge.model, judge.base_url) for judge in judges))


def _tallies() -> Mapping[str, Tally]:
    """Return what judges have cost, without loading what asks them."""
    client = sys.modules.get("cxr_rewards.judges.client")
    return {} if client is None else client.tallies()


def _reward(
    preset: str, config: Path | None, cache: Path | None, judge: Mapping[str, str] | None = None, **changes: str
) -> CompositeReward:
    from cxr_rewards import CompositeReward

    named = _one_of(preset, config)
    given: dict[str, Any] = {key: value for key, value in changes.items() if value}
    if judge and any(judge.values()):
        given["judge"] = {key: value for key, value in judge.items() if value}
    if config is not None:
        return CompositeReward.from_config(named, cache=cache, **given)
    return CompositeReward.from_preset(named, cache=cache, **given)


def _one_of(preset: str, config: Path | None) -> str:
    """Return the preset, or the path of the TOML that was given in its place."""
    if config is not None and preset != "rules":
        raise ConfigError(f"give either --preset {preset} or --config {config}, not both")
    return preset if config is None else str(config)


def _digest(reward: CompositeReward) -> str:
    return "#" + reward.signature.rpartition("#")[2]


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar with rate and time left on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console(error=True)
    bar = Progress(
        TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    task = bar.add_task("", total=None, rate="")
    began: list[tuple[float, int]] = []

    def update(done: int, total: int) -> None:
        began.append((time.perf_counter(), done)) if not began else None
        start, first = began[0]
        seconds = time.perf_counter() - start
        rate = f"{(done - first) / seconds:,.0f} rows/s" if seconds > 0 and done > first else ""
        bar.update(task, completed=done, total=total, rate=rate)

    with bar:
        yield update


def _interval(e: Estimate) -> tuple[str, str, str]:
    mean = "-" if e.mean is None else f"{e.mean:.3f}"
    return f"{e.n:,}", mean, "-" if e.low is None else f"[{e.low:.3f}, {e.high:.3f}]"


def _columns(table: Table, *names: str) -> None:
    for name in names:
        right = name in ("rows", "weight", "scored", "mean")
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name == "95% interval")


def _print_summary(scored: Scored, reward: CompositeReward) -> None:
    from rich.table import Table

    console, summary = _console(), scored.summary
    fresh = scored.rows - scored.resumed
    rate = f", {fresh / scored.seconds:,.0f} rows/s" if fresh and scored.seconds else ""
    before = f" ({scored.resumed:,} of them by an earlier run)" if scored.resumed else ""
    table = Table(title=f"{scored.rows:,} rows{before}{rate} -> {scored.out}", title_justify="left")
    measures = ("measures",) if console.width >= _WIDE else ()
    _columns(table, "score", *measures, "better", "weight", "scored", "mean", "95% interval")
    for label, estimate in summary.overall().items():
        if label == "reward":
            low, high = reward.bounds
            table.add_section()
            what, better, weight = f"weighted sum, {low:g} to {high:g}", "higher", ""
        else:
            component = reward.components[label]
            what, better = component.summary, "higher" if component.higher_is_better else "lower"
            weight = f"{reward.total.terms[label].weight:g}"
        about = (what, better, weight) if measures else (better, weight)
        table.add_row(label, *about, *_interval(estimate), style="bold" if label == "reward" else "")
    console.print(table)
    if scored.corpus:
        table = Table(title="over the whole file", title_justify="left")
        for name in ("score", "statistic", "value"):
            table.add_column(name, justify="right" if name == "value" else "left")
        for label, statistics in scored.corpus.items():
            for statistic, value in statistics.items():
                table.add_row(label, statistic, "-" if value is None else f"{value:.3f}")
        console.print(table)
    if summary.by:
        table = Table(title=f"by {summary.by}", title_justify="left")
        table.add_column(summary.by)
        _columns(table, "rows", "score", "scored", "mean", "95% interval")
        for name, (rows, estimates) in summary.subgroups().items():
            table.add_section()
            for i, (label, estimate) in enumerate(estimates.items()):
                head = (name, f"{rows:,}") if i == 0 else ("", "")
                table.add_row(*head, label, *_interval(estimate), style="bold" if label == "reward" else "")
        console.print(table)
    if summary.reasons:
        table = Table(title="unscored, by reason", title_justify="left")
        table.add_column("rows", justify="right")
        table.add_column("reason", overflow="fold")
        for reason, count in summary.reasons.most_common():
            table.add_row(f"{count:,}", reason)
        console.print(table)


def _as_json(scored: Scored, reward: CompositeReward) -> Mapping[str, Any]:
    return {
        "out": str(scored.out),
        "reward": {"name": reward.name, "signature": reward.signature, "bounds": _finite(reward.bounds)},
        "resumed_rows": scored.resumed,
        "seconds": round(scored.seconds, 3),
        **scored.summary.as_json(),
        "corpus": scored.corpus,
        "judges": {model: dataclasses.asdict(tally) for model, tally in _tallies().items()},
    }


def _finite(bounds: tuple[float, float]) -> list[float | None]:
    return [end if abs(end) != float("inf") else None for end in bounds]


@app.command("explain")
def explain_case(
    candidate: Annotated[str | None, typer.Option(help="The report to score; @FILE reads it from a file.")] = None,
    reference: Annotated[str | None, typer.Option(help="The reference report, or @FILE.")] = None,
    prior: Annotated[
        list[str] | None, typer.Option(help="An earlier report, or @FILE; repeat it for several, oldest first.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Context such as age=63; repeat it for several.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--input", "-i", help="Take the case from a .csv, .jsonl or .parquet instead.")
    ] = None,
    row: Annotated[int | None, typer.Option(min=1, help="Which row of the input, 1 for the first.")] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="Which case of the input, by its id.")] = None,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    id_col: IdColumn = None,
    context_col: ContextColumn = None,
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    component: Annotated[
        str, typer.Option(help="Explain one component alone: the reward's, or else any, with its defaults.")
    ] = "",
    no_color: Annotated[bool, typer.Option("--no-color", help="Mark findings with signs instead of colours.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show why a reward is what it is: findings marked in the reports, how they are weighed, what each component adds.

    Exit code 1: the case is unscored.
    """
    from cxr_rewards.explain import explain, find_case, text_of
    from cxr_rewards.explain_page import show
    from cxr_rewards.io import choose_columns, open_table
    from cxr_rewards.types import Case

    reward = _reward(preset, config, None)
    if source is not None:
        if candidate is not None or reference is not None or prior or context:
            raise InputError(f"give either --input {source} or texts (--candidate, --prior, --context, ...), not both")
        if (row is None) == (case_id is None):
            raise InputError(f"{source}: choose one case with --row or with --id")
        table = open_table(source)
        columns = choose_columns(
            table.columns, candidate=candidate_col, reference=reference_col, priors=prior_col or (),
            case_id="" if row is not None and id_col is None else id_col, context=context_col or (), where=str(source),
        )  # fmt: skip
        _note(f"{source}: {columns}")
        case = find_case(table, columns, row=row, case_id=case_id or "", max_chars=reward.max_chars)
    elif candidate is None or reference is None or row is not None or case_id is not None:
        raise InputError("give --candidate and --reference, or --input with --row or --id")
    else:
        pairs = [pair.partition("=") for pair in context or ()]
        for key, given, _ in pairs:
            if not (key.strip() and given):
                raise InputError(f"--context {key!r}: expected KEY=VALUE, such as age=63")
        case = Case(
            candidate=text_of(candidate),
            reference=text_of(reference),
            priors=tuple(map(text_of, prior or ())),
            context={key.strip(): value for key, _, value in pairs},
        )
    told = explain(reward, case, only=component)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=_plain))
    else:
        show(told, _console(color=not no_color))
    scored = told["reward"] or told["components"][0]
    if scored["value"] is None:
        _fail(f"unscored: {scored.get('reasons') or scored.get('failure')}")


@app.command()
def components(as_json: JsonOption = False) -> None:
    """List the components: what they measure, range, direction, what they read and need, and if they can be used."""
    from rich.table import Table

    from cxr_rewards.registry import component_names

    rows = [_about(name) for name in component_names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table()
    for name in ("name", "measures", "range", "better", "reads", "needs", "available"):
        table.add_column(name, overflow="fold")
    for row in rows:
        needs = ", ".join(row["requires"]) + (f" [{row['extra']}]" if row["extra"] else "")
        available = "yes" if row["available"] else f"no: {row['install'] or row['reason']}"
        better = {True: "higher", False: "lower", None: ""}[row["higher_is_better"]]
        span = _span(*row["bounds"]) if row["bounds"] else ""
        table.add_row(row["name"], row["measures"], span, better, ", ".join(row["reads"]), needs, available)
    _console().print(table)


def _span(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"


def _about(name: str) -> dict[str, Any]:
    """Return what there is to say of a component; of one that cannot be imported, why."""
    from cxr_rewards.registry import load_component, missing_modules, pip_line

    row: dict[str, Any] = {
        "name": name, "measures": "", "bounds": None, "higher_is_better": None, "reads": [], "requires": [],
        "extra": "", "available": False, "install": "", "reason": "",
    }  # fmt: skip
    try:
        cls = load_component(name)
    except SetupError as error:
        return {**row, "reason": str(error)}
    missing = missing_modules(cls)
    return {
        **row,
        "measures": cls.summary,
        "bounds": _finite(cls.bounds),
        "higher_is_better": cls.higher_is_better,
        "reads": list(cls.reads),
        "requires": list(cls.requires),
        "extra": cls.extra,
        "available": not missing,
        "install": pip_line(cls) if missing else "",
        "reason": f"needs {', '.join(missing)}" if missing else "",
    }


@app.command()
def presets() -> None:
    """List the presets."""
    from cxr_rewards.config import parse_config, preset_names, preset_text

    for name in preset_names():
        typer.echo(f"{name}: {parse_config(preset_text(name), f'preset {name}').description}")


@app.command()
def show(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset, or the path of a reward's TOML.")],
    toml: Annotated[bool, typer.Option("--toml", help="Print the TOML, to start a reward of your own from.")] = False,
) -> None:
    """Show what is in a preset: each component's direction, range and weight, gates, and the range of the reward."""
    from cxr_rewards import CompositeReward
    from cxr_rewards.config import load_config, preset_text

    is_file = preset.endswith(".toml")
    if toml:
        if is_file:
            load_config(preset)  # says what is wrong with it
        typer.echo(Path(preset).read_text(encoding="utf-8") if is_file else preset_text(preset), nl=False)
    else:
        from cxr_rewards.config import features_of
        from cxr_rewards.models.fetch import sources_of
        from cxr_rewards.models.sources import absent_allowed, locate

        with absent_allowed():
            reward = CompositeReward.from_config(preset) if is_file else CompositeReward.from_preset(preset)
        typer.echo(reward.describe())
        for needed in sources_of(features_of(preset)):
            try:
                where = str(locate(needed))
            except ModelLoadError:
                where = f"absent: cxr-rewards fetch {preset}"
            typer.echo(f"needs {needed.repo} ({needed.purpose}): {where}")
        for model, url in _judges_of(reward):
            typer.echo(f"needs a judge: {model or 'no model given'} at {url or 'no endpoint given'}")


@app.command("fake-judge")
def fake_judge(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    latency: Annotated[float, typer.Option(min=0, help="Seconds until an answer.")] = 0.0,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Share of requests that fail, in all the ways that are known.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the faults: equal seeds fail alike.")] = 0,
) -> None:
    """Serve a judge on this machine to rehearse with: it answers by rules, and fails as often as you like.

    Ends with Ctrl-C.
    """
    from cxr_rewards.judges.settings import MODEL_VARIABLE, URL_VARIABLE
    from cxr_rewards.testing.fake_judge import FakeJudge

    try:
        judge = FakeJudge(port, latency_s=latency, faults=faults, seed=seed, hang_s=60)
    except OSError as error:
        _fail(f"port {port}: {error.strerror or error}; choose another with --port")
    with judge:
        typer.echo(f"export {URL_VARIABLE}={judge.url} {MODEL_VARIABLE}=fake-judge")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        _note(f"{judge.requests:,} requests, {judge.answered:,} answered with a verdict")


@app.command()
def serve(
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond this machine a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each has its models, --cache is shared.")] = 1,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token; else CXR_REWARDS_TOKEN.")] = None,
    cache: CacheOption = None,
    device: Annotated[str, typer.Option(help="Where models run; with workers one each, between commas.")] = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    unscored: Annotated[
        float | None, typer.Option(help="What /get_reward gives OpenRLHF for an unscored rollout; below every reward.")
    ] = None,
    marker: Annotated[str, typer.Option(help="What begins the assistant's turn in OpenRLHF's texts.")] = "",
    batch_cases: Annotated[int, typer.Option(min=1, help="Cases of a batch, joined of several requests.")] = 512,
    queue_cases: Annotated[int, typer.Option(min=1, help="Cases that may wait; beyond, requests get 429.")] = 16_384,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request may take.")] = 600.0,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that requests may take after SIGTERM.")] = 30.0,
) -> None:
    """Serve a reward by HTTP, to `RemoteReward`, to OpenRLHF and to anything that speaks JSON.

    Requests are scored together in batches; the interface is told at /docs. Ends with SIGTERM or Ctrl-C.
    """
    from cxr_rewards.remote import TOKEN_VARIABLE, token_of
    from cxr_rewards.server.run import serve as run
    from cxr_rewards.server.settings import ServeSettings

    settings = ServeSettings(
        token=token_of(TOKEN_VARIABLE, token_file), unscored=unscored, marker=marker, batch_cases=batch_cases,
        queue_cases=queue_cases, timeout_s=timeout,
    )  # fmt: skip
    judge = {key: value for key, value in (("base_url", judge_url), ("model", judge_model)) if value}
    overrides: dict[str, Any] = {"cache": str(cache) if cache else "", "dtype": dtype, "judge": judge}
    devices = [one.strip() for one in device.split(",") if one.strip()]
    if workers == 1:
        overrides["device"], devices = device, []
    named = _one_of(preset, config)
    _note(f"serving {named} at http://{host}:{port} with {workers} worker(s); ends with SIGTERM or Ctrl-C")
    run(
        named, settings, host=host, port=port, workers=workers, devices=devices, drain_s=drain,
        **{key: value for key, value in overrides.items() if value},
    )  # fmt: skip


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Presets, rewards' TOML files, components.")],
    to: Annotated[Path | None, typer.Option(help="The models folder to fill; the default one if left out.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Download nothing; check that all is there and whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download the weights that a reward needs, ahead and for machines without internet, and say where they lie.

    Exit code 1: something cannot be downloaded, or, with --check, is absent or damaged.
    """
    from rich.table import Table

    from cxr_rewards.config import features_of
    from cxr_rewards.models import fetch as fetching
    from cxr_rewards.models.sources import FOLDER_VARIABLE

    sources = fetching.sources_of(feature for name in names for feature in features_of(name))
    if check:
        problems = fetching.check(sources, to)
        for problem in problems:
            _note(problem)
        if problems:
            _fail(f"{len(problems)} problems; fetch again what is damaged, after deleting it")
    elif not sources:
        _note(f"{', '.join(names)}: needs no weights")
    found = fetching.fetch(sources, to, _note)
    if as_json:
        rows = [{**item._asdict(), "source": item.source._asdict(), "folder": str(item.folder)} for item in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    if sources:
        table = Table()
        for name in ("repository", "for", "files", "MB", "where"):
            table.add_column(name, justify="right" if name in ("files", "MB") else "left", overflow="fold")
        for item in found:
            mb = f"{item.bytes / 1e6:,.1f}"
            table.add_row(item.source.repo, item.source.purpose, str(item.files), mb, str(item.folder))
        _console().print(table)
    if to is not None:
        _note(f"use it with: export {FOLDER_VARIABLE}={to.expanduser().absolute()}")


@app.command()
def warm(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Reports: .csv, .jsonl or .parquet.")],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    cache: CacheOption = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
) -> None:
    """Fill a cache file with what the references (and priors) of IN will be asked for, ahead of a training."""
    from cxr_rewards.io import choose_columns, open_table
    from cxr_rewards.warm import warm_file

    reward = _reward(preset, config, cache, device=device, dtype=dtype)
    table = open_table(source)
    columns = choose_columns(
        table.columns, reference=reference_col, priors=prior_col or (), where=str(source), case_id="",
        references_only=True,
    )  # fmt: skip
    done = warm_file(table, columns, reward, lambda rows: _note(f"{rows:,} rows"))
    bad = f", {done.bad_rows:,} rows left out" if done.bad_rows else ""
    typer.echo(f"{source}: {done.rows:,} rows, {done.texts:,} distinct texts{bad}")
    for name, count in done.computed.items():
        typer.echo(f"{name}: {count:,} computed now")
    if not done.computed:
        typer.echo(f"{reward.name}: nothing of it is worth keeping on disk")


CacheArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The SQLite cache file.")]


@contextmanager
def _existing_cache(path: Path) -> Iterator[Any]:
    from cxr_rewards.cache import SqliteCache
    from cxr_rewards.errors import CacheError

    if not path.exists():
        raise CacheError(f"{path}: no such file")
    with SqliteCache(path) as cache:
        yield cache


@cache_app.command("stats")
def cache_stats(path: CacheArgument, as_json: JsonOption = False) -> None:
    """Show what a cache holds, by feature."""
    from rich.table import Table

    with _existing_cache(path) as cache:
        stats = cache.stats()
    if as_json:
        data = {**stats._asdict(), "features": [usage._asdict() for usage in stats.features]}
        typer.echo(json.dumps(data, default=_plain, indent=2))
        return
    table = Table(title=f"{path}: {stats.entries:,} entries, {stats.file_bytes:,} bytes", title_justify="left")
    for name in ("feature", "entries", "bytes", "oldest", "newest"):
        table.add_column(name, justify="right" if name in ("entries", "bytes") else "left", overflow="fold")
    for usage in stats.features:
        table.add_row(
            usage.signature, f"{usage.entries:,}", f"{usage.bytes:,}",
            f"{usage.oldest:%Y-%m-%d %H:%M}", f"{usage.newest:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    _console().print(table)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@cache_app.command("prune")
def cache_prune(
    path: CacheArgument,
    max_mb: Annotated[float | None, typer.Option(help="Drop the oldest entries until the rest fits, in MB.")] = None,
    older_than_days: Annotated[float | None, typer.Option(help="Drop entries written longer ago than this.")] = None,
    signature: Annotated[str | None, typer.Option(help="Only this feature's entries; alone: all of them.")] = None,
) -> None:
    """Drop entries of a cache and give their space back."""
    max_bytes = _limit("--max-mb", max_mb, 1e6)
    older_than_s = _limit("--older-than-days", older_than_days, 86_400)
    with _existing_cache(path) as cache:
        done = cache.prune(
            max_bytes=None if max_bytes is None else int(max_bytes), older_than_s=older_than_s, signature=signature
        )
    typer.echo(
        f"{path}: dropped {done.removed:,} entries, kept {done.kept:,}; "
        f"{done.bytes_before:,} -> {done.bytes_after:,} bytes"
    )


def _limit(option: str, value: float | None, unit: float) -> float | None:
    if value is None:
        return None
    if not (value >= 0 and math.isfinite(value * unit)):
        raise ConfigError(f"{option} must be 0 or more and finite, got {value:g}")
    return value * unit


@cache_app.command("verify")
def cache_verify(path: CacheArgument) -> None:
    """Check every entry of a cache; exit code 1 where something is wrong. Changes nothing."""
    with _existing_cache(path) as cache:
        report = cache.verify()
    for problem in report.file_problems:
        _note(f"{path}: {problem}")
    for entry in report.bad_entries:
        _note(f"{path}: entry {entry.key} of {entry.signature or 'an unknown feature'}: {entry.problem}")
    if not report.ok:
        _fail(f"{path}: {len(report.bad_entries):,} of {report.entries:,} entries cannot be used; move the file away")
    typer.echo(f"{path}: {report.entries:,} entries, all good")


def _told(error: OSError, path: Path | None = None) -> str:
    """Return an error of the system with the path it is about; a failed write does not know its own."""
    where = error.filename or path
    what = error.strerror or str(error)
    return f"{where}: {what}" if where else what


def main() -> None:
    """Run the command line; errors of ours and of the system are one message and exit code 1."""
    # Closed by the shell (`>&-`) they are None, and the next file opened would take their place.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        app(standalone_mode=True)
    except CxrRewardsError as error:
        _note(f"error: {error}")
        sys.exit(1)
    except OSError as error:
        _note(f"error: {_told(error)}")
        sys.stdout = None  # if that is what failed, it would fail again at the end
        sys.exit(1)
