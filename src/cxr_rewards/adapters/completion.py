"""Extracts the report from a rollout: from messages, reasoning, marks of the answer, code fences and end tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cxr_rewards.errors import ConfigError, InputError, shorten, unknown_name
from cxr_rewards.text.chat import text_of, without_fence
from cxr_rewards.text.reasoning import unwrapped, with_reasoning, without_reasoning
from cxr_rewards.text.sections import SECTION_NAMES, sections


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    r"""Extracts the report from a rollout.

    Attributes:
        reasoning: `strip` removes text that is marked as reasoning: by `<think>` and its like, gpt-oss's channels (also
            decoded without their tokens), or the marks of Magistral, Kimi, MedGemma, Gemma and others; also if its
            beginning is in the prompt. `keep` scores it with the report. Reasoning that never ends is not a report.
        answer_tag: name of the tag that holds the report, if there is one; the last is taken. Empty: only the models'
            own are looked for, such as `<|begin_of_box|>`.
        boxed: whether the last `\\boxed{...}` holds the report, if it holds several words or ends the text.
        markers: texts that the report follows, such as `Final answer:` or `### Answer:`, in any case, in bold or not.
            What follows the last of them that does not end the text is taken, and tags and boxes are looked for there.
            A text without any is kept whole.
        sections: names of the sections to keep, such as `findings` and `impression`; empty: the whole text. A text
            without any of them is kept whole.

    Raises:
        ConfigError: an unknown value.

    Example:
        >>> extract = Extract(sections=("impression",))
        >>> extract("<think>An effusion?</think> FINDINGS: Blunted angle. IMPRESSION: Small effusion.<|im_end|>")
        'IMPRESSION: Small effusion.'
        >>> extract([{"role": "assistant", "content": [{"type": "text", "text": "Clear lungs."}]}])
        'Clear lungs.'
        >>> Extract(markers=("Final answer:",))("The angle is blunted. **Final answer:** Small effusion.")
        'Small effusion.'
    """

    reasoning: str = "strip"
    answer_tag: str = "answer"
    boxed: bool = True
    markers: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("markers", "sections"):
            if isinstance(getattr(self, name), str):
                raise ConfigError(f"Extract: {name} must be a list of texts, got {shorten(getattr(self, name))}")
        for marker in self.markers:
            if not (isinstance(marker, str) and marker.strip()):
                raise ConfigError(f"Extract: a marker must be a text such as 'Final answer:', got {shorten(marker)}")
        if self.reasoning not in ("strip", "keep"):
            raise ConfigError(unknown_name("Extract", "reasoning", self.reasoning, ("strip", "keep")))
        for name in self.sections:
            if name not in SECTION_NAMES:
                raise ConfigError(unknown_name("Extract", "section", name, SECTION_NAMES))

    def __call__(self, completion: object) -> str:
        """Return the report of a completion: a text, a message, or a list of messages.

        Raises:
            InputError: it is something else.
        """
        text = text_of(completion)
        text = without_reasoning(text).text if self.reasoning == "strip" else with_reasoning(text)
        if self.markers:
            text = after_marker(text, self.markers)
        text = without_fence(unwrapped(text, tag=self.answer_tag, box=self.boxed).strip())
        return self._kept(text) if self.sections else text

    def _kept(self, text: str) -> str:
        kept = [text[s.heading_start : s.end].strip() for s in sections(text) if s.name in self.sections]
        return "\n".join(kept) or text


def after_marker(text: str, markers: Sequence[str]) -> str:
    """Return what follows the last marker that has something after it; the text itself if there is none.

    Example:
        >>> after_marker("### answer Clear lungs.", ["### Answer"]), after_marker("Clear lungs.", ["Answer:"])
        ('Clear lungs.', 'Clear lungs.')
    """
    marks = list(_marker_pattern(tuple(markers)).finditer(text))
    end = len(text)
    while marks and not text[marks[-1].end() : end].strip(" \t\r\n*_"):
        end = marks.pop().start()
    return text[marks[-1].end() if marks else 0 : end].strip()


@lru_cache(maxsize=64)
def _marker_pattern(markers: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of any of the markers, with the emphasis around it and with blanks of any kind."""
    forms = []
    for marker in sorted(markers, key=len, reverse=True):
        words = [re.escape(word) for word in marker.rstrip(": \n").split()]
        colon = ":" if marker.rstrip().endswith(":") else ""
        forms.append(r"\s{1,3}".join(words) + rf"(?:(?:\*\*|__){colon}|{colon}(?:\*\*|__)?)")
    return re.compile(f"(?:{'|'.join(forms)})", re.IGNORECASE)


_ASSISTANT = re.compile(
    r"<\|im_start\|>\s*assistant[ \t]*\n?|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>\s*"
    r"|<start_of_turn>\s*model[ \t]*\n?|<\|assistant\|>\s*|\[/INST\]\s*|(?<![A-Za-z])ASSISTANT:[ \t]*"
)
"""Beginning of the assistant's turn in the templates of Qwen, Llama 3, Gemma, Phi and GLM, Mistral, and Vicuna."""


def completion_of(query: str, prompt: str, marker: str = "") -> str:
    r"""Return the model's completion, given prompt and completion decoded together.

    A query that begins with the prompt is cut there. One that does not (an image's tokens stand as one token in the
    prompt, and expanded in the query) is cut after the beginning of the assistant's turn, counting as many turns as the
    prompt has, so that a model gains nothing by writing one itself.

    Args:
        query: prompt and completion, with special tokens.
        prompt: the prompt, with the chat's template applied.
        marker: how an assistant's turn begins, if the template is not a known one.

    Raises:
        InputError: the query does not begin with the prompt, and has no such marker.

    Example:
        >>> prompt = "<|im_start|>user\n<|image_pad|>Report.<|im_end|>\n<|im_start|>assistant\n"
        >>> query = prompt.replace("<|image_pad|>", 64 * "<|image_pad|>") + "Clear lungs.<|im_end|>"
        >>> completion_of(query, prompt)
        'Clear lungs.<|im_end|>'
    """
    if prompt and query.startswith(prompt):
        return query[len(prompt) :]
    pattern = re.compile(re.escape(marker)) if marker else _ASSISTANT
    ends = [match.end() for match in pattern.finditer(query)]
    of_prompt = max(1, len(pattern.findall(prompt)))
    if len(ends) < of_prompt:
        raise InputError(
            f"the query {shorten(query)} does not begin with its prompt {shorten(prompt)}, and no assistant's turn "
            "begins in it; give the text that begins one as marker"
        )
    return query[ends[of_prompt - 1] :]
