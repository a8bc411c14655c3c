"""Each check fails on a parser that breaks its rule, and on that parser no other check fails."""

from __future__ import annotations

import re

import pytest

from cxr_rewards.errors import ConfigError, VerdictParseError
from cxr_rewards.judges.reading import json_in, only_keys
from cxr_rewards.testing import Protocol, check_protocol, protocol_checks
from cxr_rewards.testing.protocol_rules import PROTOCOL_RULES

THREE, SEVEN = '{"mark": 3}', '{"mark": 7}'
REPLIES = {THREE: 3, SEVEN: 7}
LINES = {"Mark: 3\nout of 10": 3, "Mark: 7\nout of 10": 7}


def a_mark(data):
    only_keys(data, ("mark",))
    if type(data["mark"]) is not int or not 0 <= data["mark"] <= 10:
        raise VerdictParseError("mark: expected 0 to 10")
    return data["mark"]


def good(reply):
    return a_mark(json_in(reply))


def first_mark(reply):
    return int(re.search(r'"mark": (\d+)', reply)[1])


def but(condition, result=first_mark):
    """The good parser, but for replies that the condition is true of."""
    return lambda reply: result(reply) if condition(reply) else good(reply)


def refuse(reply):
    raise VerdictParseError("refused")


def forgetful():
    seen = {}

    def parse(reply):
        seen[reply] = seen.get(reply, 0) + 1
        return good(reply) + seen[reply] - 1

    return parse


def raising(reply):
    raise TypeError("no integer")


BROKEN = {
    "misreads": ("reads_its_replies", but(lambda reply: reply == THREE, lambda reply: 4), "expected 3, found 4"),
    "refuses all": ("reads_its_replies", but(lambda reply: reply == THREE, refuse), "finds no verdict .refused. in"),
    "no fences": (
        "reads_replies_in_fences",
        but(lambda reply: reply.startswith("```json"), refuse),
        "finds no verdict",
    ),
    "bare fences": (
        "reads_replies_in_fences",
        but(lambda reply: reply.startswith("```\n"), refuse),
        "finds no verdict",
    ),
    "no words": ("reads_replies_with_words_around", but(lambda reply: reply.startswith("Here"), refuse), "no verdict"),
    "no token": ("reads_replies_with_words_around", but(lambda reply: reply.endswith("|>"), refuse), "no verdict"),
    "reasoning counts": (
        "ignores_reasoning",
        but(lambda reply: "mark" in reply.partition("[/THINK]")[2]),
        "expected 3, found 7",
    ),
    "reasoning without a beginning counts": (
        "ignores_reasoning",
        but(lambda reply: "<think>" not in reply and "mark" in reply.partition("</think>")[2]),
        "expected 3, found 7",
    ),
    "quotes count": (
        "ignores_quoted_verdicts",
        but(lambda reply: reply.startswith(">") and reply.endswith("}")),
        "expected 3, found 7",
    ),
    "an empty object is a verdict": (
        "refuses_empty_replies",
        but(lambda reply: reply == "{}", lambda reply: 0),
        "expected VerdictParseError, found 0, in '{}'",
    ),
    "a refused reply is read": ("refuses_what_it_should", but(lambda reply: reply == '{"mark": 11}'), "found 11"),
    "reasoning alone is a verdict": (
        "refuses_reasoning_without_an_answer",
        but(lambda reply: reply.endswith("◁/think▷")),
        "expected VerdictParseError, found 3",
    ),
    "reasoning that never ends is a verdict": (
        "refuses_reasoning_without_an_answer",
        but(lambda reply: reply.startswith("<think>Perhaps") and "</think>" not in reply),
        "expected VerdictParseError, found 3",
    ),
    "a quote alone is a verdict": (
        "refuses_quoted_verdicts",
        but(lambda reply: reply.startswith("<candidate") and not reply.endswith("}")),
        "expected VerdictParseError, found 3",
    ),
    "the last of two counts": (
        "refuses_several_verdicts",
        but(lambda reply: reply == f"{THREE}\n\n{SEVEN}", lambda reply: 7),
        "expected VerdictParseError, found 7",
    ),
    "two that are equal count": (
        "refuses_several_verdicts",
        but(lambda reply: reply == f"{THREE}\n\n{THREE}"),
        "expected VerdictParseError, found 3",
    ),
    "cut off": ("refuses_truncated_replies", but(lambda reply: reply == THREE[:-1]), "found 3, in '{\"mark\": 3'"),
    "a key twice": (
        "refuses_keys_given_twice",
        but(lambda reply: reply.count("mark") == 2 and reply.count("{") == 1 and reply.startswith("{")),
        "expected VerdictParseError, found 3",
    ),
    "unknown key": ("refuses_unknown_keys", but(lambda reply: "another_key" in reply), "found 3"),
    "JSON in text": ("refuses_json_in_a_text", but(lambda reply: reply.startswith('"{'), lambda reply: 3), "found 3"),
    "another error": (
        "raises_only_parse_errors",
        but(lambda reply: reply == '{"mark": null}', raising),
        "raises TypeError: no integer, for '{\"mark\": null}'",
    ),
    "state": ("parses_alike_each_time", forgetful(), "finds 4, then 5, in|finds 3, then 4, in|finds 3, then 5, in"),
    "hostile text is read": (
        "refuses_hostile_replies_quickly",
        but(lambda reply: reply.startswith("xxx"), lambda reply: 0),
        "expected VerdictParseError, found 0",
    ),
}


