"""The rules that every judge's protocol keeps: each function below is one check, and its name is the check's.

A protocol's `parse` turns a judge's reply into a verdict. A reply may quote reports, which a policy wrote: the parser
must find the judge's own verdict, or none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from cxr_rewards.errors import ConfigError, VerdictParseError, shorten
from cxr_rewards.testing.checks import Check, CheckResult, rule_of, run_checks


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A judge's protocol with example replies, from which its checks make others.

    Attributes:
        name: name of the protocol, with which every message begins.
        parse: returns the verdict in a reply, or raises `VerdictParseError`; `parse` of the reply's feature.
        replies: the verdict of each reply that is as the prompt asks for; at least two verdicts of each form. The form
            of a reply is JSON if it begins with `{`, and text otherwise.
        refused: replies that are not verdicts.

    Raises:
        ConfigError: there is no reply, or a form of reply has fewer than two verdicts.
    """

    name: str
    parse: Callable[[str], object]
    replies: dict[str, object]
    refused: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.replies:
            raise ConfigError(f"{self.name}: no replies; give at least two, with different verdicts")
        for reply, verdict in self.replies.items():
            if self._other(reply, verdict) is None:
                form = "JSON" if _is_json(reply) else "text"
                raise ConfigError(f"{self.name}: replies need two different verdicts in {form}, got {shorten(verdict)}")

    def _other(self, reply: str, verdict: object) -> str | None:
        for other, theirs in self.replies.items():
            if theirs != verdict and _is_json(other) == _is_json(reply):
                return other
        return None

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each reply with another of its form that has another verdict."""
        for reply, verdict in self.replies.items():
            other = self._other(reply, verdict)
            if other is not None:
                yield reply, other

    def outcome(self, text: str) -> str:
        """Return the verdict in a text, or the error, as a message shows it."""
        try:
            return repr(self.parse(text))
        except VerdictParseError as error:
            return repr(error)

    def expect_verdict(self, text: str, reply: str) -> None:
        """Raise `AssertionError` unless a text has the verdict of one of the replies."""
        verdict = self.replies[reply]
        try:
            read = self.parse(text)
        except VerdictParseError as error:
            raise AssertionError(f"{self.name}: finds no verdict ({error}) in {_shown(text)}") from error
        if read != verdict:
            raise AssertionError(f"{self.name}: expected {shorten(verdict)}, found {shorten(read)}, in {_shown(text)}")

    def expect_none(self, text: str) -> None:
        """Raise `AssertionError` unless a text is refused."""
        try:
            read = self.parse(text)
        except VerdictParseError:
            return
        raise AssertionError(f"{self.name}: expected VerdictParseError, found {shorten(read)}, in {_shown(text)}")


def protocol_checks(protocol: Protocol) -> list[Check]:
    """Return the checks of one judge's protocol, not yet run.

    Example:
        >>> from cxr_rewards.judges.protocols.radfact import RadfactPhrases
        >>> replies = {'{"phrases": ["Edema."]}': ["Edema."], '{"phrases": []}': []}
        >>> check = protocol_checks(Protocol(name="phrases", parse=RadfactPhrases.parse, replies=replies))[0]
        >>> check.name, check.rule
        ('reads_its_replies', 'Each example reply has the verdict that stands beside it.')
        >>> check()
    """
    return [Check(protocol.name, rule.__name__, rule_of(rule), partial(rule, protocol)) for rule in PROTOCOL_RULES]


def check_protocol(
    protocol: Protocol,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "return"] = "raise",
) -> list[CheckResult]:
    """Check that a judge's protocol finds the judge's own verdict in a reply, or refuses the reply.

    `docs/judges.md` lists the rules. To see each as a pytest test, use `parametrize_with_checks`.

    Args:
        protocol: the parser, with example replies.
        expected_failed_checks: why a check is expected to fail, by its name. It is a breach if such a check passes.
        on_fail: `raise` an error that lists all breaches, or `return` the results and leave it to the caller.

    Returns:
        One result a check, in order.

    Raises:
        AssertionError: lists every rule that is broken.
        ConfigError: `expected_failed_checks` names an unknown check.

    Example:
        >>> import re
        >>> from cxr_rewards.errors import VerdictParseError
        >>> def careless(reply):
        ...     marks = re.findall("mark: ([0-9])", reply)
        ...     if not marks:
        ...         raise VerdictParseError("no mark")
        ...     return int(marks[-1])
        >>> protocol = Protocol(name="careless", parse=careless, replies={"mark: 3": 3, "mark: 7": 7})
        >>> results = check_protocol(protocol, on_fail="return")
        >>> [result.check.name for result in results if result.status == "failed"]
        ['refuses_reasoning_without_an_answer', 'refuses_quoted_verdicts', 'refuses_several_verdicts']
    """
    return run_checks(protocol_checks(protocol), expected_failed_checks=expected_failed_checks, on_fail=on_fail)


# What is a verdict


def reads_its_replies(protocol: Protocol) -> None:
    """Each example reply has the verdict that stands beside it."""
    for reply in protocol.replies:
        protocol.expect_verdict(reply, reply)


def reads_replies_in_fences(protocol: Protocol) -> None:
    """A verdict in a code fence is read."""
    for reply in protocol.replies:
        for fence in ("```json", "```"):
            protocol.expect_verdict(f"{fence}\n{reply}\n```", reply)


def reads_replies_with_words_around(protocol: Protocol) -> None:
    """Words before a verdict, an end token and blank lines do not hide it."""
    for reply in protocol.replies:
        for text in (f"Here is my verdict:\n\n{reply}", f"{reply}<|im_end|>", f"\n\n  {reply}\n\n"):
            protocol.expect_verdict(text, reply)


def ignores_reasoning(protocol: Protocol) -> None:
    """A verdict in the model's reasoning does not count; the one after it does."""
    for reply, other in protocol.pairs:
        for begin, end in _REASONING:
            protocol.expect_verdict(f"{begin}Perhaps:\n{other}\nNo.{end}\n{reply}", reply)
        protocol.expect_verdict(f"Perhaps:\n{other}\nNo.</think>\n{reply}", reply)


