"""Every error this library raises on purpose.

```
CxrRewardsError
├── SetupError                 the run cannot work as configured: raised at once, never turned into a missing score
│   ├── ConfigError            an unknown name, a bad value, a contradiction in a reward's configuration
│   ├── MissingDependencyError an optional package is absent; the message holds the pip line
│   ├── ModelLoadError         weights are absent, foreign or unreadable
│   └── JudgeStopped           a judge refuses us, or failed as often as was allowed (also a JudgeError)
│       └── BudgetExceeded     calls, tokens or money spent as was allowed
├── JudgeError                 a judge gave no verdict on one case, which becomes its missing score
│   ├── JudgeTransportError    no answer, in spite of retries
│   │   └── JudgeTimeout       no answer in time
│   ├── JudgeRefusal           the model or the endpoint declined the case
│   └── VerdictParseError      an answer that is none of the published forms
├── InputError                 a file, row or column that cannot be read as a case
│   └── TextTooLong            a report with more characters than are accepted
├── OutOfBoundsError           a component returned a number that is not finite or not within its bounds
└── CacheError                 a cache file that is corrupt, foreign or unwritable
```

Messages say where, what was expected, what was found, and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CxrRewardsError(Exception):
    """Base of every error this library raises on purpose."""


class SetupError(CxrRewardsError):
    """The run cannot work as configured; no case is to blame."""


class ConfigError(SetupError, ValueError):
    """An unknown name, a bad value or a contradiction in a configuration."""


class MissingDependencyError(SetupError, ImportError):
    """An optional package is not installed; the message holds the pip line."""


class ModelLoadError(SetupError):
    """Model weights are absent, foreign or unreadable."""


class JudgeError(CxrRewardsError):
    """A judge gave no verdict."""


class JudgeTransportError(JudgeError):
    """No answer, in spite of retries; the message holds the last error."""


class JudgeTimeout(JudgeTransportError):  # noqa: N818 - it says what happened
    """No answer in time."""


class JudgeRefusal(JudgeError):  # noqa: N818 - it says what happened
    """The model or the endpoint declined the case."""


class VerdictParseError(JudgeError):
    """An answer that is none of the forms the protocol publishes: cut off, malformed, contradicting itself.

    Attributes:
        reply: the whole answer, if the one who asked has noted it.
    """

    reply = ""


class JudgeStopped(JudgeError, SetupError):  # noqa: N818
    """A judge cannot work as configured, or failed as often as was allowed: ends the run."""


class BudgetExceeded(JudgeStopped):
    """Calls, tokens or money are spent: ends the run; what was answered is in the cache."""


class InputError(CxrRewardsError, ValueError):
    """Input that cannot be read as a case: names the file, the row and the column."""


class TextTooLong(InputError):  # noqa: N818 - it says what happened
    """A report with more characters than are accepted."""


class OutOfBoundsError(CxrRewardsError, ValueError):
    """A component returned a number that is not finite or not within its bounds."""


class CacheError(CxrRewardsError):
    """A cache file that is corrupt, not ours, or cannot be written."""


class ModelWarning(UserWarning):
    """A model whose numbers are in doubt; they are given all the same."""


def shorten(value: object, limit: int = 80) -> str:
    """Return `repr(value)`, cut in the middle so that it has at most `limit` characters.

    Example:
        >>> shorten("a" * 100, limit=12)
        "'aaaa...aaa'"
    """
    # Slicing first keeps a megabyte of text from being escaped just to be thrown away.
    if isinstance(value, str) and len(value) > 2 * limit:
        value = value[:limit] + value[-limit:]
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value that cannot show itself must not hide the message it is part of
        text = f"<{type(value).__name__}>"
    if len(text) <= limit:
        return text
    tail = (limit - 3) // 2
    return f"{text[: limit - 3 - tail]}...{text[len(text) - tail :]}"


def unknown_name(where: str, kind: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not among `known`, with the nearest known one.

    Example:
        >>> unknown_name("rewards.toml", "component", "blue", ["bleu", "rouge_l"])
        "rewards.toml: unknown component 'blue'; known: bleu, rouge_l. Did you mean 'bleu'?"
    """
    names = sorted(known)
    message = f"{where}: unknown {kind} {shorten(name)}; known: {', '.join(names) or 'none'}."
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"{message} Did you mean {nearest[0]!r}?" if nearest else message
