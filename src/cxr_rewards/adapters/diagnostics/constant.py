"""The reward above that of a report that never looks at the image."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from cxr_rewards.core.component import Component
from cxr_rewards.core.feature import Feature, StreamedFeature
from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case, Reward

CONSTANT = "The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax."
_MOST = 200_000


class AboveConstant:
    """Compares rewards with what a constant report earns on the same references.

    The reward of a step is high or low mostly because of its prompts: a normal study is easy, a sick one is not. The
    constant report meets the same prompts, so the difference shows what the policy adds.

    It is scored once for each reference. Judges are never asked for it: components that need one, or run code from
    outside the library, are left out on both sides. Rewards that are computed elsewhere have no such number, because it
    is not known here what asking for more would cost.

    Args:
        text: the constant report.
    """

    def __init__(self, text: str = CONSTANT) -> None:
        self.text = text
        self._of: BaseReward | None = None
        self._free: CompositeReward | None = None
        self._values: dict[object, float | None] = {}

    def mean(self, reward: BaseReward, cases: Sequence[Case], rewards: Sequence[Reward]) -> float | None:
        """Return the mean of the rewards minus those of the constant report; None if no case has both.

        Args:
            reward: the reward that scored the cases.
            cases: those that can be read.
            rewards: their rewards.
        """
        if self._of is not reward:
            self._of, self._free = reward, _free_of_charge(reward)
            self._values.clear()
        if self._free is None:
            return None
        if len(self._free.components) == len(reward.components) and reward.total.normalize == "none":
            own = [r.value for r in rewards]
        else:
            rows = [tuple(r.parts[label] for label in self._free.components) for r in rewards]
            own = [r.value for r in self._free.combine(cases, rows)]
        constant = self._constants(self._free, cases)
        known = [one - two for one, two in zip(own, constant, strict=True) if one is not None and two is not None]
        return fmean(known) if known else None

    def _constants(self, free: CompositeReward, cases: Sequence[Case]) -> list[float | None]:
        keys = [(case.reference, case.priors, tuple(sorted(case.context.items()))) for case in cases]
        new = {key: case for key, case in zip(keys, cases, strict=True) if key not in self._values}
        if new:
            if len(self._values) + len(new) > _MOST:
                self._values.clear()
                new = dict(zip(keys, cases, strict=True))
            asked = [
                Case(candidate=self.text, reference=case.reference, priors=case.priors, context=case.context)
                for case in new.values()
            ]
            scored = free.score_batch(asked)
            self._values.update((key, r.value) for key, r in zip(new, scored, strict=True))
        return [self._values[key] for key in keys]


def _free_of_charge(reward: BaseReward) -> CompositeReward | None:
    """Return the reward without the components that cost money to ask; None if nothing with a weight is left."""
    if not isinstance(reward, CompositeReward):
        return None
    total = reward.total
    labels = [label for label, component in reward.components.items() if not _is_paid(component)]
    try:
        return CompositeReward(
            {label: reward.components[label] for label in labels},
            weights={label: total.terms[label].weight for label in labels},
            transforms={label: total.terms[label].transforms for label in labels},
            gates=[gate for gate in total.gates if gate.component in labels],
            on_failure=total.on_failure,
            cache=reward.cache,
            max_chars=reward.max_chars,
            max_unread=reward.max_unread,
        )
    except ConfigError:
        return None


def _is_paid(component: Component) -> bool:
    return bool(component.foreign_code) or any(map(_is_asked, component.needs))


def _is_asked(feature: Feature) -> bool:
    return isinstance(feature, StreamedFeature) or any(map(_is_asked, feature.needs))
