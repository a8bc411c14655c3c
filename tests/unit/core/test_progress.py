"""Progress lines of long work, and when they are shown."""

import re
import time

from cxr_rewards.cli import console
from cxr_rewards.cli.console import shown
from cxr_rewards.core.progress import Display, Progress
from cxr_rewards.core.usage import Ledger


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_tells_rows_rate_time_left_unscored_and_calls():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.begin("scoring", total=10_000, done=1_000)
    clock.now = 10.0
    progress.advance(4_000, unscored=7)
    assert progress.line(in_flight=64) == (
        "scoring: 5,000 of 10,000 rows, 400 rows/s, 12 s left, 7 unscored, 64 judge calls in flight"
    )


def test_rows_of_an_earlier_run_do_not_count_for_the_rate():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.begin("scoring", total=100, done=90)
    clock.now = 100.0
    assert progress.line() == "scoring: 90 of 100 rows, none finished in the last 1 min 40 s"
    progress.advance(5)
    assert progress.line() == "scoring: 95 of 100 rows, 0.05 rows/s, 1 min 40 s left"


def test_a_work_that_counts_nothing_tells_how_long_it_has_taken():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.begin("fetching weights")
    clock.now = 3700.0
    assert progress.line() == "fetching weights: 1 h 1 min so far"


def test_a_new_work_starts_its_own_time():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.begin("checking rows")
    clock.now = 50.0
    progress.advance(100)
    assert progress.line() == "checking rows: 100 rows, 2 rows/s"
    progress.begin("scoring", total=10)
    assert progress.line() == "scoring: 0 of 10 rows, none finished in the last 0 s"


def test_a_display_speaks_during_one_long_step_and_ends_with_the_block():
    shown_at = []
    with Display(lambda: shown_at.append(time.monotonic()), every_s=0.02):
        end = time.monotonic() + 10
        while len(shown_at) < 3 and time.monotonic() < end:
            time.sleep(0.005)
    count = len(shown_at)
    assert count >= 3
    time.sleep(0.06)
    assert len(shown_at) == count


def test_nothing_is_said_of_a_short_work(capsys):
    progress = Progress()
    progress.begin("scoring", total=1)
    with shown(progress) as tell:
        tell("a note")
    assert capsys.readouterr().err == "a note\n"


def test_without_a_terminal_the_calls_in_flight_are_reported(capsys, monkeypatch):
    ledger = Ledger()
    ledger.tally(1, "a").in_flight, ledger.tally(2, "b").in_flight = 3, 2
    monkeypatch.setattr(console, "LEDGER", ledger)
    progress = Progress()
    progress.begin("scoring", total=6)
    written = ""
    with shown(progress, every_s=0.02):
        end = time.monotonic() + 10
        while not written and time.monotonic() < end:
            time.sleep(0.01)
            written = capsys.readouterr().err
    line = written.splitlines()[0]
    assert re.fullmatch(r"scoring: 0 of 6 rows, none finished in the last \d+ s, 5 judge calls in flight", line)
