"""Fill the features of a call: from the cache, from elsewhere, or by computing them; the only place that batches.

Together with `engine.score_cases` this is the one exception boundary: `failure_of` turns an item's error into a
`Failure`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, cast

from cxr_rewards.core.feature import (
    Batch,
    CaseItem,
    Feature,
    FeatureFailed,
    FeatureTable,
    Item,
    StreamedFeature,
    item_of,
)
from cxr_rewards.errors import (
    CxrRewardsError,
    InputError,
    JudgeRefusal,
    JudgeTimeout,
    JudgeTransportError,
    OutOfBoundsError,
    SetupError,
    TextTooLong,
    VerdictParseError,
)
from cxr_rewards.types import Failure, FailureKind, known_kind

if TYPE_CHECKING:
    from cxr_rewards.cache import Cache
    from cxr_rewards.core.stopwatch import Stopwatch

_LOG = logging.getLogger(__name__)
_LONGEST_REASON = 300
_KINDS: tuple[tuple[type[Exception], FailureKind], ...] = (
    (TextTooLong, "too_long"),
    (InputError, "invalid_input"),
    (OutOfBoundsError, "out_of_bounds"),
    (JudgeRefusal, "refusal"),
    (VerdictParseError, "unparsable"),
    (JudgeTimeout, "timeout"),
    (JudgeTransportError, "transport"),
    (TimeoutError, "timeout"),
    (ConnectionError, "transport"),
)
"""The kind of failure that each class of error becomes: the first that fits, or `error` if none does."""
Skip = Callable[[Feature, Item], bool]


def cut(failure: Failure) -> Failure:
    """Return a failure with its reason cut to 300 characters, and an unknown kind replaced by `error`."""
    kind = known_kind(failure.kind)
    if len(failure.error) <= _LONGEST_REASON and kind == failure.kind:
        return failure
    return Failure(failure.where, _shortened(failure.error), kind)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."


def reason(error: Exception) -> str:
    """Return an error in words, for a `Failure`."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error without readable text still affects its item only
        return name
    return f"{name}: {_shortened(text)}" if text else name


def kind_of(error: BaseException) -> FailureKind:
    """Return the kind of failure that an error becomes, by its class.

    Example:
        >>> kind_of(JudgeRefusal("declined")), kind_of(KeyError("x"))
        ('refusal', 'error')
    """
    return next((kind for cls, kind in _KINDS if isinstance(error, cls)), "error")


def failure_of(where: str, error: Exception) -> Failure:
    """Return the failure that an error of one case becomes, and log it at debug level.

    The log has the traceback of an error that this library did not raise on purpose.
    """
    kind = kind_of(error)
    _LOG.debug("%s failed: %s", where, kind, exc_info=None if isinstance(error, CxrRewardsError) else error)
    return Failure(where, reason(error), kind)


def fill(  # noqa: PLR0917 - one caller
    order: Sequence[Feature],
    wanted: Mapping[str, dict[Item, None]],
    lasting: Container[str],
    cache: Cache | None,
    watch: Stopwatch,
    skip: Skip | None = None,
) -> tuple[dict[str, dict[Item, object]], dict[str, int]]:
    """Return the values of each feature's wanted items, and how many were computed, by signature.

    First, from the last feature to the first, each item that is not cached adds the items it needs of other features;
    then, from the first feature to the last, they are computed. Streamed features start first and are awaited last.

    Args:
        order: the features, each after its needs.
        wanted: items by signature; the items of their needs are added.
        lasting: the texts whose values outlive the call; see `Feature.keeps`.
        cache: searched first, and filled with new values.
        watch: records the seconds of each feature and of `cache`.
        skip: returns, when an item of a streamed feature is due, whether nobody waits for it any more.
    """
    columns: dict[str, dict[Item, object]] = {}
    missing: dict[str, list[Item]] = {}
    for feature in reversed(order):
        items = wanted[feature.signature]
        known: dict[Item, object] = {}
        if cache is not None:
            with watch.time("cache"):
                known = cache.get_many(feature, [i for i in items if feature.keeps == "all" or i in lasting])
        columns[feature.signature] = known
        missing[feature.signature] = [item for item in items if item not in known]
        for need in feature.needs:
            wanted[need.signature].update(dict.fromkeys(_sources_of(missing[feature.signature], need)))
    counts = _Filling(order, columns, missing, lasting, cache, watch, skip).run()
    return columns, counts


