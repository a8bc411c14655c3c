"""Inverse document frequencies of word pieces in a named corpus, for BERTScore."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import lru_cache
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_rewards.errors import ConfigError

if TYPE_CHECKING:
    from cxr_rewards.models.tokenizer import Tokenizer


def read_corpus(path: str) -> tuple[bytes, list[str]]:
    """Return the bytes of a corpus and its reports: UTF-8, one report per line, blank lines skipped.

    Raises:
        ConfigError: the file cannot be read, or holds no reports.
    """
    try:
        data = Path(path).expanduser().read_bytes()
        lines = [line.strip() for line in data.decode("utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"idf_corpus: {path}: cannot be read as UTF-8 text: {error}") from error
    if not lines:
        raise ConfigError(f"idf_corpus: {path}: holds no report; write one a line")
    return data, lines


def digest(path: str) -> str:
    """Return 12 hexadecimal digits that identify the content of a corpus."""
    return hashlib.sha256(read_corpus(path)[0]).hexdigest()[:12]


@lru_cache(maxsize=8)
def weights(path: str, content: str, tokenizer: Tokenizer, max_length: int) -> tuple[dict[int, float], float]:  # noqa: ARG001
    """Return `log((N + 1) / (df + 1))` for each piece in a corpus of N reports, and the value for all other pieces.

    Source: Zhang et al. 2020 (arXiv 1904.09675), with the smoothing of bert-score 0.3.13.
    """
    _, lines = read_corpus(path)
    counts: Counter[int] = Counter()
    for ids in tokenizer.encode(lines, max_length):
        counts.update(set(ids))
    n = len(lines) + 1
    return {piece: log(n / (count + 1)) for piece, count in counts.items()}, log(n)
