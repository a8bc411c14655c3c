"""A reward as TOML: read, validated, and turned into components and a weighted sum.

```toml
name = "my_reward"

[components.findings_f1]
weight = 0.7

[components.bleu4]
component = "bleu"             # the label differs from the component: it may appear twice
weight = 0.3
settings = { max_order = 4 }

[components.format]
weight = 0.0                   # only feeds the gate

[[gates]]
component = "format"
below = 1.0
cap = 0.0
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cxr_rewards.core.component import Component
from cxr_rewards.core.engine import MAX_CHARS
from cxr_rewards.core.feature import Feature
from cxr_rewards.core.registry import component_names, load_component, require
from cxr_rewards.errors import ConfigError, shorten, unknown_name
from cxr_rewards.judges.settings import JudgeSettings
from cxr_rewards.reward.gates import Gate, parse_gates
from cxr_rewards.reward.transforms import parse_transform
from cxr_rewards.reward.weighted_sum import Normalize, OnFailure, Term, WeightedSum

_PLACEMENT = ("device", "dtype", "batch_tokens", "accept_other_weights")
_PRESETS = files("cxr_rewards.reward") / "presets"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ComponentConfig(_Strict):
    """One component of a reward, under the label that its column and its part of the reward carry."""

    component: str | None = Field(None, description="Registered name; the label itself if left out.")
    weight: float = Field(
        description="Factor of the transformed value in the sum. 0: reported, or only feeding a gate. "
        "Must make the reward rise with quality: negative for a component whose lower values are better.",
    )
    transform: object = Field(
        (),
        description="One transform or a list of them, applied in order, each a name or a table with one name: "
        "affine(scale, offset), clip(low, high), sigmoid(slope, center), negate, zscore(mean, scale).",
    )
    settings: dict[str, object] = Field({}, description="The component's own settings; see the component's page.")
    optional: bool = Field(
        False,
        description="Leave the component out, with a logged warning, if it is a judge and no model or address is "
        "configured. Only for a weight of 0 and no gate.",
    )


class GateConfig(_Strict):
    """Caps the reward if a component's value is beyond a limit; give exactly one of `below` and `above`."""

    component: str = Field(description="Label of a component of this reward; its weight may be 0.")
    below: float | None = Field(None, description="The gate closes if the component's value is below this.")
    above: float | None = Field(None, description="The gate closes if the component's value is above this.")
    cap: float = Field(description="The reward is at most this if the gate closes.")


class RewardConfig(_Strict):
    """A whole reward."""

    name: str = Field("custom", description="Shown by `describe`; not part of the signature.")
    description: str = Field("", description="One or two sentences on what the reward is for.")
    components: dict[str, ComponentConfig] = Field(description="The components by label, in the order of columns.")
    gates: tuple[GateConfig, ...] = Field((), description="Conditions that cap the reward.", strict=False)
    on_failure: OnFailure = Field(
        "unscored",
        description="If a component with a weight has no value: `unscored` leaves the case without reward, "
        "`renormalize` spreads its weight over the others of its side, metrics or penalties, and "
        "leaves the case unscored if that side has none left.",
    )
    normalize: Normalize = Field(
        "none",
        description="`group` standardises each component within the group of a case before weighting.",
    )
    max_chars: int = Field(MAX_CHARS, gt=0, description="Longer texts are unscored, with the reason.")
    max_unread: float = Field(
        1.0,
        ge=0,
        le=1,
        description="A case is unscored if the rule-based reader understands nothing of more than this share of the "
        "reference's sentences about the image. 1: never.",
    )
    device: str = Field(
        "", description="Device of the models: the `device` of each component that has this setting and gives none."
    )
    dtype: str = Field("", description="Number type of the models: the `dtype`, likewise.")
    batch_tokens: int = Field(0, ge=0, description="Tokens per batch of a model: the `batch_tokens`, likewise.")
    accept_other_weights: bool = Field(
        False, description="Load weights whose sha256 is not the published one: the `accept_other_weights`, likewise."
    )
    judge: dict[str, object] = Field(
        {},
        description="Settings of every judge (`model`, `base_url`, `concurrency`, `budget_usd`, ...), unless a "
        "component's own say otherwise.",
    )
    cache: str | None = Field(
        None, description="Path of an SQLite cache shared by runs and processes; in memory only if left out."
    )


def preset_names() -> list[str]:
    """Return the names of the presets that ship with the library, sorted."""
    return sorted(p.name.removesuffix(".toml") for p in _PRESETS.iterdir() if p.name.endswith(".toml"))


def preset_text(name: str) -> str:
    """Return the TOML of a preset.

    Raises:
        ConfigError: no such preset; the message holds the nearest name.
    """
    known = preset_names()
    if name not in known:
        raise ConfigError(unknown_name("presets", "preset", name, known))
    return _PRESETS.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def is_config_path(source: str | Path) -> bool:
    """Return whether a reward is named by the path of its TOML file, not as a preset."""
    return isinstance(source, Path) or source.endswith(".toml")


