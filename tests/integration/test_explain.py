"""`cxr-rewards explain`: marks, arithmetic, the composite, and texts that would like to drive the terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import struct
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise

import pytest
from rich.console import Console
from tests import command_line

from cxr_rewards import Case, Component, CompositeReward, Score
from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.errors import ConfigError
from cxr_rewards.explain.build import explain
from cxr_rewards.explain.page import show
from cxr_rewards.explain.words import printable
from cxr_rewards.formulas.crimson import crimson_score

REFERENCE = "Large right pneumothorax. Moderate left pleural effusion. Pulmonary edema. No fracture."
CANDIDATE = "Small left pleural effusion. Pulmonary edema. No pneumothorax. Cardiomegaly."
TEXTS = ("--candidate", CANDIDATE, "--reference", REFERENCE)


def run(*arguments):
    return command_line.run("explain", *arguments)


def explained(candidate=CANDIDATE, reference=REFERENCE, priors=(), only="", reward=None, **fields):
    case = Case(candidate=candidate, reference=reference, priors=priors, **fields)
    return explain(reward or CompositeReward(["findings_score"]), case, only=only)


def shown(explanation, width=120, encoding="utf-8", **options):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    show(explanation, Console(file=file, width=width, **options))
    file.flush()
    return raw.getvalue().decode(encoding)


def report(text, role):
    return re.search(rf"^== {role} ==\n(.*?)(?=\n\n)", text, re.MULTILINE | re.DOTALL)[1]


# ---------------------------------------------------------------- marks


def test_without_colours_pairs_share_a_number():
    done = run(*TEXTS)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert report(done.stdout, "reference") == (
        "Large right [-1 pneumothorax]. Moderate left [~2 pleural effusion]. [+3 Pulmonary edema]. No [0 fracture]."
    )
    assert report(done.stdout, "candidate") == (
        "Small left [~2 pleural effusion]. [+3 Pulmonary edema]. No [-1 pneumothorax]. [!4 Cardiomegaly]."
    )
    legend = next(line for line in done.stdout.splitlines() if line.startswith("[!]"))
    assert [sign for sign in "!-*~+:0" if f"[{sign}]" in legend] == ["!", "-", "~", "+", "0"]


def test_every_mention_of_a_finding_has_its_mark():
    text = shown(explained("Left effusion. IMPRESSION: Left effusion.", "Left effusion. IMPRESSION: Effusion."))
    assert report(text, "reference") == "Left [+1 effusion]. IMPRESSION: [+1 Effusion]."
    assert report(text, "candidate") == "Left [+1 effusion]. IMPRESSION: Left [+1 effusion]."


def test_a_finding_that_is_stated_and_denied_is_marked_and_counted():
    data = explained("Right pneumothorax. No pneumothorax.", "Right pneumothorax.")
    assert report(shown(data), "candidate") == "Right [!2 pneumothorax]. No [*2 pneumothorax]."
    missed, false, contradicted = data.findings.rows
    assert (contradicted.kind, contradicted.number) == ("contradicted", false.number)
    assert contradicted.penalty == 0.5 * contradicted.weight > 0
    assert data.findings.errors == missed.penalty + false.penalty + contradicted.penalty


def test_a_normal_statement_is_no_denial_by_name():
    text = shown(explained("Cardiomegaly. No cardiomegaly. The heart is normal.", "Cardiomegaly."))
    assert "[!2 Cardiomegaly]. No [*2 cardiomegaly]. The heart is [0 normal]." in report(text, "candidate")


def test_one_phrase_that_is_two_findings_has_both_numbers():
    data = explained("No acute disease.", "Right and left effusion.")
    spans = [mark.span for mark in data.reports[0].marks]
    assert all(a[1] <= b[0] for a, b in pairwise(spans)), "marks never overlap"
    numbers = {note.number for mark in data.reports[0].marks for note in mark.notes}
    assert numbers == {row.number for row in data.findings.rows}


def test_priors_are_shown_with_what_is_read_in_them():
    done = run(*TEXTS, "--prior", "Left effusion.", "--prior", "No edema.", "--context", "age=63", "--context", "sex=F")
    assert report(done.stdout, "prior 1") == "Left [: effusion]."
    assert report(done.stdout, "prior 2") == "No [0 edema]."
    assert "age 63, sex F" in done.stdout


class Age(Component):
    """The age of the context, in centuries."""

    name = "age"
    summary = "age"

    def score_case(self, case, features):
        return Score(int(case.context["age"]) / 100, {})


def test_context_reaches_the_score():
    assert explained(context={"age": "63"}, reward=CompositeReward([Age()])).reward.value == 0.63
    data = json.loads(run(*TEXTS, "--context", "age=63", "--context", "indication=a=b", "--json").stdout)
    assert data["case"]["context"] == {"age": "63", "indication": "a=b"}


# ---------------------------------------------------------------- colours


def on_a_terminal(*arguments, width=100, **env):
    """Return what a terminal of this width is sent."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    dropped = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    command = [sys.executable, "-m", "cxr_rewards", "explain", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env={**kept, "TERM": "xterm", **env}):
        os.close(theirs)
        sent = b""
        with suppress(OSError):  # how Linux tells that the other end is closed
            while chunk := os.read(ours, 65536):
                sent += chunk
    os.close(ours)
    return sent.decode().replace("\r\n", "\n")


