"""The command line `cxr-rewards`: thin, everything it does is a function of the library."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_rewards.cli.console import console, fail, finite, note, os_error, shown
from cxr_rewards.cli.score import score_files
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import ConfigError, CxrRewardsError, InputError, ModelLoadError, SetupError

if TYPE_CHECKING:
    from cxr_rewards.reward.composite import CompositeReward

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


class Placeholder(StrEnum):
    """What a cell is that says in words that nothing is there."""

    absent = "absent"
    text = "text"


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
PresetOption = Annotated[str, typer.Option("--preset", "-p", help="A preset; `cxr-rewards presets` lists them.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="A reward's TOML, instead of a preset.")]
AllowCodeOption = Annotated[
    bool, typer.Option("--allow-code", help="Let the reward's TOML name Python code to be run; it is data otherwise.")
]
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
        Path, typer.Argument(metavar="IN", help="Reports: .csv, .tsv, .jsonl or .parquet; or a folder of them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write: .csv, .tsv, .jsonl or .parquet; of a folder, a folder.")
    ],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    candidate_col: CandidateColumn = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    id_col: IdColumn = None,
    no_ids: Annotated[
        bool, typer.Option("--no-ids", help="Take no column for case ids: a file of rollouts repeats them.")
    ] = False,
    context_col: ContextColumn = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Summarise each value of this column, too; ages in bands. Repeat it: all are also crossed."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column of patients, studies or groups, whose rows are not independent: for the intervals. If left "
            "out, it is looked for; 'none': all rows are independent."
        ),
    ] = None,
    on_error: Annotated[
        OnBadRow, typer.Option(help="A row that cannot be read: stop before scoring, or leave that row unscored.")
    ] = OnBadRow.stop,
    placeholders: Annotated[
        Placeholder,
        typer.Option(help="Cells such as nan, N/A, None or null: absent (not scored), or the text of a report."),
    ] = Placeholder.absent,
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
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing file that is not a file of scores.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score each row of IN and write it with a column for each component, the reward and the reason where unscored.

    An interrupted run goes on where it was when the same command is given again. The output appears when it is
    complete. Exit code 1: nothing was scored, or not each file of a folder.
    """
    if no_ids and id_col:
        raise InputError(f"give either --id-col {id_col} or --no-ids, not both")
    judge = {"base_url": judge_url, "model": judge_model}
    settings: dict[str, Any] = {"device": device, "dtype": dtype, "allow_code": allow_code}
    with _long("preparing the reward"):  # starts actors, reads weights for the signature
        if engine is EngineName.ray:
            reward = _ray_reward(preset, config, cache, workers, gpus_per_worker, judge=judge, **settings)
        else:
            reward = _reward(preset, config, cache, judge=judge, **settings)
        digest = reward.signature.rpartition("#")[2]
    note(f"reward: {reward.name} #{digest}")
    if not getattr(reward.cache, "shared", False) and _judges_of(reward):
        note("judges' replies are kept in memory only; --cache FILE keeps them for this run's continuation and others")
    named = {
        "candidate": candidate_col, "reference": reference_col, "priors": prior_col or (),
        "case_id": "" if no_ids else id_col, "context": context_col or (),
    }  # fmt: skip
    options: dict[str, Any] = {
        "on_error": on_error.value, "placeholders": placeholders.value, "prefix": prefix,
        "by": [name for name in by or () if name], "cluster": "" if cluster == "none" else cluster,
        "restart": restart, "force": force,
    }  # fmt: skip
    if engine is EngineName.ray:
        options["chunk"] = 4096 * workers  # so that all have something to do most of the time
    score_files(source, out, reward, named, options, as_json=as_json)


@contextmanager
def _long(work: str) -> Iterator[Callable[[str], None]]:
    """Show that a work goes on whose steps are not counted; yields what writes notes."""
    progress = Progress()
    progress.begin(work)
    with shown(progress) as tell:
        yield tell


def _ray_reward(
    preset: str,
    config: Path | None,
    cache: Path | None,
    workers: int,
    gpus: float,
    judge: Mapping[str, str],
    **changes: str | bool,
) -> CompositeReward:
    """Return the reward in Ray actors; paths are made absolute, for actors begin elsewhere."""
    from cxr_rewards.remote.ray import RayReward

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


