r"""The final answer in a model's output, without reasoning, chat tokens, answer tags and `\boxed{}`.

Models mark their reasoning in many ways. Text outside the marks stays as it is, so a plain report comes out unchanged.
Everything here runs in linear time: a policy model's output is hostile input.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WORD = r"(?:think|thinking|thoughts?|reason|reasoning)"
_MARK = re.compile(
    rf"""(?P<opens>
        <(?:\w{{1,20}}[:_])?{_WORD}> | \[THINK\] | ◁think▷ | <unused94>(?:thought\b)? | <\|channel>\s{{0,3}}thought\b
        | <\|(?:begin_of_thought|start_thinking|inner_prefix)\|>
    ) | </(?:\w{{1,20}}[:_])?{_WORD}> | \[/THINK\] | ◁/think▷ | <unused95> | <channel\|>
        | <\|(?:end_of_thought|end_thinking|inner_suffix)\|>""",
    re.IGNORECASE | re.VERBOSE,
)
"""Where reasoning begins (group `opens`) and ends: DeepSeek, Qwen, GLM, EXAONE, Seed, MiniMax; Magistral; Kimi;
MedGemma; Gemma; OpenThinker, Command A, Apertus."""

_CHANNEL = re.compile(r"<\|channel\|>\s{0,3}(\w{1,20})[^<]{0,100}(?:<\|constrain\|>[^<]{0,50})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
# The same without its tokens: `skip_special_tokens` leaves the names of role and channel glued to the message.
_GLUED = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)")
_GLUED_OPEN = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z*\"'<{])")
_GLUED_CHANNEL = re.compile(r"assistant(analysis|commentary|final)(?:<\|message\|>)?")
_GLUED_FINAL = re.compile(r"\s*(?:assistantfinal|final(?=[A-Z*#\"'<{\[]))(?:<\|message\|>)?")

_BEGIN = re.compile(
    r"\s*(?:(?:<s>|<bos>|<\|begin_of_text\|>)\s*)?(?:(?:<\|im_start\|>\s*assistant\s*\n|<\|turn>\s*(?:model|assistant)\s*\n"
    r"|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|header_start\|>\s*assistant\s*<\|header_end\|>"
    r"|<\|start_of_role\|>\s*assistant\s*<\|end_of_role\|>|<start_of_turn>\s*(?:model|assistant)\s*\n"
    r"|<[|｜]assistant[|｜]>|\[\|assistant\|\]|<\|start\|>assistant)\s*)?",
    re.IGNORECASE,
)
_NAME = (
    r"(?:end|eo)[_▁ ]?(?:of[_▁ ]?)?(?:text|turn|sentence|seq(?:uence)?|utterance|message|document|[stmd])"
    r"(?:[_▁](?:id|token))?"
)
_END = re.compile(
    rf"<[|｜](?:{_NAME}|im_end|end|role_end|return|call|pad|[a-z_]{{1,20}}_pad(?:_id)?|stop|user|observation|im_start"
    rf"|start_header_id|header_start|start_of_role)[|｜]>|<(?:{_NAME}|pad|start_of_turn|turn\||\|turn|seed:eos)>|</s>"
    rf"|\[\|(?:{_NAME}|endofturn|user)\|\]|\[(?:EOS|EOT|EOD)\]|\[e~\[",
    re.IGNORECASE,
)
_TAGS = (
    ("<|begin_of_box|>", "<|end_of_box|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|start_response|>", "<|end_response|>"),
)
_BRACE = re.compile(r"(\\(?:f?boxed)\s{0,3}\{)|\\[{}\\]|[{}]")
_LATEX = re.compile(
    r"(?P<word>\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|it|rm|sf|tt)|mbox|emph)\s{0,3}\{)"
    r"|(?P<line>\\\\)|\\(?P<char>[{}%&#$_ ])|(?P<open>\{)|(?P<close>\})"
)
_LETTERS = re.compile(r"[^\W\d_]+")
_CLOSING = re.compile(r"\}?[\s$.)\]\\*]*")


class Answer(NamedTuple):
    """A model's answer.

    Attributes:
        text: the answer without the reasoning.
        ended: False if the text holds reasoning that never ends.
    """

    text: str
    ended: bool


def without_tokens(text: str) -> str:
    r"""Return a text up to its first end token, without the token that begins the turn.

    Example:
        >>> without_tokens("<start_of_turn>model\nClear lungs.<end_of_turn>rubbish")
        'Clear lungs.'
    """
    begin = _BEGIN.match(text)
    start = begin.end() if begin else 0
    end = _END.search(text, start)
    return text[start : end.start() if end else len(text)]


def without_reasoning(text: str) -> Answer:
    """Return a text without its reasoning, up to the first end token.

    If only the end of reasoning is marked, because its start is in the prompt, everything before it is reasoning. In a
    text with channels (gpt-oss) the last message of the channel `final` is the answer.

    Example:
        >>> without_reasoning("[THINK]Blunted angle?[/THINK]Small effusion.</s>")
        Answer(text='Small effusion.', ended=True)
        >>> without_reasoning("<|channel|>analysis<|message|>Blunted.<|end|>").ended
        False
    """
    messages = _channels(text)
    if messages is not None:
        finals = [part for name, part in messages if name == "final"]
        return Answer(without_tokens(finals[-1]) if finals else "", bool(finals))
    text = without_tokens(text)
    kept: list[str] = []
    position, is_open = 0, False
    for mark in _MARK.finditer(text):
        if mark["opens"]:
            if not is_open:
                kept.append(text[position : mark.start()])
                is_open = True
            continue
        if not is_open:
            kept.clear()
        position, is_open = mark.end(), False
    if not is_open:
        kept.append(text[position:])
    return Answer("".join(kept), not is_open)


def with_reasoning(text: str) -> str:
    """Return a text with its reasoning, up to the first end token; channels become paragraphs."""
    messages = _channels(text)
    if messages is None:
        return without_tokens(text)
    return "\n".join(part.strip() for _, part in messages if part.strip())


def _channels(text: str) -> list[tuple[str, str]] | None:
    """Return (channel, message) of a text in gpt-oss's channels; None if it has none."""
    if "<|channel|>" in text:
        messages = []
        done = 0
        for head in _CHANNEL.finditer(text):
            if head.start() >= done:
                end = _CHANNEL_END.search(text, head.end())
                done = end.start() if end else len(text)
                messages.append((head[1].lower(), text[head.end() : done]))
        return messages or [("analysis", text)]
    final = _GLUED_FINAL.match(text)
    if final is not None:
        return [("final", text[final.end() :])]
    first = _GLUED.match(text)
    if first is None:
        return None
    heads = list(_GLUED_CHANNEL.finditer(text, first.end()))
    if not any(head[1] == "final" for head in heads):
        return [("analysis", text[first.end() :])] if _GLUED_OPEN.match(text) else None
    starts = [first.end(), *(head.end() for head in heads)]
    ends = [*(head.start() for head in heads), len(text)]
    names = ["analysis", *(head[1] for head in heads)]
    return [(name, text[start:end]) for name, start, end in zip(names, starts, ends, strict=True)]