def test_a_terminal_shows_colours():
    sent = on_a_terminal(*TEXTS)
    assert "Large right \x1b[31mpneumothorax\x1b[0m" in sent, "missed: red"
    assert "left \x1b[33mpleural effusion\x1b[0m" in sent, "stated differently: yellow"
    assert "\x1b[32mPulmonary edema\x1b[0m" in sent, "matched: green"
    assert "\x1b[1;31mCardiomegaly\x1b[0m" in sent, "false: bright red"
    assert "No \x1b[2mfracture\x1b[0m" in sent, "denied: dim"
    assert "[+" not in sent
    assert "[-1" not in sent


@pytest.mark.parametrize(("arguments", "env"), [(("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})])
def test_colours_can_be_turned_off(arguments, env):
    sent = on_a_terminal(*TEXTS, *arguments, **env)
    assert not re.search(r"\x1b\[[\d;]*3\d", sent)
    assert "Large right [-1 pneumothorax]." in sent


@pytest.mark.parametrize("width", [24, 40, 79, 80, 100])
def test_nothing_is_wider_than_the_terminal(width):
    sent = on_a_terminal(*TEXTS, "--no-color", "--prior", "x" * 300, width=width)
    assert max(map(len, sent.splitlines())) <= width
    assert "reward = " in sent


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        (CANDIDATE, REFERENCE),
        (REFERENCE, CANDIDATE),
        (REFERENCE, REFERENCE),
        ("Left pneumothorax. Cardiomegaly. Pneumonia.", "Left effusion."),
        ("Left pneumothorax.", "No acute disease. The lungs are clear."),
        ("The lungs are clear.", "The lungs are clear."),
        ("Possible left effusion. No effusion.", "Large left effusion."),
        ("Acute rib fracture.", "Old rib fracture."),
        ("Hello.", "Left effusion."),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"denial_cost": 0.2, "possible_weight": 1.0, "benign_weight": 0.25}])
def test_the_arithmetic_gives_the_component_s_value(candidate, reference, settings):
    reward = CompositeReward([FindingsScore(**settings)])
    data = explained(candidate, reference, reward=reward)
    weighing, value = data.findings, reward.score(candidate, reference).parts["findings_score"].value
    assert weighing.value == value
    text = shown(data)
    assert re.search(r"^score .*?= (-?\d\.\d{4})", text, re.MULTILINE)[1] == f"{value:z.4f}"
    if candidate == "Hello.":
        assert "nothing was read in the candidate" in text
        return
    pairs = [(row.weight, row.cost) for row in weighing.rows if row.kind in ("matched", "differs")]
    missed = [row.weight for row in weighing.rows if row.kind == "missed"]
    assert crimson_score(pairs, missed, [], weighing.errors) == pytest.approx(value, abs=1e-12)
    share, excess = weighing.share, weighing.errors - weighing.credit
    assert (share if share >= 0 else -excess / (1 + excess)) == pytest.approx(value, abs=1e-12)
    if weighing.weights:
        line = re.search(r"^S = \(C - E\) / N = \((\S+) - (\S+)\) / (\S+) = (\S+)$", text, re.MULTILINE)
        sums = (weighing.credit, weighing.errors, weighing.weights, weighing.share)
        assert line.groups() == tuple(f"{x:z.4f}" for x in sums)
        as_json = data.as_json()["findings"]
        assert tuple(as_json[key] for key in "CENS") == sums


def test_the_composite_is_what_score_gives():
    reward = CompositeReward()
    result = reward.score(CANDIDATE, REFERENCE, ["Left effusion."])
    data = json.loads(run(*TEXTS, "--prior", "Left effusion.", "--json").stdout)
    assert {part["label"]: part["value"] for part in data["components"]} == {
        label: score.value for label, score in result.parts.items()
    }
    assert {part["label"]: part["weight"] for part in data["components"]} == {
        label: term.weight for label, term in reward.total.terms.items()
    }
    assert data["reward"]["value"] == result.value
    assert data["reward"]["signature"] == reward.signature
    assert sum(part["contribution"] for part in data["components"]) == pytest.approx(data["reward"]["sum"], abs=1e-12)
    assert [gate["closed"] for gate in data["reward"]["gates"]] == [
        gate.component in result.gates for gate in reward.total.gates
    ]
    text = run(*TEXTS, "--prior", "Left effusion.").stdout
    assert f"\nreward = {result.value:z.4f}\n" in text
    for label, score in result.parts.items():
        assert re.search(rf"│ {label} +│ \w+ +│ +{re.escape(f'{score.value:z.4f}')} │", text), label


def test_transforms_and_closed_gates_are_shown(tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[components.bleu]\nweight = 1.0\ntransform = [{affine = {scale = 2.0, offset = -1.0}}]\n'
        "[components.format]\nweight = 0.5\n[[gates]]\ncomponent = 'format'\nbelow = 1.0\ncap = -0.25\n"
    )  # fmt: skip
    done = run("--candidate", "Left effusion.", "--reference", "Left effusion.", "--config", tmp_path / "mine.toml")
    assert done.returncode == 0, done.stderr
    assert re.search(r"│ bleu +│ higher │ 1\.0000 │ affine\(scale=2, offset=-1\) │ +1\.0000 │", done.stdout)
    assert "gate format < 1 -> at most -0.25: closed (format = 0.0000)" in done.stdout
    assert "reward = -0.2500, capped" in done.stdout
    assert "findings_score (not in this reward; with its defaults)" in done.stdout


class Absent(Component):
    """Never has a value."""

    name = "absent"
    summary = "never there"

    def score_case(self, case, features):
        raise ValueError("\x1b[31mno value today")


def test_weights_of_failed_components_go_to_the_others():
    reward = CompositeReward(
        ["bleu", Absent(), "repetition"],
        weights={"bleu": 0.5, "absent": 0.25, "repetition": -0.5},
        on_failure="renormalize",
    )
    data = explained("effusion effusion " * 9, "Left effusion.", reward=reward)
    bleu, absent, repetition = data.components
    assert absent.contribution is None
    assert bleu.contribution == bleu.value * 0.75
    assert repetition.contribution == repetition.value * -0.5 < 0
    assert bleu.contribution + repetition.contribution == pytest.approx(data.reward.value, abs=1e-12)
    text = shown(data)
    assert "the weight of components without a value went to the others" in text
    assert r"unscored: absent: ValueError: \x1b[31mno value today" in text


def test_group_normalisation_is_refused_as_one_case_says_nothing_of_its_group():
    with pytest.raises(ConfigError, match="needs whole groups at once"):
        explained(reward=CompositeReward(["bleu"], normalize="group"))


class EveryForm(Component):
    """Details of all forms."""

    name = "every_form"
    summary = "details of all forms"

    def score_case(self, case, features):
        statement = {"observation": "pleural_effusion", "change": "resolved", "polarity": "absent", "span": [3, 11]}
        by = {"observation": "pleural_effusion", "severity": 2.5, "side": "left", "number": 2, "span": [0, 8]}
        size = {"observation": "lung_nodule", "polarity": "possible", "size_mm": 8.0, "places": ["base", "lower"]}
        details = {
            "statements": [{**statement, "verdict": "supported", "judged_by": by}, {**size, "verdict": None}],
            "labels": ["Edema", "Fracture"], "nothing": [], "exact": True, "share": 2 / 3, "number": 3,
            "odd": {"a\x1b": ["b\n\x07", 1.5]},
        }  # fmt: skip
        return Score(0.5, details)


def test_any_component_s_details_are_readable():
    lines = shown(explained(reward=CompositeReward([EveryForm()]))).splitlines()
    start = lines.index("== every_form = 0.5000 ==")
    assert [line.rstrip() for line in lines[start + 2 : start + 11]] == [
        "statements:",
        "  - resolved pleural effusion [3:11]; verdict: supported; judged_by: mild to moderate left pleural effusion"
        " (number 2)",
        "[0:8]",
        "  - possible lung nodule (base, lower, 8 mm); verdict: -",
        "labels: Edema, Fracture",
        "nothing: none",
        "exact: yes",
        "share: 0.6667",
        "number: 3",
    ]
    assert lines[start + 11] == r"odd: a\x1b: b \x07, 1.5000"


# ---------------------------------------------------------------- one component


def test_one_component_alone():
    done = run(*TEXTS, "--component", "severity_agreement")
    value = CompositeReward(["severity_agreement"]).score(CANDIDATE, REFERENCE).value
    assert done.returncode == 0, done.stderr
    assert f"== severity_agreement = {value:.4f} ==" in done.stdout
    assert "[-1 pneumothorax]" in done.stdout
    assert "findings_score" not in done.stdout
    assert "reward" not in done.stdout
    data = json.loads(run(*TEXTS, "--component", "findings_score", "--json").stdout)
    assert data["reward"] is None
    assert [part["label"] for part in data["components"]] == ["findings_score"]
    assert data["findings"]["in_reward"] is True


def test_a_component_of_the_reward_keeps_its_settings():
    reward = CompositeReward({"strict": FindingsScore(denial_cost=3.0)})
    alone = explained(reward=reward, only="strict")
    assert alone.findings.value == reward.score(CANDIDATE, REFERENCE).value
    assert alone.findings.value < explained().findings.value


def test_an_unknown_component_is_reported_with_the_nearest():
    done = run(*TEXTS, "--component", "findings_scor")
    assert done.returncode == 1
    assert "unknown component 'findings_scor'" in done.stderr
    assert "Did you mean 'findings_score'?" in done.stderr


# ---------------------------------------------------------------- where the texts come from


def test_texts_come_from_files_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candidate.txt").write_bytes("\ufeffSmall left effusion.\r\nNo edema.".encode())
    (tmp_path / "latin.txt").write_bytes("Ødem.".encode("latin-1"))
    done = run("--candidate", "@candidate.txt", "--reference", "Left effusion.")
    assert report(done.stdout, "candidate") == "Small left [+1 effusion].\nNo [0 edema]."
    for name, message in (("none.txt", "none.txt: No such file"), ("latin.txt", "latin.txt: byte 0xD8 is not UTF-8")):
        done = run("--candidate", f"@{name}", "--reference", "Left effusion.")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"error: {message}" in done.stderr


@pytest.fixture
def table(tmp_path):
    rows = [("a", "Left effusion.", "Left effusion.", "Edema.", 70), ("b", CANDIDATE, REFERENCE, "", 30)]
    rows += [("b", "Clear lungs.", "Clear lungs.", "", ""), ("c", "Edema.", "", "", "")]
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction", "reference", "prior", "age"])
        writer.writerows(rows)
    with (tmp_path / "in.csv").open("a") as file:
        file.write("d,too,many,,,cells,here\n")
    return tmp_path / "in.csv"


@pytest.mark.parametrize("which", [("--row", 1), ("--id", "a")])
def test_a_case_of_a_table_by_row_or_id(table, which):
    done = run("--input", table, *which, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert [r["text"] for r in data["reports"]] == ["Left effusion.", "Left effusion.", "Edema."]
    assert data["case"]["context"] == {"age": "70"}
    assert data["case"]["id"] == ("a" if which[0] == "--id" else "row 1")
    assert data["reward"]["value"] == CompositeReward().score("Left effusion.", "Left effusion.", ["Edema."]).value
    assert "candidate from 'prediction'" in done.stderr


def test_columns_can_be_named(table):
    done = run("--input", table, "--row", 1, "--candidate-col", "prior", "--context-col", "id", "--json")
    data = json.loads(done.stdout)
    assert data["reports"][1]["text"] == "Edema."
    assert data["case"]["context"] == {"id": "a"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--row", 99), "in.csv: there is no row 99; the last is row 5"),
        (("--id", "z"), "in.csv, column 'id': there is no case id 'z'"),
        (("--id", "b"), "case id 'b' is that of rows 2, 3; choose with --row"),
        (("--row", 5), "in.csv: row 5 (line 6) has 7 fields"),
        (("--id", "a", "--id-col", "number"), "unknown column 'number'"),
        ((), "choose one case with --row or with --id"),
        (("--row", 1, "--id", "a"), "choose one case with --row or with --id"),
        (("--row", 1, "--candidate", ""), "give either --input"),
    ],
)
def test_a_case_that_is_not_in_the_table_is_reported(table, arguments, message):
    done = run("--input", table, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--candidate", "Clear."), "give --candidate and --reference, or --input with --row or --id"),
        ((*TEXTS, "--row", 1), "give --candidate and --reference, or --input with --row or --id"),
        ((*TEXTS, "--context", "age"), "--context 'age': expected KEY=VALUE"),
        ((*TEXTS, "--preset", "rulez"), "Did you mean 'rules'?"),
        ((*TEXTS, "--config", "none.toml"), "none.toml"),
    ],
)
def test_bad_arguments_are_reported(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- what cannot be scored


def test_an_unreadable_reference_is_shown_and_the_exit_code_says_so():
    done = run("--candidate", "Left effusion.", "--reference", "Hello.", "--component", "findings_score")
    assert done.returncode == 1
    reason = "unscored: findings_score: no finding and no normal statement in the reference"
    assert reason in done.stdout
    assert done.stderr == f"error: {reason}\n"
    assert report(done.stdout, "candidate") == "Left [: effusion]."


def test_an_empty_reference_is_unscored(table):
    done = run("--input", table, "--id", "c")
    assert done.returncode == 1
    assert report(done.stdout, "reference") == "(empty)"
    assert "reward: unscored: reference: is empty: there is nothing to compare with" in done.stdout
    data = json.loads(run("--input", table, "--id", "c", "--json").stdout)
    assert data["reward"]["value"] is None
    assert data["findings"]["rows"] == []


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"candidate": None}, "candidate: expected text, got None"),
        ({"reference": 5}, "reference: expected text, got 5"),
        ({"priors": 5}, "priors: expected a tuple of texts, got 5"),
        ({"context": 5}, "context: expected values by name, got 5"),
        ({"candidate": "Left effusion. " * 10_000}, "candidate: has 150,000 characters, more than max_chars"),
    ],
)
def test_what_is_no_case_is_explained_as_such(case, reason):
    data = explained(**case)
    assert reason in data.reward.reasons
    assert f"reward: unscored: {reason}" in shown(data)
    assert len(json.dumps(data.as_json())) < 10_000


