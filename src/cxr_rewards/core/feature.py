"""Features: values that are computed from texts once and shared by all components that need them."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, NamedTuple

from cxr_rewards.core.home import class_home, join_homes
from cxr_rewards.core.settings import Configurable
from cxr_rewards.types import Case, Failure

Over = Literal["text", "pair", "case"]


class PairItem(NamedTuple):
    """Input of a feature over `pair`."""

    candidate: str
    reference: str


class CaseItem(NamedTuple):
    """Input of a feature over `case`: everything in a case that can change a number.

    The context is sorted by key, its values as texts.
    """

    candidate: str
    reference: str
    priors: tuple[str, ...]
    context: tuple[tuple[str, str], ...]


Item = str | PairItem | CaseItem


class FeatureFailed(Exception):  # noqa: N818 - not an error of the caller: the engine turns it into the Failure it carries
    """Raised by `FeatureTable.value` for an item whose computation failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Feature(Configurable, ABC):
    """Something computed from texts and worth sharing: findings, an annotation, an embedding, a judge's reply.

    Features with equal signatures are one feature: each distinct item is computed once per call, however many
    components ask for it, and kept in the reward's cache.

    Class attributes:
        over: what one item is: a `text`, a `pair` (candidate, reference) or a whole `case`.
        context: the keys of a case's context that its items keep, for features over `case`; None: all. Cases that
            differ only in other keys are one item.
        persistent: whether values are worth keeping on disk. Set it to False if computing costs less than a look-up
            in a file. Values of a feature without a `code_home` stay in memory anyway.
        keeps: which values outlive the call: `all`, or only those of `references` (and priors), for features over
            texts whose values are large, because a policy hardly ever writes a candidate twice.
        chunk_size: items per `compute` call: the most that an interruption loses, and the items to retry one by one
            if a call raises.

    Example: see `cxr_rewards.features.findings`.
    """

    over: ClassVar[Over] = "text"
    context: ClassVar[tuple[str, ...] | None] = None
    persistent: ClassVar[bool] = True
    keeps: ClassVar[Literal["all", "references"]] = "all"
    chunk_size: ClassVar[int] = 256

    @property
    def needs(self) -> tuple[Feature, ...]:
        """Features that this one is computed from; they must not form a cycle."""
        return ()

    @property
    def code_home(self) -> str | None:
        """Digits that identify the code of this feature and its needs in a cache file, beside the signature.

        None if another process could not import it: values of a script's or a notebook's feature never go into a file,
        because the next script may give the same name to other code.
        """
        homes = [class_home(type(self)), *(need.code_home for need in self.needs)]
        return None if None in homes else join_homes([home for home in homes if home])

    @abstractmethod
    def compute(self, items: Sequence[Any], upstream: FeatureTable) -> Sequence[Any]:
        """Return one value, or `Failure`, for each item, in order.

        Args:
            items: distinct items (`str`, `PairItem` or `CaseItem` by `over`), longest text first.
            upstream: the values of `needs`.

        Raises:
            SetupError: the feature cannot work at all; ends the whole call.
            Exception: any other error belongs to an item: the engine retries the items one by one and records a
                `Failure` for those that raise again.
        """

    def is_final(self, value: Any) -> bool:  # noqa: ARG002
        """Return whether a value may be kept in a cache: not if it stands for a failure, which may pass."""
        return True

    def encode(self, value: Any) -> Any:
        """Return `value` as JSON-compatible data or a numpy array, for a cache on disk. Default: unchanged."""
        return value

    def decode(self, stored: Any) -> Any:
        """Invert `encode`."""
        return stored


Batch = list[tuple[Item, Any]]


class StreamedFeature(Feature):
    """A feature whose values come one by one from elsewhere, such as a judge behind an endpoint.

    The engine asks for them first, computes local features meanwhile, and keeps each value as it arrives, so that an
    interruption loses only the requests under way.
    """

    @abstractmethod
    def stream(self, items: Iterator[Any], upstream: FeatureTable) -> Iterator[Batch]:
        """Yield (item, value or `Failure`) in batches, in any order; an empty batch if nothing has come for a while.

        Args:
            items: take them one at a time and as late as possible, because another process that shares the cache may
                answer an item first. They may be taken from another thread.
            upstream: the values of `needs`.

        Raises:
            SetupError: the feature cannot work at all, or must stop; ends the whole call.
        """

    def compute(self, items: Sequence[Any], upstream: FeatureTable) -> list[Any]:
        """Return all values at once."""
        values = {item: value for batch in self.stream(iter(items), upstream) for item, value in batch}
        return [values[item] for item in items]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector while many small objects and no cycles are made.

    For `compute` methods, scores, and loading: a search for cycles would take a quarter of the time of reading reports
    (benchmarks/reader.py), and of that of scoring rollouts (benchmarks/rollouts.py).
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def item_of(feature: Feature, case: Case | PairItem | CaseItem) -> PairItem | CaseItem:
    """Return the item that a feature over `pair` or `case` is keyed by, from a case or a wider item."""
    if feature.over == "pair":
        return PairItem(case.candidate, case.reference)
    return case_item(case, feature.context)  # type: ignore[arg-type]  # a feature over case needs none over pair


def case_item(case: Case | CaseItem, keys: tuple[str, ...] | None = None) -> CaseItem:
    """Return the parts of a case that can change a number; of its context, only the given keys."""
    pairs = case.context if isinstance(case.context, tuple) else case.context.items()
    context = tuple(sorted((str(key), str(value)) for key, value in pairs if keys is None or key in keys))
    return CaseItem(case.candidate, case.reference, case.priors, context)


class FeatureTable:
    """Values of the features of one call, by feature and item."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Mapping[Item, Any]]) -> None:
        """Args: columns: for each feature's signature, value (or `Failure`) by item."""
        self._columns = columns

    def value(self, feature: Feature, of: str | Case | PairItem | CaseItem) -> Any:
        """Return the feature's value for a text, or, for features over `pair` and `case`, for a case or its item.

        Raises:
            FeatureFailed: it could not be computed for this item. Do not catch it: the engine records the reason.
            KeyError: the feature is not among the caller's `needs`, or the text not among the ones it `reads`.
        """
        column = self._columns[feature.signature]
        if isinstance(of, str):
            value = column[of]
        elif feature.over == "pair":  # equal to a `PairItem`, and made faster
            value = column[of.candidate, of.reference]  # type: ignore[index]
        else:
            value = column[item_of(feature, of)]
        if type(value) is Failure:
            raise FeatureFailed(value)
        return value
