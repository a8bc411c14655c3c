"""Fill a reward's cache before a training run with all features of the references and priors."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import NamedTuple

from cxr_rewards.cache import SqliteCache
from cxr_rewards.core.progress import Progress
from cxr_rewards.errors import ConfigError
from cxr_rewards.files import ColumnMap, Table, read_cases
from cxr_rewards.reward.composite import CompositeReward

CHUNK = 1024
"""Rows between two writes."""


class Warmed(NamedTuple):
    """Result of warming: rows read, distinct texts, rows left out, and number of values computed by feature."""

    rows: int
    texts: int
    bad_rows: int
    computed: dict[str, int]


def warm_file(table: Table, columns: ColumnMap, reward: CompositeReward, progress: Progress | None = None) -> Warmed:
    """Compute all features of the references and priors of a table, and keep them in the reward's cache.

    Values that the cache holds already are not computed again, so an interrupted run resumes when it is repeated.

    Args:
        table: from `open_table`.
        columns: from `choose_columns`.
        reward: with a cache on disk.
        progress: updated while this runs, for a display in another thread.

    Raises:
        ConfigError: the reward has no cache file.
        SetupError: a component cannot work at all.
        CacheError: the file cannot be written.
    """
    if not isinstance(reward.cache, SqliteCache):
        raise ConfigError(f"{reward.name}: has no cache file to fill; give --cache FILE, or `cache` in its TOML")
    progress = progress or Progress()
    progress.begin("warming")
    seen: set[int] = set()
    rows = bad = 0
    computed: Counter[str] = Counter()
    cases = read_cases(table, columns, max_chars=reward.max_chars)
    while chunk := list(islice(cases, CHUNK)):
        texts: dict[str, None] = {}
        for row in chunk:
            rows += 1
            if row.case is None or not isinstance(row.case.reference, str):
                bad += 1
                continue
            for text in (row.case.reference, *row.case.priors):
                if text.strip() and len(text) <= reward.max_chars and hash(text) not in seen:
                    seen.add(hash(text))
                    texts[text] = None
        computed.update(reward.warm(texts))
        if reward.cache.write_error is not None:  # further values would be lost
            raise reward.cache.write_error
        progress.advance(len(chunk))
    return Warmed(rows, len(seen), bad, dict(computed))