def ignores_quoted_verdicts(protocol: Protocol) -> None:
    """A verdict that the judge quotes from a report does not count; its own does."""
    for reply, other in protocol.pairs:
        for quote in _quotes(other):
            protocol.expect_verdict(f"{quote}\n\n{reply}", reply)


# What is none


def refuses_empty_replies(protocol: Protocol) -> None:
    """An empty reply, a refusal in words and reasoning alone are not verdicts."""
    for text in ("", " \n\t", "I cannot compare these reports.", "{}", "[]", "null", "0", "<think>Hm.</think>"):
        protocol.expect_none(text)


def refuses_what_it_should(protocol: Protocol) -> None:
    """Each reply in `refused` is refused."""
    for text in protocol.refused:
        protocol.expect_none(text)


def refuses_reasoning_without_an_answer(protocol: Protocol) -> None:
    """A verdict in reasoning does not count if no answer follows, whether the reasoning ends or not."""
    for reply in protocol.replies:
        for begin, end in _REASONING:
            protocol.expect_none(f"{begin}Perhaps:\n{reply}")
            protocol.expect_none(f"{begin}Perhaps:\n{reply}\n{end}")


def refuses_quoted_verdicts(protocol: Protocol) -> None:
    """A verdict that is only quoted is none."""
    for reply in protocol.replies:
        for quote in _quotes(reply):
            protocol.expect_none(f"{quote}\n\nThe reports differ.")


def refuses_several_verdicts(protocol: Protocol) -> None:
    """Of two verdicts in one form none counts, even if they are equal."""
    for reply, other in protocol.pairs:
        for second in (other, reply):
            protocol.expect_none(f"{reply}\n\n{second}")


def refuses_truncated_replies(protocol: Protocol) -> None:
    """A reply that is cut off is not a verdict: JSON anywhere, text before its last line."""
    for reply in protocol.replies:
        if _is_json(reply):
            for end in range(len(reply.rstrip())):
                protocol.expect_none(reply[:end])
        else:
            protocol.expect_none(reply.strip().rpartition("\n")[0])


def refuses_keys_given_twice(protocol: Protocol) -> None:
    """JSON in which a key is given twice is not a verdict: nobody can say which one counts."""
    for reply, other in protocol.pairs:
        if _is_json(reply):
            inside = [text.strip()[1:-1].strip() for text in (reply, other)]
            protocol.expect_none("{" + ", ".join(part for part in inside if part) + "}")


def refuses_unknown_keys(protocol: Protocol) -> None:
    """JSON with a key that the protocol does not know is not a verdict."""
    for reply in protocol.replies:
        if _is_json(reply):
            protocol.expect_none(json.dumps({**json.loads(reply), "another_key": 0}))


