"""F1 of annotations, on small graphs counted by hand and against the radgraph package's own arithmetic."""

from __future__ import annotations

import random

import pytest
from radgraph.rewards import compute_reward

from cxr_rewards.formulas.radgraph import combined_f1, level_f1s, set_f1


def graph(*entities):
    return {
        str(i): {
            "tokens": tokens,
            "label": label,
            "start_ix": i,
            "end_ix": i,
            "relations": [list(r) for r in relations],
        }
        for i, (tokens, label, *relations) in enumerate(entities, start=1)
    }


EFFUSION = graph(("small", "OBS-DP", ("modify", "2")), ("effusion", "OBS-DP", ("located_at", "3")), ("left", "ANAT-DP"))
OTHER = graph(("effusion", "OBS-DP", ("located_at", "2")), ("left", "ANAT-DP"), ("edema", "OBS-DA"))


def test_levels_counted_by_hand():
    by_level = level_f1s(EFFUSION, OTHER, case_sensitive=False)
    assert by_level == {
        "simple": pytest.approx(4 / 6),
        "partial": pytest.approx(4 / 6),
        "complete": pytest.approx(4 / 6),
    }
    entities, relations = combined_f1(EFFUSION, OTHER)
    assert (entities, relations) == (pytest.approx(4 / 6), pytest.approx(2 / 3))


def test_identical_graphs_without_relations_are_worth_half_when_combined():
    alone = graph(("effusion", "OBS-DA"))
    assert sum(combined_f1(alone, alone)) / 2 == 0.5
    assert sum(combined_f1(EFFUSION, EFFUSION)) / 2 == 1.0
    assert combined_f1({}, {}) == (0.0, 0.0)


def test_case_counts_only_where_asked_and_never_in_combined_scores():
    lower, upper = graph(("effusion", "OBS-DP")), graph(("Effusion", "OBS-DP"))
    assert level_f1s(lower, upper, case_sensitive=False)["simple"] == 1.0
    assert level_f1s(lower, upper, case_sensitive=True)["simple"] == 0.0
    assert combined_f1(lower, upper)[0] == 0.0


def random_graph(draw):
    n = draw.randint(0, 6)
    words = ["effusion", "Effusion", "left", "edema", "small"]
    return graph(
        *(
            (
                draw.choice(words), draw.choice(["OBS-DP", "ANAT-DP"]),
                *((draw.choice(["modify", "located_at"]), str(draw.randint(1, n))) for _ in range(draw.randint(0, 2))),
            )
            for _ in range(n)
        )
    )  # fmt: skip


def test_every_level_equals_the_package():
    draw = random.Random(0)
    seen = set()
    for _ in range(500):
        a, b = random_graph(draw), random_graph(draw)
        theirs = compute_reward({"entities": a}, {"entities": b}, "all")
        ours = tuple(level_f1s(a, b, case_sensitive=True).values())
        assert ours == pytest.approx(theirs, abs=1e-12)
        seen.add(ours)
    assert len(seen) > 50


def test_f1_of_sets():
    assert set_f1(set(), set()) == 0.0
    assert set_f1({1}, set()) == 0.0
    assert set_f1({1, 2}, {2, 3}) == 0.5
