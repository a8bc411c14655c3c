"""Rows of training data as trl's trainers read them: https://huggingface.co/docs/trl/dataset_formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from cxr_rewards.adapters.preferences.candidates import Candidate
from cxr_rewards.adapters.preferences.choosing import Preferences
from cxr_rewards.errors import ConfigError, unknown_name

Form = Literal["auto", "standard", "conversational", "messages"]
FORMS: tuple[Form, ...] = get_args(Form)

Row = dict[str, object]


def rows_of(preferences: Preferences, *, form: Form = "auto", unpaired: bool = False) -> Iterator[Row]:
    """Iterate over rows of training data.

    Pairs have `prompt`, `chosen` and `rejected` (DPO), and `score_chosen` and `score_rejected`; unpaired ones `prompt`,
    `completion`, `label` and `score`, twice as many rows (KTO). The best have `prompt`, `completion` and `score`, or
    `messages` and `score` (SFT). Then come the columns that were kept.

    Args:
        preferences: from `preference_pairs` or `best_of`.
        form: `standard` has texts, `conversational` messages; `auto`: as the prompts are. `messages`, for the best: one
            list of messages with the prompt's.
        unpaired: write each candidate of a pair as a row of its own.

    Raises:
        ConfigError: an unknown form, or one that does not fit.

    Example:
        >>> from cxr_rewards.adapters.preferences import preference_pairs
        >>> given = [Candidate(text=t, reward=r, group="1", prompt="Report.") for t, r in (("a", 0.2), ("b", 0.9))]
        >>> next(rows_of(preference_pairs(given)))
        {'prompt': 'Report.', 'chosen': 'b', 'rejected': 'a', 'score_chosen': 0.9, 'score_rejected': 0.2}
    """
    if form not in FORMS:
        raise ConfigError(unknown_name("pairs", "form", form, FORMS))
    if form == "messages" and preferences.pairs:
        raise ConfigError("pairs: the form 'messages' is for the best of a group; pairs are standard or conversational")
    for better, worse in preferences.pairs:
        if unpaired:
            yield {**_completion(better, form), "label": True, "score": better.reward, **better.more}
            yield {**_completion(worse, form), "label": False, "score": worse.reward, **worse.more}
            continue
        chat = _is_chat(better, form)
        yield {
            "prompt": _prompt(better, chat=chat),
            "chosen": _answer(better, chat=chat),
            "rejected": _answer(worse, chat=chat),
            "score_chosen": better.reward,
            "score_rejected": worse.reward,
            **better.more,
        }
    for one in preferences.best:
        if form == "messages":
            messages = [*_messages(one.prompt), *_messages(_answer(one, chat=True))]
            yield {"messages": messages, "score": one.reward, **one.more}
        else:
            yield {**_completion(one, form), "score": one.reward, **one.more}


def _completion(one: Candidate, form: Form) -> Row:
    chat = _is_chat(one, form)
    return {"prompt": _prompt(one, chat=chat), "completion": _answer(one, chat=chat)}


def _is_chat(one: Candidate, form: Form) -> bool:
    if form == "auto":
        return not isinstance(one.prompt, str)
    if form == "standard" and not isinstance(one.prompt, str):
        raise ConfigError(f"{one.where or 'pairs'}: the prompt is a chat's messages; write the form conversational")
    return form != "standard"


def _prompt(one: Candidate, *, chat: bool) -> object:
    return _messages(one.prompt) if chat else one.prompt


def _answer(one: Candidate, *, chat: bool) -> object:
    return [{"role": "assistant", "content": one.text}] if chat else one.text


def _messages(prompt: object) -> list[object]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if isinstance(prompt, Mapping):
        return [dict(prompt)]
    assert isinstance(prompt, list | tuple), json.dumps(prompt)
    return list(prompt)
