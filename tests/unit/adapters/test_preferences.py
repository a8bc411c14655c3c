"""Pairs and best candidates are chosen by reward, margin and length, and nobody is lost unseen."""

from __future__ import annotations

import gzip
import json
import re

import polars as pl
import pytest
from tests.command_line import run

from cxr_rewards import CompositeReward
from cxr_rewards.adapters.preferences import Candidate, best_of, preference_pairs, rows_of
from cxr_rewards.errors import ConfigError, InputError

PROMPT = "Report this film."


def candidates(groups, prompt=PROMPT):
    """Candidates of groups: `{"a": {"text": 0.5, ...}}`."""
    return [
        Candidate(text=text, reward=reward, group=group, prompt=prompt, reason="timeout" if reward is None else "")
        for group, texts in groups.items()
        for text, reward in texts.items()
    ]


def texts(preferences):
    return [(pair.chosen.text, pair.rejected.text) for pair in preferences.pairs]


GROUP = {"a": {"worst": 0.1, "middle": 0.5, "best": 0.9, "lost": None}}


def test_the_best_is_paired_with_the_worst():
    chosen = preference_pairs(candidates(GROUP))
    assert texts(chosen) == [("best", "worst")]
    assert chosen.unscored == {"timeout": 1}
    assert chosen.unused == {}


def test_all_pairs_of_a_group_lie_apart_by_the_margin():
    assert sorted(texts(preference_pairs(candidates(GROUP), per_group=0))) == [
        ("best", "middle"), ("best", "worst"), ("middle", "worst"),
    ]  # fmt: skip
    assert texts(preference_pairs(candidates(GROUP), per_group=0, margin=0.5)) == [("best", "worst")]
    assert len(preference_pairs(candidates(GROUP), per_group=0, margin=0.4).pairs) == 3  # 0.9 - 0.5 is rounded


def test_a_draw_depends_on_the_seed_and_on_no_other_group():
    many = {name: {f"{name}{i}": i / 10 for i in range(9)} for name in "abc"}
    first, again, other = (preference_pairs(candidates(many), per_group=4, seed=seed) for seed in (1, 1, 2))
    assert texts(first) == texts(again) != texts(other)
    assert len(first.pairs) == 12
    alone = preference_pairs(candidates({"b": many["b"]}), per_group=4, seed=1)
    assert texts(alone) == texts(first)[4:8]


def test_groups_without_a_pair_are_counted_with_the_reason():
    groups = {
        "alone": {"x": 0.5},
        "lost": {"x": None, "y": None},
        "equal": {"x": 0.5, "y": 0.5},
        "low": {"x": 0.1, "y": 0.2},
        "long": {"one two three": 0.5, "one": 0.1},
        "good": {"x": 0.9, "y": 0.2},
    }
    chosen = preference_pairs(candidates(groups), min_reward=0.4, max_length_ratio=2.0)
    assert texts(chosen) == [("x", "y")]
    assert chosen.unused == {
        "fewer than two scored candidates with different texts": 2,
        "all rewards equal": 1,
        "no reward of 0.4 or more": 1,
        "no pair of lengths within a ratio of 2": 1,
    }
    assert preference_pairs(candidates(groups), margin=0.9).unused["no two rewards 0.9 apart"] == 4


def test_repetitions_are_no_pair():
    same = [
        Candidate(text=text, reward=reward, group="a", prompt=PROMPT)
        for text, reward in (("Clear lungs.", 0.9), (" Clear  lungs.\n", 0.4), ("Effusion.", 0.1))
    ]
    chosen = preference_pairs(same, per_group=0)
    assert texts(chosen) == [("Clear lungs.", "Effusion.")]
    assert chosen.duplicates == 1


def test_within_a_ratio_the_greatest_difference_counts():
    group = {"a": {"one two three four five six": 0.9, "one two": 0.7, "one": 0.5, "uno dos tres": 0.1}}
    chosen = preference_pairs(candidates(group), max_length_ratio=1.5)
    assert texts(chosen) == [("one two", "uno dos tres")]


def test_balanced_lengths_leave_no_preference_for_length():
    groups = {str(i): {"word " * (10 + i): 0.9, "word " * 9 + "x": 0.1} for i in range(20)}
    groups |= {f"short {i}": {"word " * 5: 0.9, "word " * 9 + "x": 0.1} for i in range(4)}
    before = preference_pairs(candidates(groups))
    after = preference_pairs(candidates(groups), balance_lengths=True)
    assert before.longer_by > 5
    assert abs(after.longer_by) <= 0.5
    assert after.left_out == len(before.pairs) - len(after.pairs) == 14
    assert after.longer_by_before == before.longer_by


