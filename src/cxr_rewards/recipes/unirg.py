"""UniRG-CXR's whole recipe in one command: fine-tuning, step 1, and step 2 with a KL of 0.03 to step 1's policy.

`python -m cxr_rewards.recipes.unirg --data DATA -o out --judge-url http://judge:8000/v1 --judge-model NAME`, with trl
or `--backend verl`. Each stage is a process of its own, so that it frees its GPUs, and has a folder: `out/step1` (with
`sft`), `out/step2`. Killed and started again, finished stages are left out, and the others go on from their last
checkpoint. `--tiny` rehearses the chain on a CPU, with a judge on loopback; `--tiny --text` without images.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cxr_rewards.core.absent import absent_allowed
from cxr_rewards.errors import ConfigError
from cxr_rewards.recipes.checks import ask_judges, reward_of, run_command
from cxr_rewards.recipes.options import arguments_of, parser_of
from cxr_rewards.recipes.settings import load_settings

READINGS = {"radcliq": ("unirg", "unirg_step2"), "xl": ("unirg_xl", "unirg_xl_step2")}
"""Presets of both steps for each reading of the paper's RadGraph term."""

_TINY_STEP2 = """
name = "rehearsal_step2"
[components.findings_soft_f1]
weight = 1.0
[components.chexprompt]
weight = 0.5
[components.injection_flag]
weight = 0.0
[[gates]]
component = "injection_flag"
above = 0.5
cap = 0.0
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages that are not finished, and return the exit status of the last."""
    parser = parser_of(__doc__)
    parser.set_defaults(config="unirg_step1")
    parser.add_argument("--config2", default="unirg_step2", help="TOML of step 2; --config is that of step 1")
    parser.add_argument("--backend", choices=("trl", "verl"), default="trl")
    parser.add_argument(
        "--reading", choices=sorted(READINGS), help="of the paper's RadGraph term; else the TOMLs' [reward]"
    )
    parser.add_argument("--gpus", type=int, default=8, help="number of GPUs on this machine, for verl")
    parser.add_argument("--launch", default="accelerate launch", help="what starts trl's processes")
    parser.add_argument("--print", action="store_true", dest="shown", help="with verl: print the commands")
    given = parser.parse_args(arguments)
    if given.reward:
        raise ConfigError(
            "unirg: each step has its own reward; choose a --reading, or name TOMLs with --config, --config2"
        )
    if given.tiny and given.backend == "verl" and not given.shown:
        raise ConfigError("unirg: verl needs GPUs, so it cannot be rehearsed; add --print to see its commands")
    with ExitStack() as stack:
        if given.tiny:
            from cxr_rewards.testing.fake_judge import FakeJudge

            given.judge_url, given.judge_model = stack.enter_context(FakeJudge()).url, "fake"
            given.data = given.data or given.out / "tiny"
        else:
            _check_judge(given)
        for number in (1, 2):
            if status := _run(given, number):
                return status
    return 0


def _check_judge(given: Namespace) -> None:
    """Ask step 2's judge before step 1, which takes days."""
    settings = load_settings(given.config2)["reward"]
    chosen = (("base_url", given.judge_url), ("model", given.judge_model))
    judge = {**settings.get("judge", {}), **{key: value for key, value in chosen if value}}
    if given.shown:
        return
    with absent_allowed():  # step 1 checks the weights
        ask_judges(reward_of({**settings, "judge": judge}, allow_code=given.allow_code))


def _run(given: Namespace, number: int) -> int:
    """Run a stage, and return its exit status."""
    out, first = given.out / f"step{number}", given.out / "step1"
    changed: dict[str, object] = {"out": out, "reward": READINGS[given.reading][number - 1] if given.reading else ""}
    if number == 1:
        changed |= {"judge_url": "", "judge_model": ""}
    else:
        policy = first if given.backend == "trl" else first / "policy"
        changed |= {"config": given.config2, "no_sft": True, "model": policy}
    if given.tiny:
        changed["reward"] = "rules" if number == 1 else _tiny_reward(given.out)
    shared = arguments_of(given, **changed)
    if given.backend == "trl":
        launch = [sys.executable] if given.tiny else shlex.split(given.launch)
        command = [*launch, "-m", "cxr_rewards.recipes.grpo_trl", *shared]
    else:
        if (out / "policy" / "config.json").exists():
            return 0
        options = ["--gpus", str(given.gpus), "--launch", given.launch, *(["--print"] if given.shown else [])]
        command = [sys.executable, "-m", "cxr_rewards.recipes.grpo_verl", *shared, *options]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own modules


def _tiny_reward(out: Path) -> Path:
    path = out / "rehearsal_step2.toml"
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(_TINY_STEP2, encoding="utf-8")
    return path


if __name__ == "__main__":
    run_command(main)
