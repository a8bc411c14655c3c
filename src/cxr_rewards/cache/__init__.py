"""Caches of feature values, in memory or in an SQLite file: the only place where caching happens.

The key of a value is its feature's signature and the exact text it was computed from, so a changed setting, version or
model never reuses an old value. Failures are never kept.
"""

from cxr_rewards.cache.file import CacheWarning
from cxr_rewards.cache.memory import MAX_BYTES, MAX_ITEMS, Cache, MemoryCache
from cxr_rewards.cache.reports import BadEntry, CacheStats, FeatureUsage, PruneResult, VerifyReport
from cxr_rewards.cache.sqlite import RETRY_AFTER_S, SqliteCache

__all__ = [
    "MAX_BYTES",
    "MAX_ITEMS",
    "RETRY_AFTER_S",
    "BadEntry",
    "Cache",
    "CacheStats",
    "CacheWarning",
    "FeatureUsage",
    "MemoryCache",
    "PruneResult",
    "SqliteCache",
    "VerifyReport",
]
