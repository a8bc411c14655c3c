"""The interface of every metric, model score, judge and guard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import Feature, FeatureTable
from cxr_rewards.core.settings import Configurable
from cxr_rewards.errors import ConfigError, unknown_name
from cxr_rewards.types import Case, Score

TextRole = Literal["candidate", "reference", "priors"]


class Component(Configurable, ABC):
    """Turns a case and the features it needs into one number.

    A subclass is one small file: class attributes, settings, perhaps `needs`, and `score_case`. It only does
    arithmetic; the engine does batching and caching and records failures.

    Class attributes:
        name: registry key, configuration key and CSV column.
        summary: its measure in a few words, for tables.
        bounds: smallest and largest value, possibly infinite.
        higher_is_better: False for penalties and for metrics such as RadCliQ.
        reads: the texts it looks at. A component that reads the reference is unscored, with the reason, if the
            reference is blank; features over texts are computed for the texts that are read.
        identical: why identical candidate and reference may fall short of the best bound; empty if they never do.
        batch_tolerance: how far a score may move with the other cases of a call, because a model's floating-point sums
            depend on the shape of its batches.
        corpus_details: the details that `corpus` reads.
        measured_details: the details that differ each time a score is computed, such as seconds.
        requires: modules it needs beyond the light core; `extra` is the pip extra that installs them.

    Example:
        >>> class WordCount(Component):
        ...     name = "word_count"
        ...     summary = "words in the candidate"
        ...     bounds = (0.0, float("inf"))
        ...     reads = ("candidate",)
        ...     def score_case(self, case, features):
        ...         return Score(float(len(case.candidate.split())))
        >>> WordCount().score("No acute disease.", "Normal chest.").value
        3.0
    """

    summary: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    reads: ClassVar[tuple[TextRole, ...]] = ("candidate", "reference")
    identical: ClassVar[str] = ""
    batch_tolerance: ClassVar[float] = 0.0
    corpus_details: ClassVar[tuple[str, ...]] = ()
    measured_details: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    @property
    def needs(self) -> tuple[Feature, ...]:
        """Features that must be computed before `score_case` is called."""
        return ()

    @property
    def foreign_code(self) -> str:
        """The setting that names code from outside the library to run; empty if none does.

        A reward's TOML is data, so it can build a component that returns something here only with `allow_code`.
        """
        return ""

    @abstractmethod
    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return the score of one case: pure arithmetic on `features` and the texts it `reads`."""

    def corpus(self, scores: Iterable[Score]) -> dict[str, float | None]:  # noqa: ARG002
        """Return corpus-level statistics that are not averages of per-report scores, by name; None if undefined.

        Args:
            scores: any number, to be read once; of their details, only `corpus_details` are sure to be there.
        """
        return {}

    def score(self, candidate: str, reference: str, priors: Sequence[str] = ()) -> Score:
        """Score one candidate alone; for many, build a `CompositeReward`, which shares work among them."""
        case = Case(candidate=candidate, reference=reference, priors=tuple(priors))
        return Engine({self.name: self}).run([case])[0][0]

    def invalid(self, key: str, expected: str) -> ConfigError:
        """Return the error to raise from `__post_init__` for a setting out of its range."""
        return ConfigError(f"{self.name}: {key} must be {expected}, got {getattr(self, key)!r}")

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        unknown = set(cls.reads) - {"candidate", "reference", "priors"}
        if unknown:
            raise TypeError(f"{cls.__qualname__}.reads: unknown {sorted(unknown)}; known: candidate, reference, priors")


def one_of(component: Component, key: str, known: Iterable[object]) -> None:
    """Raise `ConfigError`, with the nearest name, if a setting is not one of `known`: for `__post_init__`."""
    value = getattr(component, key)
    if value not in known:
        raise ConfigError(unknown_name(component.name, key, value, map(str, known)))
