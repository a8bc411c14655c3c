"""Identity of code: tells a cache file, beyond the code's name, whether another process may use its values."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from functools import lru_cache
from weakref import WeakKeyDictionary

_SCRIPTS = ("__main__", "__mp_main__")
_homes: WeakKeyDictionary[type, str] = WeakKeyDictionary()


def module_home(name: str) -> str | None:
    """Return digits that identify a module's code, or None if no other process could import it by this name.

    Empty for this library, whose versions identify it, and for Python's own modules. Scripts, notebooks and code that
    was generated at run time have no home.

    Example:
        >>> module_home("cxr_rewards.core.feature"), module_home("__main__")
        ('', None)
    """
    top = name.partition(".")[0]
    if name in _SCRIPTS:
        return None
    if top == "cxr_rewards" or top in sys.stdlib_module_names:
        return ""
    try:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or not spec.has_location:
            return None
        about = os.stat(spec.origin)
        return _digest(spec.origin, about.st_size, about.st_mtime_ns)
    except Exception:  # noqa: BLE001 - looking for a submodule imports its package, which may raise anything
        return None


@lru_cache(maxsize=256)
def _digest(path: str, size: int, changed_ns: int) -> str:  # noqa: ARG001 - a changed file is another entry
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def class_home(cls: type) -> str | None:
    """Return digits that identify the code of a class and its bases, or None if one of them has no home.

    They differ between modules of one name in two projects, and change if a module is edited.
    """
    known = _homes.get(cls)
    if known is not None:  # as of the class's creation: a later edit changes the file, not the class
        return known
    homes = []
    for part in cls.__mro__:
        home = module_home(part.__module__)
        if home is None or (home and _named(part) is not part):
            return None
        homes.append(home)
    known = _homes[cls] = join_homes(homes)
    return known


def join_homes(homes: list[str]) -> str:
    """Join the digits of several modules."""
    return ",".join(filter(None, dict.fromkeys(homes)))


def _named(cls: type) -> object:
    """Return the object that another process would find under the name of a class."""
    named: object = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        named = getattr(named, part, None)
    return named
