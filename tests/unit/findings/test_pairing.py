"""Findings are paired so that the sum is greatest; denials exclude what they name and its kinds."""

from __future__ import annotations

import time
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import Finding, ontology
from cxr_rewards.findings.pairing import by_side, denies, kinship, pair_up, related

GAINS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.3])
)


def best_of_all(gains):
    return max(sum(gains.get((i, j), 0.0) for i, j in enumerate(order)) for order in permutations(range(5)))


@given(GAINS)
def test_pairs_are_one_to_one_and_gain_most(gains):
    pairs = pair_up(gains)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(gains[pair] > 0 for pair in pairs)
    assert sum(gains[pair] for pair in pairs) == pytest.approx(best_of_all(gains))


@given(GAINS, st.randoms())
def test_the_sum_does_not_depend_on_the_order(gains, random):
    items = list(gains.items())
    random.shuffle(items)
    shuffled = dict(items)
    assert sum(map(gains.get, pair_up(gains))) == pytest.approx(sum(map(gains.get, pair_up(shuffled))))


def test_nothing_to_pair():
    assert pair_up({}) == []
    assert pair_up({(0, 0): 0.0}) == []


def test_many_candidates_take_little_time():
    gains = {(i, j): 1.0 if i == j else 0.5 for i in range(60) for j in range(60)}
    start = time.process_time()
    assert pair_up(gains) == [(i, i) for i in range(60)]
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("pneumonia", "pneumonia", True),
        ("pneumonia", "lung_opacity", True),
        ("lung_opacity", "pneumonia", True),
        ("pneumonia", "atelectasis", False),
        ("pneumonia", "pneumothorax", False),
    ],
)
def test_related(one, two, expected):
    assert related(ontology(), one, two) is expected


@pytest.mark.parametrize(
    ("denial", "finding", "expected"),
    [
        (Finding("pneumonia"), Finding("pneumonia"), True),
        (Finding("lung_opacity"), Finding("pneumonia", side="left"), True),
        (Finding("pneumonia"), Finding("lung_opacity"), False),
        (Finding("pneumonia", implied=True), Finding("lung_opacity"), True),
        (Finding("pleural_effusion", severity=4.0), Finding("pleural_effusion"), False),
        (Finding("pleural_effusion", severity=4.0), Finding("pleural_effusion", severity=4.0), True),
        (Finding("pleural_effusion", side="left"), Finding("pleural_effusion", side="left"), True),
        (Finding("pleural_effusion", side="left"), Finding("pleural_effusion", side="right"), False),
        (Finding("pleural_effusion", side="left"), Finding("pleural_effusion"), False),
        (Finding("pleural_effusion", side="bilateral"), Finding("pleural_effusion", side="right"), True),
        (Finding("lung_opacity", places=("base",)), Finding("lung_opacity", places=("base",)), True),
        (Finding("lung_opacity", places=("base",)), Finding("lung_opacity", places=("apex",)), False),
        (Finding("lung_opacity", places=("base",)), Finding("lung_opacity"), False),
    ],
)
def test_denies(denial, finding, expected):
    assert denies(ontology(), denial, finding) is expected


def test_bilateral_findings_are_split_and_keep_the_rest():
    effusion = Finding("pleural_effusion", side="bilateral", severity=2.0, start=3, end=11)
    left, right, other = by_side([effusion, Finding("cardiomegaly")])
    assert (left.side, right.side, other.side) == ("left", "right", "")
    assert left._replace(side="bilateral") == right._replace(side="bilateral") == effusion


@pytest.mark.parametrize(
    ("one", "two", "kin"),
    [
        ("pneumonia", "pneumonia", ("unspecific", 0)),
        ("pneumonia", "consolidation", ("unspecific", 1)),
        ("pneumonia", "airspace_opacity", ("unspecific", 2)),
        ("pneumonia", "lung_opacity", ("unspecific", 3)),
        ("lung_opacity", "pneumonia", ("overinterpretation", 3)),
        ("consolidation", "pneumonia", ("overinterpretation", 1)),
        ("lung_nodule", "granuloma", ("overinterpretation", 2)),  # often taken for each other
        ("granuloma", "lung_nodule", ("overinterpretation", 2)),
        ("lung_mass", "granuloma", None),  # though one is taken for what the other is a kind of
        ("pneumonia", "atelectasis", None),  # two kinds of the same
        ("pneumonia", "scoliosis", None),
        ("pneumothorax", "pleural_effusion", None),
    ],
)
def test_kinship(one, two, kin):
    assert kinship(one, two) == kin


def test_kinship_is_as_close_one_way_as_the_other():
    for one, two in product(sorted(ontology().observations)[::5], sorted(ontology().observations)):
        there, back = kinship(one, two), kinship(two, one)
        assert (there and there[1]) == (back and back[1])