def test_the_best_of_a_group():
    chosen = best_of(candidates({**GROUP, "lost": {"x": None}, "low": {"x": 0.1}}), most=2, min_reward=0.4)
    assert [one.text for one in chosen.best] == ["best", "middle"]
    assert chosen.unused == {"no scored candidate": 1, "no reward of 0.4 or more": 1}


CHAT = [{"role": "user", "content": PROMPT}]


@pytest.mark.parametrize(
    ("prompt", "options", "row"),
    [
        (PROMPT, {}, {"prompt": PROMPT, "chosen": "best", "rejected": "worst"}),
        (CHAT, {}, {"prompt": CHAT, "chosen": [{"role": "assistant", "content": "best"}],
                    "rejected": [{"role": "assistant", "content": "worst"}]}),
        (PROMPT, {"form": "conversational"}, {"prompt": CHAT, "chosen": [{"role": "assistant", "content": "best"}],
                                              "rejected": [{"role": "assistant", "content": "worst"}]}),
        (PROMPT, {"unpaired": True}, {"prompt": PROMPT, "completion": "best", "label": True}),
    ],
)  # fmt: skip
def test_rows_are_in_trls_formats(prompt, options, row):
    written = next(rows_of(preference_pairs(candidates(GROUP, prompt)), **options))
    scores = {key: written.pop(key) for key in list(written) if key.startswith("score")}
    assert written == row
    assert set(scores.values()) <= {0.9, 0.1}


def test_the_best_are_rows_to_fine_tune_on():
    best = best_of(candidates(GROUP))
    assert list(rows_of(best)) == [{"prompt": PROMPT, "completion": "best", "score": 0.9}]
    (row,) = rows_of(best, form="messages")
    assert row == {"messages": [*CHAT, {"role": "assistant", "content": "best"}], "score": 0.9}


def test_what_cannot_be_is_an_error():
    for options in ({"margin": -1}, {"per_group": -1}, {"max_length_ratio": 0.5}):
        with pytest.raises(ConfigError, match=f"pairs: {next(iter(options))} must be"):
            preference_pairs([], **options)
    with pytest.raises(ConfigError, match="the best of a group are 1 or more, got 0"):
        best_of([], most=0)
    with pytest.raises(InputError, match="candidate 2: group 'a' has another prompt, 'y', at its first candidate 'x'"):
        preference_pairs([*candidates({"a": {"t": 0.1}}, "x"), *candidates({"a": {"u": 0.2}}, "y")])
    with pytest.raises(InputError, match="the reward is nan"):
        preference_pairs(candidates({"a": {"t": float("nan")}}))
    with pytest.raises(ConfigError, match="unknown form 'chatty'"):
        list(rows_of(preference_pairs(candidates(GROUP)), form="chatty"))
    with pytest.raises(ConfigError, match="the prompt is a chat's messages; write the form conversational"):
        list(rows_of(preference_pairs(candidates(GROUP, CHAT)), form="standard"))


REFERENCE = "Small left pleural effusion."
REPORTS = ("Small left pleural effusion.", "Left effusion.", "Clear lungs.", "Clear  lungs.")


