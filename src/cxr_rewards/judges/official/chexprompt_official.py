"""CheXprompt as published: its own messages and decoding settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cxr_rewards.core.component import one_of
from cxr_rewards.core.feature import FeatureTable, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.component import ErrorJudge
from cxr_rewards.judges.details import Assessment
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.reply import OfficialJudge, OfficialReply, texts
from cxr_rewards.judges.official.text_code import TextCode
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.protocols.chexprompt import TYPES, ChexpromptReply, Counts, chexprompt_score
from cxr_rewards.types import Case

_SYSTEM = "SYSTEM_INSTRUCTIONS"
_USER = "format_full_prompt"


class ChexpromptOfficialReply(OfficialReply):
    """The reply to CheXprompt's own messages."""

    name = "chexprompt_official_reply"
    version = 1
    published = "chexprompt"

    def messages(self, item: PairItem, upstream: FeatureTable) -> Messages:  # noqa: ARG002
        """Return the messages of a request."""
        return messages(self.files, item.reference, item.candidate)

    @classmethod
    def parse(cls, reply: str) -> dict[str, dict[str, int]]:
        """Return the number of errors by sort and type."""
        return ChexpromptReply.parse(reply)


class ChexpromptOfficial(ErrorJudge, OfficialJudge):
    """CheXprompt as published: the same messages and decoding settings, to reproduce its numbers.

        score = 1 / (n + 1),  n = the number of errors that `counts` names

    Its prompt is added from a checkout by `cxr-rewards prompts add chexprompt`. Reports stand in it as they are, so
    that a report can speak to the judge: use `chexprompt` to train. CheXprompt itself gives only the numbers, which are
    in the details; the score is UniRG-CXR's. Its model was gpt-4-1106-preview. A reply that cannot be read is asked for
    again, as in the published code, up to three times.

    Range: (0, 1].

    Details: as of `chexprompt`.

    Source: CheXprompt (Nat Commun 16:3108; repository at 8cfddec).
    """

    name = "chexprompt_official"
    version = 1
    summary = "CheXprompt with its published prompt: 1 / (errors + 1)"
    reply = ChexpromptOfficialReply
    types = tuple(TYPES)

    top_p: float = setting(0.9, "Nucleus sampling, above 0 to 1; 1: not sent.")
    max_tokens: int = setting(128, "Longest reply, in tokens.")
    counts: Counts = setting("significant", "Which errors count: significant, all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "counts", ("significant", "all"))

    def judge_case(self, number: int, case: Case, features: FeatureTable) -> tuple[float, Assessment]:
        """Score the number of errors."""
        (reply,) = self.replies(number)
        assessment = ChexpromptReply.assessment(features.value(reply, case))
        return chexprompt_score(assessment, self.counts), assessment

    @classmethod
    def sample(cls, files: store.PromptFiles) -> dict[str, Messages]:
        """Return the messages with words of a template in place of the reports."""
        made = messages(files, "{{reference}}", "{{candidate}}")
        absent = [word for word in ("{{reference}}", "{{candidate}}") if word not in made[-1][1]]
        if absent:
            raise ConfigError(f"chexprompt: evaluator.py: {_USER} does not show {' or '.join(absent)}")
        return {"request": made}


def messages(files: store.PromptFiles, reference: str, candidate: str) -> Messages:
    """Return the messages of a request."""
    code = _code(files)
    given = _by_parameter(code.functions.get(_USER, ()), reference, candidate)
    system, user = texts("chexprompt: evaluator.py", code.constant(_SYSTEM), code.call(_USER, **given))
    return (("system", system), ("user", user))


@lru_cache(maxsize=4)
def _code(files: store.PromptFiles) -> TextCode:
    return TextCode("chexprompt: evaluator.py", files.text("evaluator.py"))


def _by_parameter(parameters: Sequence[str], reference: str, candidate: str) -> dict[str, str]:
    """Return the reports by the names of the parameters; the reference is the first if no name says which it is."""
    ours = [name for name in parameters if re.search("cand|gen|hyp|pred", name.lower())][:1]
    theirs = [name for name in parameters if re.search("ref|gold|truth|gt", name.lower())][:1]
    first, second = (*theirs, *ours) if ours and theirs else (*parameters, "reference", "candidate")[:2]
    return {first: reference, second: candidate}
