"""The default reward tells reports apart that differ in one clinical respect; the pairs are well formed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from tests.benchmark_scripts import BENCHMARKS, load_benchmark

from cxr_rewards import CompositeReward

minimal_pairs = load_benchmark("minimal_pairs")
PAIRS = minimal_pairs.load_pairs()
FAMILIES = sorted({pair.family for pair in PAIRS})
GOOD = '[[pairs]]\nreference = "Left effusion."\nbetter = "Left."\nworse = "Right."\nwhy = "side"\n'


@pytest.fixture(scope="module")
def scored():
    return minimal_pairs.score_pairs(PAIRS, CompositeReward.from_preset("rules"))


def normal(text):
    return " ".join(text.split())


def test_there_are_many_pairs_in_many_families():
    assert len(PAIRS) >= 300
    assert len(FAMILIES) >= 20
    assert min(Counter(pair.family for pair in PAIRS).values()) >= 10


def test_no_pair_is_there_twice_and_no_candidates_are_the_same_text():
    keys = Counter((normal(pair.reference), frozenset(map(normal, pair.candidates))) for pair in PAIRS)
    assert [key for key, times in keys.items() if times > 1] == []
    assert [pair for pair in PAIRS if len(set(map(normal, pair.candidates))) == 1] == []


def test_the_default_reward_passes_nearly_all_pairs(scored):
    failed = [f"{pair.family} {pair.number}" for pair, *values in scored if not pair.passes(*values)]
    assert len(failed) <= 0.03 * len(PAIRS), failed


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_reward_passes_most_pairs_of_each_family(scored, family):
    passed, of = minimal_pairs.summarize(scored)[family]
    assert passed >= 0.8 * of, f"{passed} of {of}"


def test_other_words_for_the_same_mostly_earn_the_same_and_what_matters_earns_less():
    pairs = minimal_pairs.load_pairs(BENCHMARKS / "paraphrase_pairs")
    scored = minimal_pairs.score_pairs(pairs, CompositeReward.from_preset("rules"))
    for alike, least in ((True, 0.8), (False, 0.97)):
        passed = [pair.passes(*values) for pair, *values in scored if (pair.tolerance is not None) is alike]
        assert sum(passed) >= least * len(passed), f"{sum(passed)} of {len(passed)}"


@pytest.mark.parametrize(
    ("tolerance", "first", "second", "passes"),
    [
        (None, 0.5, 0.4, True),
        (None, 0.4, 0.5, False),
        (None, 0.5, 0.5 - 1e-7, False),
        (None, None, 0.1, False),
        (None, 0.1, None, False),
        (0.02, 0.5, 0.51, True),
        (0.02, 0.51, 0.5, True),
        (0.02, 0.5, 0.53, False),
        (0.02, 0.5, None, False),
    ],
)
def test_a_pair_passes_by_its_scores(tolerance, first, second, passes):
    pair = PAIRS[0]._replace(tolerance=tolerance)
    assert pair.passes(first, second) is passes


def test_a_good_file_loads(tmp_path):
    (tmp_path / "side.toml").write_text(
        GOOD
        + '[[pairs]]\nreference = "a"\nalike = ["b", "c"]\nwhy = "d"\npriors = ["e"]\ncontext = { age = "4" }\n'
        + '[[pairs]]\nreference = "a"\nalike = ["b", "d"]\ntolerance = 0.1\nwhy = "d"\n'
    )
    first, second, third = minimal_pairs.load_pairs(tmp_path)
    assert first == ("side", 1, "Left effusion.", ("Left.", "Right."), None, (), {}, "side")
    assert second == ("side", 2, "a", ("b", "c"), minimal_pairs.DEFAULT_TOLERANCE, ("e",), {"age": "4"}, "d")
    assert third.tolerance == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pairs = [", "bad.toml: is no TOML"),
        ("", "bad.toml: expected [[pairs]]"),
        ("pairs = []", "bad.toml: expected [[pairs]]"),
        ("pairs = [1]", "bad.toml, pair 1: expected a table"),
        ('title = "x"\n' + GOOD, "bad.toml: expected [[pairs]] and nothing else"),
        (GOOD + GOOD.replace("why", "reason"), "bad.toml, pair 2: unknown key reason"),
        (GOOD.replace('why = "side"', ""), "bad.toml, pair 1: why"),
        (GOOD.replace("Left effusion.", " "), "bad.toml, pair 1: reference"),
        (GOOD.replace('worse = "Right."', ""), "expected better and worse, or alike"),
        (GOOD + 'alike = ["a", "b"]', "expected better and worse, or alike"),
        (GOOD.replace("Right.", "Left."), "both candidates are the same text"),
        (GOOD.replace('"Right."', "3"), "expected two candidates"),
        ('[[pairs]]\nreference = "a"\nwhy = "b"\nalike = ["c"]', "expected two candidates"),
        ('[[pairs]]\nreference = "a"\nwhy = "b"\nalike = ["c", "d"]\ntolerance = 2.0', "tolerance"),
        (GOOD + "tolerance = 0.1", "only candidates alike have one"),
        (GOOD + 'priors = "before"', "priors"),
        (GOOD + "context = { age = 4 }", "context"),
    ],
)
def test_a_bad_file_is_reported(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(minimal_pairs.PairError) as caught:
        minimal_pairs.load_pairs(tmp_path)
    assert message in str(caught.value)


def test_a_folder_without_files_is_reported(tmp_path):
    with pytest.raises(minimal_pairs.PairError, match="no TOML files"):
        minimal_pairs.load_pairs(tmp_path)


def test_the_command_tells_passes_and_failures(tmp_path):
    arguments = ["--component", "bleu", "--family", "paraphrase", "--show-failures", "--json", tmp_path / "out.json"]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "minimal_pairs.py", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((tmp_path / "out.json").read_text())
    passed, of = map(int, result["families"]["paraphrase"].split("/"))
    assert list(result["families"]) == ["paraphrase"]
    assert result["passed"] == f"{passed}/{of}"
    assert len(result["failures"]) == of - passed > 0  # words alone do not tell a paraphrase from a false copy
