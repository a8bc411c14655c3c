"""Answers in the form of a chat's messages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.text.reasoning import final_answer

_FENCE = re.compile(r"```[\w-]*[ \t]*\n")


def text_of(completion: object) -> str:
    """Return the text of a model's completion.

    That is the assistant's last message if there are several; the joined texts of a message in parts, without
    reasoning.

    Raises:
        InputError: it is not a text, a message or a list of messages.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping):
        content = completion.get("content")
        if content is None:
            return ""
        if isinstance(content, list | tuple):
            parts = [
                part.get("text") if isinstance(part, Mapping) else part for part in content if not _is_reasoning(part)
            ]
            return "".join(part for part in parts if isinstance(part, str))
        return text_of(content)
    if isinstance(completion, list | tuple):
        ours = [m for m in completion if isinstance(m, Mapping) and m.get("role", "assistant") == "assistant"]
        return text_of(ours[-1]) if ours else ""
    raise InputError(f"a completion must be a text, a message or a list of messages, got {shorten(completion)}")


def answer_of(completion: object) -> str:
    """Return the answer in a completion: without reasoning, answer tags and the fence of a code block.

    Raises:
        InputError: as `text_of`.

    Example:
        >>> answer_of([{"role": "assistant", "content": "<think>Blunted?</think>Clear lungs."}])
        'Clear lungs.'
    """
    return without_fence(final_answer(text_of(completion)).text.strip())


def without_fence(text: str) -> str:
    r"""Return a text without the code fence around all of it.

    Example:
        >>> without_fence("```text\nClear lungs.\n```")
        'Clear lungs.'
    """
    fence = _FENCE.match(text)
    if fence and text.endswith("```") and fence.end() <= len(text) - 3:
        return text[fence.end() : -3].strip()
    return text


def _is_reasoning(part: object) -> bool:
    return isinstance(part, Mapping) and str(part.get("type", "")).startswith(("reasoning", "thinking"))