# ---------------------------------------------------------------- hostile texts

HOSTILE = (
    "\x1b[31mLeft\x07 effu\u200bsion.\x1b]0;title\x07 \u202eLeft effusion.\x9b2J\ud800 Left effusion.\r\n\tNo edema."
    "\u2028[bold red]x[/] [/nope] :smile: \x00 \U000e0041 \u00f8"
)


@pytest.mark.parametrize("width", [1, 24, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_hostile_text_reaches_the_terminal_as_its_escapes(width, encoding):
    data = explained(HOSTILE, HOSTILE, (HOSTILE,), context={"age\x1b": HOSTILE}, case_id="\x1b[2J")
    plain = shown(data, width, encoding)
    assert all(char.isprintable() or char == "\n" for char in plain)
    coloured = shown(data, width, encoding, force_terminal=True, color_system="standard")
    assert all(char.isprintable() or char == "\n" for char in re.sub(r"\x1b\[[\d;]*m", "", coloured))
    if width == 120:
        assert r"\x1b[31mLeft\x07" in plain
        assert r"\u202eLeft [+1 effusion].\x9b2J\ud800 Left [+1 effusion]." in plain
        assert r"\u2028[bold red]x[/] [/nope] :smile: \x00 \U000e0041" in plain
        assert ("\u00f8" in plain) == (encoding != "ascii")


def test_hostile_text_on_the_command_line():
    texts = ("--candidate", HOSTILE.replace("\0", "").replace("\ud800", ""), "--reference", "Left effusion.")
    done = command_line.run_process("explain", *texts, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    data = run(*texts, "--json")
    assert "\x1b" not in data.stdout
    assert json.loads(data.stdout)["reports"][1]["text"].startswith("\x1b[31mLeft")


def test_marks_keep_to_the_text_where_it_has_invisible_characters():
    for role in explained(HOSTILE, HOSTILE).reports:
        phrases = [role.text[slice(*mark.span)] for mark in role.marks]
        assert phrases == ["effusion", "effusion", "edema"]


def test_what_is_printable_stays_as_it_is():
    assert printable("Ødem – 5 µm, ≥ 2 x\n[bold]") == "Ødem – 5 µm, ≥ 2 x\n[bold]"
    assert printable("a\r\nb\rc\td\u00a0e") == "a\nb\nc d e"


def test_what_explain_returns_is_json():
    data = explained(HOSTILE, HOSTILE, (HOSTILE,), reward=CompositeReward()).as_json()
    assert json.loads(json.dumps(data)) == data
