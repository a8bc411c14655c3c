"""The details of a score may be computed when they are first read."""

from __future__ import annotations

import pickle
import weakref
from copy import deepcopy

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.types import Score


class Words:
    """Something to explain a score by, which notes how often it was asked."""

    asked = 0

    def count(self, given):
        self.asked += 1
        return {"words": given}


def test_late_details_are_computed_once_and_only_if_read():
    words = Words()
    score = Score.explained(0.5, words.count, 2)
    assert score.value == 0.5
    assert score.failure is None
    assert words.asked == 0
    assert score.details == {"words": 2}
    assert score.details is score.details
    assert words.asked == 1


def test_a_score_with_late_details_equals_one_with_the_same_details():
    given = Score(0.5, {"words": 2})
    assert Score.explained(0.5, Words().count, 2) == given
    assert repr(Score.explained(0.5, Words().count, 2)) == repr(given)
    assert Score.explained(0.5, Words().count, 3) != given


def test_a_copy_of_a_score_has_its_details_instead_of_what_they_come_from():
    for copied in (lambda score: pickle.loads(pickle.dumps(score)), deepcopy):
        words = Words()
        words.unpicklable = lambda: None
        assert copied(Score.explained(0.5, words.count, 2)) == Score(0.5, {"words": 2})


def test_what_details_come_from_is_freed_once_they_are_read():
    words = Words()
    alive = weakref.ref(words)
    score = Score.explained(0.5, lambda words: words.count(2), words)
    del words
    assert alive() is not None
    assert score.details == {"words": 2}
    assert alive() is None


def test_an_unknown_attribute_of_a_score_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'detail'"):
        _ = Score.explained(0.5, Words().count, 2).detail


def test_scores_of_a_reward_survive_pickling_before_and_after_their_details_are_read():
    reward = CompositeReward()
    report = "New left effusion. Stable cardiomegaly. A florbid wexel."
    unread, read = (reward.score(report, "Left effusion. Pneumothorax.") for _ in range(2))
    before = pickle.loads(pickle.dumps(unread))
    assert read.to_dict(details=True)["details"]["findings_score"]["missed"]
    assert before == read == pickle.loads(pickle.dumps(read))