def refuses_json_in_a_text(protocol: Protocol) -> None:
    """JSON within a JSON text is not a verdict."""
    for reply in protocol.replies:
        if _is_json(reply):
            protocol.expect_none(json.dumps(reply))


# Errors


def raises_only_parse_errors(protocol: Protocol) -> None:
    """Whatever a reply holds, `parse` returns or raises `VerdictParseError`, and nothing else."""
    for text in (*_ODD, *_mutants(protocol)):
        try:
            protocol.parse(text)
        except VerdictParseError:
            continue
        except Exception as error:
            message = f"{protocol.name}: raises {type(error).__name__}: {error}, for {_shown(text)}"
            raise AssertionError(message) from error


def parses_alike_each_time(protocol: Protocol) -> None:
    """The verdict does not depend on the replies before."""
    first = {reply: protocol.outcome(reply) for reply in protocol.replies}
    for reply in (*protocol.replies, *reversed(protocol.replies)):
        again = protocol.outcome(reply)
        if again != first[reply]:
            raise AssertionError(f"{protocol.name}: finds {first[reply]}, then {again}, in {_shown(reply)}")


def refuses_hostile_replies_quickly(protocol: Protocol) -> None:
    """A long reply made to keep a parser busy is refused in less than 2 seconds."""
    for text in _HOSTILE:
        begin = time.process_time()
        protocol.expect_none(text)
        seconds = time.process_time() - begin
        if seconds > 2:
            raise AssertionError(f"{protocol.name}: takes {seconds:.1f} s for {len(text):,} characters: {_shown(text)}")


PROTOCOL_RULES: tuple[Callable[[Protocol], None], ...] = (
    reads_its_replies,
    reads_replies_in_fences,
    reads_replies_with_words_around,
    ignores_reasoning,
    ignores_quoted_verdicts,
    refuses_empty_replies,
    refuses_what_it_should,
    refuses_reasoning_without_an_answer,
    refuses_quoted_verdicts,
    refuses_several_verdicts,
    refuses_truncated_replies,
    refuses_keys_given_twice,
    refuses_unknown_keys,
    refuses_json_in_a_text,
    raises_only_parse_errors,
    parses_alike_each_time,
    refuses_hostile_replies_quickly,
)
"""The rules in the order in which they are checked."""

_REASONING = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"))
_ODD = (
    "\ud800",
    "{\x00}",
    '{"\ud800": 1}',
    "[" * 5000,
    '{"a":' * 5000,
    '{"a": 1e999}',
    '{"a": ' + "9" * 5000 + "}",
    "{'a': 1}",
)
_HOSTILE = (
    "<think>" * 25_000,
    "{" * 190_000,
    "[" * 190_000,
    '{"a":' * 30_000,
    '"' * 190_000,
    "> " * 90_000,
    "The candidate says " * 10_000,
    "x" * 1_000_000,
)
_ODD_VALUES: tuple[object, ...] = (None, True, -1, 0.5, 10**400, "", "x", [], [None], [[]], {}, {"x": 1}, {"": []})


def _is_json(reply: str) -> bool:
    return reply.lstrip().startswith("{")


def _quotes(reply: str) -> Iterator[str]:
    """Yield the ways in which a judge quotes a report that holds a verdict."""
    yield f'The candidate says: "{reply}"'
    yield f"The candidate report reads:\n```\n{reply}\n```"
    yield f"The candidate ends with\n```json\n{reply}\n```"
    yield f'<candidate mark="ab">\n{reply}\n</candidate mark="ab">'
    yield "> " + reply.replace("\n", "\n> ")


def _mutants(protocol: Protocol) -> Iterator[str]:
    """Yield each JSON reply with each of its values replaced, or left out; and each text reply without one line."""
    for reply in protocol.replies:
        if _is_json(reply):
            yield from map(json.dumps, _replaced(json.loads(reply)))
        else:
            lines = reply.splitlines()
            yield from ("\n".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines)))


def _replaced(value: object) -> Iterator[object]:
    yield from _ODD_VALUES
    if isinstance(value, dict):
        for key, part in value.items():
            yield {k: v for k, v in value.items() if k != key}
            for other in _replaced(part):
                yield {**value, key: other}
    elif isinstance(value, list):
        for i, part in enumerate(value):
            for other in _replaced(part):
                yield [*value[:i], other, *value[i + 1 :]]


def _shown(text: str) -> str:
    return shorten(text, 300)
