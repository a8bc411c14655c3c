"""Replies of the fake judge to the messages of published judges, which it knows by their form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

Parts = dict[str, list[str]]
"""The texts of a question by kind: candidate, reference, patient, phrases, evidence, report."""

_PAIRS: Mapping[str, re.Pattern[str]] = {
    "crimson": re.compile(
        r"(?:Patient Context:\n(?P<patient>.*?)\n\n+)?Reference Findings[^\n]*:\n(?P<reference>.*?)\n\n"
        r"Predicted Findings[^\n]*:\n(?P<candidate>.*?)\n\nTask:\n",
        re.DOTALL,
    ),
    "green": re.compile(
        r"Reference Report:\s*(?P<reference>.*?)\n\s*\d\. Candidate Report:\s*(?P<candidate>.*?)\n\s*\d\. ", re.DOTALL
    ),
    "chexprompt": re.compile(
        r".*^[^\n]*\breference\b[^\n:]*:\s*(?P<reference>.*?)\n[^\n]*\bcandidate\b[^\n:]*:\s*(?P<candidate>.*)",
        re.DOTALL | re.IGNORECASE | re.MULTILINE,
    ),
}


def published_task(messages: Sequence[Mapping[str, str]]) -> tuple[str, Parts] | None:
    """Return which published judge is asked, and the texts of the question; None if the form is unknown."""
    text = messages[-1]["content"]
    if (query := _query(text)) is not None:
        return "radfact_entailment", {"phrases": [f"1. {query[1]}"], "evidence": [_numbered(query[0])]}
    for name, pattern in _PAIRS.items():
        if name == "chexprompt" and "errors by type" not in f"{messages[0]['content']}{text}":
            continue
        if found := pattern.search(text):
            lines = (found.groupdict().get("patient") or "").lower().splitlines()
            parts = {"candidate": [found["candidate"].strip()], "reference": [found["reference"].strip()]}
            return name, {**parts, "patient": ["\n".join(map(str.strip, lines))]}
    if len(messages) > 3 and messages[-2]["role"] == "assistant":
        return "radfact_phrases", {"report": [text]}
    return None


def in_published_form(name: str, parts: Parts, reply: str) -> str:
    """Return a reply to one of this library's own prompts in the form that a published prompt asks for."""
    if name in ("crimson", "green"):
        return reply
    data = json.loads(reply)
    if name == "chexprompt":
        return "\n".join(
            f"Number of clinically {'' if sort else 'in'}significant errors by type: ["
            + ", ".join(
                f"({kind}, {sum(error['type'] == kind and error['significant'] is sort for error in data['errors'])})"
                for kind in "ABCDEF"
            )
            + "]"
            for sort in (True, False)
        )
    if name == "radfact_phrases":
        return (
            "\n".join(f"- orig: {json.dumps(text)}\n  new:\n  - {json.dumps(text)}" for text in data["phrases"]) or "[]"
        )
    phrase = parts["phrases"][0].partition(" ")[2]
    status = "entailment" if data["verdicts"][0]["entailed"] else "not_entailment"
    return f"phrase: {json.dumps(phrase)}\nstatus: {status}\nevidence: []\n"


def _query(text: str) -> tuple[list[str], str] | None:
    """Return reference and hypothesis of RadFact's question in YAML; None if it is another text."""
    if "hypothesis:" not in text:
        return None
    from yaml import BaseLoader, YAMLError, load

    try:
        data = load(text, BaseLoader)  # noqa: S506 - it makes nothing but texts, lists and dicts
        return list(data["reference"]), str(data["hypothesis"])
    except (YAMLError, KeyError, TypeError):
        return None


def _numbered(phrases: Sequence[str]) -> str:
    return "\n".join(f"{number}. {phrase}" for number, phrase in enumerate(phrases, 1))
