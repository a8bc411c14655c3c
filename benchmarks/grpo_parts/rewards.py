"""The rewards of the arms, and what is measured while they teach."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any

from cxr_rewards import CompositeReward
from cxr_rewards.adapters.trl import as_trl
from cxr_rewards.core.component import Component
from cxr_rewards.core.registry import load_component
from cxr_rewards.core.settings import setting
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.testing.fake_judge import FakeJudge
from cxr_rewards.types import Score

JUDGE_WEIGHT = 0.5


class RandomScore(Component):
    """A number in [0, 1) that depends on the texts and a seed, and says nothing about them."""

    name = "random_score"
    summary = "a random number"
    reads = ("candidate", "reference")

    seed: int = setting(0, "Another seed gives other numbers.")

    def score_case(self, case: Any, features: Any) -> Score:
        """Return the number."""
        text = f"{self.seed}\0{case.candidate}\0{case.reference}"
        return Score(int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48)


@contextmanager
def reward_of(arm: str, seed: int) -> Iterator[BaseReward]:
    """Give the reward of an arm; `rules_judge` asks a judge on loopback that answers by rules."""
    if arm == "rules":
        yield CompositeReward.from_preset("rules")
    elif arm == "random":
        yield CompositeReward({"random_score": RandomScore(seed=seed)})
    elif arm == "rouge_l":
        yield CompositeReward({"rouge_l": load_component("rouge_l")(stemmer=False)})
    elif arm == "rules_judge":
        with FakeJudge(seed=seed) as judge:
            rules = CompositeReward.from_preset("rules")
            asked = load_component("chexprompt")(model="fake", base_url=judge.url)
            terms = rules.total.terms
            yield CompositeReward(
                {**rules.components, "chexprompt": asked},
                weights={**{label: term.weight for label, term in terms.items()}, "chexprompt": JUDGE_WEIGHT},
                transforms={label: term.transforms for label, term in terms.items()},
                gates=rules.total.gates,
                max_unread=rules.max_unread,
                name=arm,
            )
    else:
        yield CompositeReward([arm])


class WatchedReward:
    """A reward function of trl that also keeps its time and the numbers of each step.

    The mean reward of a step follows the mix of its prompts: normal studies are easy. `above_constant` is what the
    diagnostics tell for that: the reward less that of one normal report on the same references.
    """

    __name__ = "reward"

    def __init__(self, reward: BaseReward, folder: Path) -> None:
        self.inner = as_trl(
            reward,
            group="uid",
            diagnostics=folder / "diagnostics.jsonl",
            rollout_log=folder / "rollouts.jsonl",
            log="reward/above_constant",
        )
        self.seconds = 0.0
        self.steps: list[dict[str, float]] = []

    def __call__(self, prompts: Any = None, completions: Any = (), **columns: Any) -> list[float | None]:
        """Return a value for each completion, in order."""
        start = time.perf_counter()
        told: dict[str, float] = {}
        values = self.inner(prompts, completions, **{**columns, "log_metric": told.__setitem__})
        took = time.perf_counter() - start
        self.seconds += took
        known = [value for value in values if value is not None]
        self.steps.append(
            {
                "reward": fmean(known) if known else nan,
                "above_constant": told.get("cxr_rewards/above_constant", nan),
                "unscored": values.count(None) / len(values),
                "words": fmean(len(text.split()) for text in completions),
                "scoring_s": took,
            }
        )
        return values
