"""The API key of a judge: where it comes from, and how it stays out of everything that is shown or stored."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.settings import KEY_VARIABLE, JudgeSettings

_SHORTEST_SECRET = 8
"""Shorter keys, such as the `EMPTY` of a server without keys, may stand in a reply by chance."""


def key_for(settings: JudgeSettings) -> str:
    """Return the key for a judge's endpoint; empty if it needs none.

    Raises:
        ConfigError: the named variable or file holds no key, or one that cannot be sent.
    """
    if settings.api_key_file:
        where = f"api_key_file {settings.api_key_file}"
        try:
            key = Path(settings.api_key_file).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"{where}: cannot be read: {problem}") from None
    elif settings.api_key_env:
        where = settings.api_key_env
        key = os.environ.get(where, "")
    else:
        where = KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else _provider_variable(settings)
        key = os.environ.get(where, "") if where else ""
        if not key.strip():
            return ""
    key = key.strip()
    if not key:
        raise ConfigError(f"{where}: holds no key for the judge")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"{where}: a key has printable ASCII characters only, without blanks or line breaks inside; "
            "look for a second line, a quotation mark or a copied comment"
        )
    return key


def _provider_variable(settings: JudgeSettings) -> str:
    """Return the variable of the provider that owns every address: its key is sent to nobody else."""
    if settings.api_version:
        return "AZURE_OPENAI_API_KEY"
    hosts = {urlsplit(url).hostname for url in settings.urls}
    return "OPENAI_API_KEY" if hosts == {"api.openai.com"} else ""


class Scrubber:
    """Replaces a key with `***`, whether plain or as written in JSON, URLs and base64.

    Example:
        >>> Scrubber("sk-0123456789").message("bad header: Bearer sk-0123456789")
        'bad header: Bearer ***'
    """

    def __init__(self, key: str) -> None:
        as_json = json.dumps(key)[1:-1]
        forms = {key, quote(key, safe=""), quote_plus(key), as_json, as_json.replace("/", "\\/")}
        for text in (key, f"Bearer {key}", f":{key}"):
            forms.add(b64encode(text.encode()).decode().rstrip("="))
        self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if key else None
        self._is_secret = len(key) >= _SHORTEST_SECRET

    def message(self, text: str) -> str:
        """Return a text that may be shown."""
        return self._pattern.sub("***", text) if self._pattern else text

    def reply(self, text: str) -> str:
        """Return a reply that may be stored. A key too short to be a secret stays: it may be a word of the reply."""
        return self.message(text) if self._is_secret else text
