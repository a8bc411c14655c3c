"""Metrics that the server exports to Prometheus."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Sequence

from cxr_rewards.core.usage import LEDGER
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.types import FailureKind, Score

_SIZES = (1, 4, 16, 64, 256, 512, 1024, 4096)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The server's metrics, summed over all workers if there are several (`PROMETHEUS_MULTIPROC_DIR`)."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = registry = CollectorRegistry()
        self.latency = Histogram(
            "cxr_rewards_request_seconds", "Time of a request.", ("path", "status"), registry=registry, buckets=_SECONDS
        )
        self.queue = Gauge(
            "cxr_rewards_queue_cases", "Cases in the queue.", registry=registry, multiprocess_mode="livesum"
        )
        self.batch = Histogram("cxr_rewards_batch_cases", "Cases of a batch.", registry=registry, buckets=_SIZES)
        self.scoring = Histogram("cxr_rewards_batch_seconds", "Time of a batch.", registry=registry, buckets=_SECONDS)
        self.cases = Counter("cxr_rewards_cases", "Cases scored.", registry=registry)
        self.failed = Counter(
            "cxr_rewards_failed",
            "Cases of which a component that has a weight failed, by where and kind.",
            ("where", "kind"),
            registry=registry,
        )
        self.cache = Counter("cxr_rewards_cache", "Values looked for in the cache.", ("found",), registry=registry)
        self.judge_calls = Counter("cxr_rewards_judge_calls", "Questions to judges.", registry=registry)
        self.judge_usd = Counter("cxr_rewards_judge_usd", "What judges cost, in US dollars.", registry=registry)
        self._lock = threading.Lock()
        self._before: dict[str, float] = {}

    def observe(self, reward: BaseReward, parts: Sequence[Sequence[Score]], seconds: float) -> None:
        """Count a batch that took this many seconds."""
        self.batch.observe(len(parts))
        self.scoring.observe(seconds)
        self.cases.inc(len(parts))
        has_weight = [bool(term.weight) for term in reward.total.terms.values()]
        failed = collections.Counter(labels for row in parts if (labels := _first_failure(row, has_weight)))
        for labels, count in failed.items():
            self.failed.labels(*labels).inc(count)
        totals: dict[str, float] = {name: float(getattr(reward.cache, name, 0)) for name in ("hits", "misses")}
        spent = LEDGER.total()
        totals |= {"calls": float(spent.calls), "usd": spent.usd}
        with self._lock:
            since = {name: max(0.0, total - self._before.get(name, 0.0)) for name, total in totals.items()}
            self._before = totals
        self.cache.labels("yes").inc(since["hits"])
        self.cache.labels("no").inc(since["misses"])
        self.judge_calls.inc(since["calls"])
        self.judge_usd.inc(since["usd"])

    def text(self) -> bytes:
        """Return the metrics in Prometheus' format."""
        from prometheus_client import CollectorRegistry, generate_latest, multiprocess

        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _first_failure(row: Sequence[Score], has_weight: Sequence[bool]) -> tuple[str, FailureKind] | None:
    """Return the first component or text that failed, and the kind: labels from a small set, never a report's text."""
    for score, counts in zip(row, has_weight, strict=True):
        if counts and score.failure is not None:
            return score.failure.where.partition("[")[0], score.failure.kind
    return None
