"""Stored form of a value, with its key and checksum; anything read from a file may be damaged or hostile."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from math import prod
from typing import TYPE_CHECKING

from cxr_rewards.core.feature import Feature, Item
from cxr_rewards.errors import CacheError, shorten

if TYPE_CHECKING:
    import numpy as np

MAX_VALUE_BYTES = 1 << 28
"""Longest stored form of one value: far above any feature's, yet too little for a forged file to fill memory."""

_BAD_DATA = (TypeError, ValueError, LookupError, AttributeError, RecursionError, ArithmeticError, MemoryError)


class BadValueError(Exception):
    """A stored value that cannot be used; the message says why."""


_item_json = json.JSONEncoder(ensure_ascii=False).encode
_value_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def keys(feature: Feature, items: Iterable[Item]) -> Iterator[tuple[bytes, Item]]:
    """Yield each item with its key: a hash of the code's home, the signature and the item, the same in every process.

    Raises:
        CacheError: an item is not made of texts.
    """
    known = [feature.over, feature.signature, *filter(None, [feature.code_home])]
    base = blake2b(_item_json(known).encode("utf-8", "surrogatepass"), digest_size=16)
    for item in items:
        hasher = base.copy()
        try:
            # Not escaped to ASCII, which would make a character and its two surrogates look alike.
            text = item if isinstance(item, str) else _item_json(item)
        except (TypeError, ValueError) as error:
            raise CacheError(f"cache: {feature.name}: {shorten(item)} cannot be a key ({error}); give text.") from error
        hasher.update(text.encode("utf-8", "surrogatepass"))
        yield hasher.digest(), item


def checksum_of(key: bytes, payload: bytes) -> bytes:
    """Return the checksum of a value and its key, so that a value under the wrong key does not pass."""
    return blake2b(payload, key=key, digest_size=8).digest()


def pack(feature: Feature, value: object) -> bytes:
    """Return the stored form of a value: `j` and JSON, or `a`, a JSON line [dtype, shape] and the array's bytes.

    Raises:
        CacheError: the value has no stored form.
    """
    try:
        encoded = feature.encode(value)
        np = sys.modules.get("numpy")  # if it was never loaded, nothing is an array
        if np is not None and type(encoded) is np.ndarray:
            header = _value_json([_numeric(encoded.dtype).str, encoded.shape])
            payload = b"a" + header.encode() + b"\n" + bytes(encoded.tobytes())
        else:
            text = _value_json(encoded)
            if json.loads(text) != encoded:
                raise TypeError("it comes back changed from JSON, as tuples and keys that are not texts do")
            payload = b"j" + text.encode("utf-8", "surrogatepass")
        if len(payload) > MAX_VALUE_BYTES:
            raise ValueError(f"it takes {len(payload):,} bytes, more than {MAX_VALUE_BYTES:,}")
    except _BAD_DATA as error:
        raise CacheError(
            f"cache: {feature.name}: a value of type {type(value).__name__} cannot be stored: {error}."
            " Let the feature's encode return JSON data or a numeric array, and decode invert it,"
            " or set persistent = False."
        ) from error
    return payload


def load(feature: Feature, key: object, checksum: object, payload: object) -> object:
    """Return the value of a row.

    Raises:
        BadValueError: it is damaged, or the feature cannot decode it.
    """
    stored = _unpack(key, checksum, payload)
    try:
        return feature.decode(stored)
    except Exception as error:  # a feature's own code, on data that another version may have written
        cure = "if the stored form has changed, raise the feature's version"
        raise BadValueError(f"it cannot be decoded ({type(error).__name__}: {error}); {cure}") from error


def defect(key: object, checksum: object, payload: object) -> str:
    """Describe what is wrong with a stored entry; empty if nothing is."""
    try:
        _unpack(key, checksum, payload)
    except BadValueError as error:
        return str(error)
    return ""


def show_key(key: object) -> str:
    """Return a key in hexadecimal; a value that is not a key is quoted."""
    return key.hex() if type(key) is bytes else shorten(key)


def _unpack(key: object, checksum: object, payload: object) -> object:
    if not type(key) is type(checksum) is type(payload) is bytes:
        raise BadValueError("its key, checksum and value are not all bytes")
    try:
        if checksum_of(key, payload) != checksum:
            raise BadValueError("its checksum differs")
        if payload[:1] == b"j":
            return json.loads(payload[1:].decode("utf-8", "surrogatepass"))
        if payload[:1] != b"a":
            raise ValueError(f"unknown kind of value {payload[:1]!r}")
        import numpy as np

        header, _, raw = payload[1:].partition(b"\n")
        dtype, shape = json.loads(header)
        kind = _numeric(np.dtype(dtype))
        if not all(type(size) is int and size >= 0 for size in shape) or prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"{len(raw)} bytes are not an array of {kind} of shape {shorten(shape)}")
        return np.ndarray(tuple(shape), kind, raw)  # read-only, as its bytes are
    except _BAD_DATA as error:
        raise BadValueError(f"it cannot be read: {type(error).__name__}: {error}") from error


def _numeric(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    if dtype.kind not in "biufc":  # the bytes of an object would be read as an address
        raise TypeError(f"an array of {dtype} is not numeric")
    return dtype