def tagged(text: str, tag: str) -> str | None:
    """Return the content of the last answer tag that is not blank; None if there is no tag.

    An answer that is cut off needs no closing tag, and one that starts in the prompt no opening tag. Besides `tag`,
    GLM's boxes and the solutions and responses of other models are recognised.

    Example:
        >>> tagged("<answer>a</answer> no: <answer>b</answer>", "answer"), tagged("a", "answer")
        ('b', None)
    """
    for begin, end in ((f"<{tag}>", f"</{tag}>"), *_TAGS) if tag else _TAGS:
        answers: list[str] = []
        start: int | None = 0
        for mark in re.finditer(f"({re.escape(begin)})|{re.escape(end)}", text, re.IGNORECASE):
            if mark[1]:
                start = mark.end()
            elif start is not None:
                answers.append(text[start : mark.start()])
                start = None
        if start:
            answers.append(text[start:])
        if answers:
            return next((answer for answer in reversed(answers) if answer.strip()), "")
    return None


def boxed(text: str) -> str | None:
    r"""Return the content of the last `\boxed{...}`; None if that is not an answer.

    An answer has several words, or one word at the end of the text: a boxed number within a report is part of it.

    Example:
        >>> boxed(r"Blunted, so \boxed{\text{Small effusion.}}"), boxed(r"Tip \boxed{3} cm above the carina.")
        ('Small effusion.', None)
        >>> boxed(r"\boxed{\textbf{Findings:} 5\% pneumothorax. \emph{New.}}")
        'Findings: 5% pneumothorax. New.'
    """
    stack: list[int] = []
    start = end = -1
    for brace in _BRACE.finditer(text):
        if brace[1]:
            stack.append(brace.end())
        elif brace[0] == "{":
            stack.append(-1)
        elif brace[0] == "}" and stack and (opened := stack.pop()) >= 0:
            start, end = opened, brace.start()
    unclosed = max(stack, default=-1)
    if unclosed > end:  # cut off
        start, end = unclosed, len(text)
    if start < 0:
        return None
    content = text[start:end]
    words = _LETTERS.findall(content)
    if not words or (len(words) == 1 and not _CLOSING.fullmatch(text, end)):
        return None
    return _without_latex(content)


def _without_latex(content: str) -> str:
    r"""Return the text of a box, without commands for text such as `\textbf{...}`, and with plain line breaks."""
    if "\\" not in content:
        return content
    closes: list[str] = []  # what stands for the closing brace of each open one

    def plain(mark: re.Match[str]) -> str:
        if mark["word"] or mark["open"]:
            closes.append("" if mark["word"] else "}")
            return "" if mark["word"] else "{"
        if mark["close"]:
            return closes.pop() if closes else "}"
        return "\n" if mark["line"] else mark["char"]

    return _LATEX.sub(plain, content).strip()


def final_answer(text: str, *, tag: str = "answer", box: bool = True) -> Answer:
    """Return a model's answer, without reasoning and tokens, and taken from its answer tag or box if it has one.

    Example:
        >>> final_answer("◁think▷Blunted?◁/think▷<answer>Small effusion.</answer><|im_end|>").text
        'Small effusion.'
    """
    answer = without_reasoning(text)
    return Answer(unwrapped(answer.text, tag=tag, box=box), answer.ended)


def unwrapped(text: str, *, tag: str = "answer", box: bool = True) -> str:
    """Return the content of a text's answer tag or box; the text itself if it has neither."""
    answer = tagged(text, tag)
    if answer is None and box:
        answer = boxed(text)
    return text if answer is None else answer
