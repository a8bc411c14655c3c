"""The reader reads what a radiologist reads in made-up texts; the texts are well formed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from tests.benchmark_scripts import BENCHMARKS, load_benchmark

FILES = sorted((BENCHMARKS / "readings").glob("*.jsonl"))
GOOD = {"kind": "k", "text": "Left effusion.", "expect": [], "must_not": []}
LEFT = {"finding": "pleural_effusion", "polarity": "present", "side": "left"}


readings = load_benchmark("readings")


def write(folder, *entries):
    path = folder / "some.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def mistakes(folder, text, expect=(), must_not=()):
    path = write(folder, {**GOOD, "text": text, "expect": list(expect), "must_not": list(must_not)})
    return readings.load_readings(path)[0].mistakes()


def test_there_are_many_texts_of_many_kinds_and_none_twice():
    cases = [reading for path in FILES for reading in readings.load_readings(path)]
    assert len(cases) >= 400
    assert len({reading.kind for reading in cases}) >= 25
    texts = Counter(" ".join(reading.text.split()) for reading in cases)
    assert [text for text, times in texts.items() if times > 1] == []


@pytest.mark.parametrize(("name", "share"), [("development", 0.93), ("exam", 0.82)])
def test_the_reader_reads_nearly_all_of_the_findings(name, share):
    cases = readings.load_readings(BENCHMARKS / "readings" / f"{name}.jsonl")
    right, of = map(int, readings.share_read(cases).split("/"))
    assert right / of >= share


def test_what_is_expected_and_what_must_not_be_read_are_compared_with_the_reading(tmp_path):
    assert mistakes(tmp_path, "Left effusion.", [LEFT]) == []
    assert mistakes(tmp_path, "Right effusion.", [LEFT]) == ["missing: pleural_effusion present left"]
    assert mistakes(tmp_path, "Left effusion.", must_not=["pleural_effusion right", "nothing read"]) == []
    assert mistakes(tmp_path, "Left effusion.", must_not=["pleural_effusion left"]) == ["read: pleural_effusion left"]
    both = {**LEFT, "side": "bilateral"}
    assert mistakes(tmp_path, "Left effusion. Right effusion.", [both]) == []
    absent = {"finding": "pleural_effusion", "polarity": "absent"}
    text = "No effusion. Left effusion."
    assert mistakes(tmp_path, text, [absent]) == ["also read as present: pleural_effusion"]
    assert mistakes(tmp_path, text, [absent, LEFT]) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "k", "text": "t", "expect": []}, "some.jsonl, line 2: must_not is missing"),
        ({**GOOD, "expect": [{"finding": "flu", "polarity": "present"}]}, "line 2: expected a known finding"),
        ({**GOOD, "expect": [{**LEFT, "sied": "left"}]}, "line 2: expected a known finding"),
        ({**GOOD, "must_not": ["flu"]}, "line 2: must_not: unknown 'flu'"),
    ],
)
def test_a_line_that_is_not_well_formed_is_an_error_with_its_place(tmp_path, entry, message):
    with pytest.raises(readings.ReadingError, match=message):
        readings.load_readings(write(tmp_path, GOOD, entry))


def test_the_command_reports_passes_by_kind_and_the_failures(tmp_path):
    path = write(tmp_path, {**GOOD, "expect": [LEFT]}, {**GOOD, "text": "Right effusion.", "expect": [LEFT]})
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "readings.py", "--data", path, "--show-failures"],
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)["some"]
    assert (result["passed"], result["findings"], result["kinds"]) == ("1/2", "1/2", {"k": "1/2"})
    assert [failure["text"] for failure in result["failures"]] == ["Right effusion."]