class _Filling:
    """Computes missing values: local features in this thread, streamed ones each in a thread of its own."""

    def __init__(  # noqa: PLR0917 - as `fill`
        self,
        order: Sequence[Feature],
        columns: dict[str, dict[Item, object]],
        missing: Mapping[str, list[Item]],
        lasting: Container[str],
        cache: Cache | None,
        watch: Stopwatch,
        skip: Skip | None,
    ) -> None:
        self.watch, self.skip = watch, skip
        self.columns, self.missing, self.lasting, self.cache = columns, missing, lasting, cache
        self.table = FeatureTable(columns)
        self.left = {feature.signature: feature for feature in order}  # not finished
        self.waiting = dict(self.left)  # not begun
        self.counts: dict[str, int] = {}
        self.running: dict[Future[None], str] = {}
        self.stop = threading.Event()
        self.pool: ThreadPoolExecutor | None = None

    def run(self) -> dict[str, int]:
        try:
            while self.left:
                self.advance()
                local = next((f for f in self.waiting.values() if self.is_ready(f)), None)
                if local is not None:
                    self.compute(self.begin(local), local)
                    del self.left[local.signature]
                elif self.running:
                    wait(self.running, return_when=FIRST_COMPLETED)
        finally:  # after an error or an interruption, end requests under way soon
            self.stop.set()
            if self.pool is not None:
                self.pool.shutdown(wait=True)
        return self.counts

    def is_ready(self, feature: Feature) -> bool:
        return not any(need.signature in self.left for need in feature.needs)

    def begin(self, feature: Feature) -> list[Item]:
        """Return the items to compute; those that failed upstream cost nothing and keep their reason."""
        del self.waiting[feature.signature]
        todo, values = self.missing[feature.signature], self.columns[feature.signature]
        for need in feature.needs:
            todo = _drop_failed(todo, need, self.columns[need.signature], values)
        self.counts[feature.signature] = len(todo)
        return todo

    def advance(self) -> None:
        """Collect streams that have ended, and start those that are ready."""
        for future in [future for future in self.running if future.done()]:
            del self.left[self.running.pop(future)]
            future.result()
        for feature in list(self.waiting.values()):
            if isinstance(feature, StreamedFeature) and self.is_ready(feature):
                todo = self.begin(feature)
                if not todo:
                    del self.left[feature.signature]
                    continue
                self.pool = self.pool or ThreadPoolExecutor(64, "cxr-rewards-stream")
                self.running[self.pool.submit(self.timed_drain, feature, todo)] = feature.signature

    def compute(self, todo: list[Item], feature: Feature) -> None:
        todo.sort(key=_length, reverse=True)
        for start in range(0, len(todo), feature.chunk_size):
            chunk = todo[start : start + feature.chunk_size]
            with self.watch.time(feature.name):
                computed = _compute(feature, chunk, self.table)
            self.keep(feature, dict(zip(chunk, computed, strict=True)))
            self.advance()

    def keep(self, feature: Feature, computed: dict[Item, object]) -> None:
        self.columns[feature.signature].update(computed)
        if self.cache is not None:
            good = {k: v for k, v in computed.items() if type(v) is not Failure}
            if type(feature).is_final is not Feature.is_final:
                good = {k: v for k, v in good.items() if feature.is_final(v)}
            if feature.keeps != "all":
                good = {k: v for k, v in good.items() if k in self.lasting}
            with self.watch.time("cache"):
                self.cache.put_many(feature, good)

    def timed_drain(self, feature: StreamedFeature, todo: list[Item]) -> None:
        with self.watch.time(feature.name):
            self.drain(feature, todo)

    def drain(self, feature: StreamedFeature, todo: list[Item]) -> None:
        """Take the values of a stream as they come; an item without a value fails."""
        values = self.columns[feature.signature]
        lost = Failure(feature.name, "no value came")
        try:
            with closing(cast("Generator[Batch]", feature.stream(self.fresh(feature, todo), self.table))) as stream:
                for batch in stream:
                    if batch:
                        computed = {item: cut(v) if type(v) is Failure else v for item, v in batch}
                        self.keep(feature, computed)
                    if self.stop.is_set():
                        return
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary for streamed features
            lost = failure_of(feature.name, error)
        for item in todo:
            if item not in values:
                values[item] = lost

    def fresh(self, feature: Feature, todo: list[Item]) -> Iterator[Item]:
        """Yield items that no other process has answered yet, in random order, so that few ask for the same one."""
        cache, values = self.cache, self.columns[feature.signature]
        shared = cache is not None and getattr(cache, "shared", False)
        for item in random.sample(todo, len(todo)) if shared else todo:
            if self.skip is not None and self.skip(feature, item):
                values[item] = Failure(feature.name, "nobody waited for it any more", "timeout")
                continue
            known = cache.get_many(feature, [item]) if cache is not None and shared else None
            if known:
                values.update(known)
                self.counts[feature.signature] -= 1
            else:
                yield item


def _texts(item: Item) -> tuple[str, ...]:
    if isinstance(item, str):
        return (item,)
    return (item.candidate, item.reference, *item.priors) if isinstance(item, CaseItem) else item


def _sources_of(items: Iterable[Item], need: Feature) -> Iterable[Item]:
    """Return the items of `need` that other items are computed from."""
    if need.over == "text":
        return chain.from_iterable(map(_texts, items))
    return (item_of(need, item) for item in items)  # type: ignore[arg-type]  # a feature over texts needs none over pairs


def _length(item: Item) -> int:
    return len(item) if isinstance(item, str) else sum(map(len, _texts(item)))


def _drop_failed(
    items: list[Item], need: Feature, upstream: Mapping[Item, object], values: dict[Item, object]
) -> list[Item]:
    """Give each item the first failure among its sources; return the items without one."""
    if not any(type(value) is Failure for value in upstream.values()):
        return items
    kept = []
    for item in items:
        failure = next((v for s in _sources_of((item,), need) if type(v := upstream.get(s)) is Failure), None)
        if failure is None:
            kept.append(item)
        else:
            values[item] = failure
    return kept


def _compute(feature: Feature, chunk: Sequence[Item], table: FeatureTable) -> list[object]:
    """Compute a chunk; if that raises, compute each item alone, so that only bad ones fail."""
    try:
        values = [cut(v) if type(v) is Failure else v for v in feature.compute(chunk, table)]
        if len(values) != len(chunk):
            raise ValueError(f"returned {len(values)} values for {len(chunk)} items")
    except SetupError:
        raise
    except FeatureFailed as failed:
        if len(chunk) == 1:
            return [failed.failure]
    except Exception as error:  # noqa: BLE001 - the one boundary: an item's error becomes its Failure
        if len(chunk) == 1:
            return [failure_of(feature.name, error)]
    else:
        return values
    return [_compute(feature, [item], table)[0] for item in chunk]