def _reward(
    preset: str, config: Path | None, cache: Path | None, judge: Mapping[str, str] | None = None, **changes: str | bool
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
        Path | None, typer.Option("--input", "-i", help="Take the case from a .csv, .tsv, .jsonl or .parquet instead.")
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
    allow_code: AllowCodeOption = False,
    component: Annotated[
        str, typer.Option(help="Explain one component alone: the reward's, or else any, with its defaults.")
    ] = "",
    no_color: Annotated[bool, typer.Option("--no-color", help="Mark findings with signs instead of colours.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show why a reward is what it is: findings marked in the reports, how they are weighed, what each component adds.

    Exit code 1: the case is unscored.
    """
    from cxr_rewards.explain.build import explain, find_case, text_of
    from cxr_rewards.explain.page import show
    from cxr_rewards.files import choose_columns, open_table
    from cxr_rewards.types import Case

    reward = _reward(preset, config, None, allow_code=allow_code)
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
        note(f"{source}: {columns}")
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
        show(told, console(color=not no_color))
    scored = told["reward"] or told["components"][0]
    if scored["value"] is None:
        fail(f"unscored: {scored.get('reasons') or scored.get('failure')}")


@app.command()
def components(as_json: JsonOption = False) -> None:
    """List the components: what they measure, range, direction, what they read and need, and if they can be used."""
    from rich.table import Table

    from cxr_rewards.core.registry import component_names

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
    console().print(table)


def _span(low: float | None, high: float | None) -> str:
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"


def _about(name: str) -> dict[str, Any]:
    """Return what there is to say of a component; of one that cannot be imported, why."""
    from cxr_rewards.core.registry import load_component, missing_modules, pip_line

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
        "bounds": finite(cls.bounds),
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
    from cxr_rewards.reward.config import parse_config, preset_names, preset_text

    for name in preset_names():
        typer.echo(f"{name}: {parse_config(preset_text(name), f'preset {name}').description}")


@app.command()
def show(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset, or the path of a reward's TOML.")],
    toml: Annotated[bool, typer.Option("--toml", help="Print the TOML, to start a reward of your own from.")] = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Show what is in a preset: each component's direction, range and weight, gates, and the range of the reward."""
    from cxr_rewards import CompositeReward
    from cxr_rewards.reward.config import load_config, preset_text

    is_file = preset.endswith(".toml")
    if toml:
        if is_file:
            load_config(preset)  # says what is wrong with it
        typer.echo(Path(preset).read_text(encoding="utf-8") if is_file else preset_text(preset), nl=False)
    else:
        from cxr_rewards.models.fetch import sources_of
        from cxr_rewards.models.sources import absent_allowed, locate
        from cxr_rewards.reward.config import features_of

        with absent_allowed():
            build = CompositeReward.from_config if is_file else CompositeReward.from_preset
            reward = build(preset, allow_code=allow_code)
        typer.echo(reward.describe())
        for needed in sources_of(features_of(preset, allow_code=allow_code)):
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
        fail(f"port {port}: {error.strerror or error}; choose another with --port")
    with judge:
        typer.echo(f"export {URL_VARIABLE}={judge.url} {MODEL_VARIABLE}=fake-judge")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        note(f"{judge.requests:,} requests, {judge.answered:,} answered with a verdict")


@app.command()
def serve(
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
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
    from cxr_rewards.remote.http import TOKEN_VARIABLE, token_of
    from cxr_rewards.server.run import serve as run
    from cxr_rewards.server.settings import ServeSettings

    settings = ServeSettings(
        token=token_of(TOKEN_VARIABLE, token_file), unscored=unscored, marker=marker, batch_cases=batch_cases,
        queue_cases=queue_cases, timeout_s=timeout,
    )  # fmt: skip
    judge = {key: value for key, value in (("base_url", judge_url), ("model", judge_model)) if value}
    overrides: dict[str, Any] = {"cache": str(cache) if cache else "", "dtype": dtype, "judge": judge}
    overrides["allow_code"] = allow_code
    devices = [one.strip() for one in device.split(",") if one.strip()]
    if workers == 1:
        overrides["device"], devices = device, []
    named = _one_of(preset, config)
    note(f"serving {named} at http://{host}:{port} with {workers} worker(s); ends with SIGTERM or Ctrl-C")
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
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Download the weights that a reward needs, ahead and for machines without internet, and say where they lie.

    Exit code 1: something cannot be downloaded, or, with --check, is absent or damaged.
    """
    from rich.table import Table

    from cxr_rewards.models import fetch as fetching
    from cxr_rewards.models.sources import FOLDER_VARIABLE
    from cxr_rewards.reward.config import features_of

    sources = fetching.sources_of(feature for name in names for feature in features_of(name, allow_code=allow_code))
    if check:
        with _long("checking weights"):
            problems = fetching.check(sources, to)
        for problem in problems:
            note(problem)
        if problems:
            fail(f"{len(problems)} problems; fetch again what is damaged, after deleting it")
    elif not sources:
        note(f"{', '.join(names)}: needs no weights")
    with _long("fetching weights") as tell:
        found = fetching.fetch(sources, to, tell)
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
        console().print(table)
    if to is not None:
        note(f"use it with: export {FOLDER_VARIABLE}={to.expanduser().absolute()}")


@app.command()
def warm(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Reports: .csv, .tsv, .jsonl or .parquet.")],
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    cache: CacheOption = None,
    reference_col: ReferenceColumn = None,
    prior_col: PriorColumn = None,
    device: DeviceOption = "",
    dtype: DtypeOption = "",
) -> None:
    """Fill a cache file with what the references (and priors) of IN will be asked for, ahead of a training."""
    from cxr_rewards.files import choose_columns, open_table
    from cxr_rewards.files.warm import warm_file

    reward = _reward(preset, config, cache, device=device, dtype=dtype, allow_code=allow_code)
    progress = Progress()
    progress.begin("opening")
    with shown(progress):
        table = open_table(source)
        columns = choose_columns(
            table.columns, reference=reference_col, priors=prior_col or (), where=str(source), case_id="",
            references_only=True,
        )  # fmt: skip
        done = warm_file(table, columns, reward, progress)
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
    console().print(table)


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
    with _existing_cache(path) as cache, _long("pruning the cache"):
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
    with _existing_cache(path) as cache, _long("checking the cache"):
        report = cache.verify()
    for problem in report.file_problems:
        note(f"{path}: {problem}")
    for entry in report.bad_entries:
        note(f"{path}: entry {entry.key} of {entry.signature or 'an unknown feature'}: {entry.problem}")
    if not report.ok:
        fail(f"{path}: {len(report.bad_entries):,} of {report.entries:,} entries cannot be used; move the file away")
    typer.echo(f"{path}: {report.entries:,} entries, all good")


def main() -> None:
    """Run the command line; errors of ours and of the system are one message and exit code 1."""
    # Closed by the shell (`>&-`) they are None, and the next file opened would take their place.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        app(standalone_mode=True)
    except CxrRewardsError as error:
        note(f"error: {error}")
        sys.exit(1)
    except OSError as error:
        note(f"error: {os_error(error)}")
        sys.stdout = None  # if that is what failed, it would fail again at the end
        sys.exit(1)
