"""The page of a training run: files read back and joined, what was left out, what the page shows."""

from __future__ import annotations

import json
import re

import pytest
from tests.command_line import run

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.report.page import to_html
from cxr_rewards.evaluation.training import read_rollouts, read_steps, training_page


def line(step, mean, **more):
    return {"step": step, "reward/unscored": 0.0, "reward/mean": mean, "rollouts": 4.0, **more}


def write(path, lines):
    path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in lines))
    return path


def means(steps):
    return {step.number: step.metrics["reward/mean"] for step in steps}


def test_processes_are_joined_by_step(tmp_path):
    one = write(tmp_path / "d.jsonl", [line(1, 0.2, seconds=1.0, signs={"normal": "all"}), line(2, 0.4)])
    two = write(tmp_path / "d.rank1.jsonl", [line(1, 0.6, rollouts=12.0, seconds=2.0, unscored={"x": 2}), line(3, 0.1)])
    steps = read_steps([one, two], [])
    assert means(steps) == pytest.approx({1: 0.5, 2: 0.4, 3: 0.1})  # by the number of rollouts
    assert (steps[0].metrics["seconds"], steps[0].metrics["rollouts"]) == (3.0, 16.0)
    assert (steps[0].signs, steps[0].unscored) == ({"normal": "all"}, {"x": 2})


def test_steps_that_a_resumed_run_wrote_again_count_once(tmp_path):
    path = write(tmp_path / "d.jsonl", [line(s, 0.0) for s in (1, 2, 3, 4)] + [line(s, 1.0) for s in (3, 4, 5)])
    assert means(read_steps([path], [])) == {1: 0.0, 2: 0.0, 3: 1.0, 4: 1.0, 5: 1.0}


def test_several_calls_of_a_step_are_averaged(tmp_path):
    path = write(tmp_path / "d.jsonl", [line(1, 0.0), line(1, 1.0)])
    assert means(read_steps([path], [])) == {1: 0.5}


def test_lines_that_cannot_be_used_are_named_and_the_rest_is_kept(tmp_path):
    lines = [line(1, 0.5), '{"loss": 3}\n', "[]\n", "no\n", "\n", line(2, 0.5), '{"step": 3, "rew']
    problems = []
    assert len(read_steps([write(tmp_path / "d.jsonl", lines)], problems)) == 2
    found = [problem.removeprefix(f"{tmp_path / 'd.jsonl'}, ") for problem in problems]
    assert [text[:7] for text in found] == ["line 2:", "line 3:", "line 4:", "line 7:"]
    assert "is no line of Diagnostics" in found[0]
    assert "expected an object" in found[1]
    assert "the file ends within it" in found[3]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no line was written by Diagnostics, which is empty"), ("a,b\n", "no line was written .* is not JSON")],
)
def test_a_file_without_a_line_of_diagnostics_is_an_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_steps([write(tmp_path / "d.jsonl", [text])], [])
    with pytest.raises(InputError, match="cannot be read"):
        read_steps([tmp_path / "absent.jsonl"], [])


def rollout(step, reward, text="Left effusion.", **more):
    return {"step": step, "group": "s", "candidate": text, "reference": "Left effusion.", "reward": reward, **more}


def test_rollouts_are_those_of_the_start_the_middle_and_the_end_from_lowest_to_highest_reward(tmp_path):
    lines = [rollout(step, reward / 10, bleu=0.5) for step in range(1, 8) for reward in range(10)]
    path = write(tmp_path / "r.jsonl", [*lines, {"step": 7, "x": 1}, '{"step": 7, "candi'])
    problems = []
    shown = read_rollouts([path], 2, problems)
    assert [(one.step, one.moment, one.reward) for one in shown] == [
        (1, "start", 0.0), (1, "start", 0.9), (4, "middle", 0.0), (4, "middle", 0.9), (7, "end", 0.0), (7, "end", 0.9)
    ]  # fmt: skip
    assert shown[0].components == {"bleu": 0.5}
    assert len(problems) == 2
    assert read_rollouts([path], 0, []) == read_rollouts([], 3, []) == []
    with pytest.raises(InputError, match="no line was written by RolloutLog"):
        read_rollouts([write(tmp_path / "x.jsonl", ["{}"])], 1, [])


def test_a_page_shows_warnings_curves_cost_and_marked_samples_and_escapes_what_it_shows(tmp_path):
    hostile = "<script>alert(1)</script> Large right effusion."
    lines = [
        line(
            step, 0.1 + step / 100, normal_rate=0.2, reference_normal_rate=0.3, **{"seconds/bleu": 3.0, "bleu/mean": 0.2},
            signs={"normal": f"{hostile} at {step}"} if step > 20 else {},
        )
        for step in range(1, 41)
    ]  # fmt: skip
    d = write(tmp_path / "d.jsonl", [*lines, "{"])
    r = write(tmp_path / "r.jsonl", [rollout(1, 0.5, hostile), rollout(40, None, reason="judge: down")])
    out = tmp_path / "page.html"
    done = run("training-report", d, "--rollouts", r, "-o", out, "--title", hostile)
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stderr
    assert "line 41: is not JSON" in done.stderr
    page = out.read_text()
    assert "<script" not in page
    text = re.sub("<[^>]+>", " ", page)
    for part in ("40 steps, 1 to 40, 160 rollouts", "at 40", "bleu", "start of the run", "judge: down", "line 41"):
        assert part in text, part
    assert re.search(r"normal.*?>21<.*?>40<.*?>20<", page, re.S)  # from step, to step, steps
    assert 'class="zero"' in page
    assert '<mark class="false">' in page
    assert run("training-report", d, "-o", d).returncode == 1


def test_a_run_of_one_step_has_a_page(tmp_path):
    steps = read_steps([write(tmp_path / "d.jsonl", [line(7, 0.5)])], [])
    page = to_html(training_page(steps))
    assert "Step 7, 4 rollouts." in page
    assert "No sign of a policy that games its reward" in page