@pytest.fixture
def reports(tmp_path):
    """Four candidates for each of two studies, the second with a broken reference."""
    rows = [
        {"study_id": study, "prompt": PROMPT, "candidate": text, "reference": reference, "image": f"{study}.png"}
        for study, reference in (("s1", REFERENCE), ("s2", None))
        for text in REPORTS
    ]
    path = tmp_path / "candidates.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command_scores_what_has_no_rewards(reports, tmp_path):
    out = tmp_path / "pairs.jsonl"
    done = run("pairs", reports, "-o", out, "--group", "study_id", "--keep", "image")
    assert done.returncode == 0, done.stderr
    rewards = CompositeReward().score_batch(candidates=REPORTS, references=[REFERENCE] * 4)
    assert lines(out) == [
        {
            "prompt": PROMPT, "chosen": REFERENCE, "rejected": "Clear lungs.", "score_chosen": rewards[0].value,
            "score_rejected": rewards[2].value, "study_id": "s1", "image": "s1.png",
        }
    ]  # fmt: skip
    assert "8 candidates in 2 groups; left out: 4 unscored (4 missing_text), 1 repetitions" in done.stderr
    assert "1 groups used, 1 not: 1 fewer than two scored candidates with different texts" in done.stderr
    record = json.loads((tmp_path / "pairs.jsonl.meta.json").read_text())
    assert (record["format"], record["numbers"]["pairs"]) == ("cxr_rewards pairs", 1)
    assert record["reward"] == CompositeReward().signature
    assert run("pairs", reports, "-o", out, "--group", "study_id").returncode == 0  # a file of pairs may be replaced


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet", "scored.jsonl.gz"])
def test_a_file_of_scores_is_not_scored_again(reports, tmp_path, name):
    scored, out = tmp_path / name, tmp_path / "pairs.parquet"
    assert run("score", reports, "-o", scored, "--no-ids").returncode == 0
    done = run(
        "pairs", scored, "-o", out, "--group", "study_id", "--per-group", "0", "--form", "conversational", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert "scoring" not in done.stderr
    numbers = json.loads(done.stdout)
    assert (numbers["rows"], numbers["unscored"]) == (3, {"missing_text": 4})
    frame = pl.read_parquet(out)
    assert frame["prompt"][0].to_list() == CHAT
    assert frame.columns[:3] == ["prompt", "chosen", "rejected"]


def test_chats_in_csv_best_candidates_and_a_prompt_in_another_file(reports, tmp_path):
    rows = [
        {
            "study": "s1",
            "candidate": json.dumps([{"role": "assistant", "content": f"<think>Hm.</think>{text}"}]),
            "reward": i,
        }
        for i, text in enumerate(REPORTS)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "scored.csv")
    (tmp_path / "train.jsonl").write_text(json.dumps({"study_id": "s1", "prompt": CHAT}) + "\n")
    joined = ["--references", tmp_path / "train.jsonl", "--on", "study=study_id"]
    done = run(
        "pairs", tmp_path / "scored.csv", "-o", "-", "--group", "study", *joined, "--best-of", "1", "--form", "messages"
    )
    assert done.returncode == 0, done.stderr
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["messages"] == [
        *CHAT,
        {"role": "assistant", "content": f"<think>Hm.</think>{REPORTS[2]}"},
    ]  # 3 repeats 2
    done = run(
        "pairs",
        tmp_path / "scored.csv",
        "-o",
        tmp_path / "k.jsonl.gz",
        "--group",
        "study",
        "--prompt-text",
        PROMPT,
        "--unpaired",
    )
    assert done.returncode == 0, done.stderr
    with gzip.open(tmp_path / "k.jsonl.gz", "rt") as file:
        assert [json.loads(line)["label"] for line in file] == [True, False]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "name the column whose equal values are one prompt's candidates, such as --group study_id; columns:"),
        (["--group", "studyid"], "unknown column 'studyid'; known: .*Did you mean 'study_id'"),
        (["--group", "study_id", "--prompt", "x", "--prompt-text", "y"], "give either --prompt x or --prompt-text"),
        (["--group", "study_id", "--keep", "prompt"], "column 'prompt' has the name of one of the output"),
        (["--group", "study_id", "--best-of", "1", "--margin", "0.1"], "--best-of: takes no pairs, so leave out"),
        (["--group", "study_id", "--form", "messages"], "--form messages: is for --best-of"),
        (
            ["--group", "study_id", "--reward-col", "image"],
            r"row 1 \(line 1\), column 'image': expected a number, got 's1.png'",
        ),
        (["--group", "study_id", "--min-reward", "2"], "no group gave a row"),
        (["--group", "reference"], r"row 5 \(line 5\): no group in column 'reference'"),
    ],
)
def test_the_command_says_what_is_wrong(reports, tmp_path, options, error):
    done = run("pairs", reports, "-o", tmp_path / "pairs.jsonl", *options)
    assert done.returncode in (1, 2)
    assert re.search(error, done.stderr), done.stderr
    assert not (tmp_path / "pairs.jsonl").exists()


def test_rows_that_cannot_be_read_are_left_out_and_counted(reports, tmp_path):
    given = [*lines(reports), {"study_id": "s3", "prompt": "", "candidate": "x", "reference": "x"}]
    text = "".join(json.dumps(row) + "\n" for row in given)
    reports.write_text(text)
    options = ["pairs", reports, "-o", tmp_path / "pairs.jsonl", "--group", "study_id"]
    done = run(*options)
    assert "row 9 (line 9), column 'prompt': expected a prompt" in done.stderr
    assert "1 of 9 rows cannot be read; nothing was scored. Fix them, or leave them out with" in done.stderr
    done = run(*options, "--on-error", "keep-going")
    assert done.returncode == 0, done.stderr
    assert "1 of 9 rows cannot be read and are left out, the first:" in done.stderr


def test_another_file_is_not_overwritten(reports, tmp_path):
    out = tmp_path / "notes.jsonl"
    out.write_text('{"mine": 1}\n')
    done = run("pairs", reports, "-o", out, "--group", "study_id")
    assert "exists and is not a file of pairs, so it is not overwritten" in done.stderr
    assert run("pairs", reports, "-o", out, "--group", "study_id", "--force").returncode == 0
    assert "name it .jsonl or .parquet" in run("pairs", reports, "-o", tmp_path / "x.csv", "--group", "study_id").stderr
