"""A reference that is mostly not understood leaves its case unscored, if the reward says so."""

from __future__ import annotations

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.errors import ConfigError

HALF = "The heart is enlarged. There is zanzibar in the left base."
MOSTLY = "There is zanzibar in the left base. Kumquat at the right apex. The heart is enlarged."


@pytest.mark.parametrize("components", [["findings_soft_f1", "bleu"], ["bleu"]])
def test_a_mostly_unread_reference_leaves_its_case_unscored(components):
    reward = CompositeReward(components, max_unread=0.5)
    kept, lost = reward.score_batch(candidates=["Cardiomegaly."] * 2, references=[HALF, MOSTLY])
    assert kept.value is not None
    assert lost.value is None
    assert lost.kinds == ("unread",)
    assert lost.reasons == "reference: 2 of its 3 sentences are not understood, more than max_unread = 0.5"


def test_unread_references_are_scored_by_default():
    assert CompositeReward(["bleu"]).score("Cardiomegaly.", MOSTLY).value is not None


def test_the_default_reward_leaves_mostly_unread_references_unscored():
    assert CompositeReward().max_unread == CompositeReward.from_preset("rules").max_unread == 0.5
    assert CompositeReward().score("Cardiomegaly.", MOSTLY).kinds == ("unread",)


def test_an_unread_candidate_is_scored():
    assert CompositeReward().score(MOSTLY, "Cardiomegaly. No effusion.").value is not None


def test_the_setting_is_part_of_the_signature():
    signatures = {CompositeReward(["bleu"], max_unread=share).signature for share in (0.25, 0.5, 1.0)}
    assert len(signatures) == 3


@pytest.mark.parametrize("share", [-0.1, 1.5, "half", None])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="max_unread must be from 0 to 1"):
        CompositeReward(["bleu"], max_unread=share)