def protocol(parse, **changes):
    return Protocol(**{"name": "marks", "parse": parse, "replies": REPLIES, "refused": ['{"mark": 11}'], **changes})


def failed(parse, **changes):
    results = check_protocol(protocol(parse, **changes), on_fail="return")
    return {result.check.name: result.breach for result in results if result.status == "failed"}


def test_a_good_protocol_passes():
    assert failed(good) == {}


@pytest.mark.parametrize("case", BROKEN)
def test_the_check_of_a_broken_rule_fails_and_no_other(case):
    check, parse, message = BROKEN[case]
    breaches = failed(parse)
    assert list(breaches) == [check]
    with pytest.raises(AssertionError, match=f"{check}: marks: .*(?:{message})"):
        raise AssertionError(breaches[check])


def test_each_check_is_seen_to_fail():
    assert {check for check, _, _ in BROKEN.values()} == {rule.__name__ for rule in PROTOCOL_RULES}


def test_a_slow_parser_is_found(monkeypatch):
    now = [0.0]

    def slow(reply):
        now[0] += 3 if len(reply) > 1000 and reply.startswith('"""') else 0.01
        return good(reply)

    monkeypatch.setattr("cxr_rewards.testing.protocol_rules.time.process_time", lambda: now[0])
    breaches = failed(slow)
    assert list(breaches) == ["refuses_hostile_replies_quickly"]
    assert "takes 3.0 s for 190,000 characters" in breaches["refuses_hostile_replies_quickly"]


def test_lines_of_which_the_last_is_cut_off_are_found():
    def lines(reply):
        if reply in LINES:
            return LINES[reply]
        if reply in ("Mark: 3", "Mark: 7"):
            return int(reply[-1])
        raise VerdictParseError("no lines")

    breach = failed(lines, replies=LINES)["refuses_truncated_replies"]
    assert "found 3, in 'Mark: 3'" in breach


def test_a_mutant_of_lines_that_raises_another_error_is_found():
    def lines(reply):
        mark, second = reply.splitlines() if reply.count("\n") == 1 else (reply, "out of 10")
        if second != "out of 10":
            raise VerdictParseError("no lines")
        return {"Mark: 3": 3, "Mark: 7": 7}[mark]

    assert "raises KeyError" in failed(lines, replies=LINES)["raises_only_parse_errors"]


@pytest.mark.parametrize("replies", [{}, {THREE: 3}, {THREE: 3, '{"mark": 3.0}': 3}, {THREE: 3, "Mark: 7": 7}])
def test_a_protocol_needs_two_verdicts_of_each_form(replies):
    if not replies:
        with pytest.raises(ConfigError, match="marks: no replies"):
            protocol(good, replies=replies)
        return
    with pytest.raises(ConfigError, match="marks: replies need two different verdicts in JSON, got 3"):
        protocol(good, replies=replies)


def test_all_breaches_are_listed():
    careless = Protocol(name="careless", parse=first_mark_or_refuse, replies=REPLIES)
    with pytest.raises(
        AssertionError, match="careless: 8 of 17 checks failed\n- ignores_reasoning: careless: "
    ) as caught:
        check_protocol(careless)
    assert "\n- refuses_quoted_verdicts: careless: expected VerdictParseError, found 3" in str(caught.value)


def first_mark_or_refuse(reply):
    mark = re.search(r'"mark": (\d+)', reply)
    return int(mark[1]) if mark else refuse(reply)


def test_an_expected_failure_is_no_breach():
    parse = but(lambda reply: "another_key" in reply)
    results = check_protocol(protocol(parse), expected_failed_checks={"refuses_unknown_keys": "older judges add one"})
    assert [r.check.name for r in results if r.status == "failed as expected"] == ["refuses_unknown_keys"]


def test_checks_run_alone():
    by_name = {check.name: check for check in protocol_checks(protocol(but(lambda reply: "another_key" in reply)))}
    by_name["reads_its_replies"]()
    with pytest.raises(AssertionError, match="marks: expected VerdictParseError"):
        by_name["refuses_unknown_keys"]()
