"""Makes the policies: the start by supervised training, each arm from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_parts.policy import Policy, load_policy, save_trained, write_reports
from grpo_parts.runs import START, WEIGHTS, Unit
from grpo_parts.studies import Studies, prompts_of
from grpo_parts.training import fine_tune, reinforce, repeat_references


class TrlWorker:
    """Trains with trl.

    Args:
        studies: the task.
        settings: all tables.
        cache: where the package's model is unpacked.
    """

    def __init__(self, studies: Studies, settings: Mapping[str, Mapping[str, Any]], cache: Path) -> None:
        self.studies, self.settings, self.cache = studies, settings, cache
        self._policy: Policy | None = None

    def make(self, unit: Unit, folder: Path, start: Path | None) -> dict[str, Any]:
        """Train a policy, and write its weights."""
        model, grpo = self.settings["model"], self.settings["grpo"]
        policy = load_policy(model["name"], self.cache, trained_layers=model["trained_layers"], weights=start)
        if unit.arm == START:
            measured = fine_tune(policy, self.studies.train, self.studies.validation, self.settings, folder=folder)
        else:
            count = grpo["steps"] * grpo["prompts"]
            prompts = prompts_of(self.studies.train, count, unit.seed, self.settings["data"]["abnormal"])
            if unit.arm == "more_sft":
                measured = repeat_references(policy, prompts, self.settings, folder=folder, seed=unit.seed)
            else:
                measured = reinforce(policy, unit.arm, prompts, self.settings, folder=folder, seed=unit.seed)
        save_trained(policy, folder / WEIGHTS)
        self._policy = policy
        return measured

    def write(self, unit: Unit, folder: Path, how: str, seed: int) -> dict[str, str]:
        """Return the reports of the policy just made."""
        assert self._policy is not None
        evaluation = self.settings["evaluation"]
        studies = self.studies.held_out
        if how == "greedy":
            studies = studies[:: max(1, round(len(studies) / evaluation["greedy_studies"]))]
        texts = write_reports(
            self._policy,
            [study.prompt for study in studies],
            max_tokens=self.settings["data"]["max_tokens"],
            batch_size=evaluation["written_at_once"],
            seed=None if how == "greedy" else seed,
        )
        return {study.uid: text for study, text in zip(studies, texts, strict=True)}
