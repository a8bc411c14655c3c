"""Base of components and features: name, version, documented settings, and a signature made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar, Generic, TypeVar, dataclass_transform

from cxr_rewards.errors import ConfigError, shorten

Value = TypeVar("Value")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list"}


def setting(default: Value, doc: str, *, changes_scores: bool = True) -> Value:
    """Declare one setting of a component or feature.

    Args:
        default: an immutable default.
        doc: one sentence for the reference: meaning, unit, range.
        changes_scores: whether the setting can change a number. Only such settings are part of the signature;
            a device or a batch size is not.
    """
    return field(default=default, metadata={"doc": doc, "changes_scores": changes_scores})


def _rebuild(cls: type[Configurable], values: dict[str, object]) -> Configurable:
    return cls(**values)


class _once(Generic[Value]):  # noqa: N801 - a decorator
    """A property that is computed when it is first read, and an attribute of the instance from then on.

    As `cached_property`, which before Python 3.12 has a lock: a fork in another thread leaves it locked in the child.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Value:
        if instance is None:
            return self  # type: ignore[return-value]  # for documentation
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
class Configurable:
    """Base that turns annotated `setting(...)` attributes of a subclass into keyword arguments.

    Every subclass becomes a frozen dataclass: hashable, comparable, and pickled as its settings alone, so that
    the other process rebuilds whatever an instance caches (compiled patterns, loaded models).

    Example:
        >>> class Scaled(Configurable):
        ...     name = "scaled"
        ...     factor: float = setting(1.0, "Multiplies the value.")
        >>> Scaled(factor=2.0).signature
        'scaled/1?factor=2.0'
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it whenever the numbers may move; it is part of every signature and cache key."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        own: Callable[[Configurable], None] | None = cls.__dict__.get("__post_init__")

        def checked(self: Configurable) -> None:
            self._check_types()
            if own is not None:
                own(self)
            else:  # a subclass inherits the checks of its parent
                super(cls, self).__post_init__()  # type: ignore[misc]

        cls.__post_init__ = checked  # type: ignore[method-assign]
        dataclass(frozen=True, kw_only=True)(cls)
        reserved = {"name", "version"} & set(cls.settings())
        if reserved:
            raise TypeError(f"{cls.__qualname__}: write {sorted(reserved)} without annotation; they are not settings")

    def __post_init__(self) -> None:
        """Check the settings' values; a subclass with limits of its own overrides it."""

    @classmethod
    def settings(cls) -> dict[str, Field[Any]]:
        """Return the settings by name, in order; each field's `metadata["doc"]` explains it."""
        return {f.name: f for f in fields(cls)}  # type: ignore[arg-type]

    def _check_types(self) -> None:
        """Refuse values of another type than the default's, so that a wrong setting fails at once and not for each
        case.

        Whole numbers are accepted for fractions, lists for tuples.
        """
        for key, spec in self.settings().items():
            value, kind = getattr(self, key), type(spec.default)
            if kind is float and isinstance(value, Real) and not isinstance(value, bool):
                try:
                    object.__setattr__(self, key, float(value))
                except OverflowError:
                    raise ConfigError(f"{self.name}: {key} is too large, got {shorten(value)}") from None
            elif kind is tuple and type(value) is list:
                object.__setattr__(self, key, tuple(value))
            elif kind in _KINDS and type(value) is not kind:
                raise ConfigError(f"{self.name}: {key} must be {_KINDS[kind]}, got {shorten(value)}")

    def _needed(self) -> Sequence[Configurable]:
        return getattr(self, "needs", ())

    @_once
    def signature(self) -> str:
        """Identity of the numbers: name, version, the settings that can move them, and the signatures of its needs."""
        return self._sign()

    def _sign(self) -> str:
        values = [
            f"{key}={json.dumps(getattr(self, key), sort_keys=True)}"
            for key, spec in self.settings().items()
            if spec.metadata.get("changes_scores", True)
        ]
        cls = type(self)
        # Two classes of one name are different; the registry tells those of this library apart.
        home = "" if cls.__module__.startswith("cxr_rewards.") else f"@{cls.__module__}.{cls.__qualname__}"
        own = f"{self.name}/{self.version}{home}" + ("?" + "&".join(values) if values else "")
        needed = ",".join(need.signature for need in self._needed())
        return f"{own}({needed})" if needed else own

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), {key: getattr(self, key) for key in self.settings()})