def load_config(path: str | Path) -> RewardConfig:
    """Read a reward from a TOML file.

    Raises:
        ConfigError: the file is absent, is not TOML, or does not describe a reward; names the file and the place.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; presets are named without a path: {preset_names()}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> RewardConfig:
    """Return the reward that TOML `text` describes; `where` begins the messages."""
    try:
        return validate_config(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: is not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{where}: its lists or tables are nested too deeply") from None


def validate_config(data: Mapping[str, object], where: str) -> RewardConfig:
    """Return the reward that parsed TOML describes; `where` begins the messages."""
    try:
        return RewardConfig.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(_explain(error, where)) from None


def _explain(error: ValidationError, where: str) -> str:
    """Return pydantic's errors in our form: the place, the problem and the value."""
    lines = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            model: type[BaseModel] = RewardConfig
            if "components" in item["loc"]:
                model = ComponentConfig
            elif "gates" in item["loc"]:
                model = GateConfig
            inside = ".".join(str(part) for part in item["loc"][:-1])
            at = f"{where}: {inside}" if inside else where
            lines.append(unknown_name(at, "key", str(item["loc"][-1]), model.model_fields))
        elif item["type"] == "missing":
            lines.append(f"{where}: {place} is missing")
        else:
            lines.append(f"{where}: {place}: {item['msg']}, got {shorten(item['input'])}")
    return "\n".join(lines)


def build_component(name: str, settings: Mapping[str, object], where: str, *, allow_code: bool = False) -> Component:
    """Return a component by registered name with its settings, checked by type and by the component itself.

    Raises:
        ConfigError: an unknown component or setting (with the nearest known), a bad value, or one that names code that
            is not allowed.
        MissingDependencyError: it needs a package that is not installed; holds the pip line.
    """
    cls = load_component(name, where)
    known = cls.settings()
    for key in settings:
        if key not in known:
            raise ConfigError(unknown_name(where, f"setting of {name}", key, known))
    require(cls)
    try:
        component = cls(**settings)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if component.foreign_code and not allow_code:
        raise ConfigError(
            f"{where}: settings.{component.foreign_code} has code run that the library does not know. A reward's file "
            "is data, which may come from others: if you trust it, allow its code with allow_code=True "
            "(CompositeReward.from_config, from_preset) or --allow-code"
        )
    return component


def build(config: RewardConfig, where: str, *, allow_code: bool = False) -> tuple[dict[str, Component], WeightedSum]:
    """Return the components by label and the weighted sum that a configuration describes.

    An optional judge that is not configured is left out.

    Args:
        config: the configuration of a TOML file or preset, perhaps changed.
        where: begins the messages.
        allow_code: also build components whose settings name code to run.

    Raises:
        ConfigError, MissingDependencyError: as `build_component` and `parse_transform`.
    """
    for key in config.judge:
        if key not in JudgeSettings.settings():
            raise ConfigError(unknown_name(f"{where}: judge", "setting", key, JudgeSettings.settings()))
    components, terms = {}, {}
    for label, spec in config.components.items():
        at = f"{where}: components.{label}"
        name = spec.component or label
        known = load_component(name, at).settings()
        shared = {key: value for key in _PLACEMENT if (value := getattr(config, key)) and key in known}
        if issubclass(load_component(name, at), JudgeSettings):
            shared.update(config.judge)
        component = build_component(name, {**shared, **spec.settings}, at, allow_code=allow_code)
        if spec.optional and (spec.weight or label in {gate.component for gate in config.gates}):
            raise ConfigError(f"{at}: an optional component must have weight 0 and no gate")
        if spec.optional and isinstance(component, JudgeSettings) and not component.is_configured:
            continue
        components[label] = component
        listed = spec.transform if isinstance(spec.transform, list | tuple) else [spec.transform]
        transforms = tuple(parse_transform(t, f"{at}.transform") for t in listed)
        terms[label] = Term(weight=spec.weight, transforms=transforms)
    try:
        gates = tuple(Gate(**gate.model_dump()) for gate in config.gates)
        total = WeightedSum(terms=terms, gates=gates, on_failure=config.on_failure, normalize=config.normalize)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return components, total


def features_of(name: str, *, allow_code: bool = False) -> list[Feature]:
    """Return the features of the components of a preset, a reward's TOML file, or a single component by name.

    Raises:
        ConfigError: it is none of them.
        MissingDependencyError: a component needs a package that is not installed; holds the pip line.
    """
    if is_config_path(name):
        components = build(load_config(name), name, allow_code=allow_code)[0]
    elif name in preset_names():
        components = build(parse_config(preset_text(name), f"preset {name}"), f"preset {name}")[0]
    elif name in component_names():
        components = {name: build_component(name, {}, name)}
    else:
        known = [*preset_names(), *component_names()]
        raise ConfigError(unknown_name("fetch", "preset, TOML file or component", name, known))
    return [feature for component in components.values() for feature in component.needs]


def override(config: RewardConfig, changes: Mapping[str, object], where: str) -> RewardConfig:
    """Return the configuration with `weights`, `transforms`, `settings` (by label) and any other key changed.

    Raises:
        ConfigError: an unknown label or key, with the nearest known one.
    """
    data = config.model_dump()
    fields = {"weights": "weight", "transforms": "transform", "settings": "settings"}
    for key, value in changes.items():
        if key in fields:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {key} must be a mapping by component, got {shorten(value)}")
            for label, new in value.items():
                if label not in data["components"]:
                    raise ConfigError(unknown_name(f"{where}: {key}", "component", label, data["components"]))
                old = data["components"][label][fields[key]]
                merge = key == "settings" and isinstance(new, Mapping)
                data["components"][label][fields[key]] = {**old, **new} if merge else new
        elif key == "gates":
            data["gates"] = [asdict(gate) for gate in parse_gates(value, where)]
        elif key == "judge" and isinstance(value, Mapping):
            data["judge"] = {**data["judge"], **value}
        elif key in RewardConfig.model_fields and key != "components":
            data[key] = value
        else:
            known = {*fields, *RewardConfig.model_fields, "cache", "allow_code"} - {"components"}
            raise ConfigError(unknown_name(where, "override", key, known))
    return validate_config(data, where)
