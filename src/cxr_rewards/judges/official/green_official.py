"""GREEN as published: the prompt that its model was trained on, rendered as its tokenizer does, and its own reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.judges.chat import CHAT, TEXT, Form
from cxr_rewards.judges.component import ErrorJudge
from cxr_rewards.judges.details import Assessment, Counts, JudgedFinding, findings_of, unnamed_errors
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.reply import OfficialJudge, OfficialReply, texts
from cxr_rewards.judges.official.text_code import TextCode
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.protocols.green import TYPES, GreenReply, GreenVerdict, green_score
from cxr_rewards.types import Case

Endpoint = Literal["completions", "chat"]
_ENDPOINT = (
    "How the server is asked: completions, with the text that GREEN's chat template makes; chat, if the server was "
    "started with that template."
)
_FAILURES = "Read a reply as the published code does: what is missing, cannot be read or was cut off counts 0."
_RENDERED = "<|user|>\n{}</s>\n<|assistant|>\n</s>\n<|assistant|>\n"
"""The template applied to one turn of the user and an empty one of the assistant."""


class GreenOfficialReply(OfficialReply):
    """The reply to GREEN's own prompt, whose function cuts each report to 300 words joined by single spaces."""

    name = "green_official_reply"
    version = 1
    published = "green"

    endpoint: Endpoint = setting("completions", _ENDPOINT)
    upstream_failures: bool = setting(False, _FAILURES)

    def messages(self, item: PairItem, upstream: FeatureTable) -> Messages:  # noqa: ARG002
        """Return the prompt of a request, rendered for the endpoint of plain completions."""
        prompt = prompt_of(self.files, item.reference, item.candidate)
        return (("user", prompt if self.endpoint == "chat" else _RENDERED.format(prompt)),)

    def form(self) -> Form:
        """Return the fields of a request other than its prompt."""
        path = CHAT if self.endpoint == "chat" else TEXT
        return super().form()._replace(path=path, reads_cut_off=self.upstream_failures)

    @classmethod
    def parse(cls, reply: str) -> GreenVerdict:
        """Return the numbers of a whole reply."""
        return GreenReply.parse(reply)

    def checker(self, item: object, upstream: FeatureTable) -> Callable[[str], GreenVerdict]:  # noqa: ARG002
        """Return the function that reads a reply."""
        return published_verdict if self.upstream_failures else self.parse


class GreenOfficial(ErrorJudge, OfficialJudge):
    """GREEN as published: the same prompt, settings and arithmetic, to reproduce its numbers.

        score = matched / (matched + significant errors);  0 if nothing is matched

    Its prompt is added from a checkout by `cxr-rewards prompts add green`. Reports stand in it as they are, so that a
    report can speak to the judge: use `green` to train. Serve StanfordAIMI/GREEN-radllama2-7b with 16-bit floats.
    Published code counts a section that is missing as 0, also of a reply that is cut off; here such a reply is asked
    for again and the case is unscored, unless `upstream_failures`. It lets prompt and reply share 2,048 tokens; here
    the reply alone may have `max_tokens`.

    Range: [0, 1].

    Details: as of `green`; with `upstream_failures` without words.

    Source: GREEN (Ostmeier et al. 2024; green_score at d72c195).
    """

    name = "green_official"
    version = 2
    summary = "GREEN with its published prompt and arithmetic"
    reply = GreenOfficialReply
    types = tuple(TYPES)

    endpoint: Endpoint = setting("completions", _ENDPOINT)
    upstream_failures: bool = setting(False, _FAILURES)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "endpoint", ("completions", "chat"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Return the share of matched findings."""
        (reply,) = self.replies(number)
        text = features.value(reply, case)
        assessment = published_assessment(text) if self.upstream_failures else GreenReply.assessment(text)
        return green_score(assessment), assessment

    @classmethod
    def sample(cls, files: store.PromptFiles) -> dict[str, Messages]:
        """Return the prompt with words of a template in place of the reports."""
        return {"request": (("user", prompt_of(files, "{{reference}}", "{{candidate}}")),)}


def prompt_of(files: store.PromptFiles, reference: str, candidate: str) -> str:
    """Return the prompt that the published function makes of two reports."""
    return texts("green: make_prompt", _code(files).call("make_prompt", reference, candidate))[0]


@lru_cache(maxsize=4)
def _code(files: store.PromptFiles) -> TextCode:
    return TextCode("green: utils.py", files.text("utils.py"))


_COUNT = re.compile(r"(?<=: )\b\d+\b(?=\.)")
_MATCHED = re.compile(r"\d+\b(?=\.)")


def published_verdict(reply: str) -> GreenVerdict:
    r"""Return the numbers that the published code finds in any reply; what it does not find counts 0.

    Example:
        >>> published_verdict("[Matched Findings]:\n2. Heart; lungs").matched
        2
    """
    answer = reply.rpartition("[Explanation]:")[2]
    significant, insignificant = (
        _errors(_section(answer, f"Clinically {sort} Errors")) for sort in ("Significant", "Insignificant")
    )
    matched = _MATCHED.match(_section(answer, "Matched Findings"))
    return GreenVerdict(significant, insignificant, int(matched[0]) if matched else 0)


def published_assessment(reply: str) -> Assessment:
    """Return the same as details: numbers without words."""
    verdict = published_verdict(reply)
    counts: Counts = {"significant": verdict.significant, "insignificant": verdict.insignificant}
    errors = unnamed_errors(counts)
    matched = [JudgedFinding(text="", grade="") for _ in range(verdict.matched)]
    return Assessment(counts=counts, errors=errors, matched=matched, missed=findings_of(errors, "b"))


def _section(text: str, title: str) -> str:
    """Return a section up to the first blank line; empty if it is missing or begins with "No"."""
    found = re.search(rf"\[{title}\]:\s*(.*?)(?:\n\s*\n|\Z)", text, re.DOTALL)
    return "" if found is None or found[1].startswith("No") else found[1]


def _errors(body: str) -> dict[str, int]:
    """Return the number of errors by type; of two lines of one type, the last in alphabetical order counts."""
    lines, marks = sorted(re.findall(r"\([a-f]\) .*", body)), TYPES
    if not lines:
        lines, marks = sorted(re.findall(r"\([1-6]\) .*", body)), "123456"
    counts = dict.fromkeys(TYPES, 0)
    for line in lines:
        if count := _COUNT.search(line):
            counts[TYPES[marks.index(line[1])]] = int(count[0])
    return counts
