"""The commands `serve` and `fake-judge`: servers that run until they are stopped."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cxr_rewards.cli.console import fail, note
from cxr_rewards.cli.options import (
    AllowCodeOption,
    CacheOption,
    ConfigOption,
    DtypeOption,
    JudgeModelOption,
    JudgeUrlOption,
    PresetOption,
)
from cxr_rewards.cli.rewards import preset_or_config


def fake_judge(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    latency: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0.0,
    faults: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that fail, in every known way.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the faults: equal seeds fail alike.")] = 0,
) -> None:
    """Serve a fake judge on this machine for rehearsals: it answers by rules and fails as often as you ask.

    Stop it with Ctrl-C.
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


def serve(
    preset: PresetOption = "rules",
    config: ConfigOption = None,
    allow_code: AllowCodeOption = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any that other machines reach needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each loads its own models, all share --cache.")] = 1,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token; else CXR_REWARDS_TOKEN.")] = None,
    cache: CacheOption = None,
    device: Annotated[
        str, typer.Option(help="Where models run; with several workers one device each, separated by commas.")
    ] = "",
    dtype: DtypeOption = "",
    judge_url: JudgeUrlOption = "",
    judge_model: JudgeModelOption = "",
    unscored: Annotated[
        float | None,
        typer.Option(help="Value that OpenRLHF and slime get for an unscored rollout; it must lie below every reward."),
    ] = None,
    marker: Annotated[str, typer.Option(help="Text that opens the assistant's turn in OpenRLHF's rollouts.")] = "",
    batch_cases: Annotated[int, typer.Option(min=1, help="Cases in a batch, joined from several requests.")] = 512,
    queue_cases: Annotated[
        int, typer.Option(min=1, help="Cases that may wait; further requests get status 429.")
    ] = 16_384,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request may take.")] = 600.0,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that requests may take after SIGTERM.")] = 30.0,
) -> None:
    """Serve a reward over HTTP to `RemoteReward`, to OpenRLHF, slime and anything that speaks JSON.

    Requests are scored together in batches; /docs describes the interface. CXR_REWARDS_OPTIONS, a JSON object, tells
    how OpenRLHF's and slime's rollouts are read (extract, context, priors). Stop it with SIGTERM or Ctrl-C.
    """
    from cxr_rewards.adapters.rollouts import options_from_environment
    from cxr_rewards.remote.http import TOKEN_VARIABLE, token_of
    from cxr_rewards.server.run import serve as run
    from cxr_rewards.server.settings import ServeSettings

    samples = options_from_environment()
    own = {name: samples.pop(name, None) for name in ("unscored", "marker")}
    settings = ServeSettings(
        token=token_of(TOKEN_VARIABLE, token_file),
        unscored=own["unscored"] if unscored is None else unscored,
        options=samples,
        marker=marker or own["marker"] or "",
        batch_cases=batch_cases,
        queue_cases=queue_cases,
        timeout_s=timeout,
    )
    judge = {key: value for key, value in (("base_url", judge_url), ("model", judge_model)) if value}
    overrides: dict[str, object] = {"cache": str(cache) if cache else "", "dtype": dtype, "judge": judge}
    overrides["allow_code"] = allow_code
    devices = [one.strip() for one in device.split(",") if one.strip()]
    if workers == 1:
        overrides["device"], devices = device, []
    named = preset_or_config(preset, config)
    note(f"serving {named} at http://{host}:{port} with {workers} worker(s); stop with SIGTERM or Ctrl-C")
    run(
        named,
        settings,
        host=host,
        port=port,
        workers=workers,
        devices=devices,
        drain_s=drain,
        **{key: value for key, value in overrides.items() if value},
    )
