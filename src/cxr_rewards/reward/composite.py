"""The composite reward: components, a weighted sum, a cache, and one signature for all of it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_rewards.cache import Cache, MemoryCache, SqliteCache
from cxr_rewards.core.engine import MAX_CHARS, Engine
from cxr_rewards.core.feature import FeatureFailed
from cxr_rewards.core.usage import LEDGER
from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.gates import Gate, parse_gates
from cxr_rewards.reward.transforms import Transform, as_number, parse_transform
from cxr_rewards.reward.weighted_sum import Normalize, OnFailure, Term, WeightedSum
from cxr_rewards.types import Case, Failure, Score

if TYPE_CHECKING:
    from cxr_rewards.core.component import Component
    from cxr_rewards.core.feature import FeatureTable
    from cxr_rewards.findings import Reading
    from cxr_rewards.reward.config import RewardConfig

DEFAULT_PRESET = "rules"
_LOG = logging.getLogger(__name__)
_TAKEN = ("reward", "reason", "reason_kind")


class CompositeReward(BaseReward):
    """Scores reports with several components and combines the scores into one number per report.

    `CompositeReward()` is the preset `rules`: no weights, no GPU, no network. Presets and TOML files are read with
    `from_preset` and `from_config`; the constructor takes components directly. The only state
    between calls is a cache. Threads may share an instance, and it can be pickled.

    Args:
        components: names, `Component` instances, or a mapping of label to either. The labels name the columns.
        weights: by label. Left out: 1/n for each of n components, negative if lower values are better. If only some are
            given, the others get 0: they are reported only.
        transforms: by label: a list of transforms (see `cxr_rewards.reward.transforms`).
        gates: conditions that cap the reward: `Gate`s, or tables of their arguments.
        on_failure: `unscored` (default) or `renormalize`; see `WeightedSum`.
        normalize: `none` (default) or `group`; see `WeightedSum`.
        max_chars: longer texts are unscored, with the reason.
        max_unread: a case is unscored if nothing is read in more than this share of the reference's sentences (see
            `cxr_rewards.findings.Reading`): what is not read counts as normal, and would punish what is right.
        cache: a `Cache`, the path of an SQLite cache, or None for one in memory.
        name: the reward's name in tables.

    Raises:
        ConfigError: an unknown name, a bad value, or a weight whose sign would reward worse reports.
        MissingDependencyError: a component needs a package that is not installed; holds the pip line.

    Example:
        >>> from cxr_rewards import CompositeReward
        >>> reward = CompositeReward(["bleu", "temporal_f1"], weights={"bleu": 0.5, "temporal_f1": 0.5})
        >>> result = reward.score("Small left pleural effusion.", "Small left pleural effusion.")
        >>> result.value
        1.0
        >>> sorted(result.parts)
        ['bleu', 'temporal_f1']
    """

    def __init__(
        self,
        components: Iterable[str | Component] | Mapping[str, str | Component] | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        transforms: Mapping[str, Sequence[object]] | None = None,
        gates: Sequence[Gate | Mapping[str, object]] = (),
        on_failure: OnFailure = "unscored",
        normalize: Normalize = "none",
        max_chars: int = MAX_CHARS,
        max_unread: float = 1.0,
        cache: Cache | str | Path | None = None,
        name: str = "custom",
    ) -> None:
        where = "CompositeReward"
        limits = parse_gates(gates, where)
        if components is None:
            if any((weights, transforms, limits)):
                raise ConfigError(
                    "CompositeReward(): weights, transforms and gates need components; "
                    'to change the default write CompositeReward.from_preset("rules", weights={...})'
                )
            from cxr_rewards.reward.config import build, parse_config, preset_text

            preset = f"preset {DEFAULT_PRESET}"
            built, default = build(parse_config(preset_text(DEFAULT_PRESET), preset), preset)
            terms, limits = dict(default.terms), default.gates
            max_unread = parse_config(preset_text(DEFAULT_PRESET), preset).max_unread
            name = DEFAULT_PRESET if name == "custom" else name
        else:
            built = _built(components)
            terms = _terms(built, weights, transforms or {})
        total = WeightedSum(terms=terms, gates=limits, on_failure=on_failure, normalize=normalize)
        _check(built, total, where)
        if not isinstance(max_unread, int | float) or not 0 <= max_unread <= 1:
            raise ConfigError(f"{where}: max_unread must be from 0 to 1, got {shorten(max_unread)}")
        signature = _sign(built, total, max_chars, max_unread)
        super().__init__(built, total, name=name, signature=signature, max_chars=max_chars)
        self.components: dict[str, Component] = built
        self.max_unread = float(max_unread)
        self.cache: Cache = _cache(cache, where)
        self._engine = Engine(built, max_chars=max_chars)

    @classmethod
    def from_preset(cls, name: str, /, **overrides: Any) -> CompositeReward:
        """Build a preset, perhaps changed.

        Args:
            name: one of `cxr-rewards presets`, e.g. `rules`.
            **overrides: `weights` (label to number), `transforms` (label to list) and `settings` (label to a table)
                change those of the components named, `judge` (a table) those of every judge; any other key of a
                reward's TOML (`on_failure`, `normalize`, `gates`, `max_chars`, `name`) replaces the preset's; `cache`
                as in the constructor; `allow_code=True` lets settings name Python code (see `External`).

        Raises:
            ConfigError: an unknown preset, label or key, with the nearest known one.

        Example:
            >>> reward = CompositeReward.from_preset("rules", on_failure="renormalize", weights={"rouge_l": 0.0})
            >>> reward.total.terms["rouge_l"].weight
            0.0
        """
        from cxr_rewards.reward.config import parse_config, preset_text

        where = f"preset {name}"
        return cls._from(parse_config(preset_text(name), where), where, overrides)

    @classmethod
    def from_config(cls, path: str | Path | RewardConfig, /, **overrides: Any) -> CompositeReward:
        """Build the reward that a TOML file describes (see `cxr_rewards.reward.config`); overrides as in `from_preset`.

        Instead of a path it takes what `load_config` returns. A file is data: one whose settings name Python code is
        refused without `allow_code=True`.

        Raises:
            ConfigError: the file is absent, is not TOML, does not describe a reward, or names code that is not allowed;
                names the file and the place.
            MissingDependencyError: a component needs a package that is not installed; holds the pip line.
        """
        from cxr_rewards.reward.config import RewardConfig, load_config

        if isinstance(path, RewardConfig):
            return cls._from(path, path.name, overrides)
        return cls._from(load_config(path), str(path), overrides)

    @classmethod
    def _from(cls, config: RewardConfig, where: str, overrides: Mapping[str, Any]) -> CompositeReward:
        from cxr_rewards.reward.config import build, override

        cache, allow_code = overrides.get("cache"), overrides.get("allow_code", False)
        if not isinstance(allow_code, bool):
            raise ConfigError(f"{where}: allow_code must be true or false, got {shorten(allow_code)}")
        changes = {k: v for k, v in overrides.items() if k not in ("cache", "allow_code")}
        config = override(config, changes, where)
        components, total = build(config, where, allow_code=allow_code)
        if left_out := [label for label in config.components if label not in components]:
            _LOG.warning(
                "%s: left out, because no judge is configured: %s. Give its model and base_url in the table [judge], "
                "or in CXR_REWARDS_JUDGE_MODEL and CXR_REWARDS_JUDGE_URL",
                where,
                ", ".join(left_out),
            )
        _check(components, total, where)
        return cls(
            components,
            weights={label: term.weight for label, term in total.terms.items()},
            transforms={label: term.transforms for label, term in total.terms.items()},
            gates=total.gates,
            on_failure=total.on_failure,
            normalize=total.normalize,
            max_chars=config.max_chars,
            max_unread=config.max_unread,
            cache=_cache(config.cache if cache is None else cache, where),
            name=config.name,
        )

    def parts(self, cases: Sequence[Case], is_gone: Callable[[Case], bool] | None = None) -> list[tuple[Score, ...]]:
        """Compute each case's score of each component; see `BaseReward.parts`."""
        rows, table = self._engine.run_with_features(cases, self.cache, is_gone)
        if self.max_unread == 1:
            return rows
        scored = [any(score.value is not None for score in row) for row in rows]
        references = {case.reference for case, has_value in zip(cases, scored, strict=True) if has_value}
        unread = {text: _too_much_unread(text, self.max_unread, table) for text in references}
        return [
            tuple(Score(None, score.details, failure) for score in row)
            if has_value and (failure := unread[case.reference]) is not None
            else row
            for case, row, has_value in zip(cases, rows, scored, strict=True)
        ]

    def only(self, label: str) -> CompositeReward:
        """Return the reward of one of the components alone, with the same cache."""
        return CompositeReward({label: self.components[label]}, cache=self.cache, max_chars=self.max_chars)

    def release(self) -> None:
        """Forget the models of this process, free the GPU, and close the connections to judges, between phases.

        They are shared, so this affects all rewards of the process. The next call loads and connects again.
        """
        LEDGER.release()

    def warm(self, texts: Iterable[str]) -> dict[str, int]:
        """Fill the cache ahead with the features of references and priors that scoring will need (see `cxr-rewards
        warm`).

        Returns:
            The number of values computed now, by feature; values in the cache are not computed again.

        Raises:
            SetupError: a component cannot work at all.
            CacheError: a feature's value cannot be stored.
        """
        return self._engine.warm(texts, self.cache)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent on scoring, by feature, by component (after its features) and for the `cache`.

        A feature that several components share counts once, under its own name. Judges run beside the others, so the
        sum may exceed the elapsed time.
        """
        return self._engine.watch.seconds()


def load_composite(source: str | Path, **overrides: Any) -> CompositeReward:
    """Return the reward of a TOML file (a `Path`, or a text that ends in `.toml`) or of a preset.

    Raises:
        ConfigError, MissingDependencyError: as `from_config` and `from_preset`, which take the same overrides.
    """
    from cxr_rewards.reward.config import is_config_path

    build = CompositeReward.from_config if is_config_path(source) else CompositeReward.from_preset
    return build(source, **overrides)  # type: ignore[arg-type]


def _too_much_unread(reference: str, most: float, table: FeatureTable) -> Failure | None:
    """Return the reason why a case is unscored if more than a share of its reference is not understood; else None."""
    from cxr_rewards.features.findings import Findings

    try:
        unread, sentences = _count_unread(table.value(Findings(), reference))
    except FeatureFailed:  # the components have the reason
        return None
    except KeyError:  # none of them reads findings
        unread, sentences = _count_unread_of(reference)
    if unread <= most * sentences:
        return None
    reason = f"{unread} of its {sentences} sentences are not understood, more than max_unread = {most:g}"
    return Failure("reference", reason, "unread")


def _count_unread(reading: Reading) -> tuple[int, int]:
    return len(reading.unread), reading.sentences


@lru_cache(maxsize=4096)
def _count_unread_of(text: str) -> tuple[int, int]:
    from cxr_rewards.findings import reading

    return _count_unread(reading(text))


def _sign(components: Mapping[str, Component], total: WeightedSum, max_chars: int, max_unread: float) -> str:
    """Return a readable identity: parts, policies, and a short hash of them that is easy to compare."""
    terms = [
        f"{term.weight!r}*{''.join(f'{t!r}∘' for t in reversed(term.transforms))}"
        + (component.signature if label == component.name else f"{label}:{component.signature}")
        for (label, component), term in zip(components.items(), total.terms.values(), strict=True)
    ]
    gates = [repr(gate) for gate in total.gates]
    policy = [f"{key}={getattr(total, key)}" for key in ("on_failure", "normalize")]
    if max_unread != 1:
        policy.append(f"max_unread={max_unread:g}")
    text = "; ".join([*terms, *gates, *policy, f"max_chars={max_chars}"])
    return f"{text} #{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _cache(cache: Cache | str | Path | None, where: str) -> Cache:
    if cache is None:
        return MemoryCache()
    if isinstance(cache, str | Path):
        return SqliteCache(cache)
    if not (hasattr(cache, "get_many") and hasattr(cache, "put_many")):
        raise ConfigError(f"{where}: cache must be a Cache or the path of one, got {shorten(cache)}")
    return cache


def _built(components: Iterable[str | Component] | Mapping[str, str | Component]) -> dict[str, Component]:
    if isinstance(components, str):
        raise ConfigError(
            f"components must be a list or a mapping, got the text {components!r}; write [{components!r}]"
        )
    if not isinstance(components, Iterable):
        raise ConfigError(f"components must be a list or a mapping, got {shorten(components)}")
    labelled = components.items() if isinstance(components, Mapping) else [(None, c) for c in components]
    built: dict[str, Component] = {}
    for label, item in labelled:
        if isinstance(item, str):
            from cxr_rewards.reward.config import build_component

            item = build_component(item, {}, "CompositeReward")
        else:
            from cxr_rewards.core.component import Component
            from cxr_rewards.core.registry import require

            if not isinstance(item, Component):
                cure = "; write it with ()" if isinstance(item, type) else ""
                raise ConfigError(f"components: expected a name or a Component, got {shorten(item)}{cure}")

            require(type(item))
        label = item.name if label is None else label
        if label in built:
            raise ConfigError(
                f"component {label!r} is given twice; pass a mapping of label to component to tell them apart"
            )
        built[label] = item
    return built


def _listed(transforms: object) -> Sequence[object]:
    if isinstance(transforms, list | tuple):
        return transforms
    return [transforms]


def _terms(
    components: Mapping[str, Component],
    weights: Mapping[str, float] | None,
    transforms: Mapping[str, Sequence[object]],
) -> dict[str, Term]:
    for kind, given in (("weights", {} if weights is None else weights), ("transforms", transforms)):
        if not isinstance(given, Mapping):
            raise ConfigError(f"CompositeReward: {kind} must be a mapping by component, got {shorten(given)}")
        for label in given:
            if label not in components:
                raise ConfigError(unknown_name(f"CompositeReward: {kind}", "component", label, components))
    terms = {}
    for label, component in components.items():
        steps: tuple[Transform, ...] = tuple(
            parse_transform(t, f"CompositeReward: transforms[{label!r}]") for t in _listed(transforms.get(label, ()))
        )
        if weights is not None:
            weight = weights.get(label, 0.0)
            weight = as_number(weight, f"CompositeReward: weights[{label!r}]")
        else:  # equal shares; the sign follows from the direction of the transformed value
            rising = Term(weight=1.0, transforms=steps).sign == (1 if component.higher_is_better else -1)
            weight = (1.0 if rising else -1.0) / len(components)
        terms[label] = Term(weight=weight, transforms=steps)
    return terms


def _check(components: Mapping[str, Component], total: WeightedSum, where: str) -> None:
    """Refuse a reward that cannot work or would reward worse reports; messages begin with `where`."""
    if not components:
        raise ConfigError(f"{where}: a reward needs at least one component")
    for label in components:
        if not isinstance(label, str):
            raise ConfigError(f"{where}: a label must be a text, got {shorten(label)}")
        if not label or label in _TAKEN:
            raise ConfigError(f"{where}: a component cannot be called {label!r}: that is a column of the output")
    if not any(term.weight for term in total.terms.values()):
        raise ConfigError(f"{where}: no component has a weight, so every report would get 0")
    if total.on_failure not in ("unscored", "renormalize"):
        raise ConfigError(unknown_name(where, "on_failure", total.on_failure, ("unscored", "renormalize")))
    if total.normalize not in ("none", "group"):
        raise ConfigError(unknown_name(where, "normalize", total.normalize, ("none", "group")))
    for label, component in components.items():
        _check_direction(f"{where}: {label}", component, total.terms[label])
    for gate in total.gates:
        _check_gate(where, components[gate.component], gate)


def _check_direction(label: str, component: Component, term: Term) -> None:
    """Refuse a weight that would reward worse reports: the most common mistake with lower-is-better metrics."""
    if term.sign and (term.sign > 0) != component.higher_is_better:
        better = "higher" if component.higher_is_better else "lower"
        raise ConfigError(
            f"{label}: {better} values of {component.name} are better, but the weight {term.weight:g}"
            f"{' with its transforms' if term.transforms else ''} rewards the opposite; "
            f"turn the sign of the weight, or add or remove the transform 'negate'"
        )


def _check_gate(where: str, component: Component, gate: Gate) -> None:
    """Refuse a gate that would close on good reports."""
    if (gate.below is None) == component.higher_is_better:
        better, key = ("higher", "below") if component.higher_is_better else ("lower", "above")
        raise ConfigError(
            f"{where}: gate {gate.component}: {better} values of {component.name} are better, "
            f"so the gate would close on good reports; give {key} instead"
        )
