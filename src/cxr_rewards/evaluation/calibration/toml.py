"""A reward's configuration as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cxr_rewards.errors import ConfigError
from cxr_rewards.reward.config import RewardConfig, parse_config


def to_toml(config: RewardConfig, comments: Sequence[str] = (), notes: Mapping[str, str] | None = None) -> str:
    """Return the TOML of a reward, which reads back as the same reward.

    Args:
        config: the reward.
        comments: lines above it.
        notes: by label of a component, a comment beside its weight.

    Example:
        >>> from cxr_rewards.reward.config import parse_config
        >>> print(to_toml(parse_config('components.bleu.weight = 1', "here"), ["Mine."], {"bleu": "all"}))
        # Mine.
        name = "custom"
        <BLANKLINE>
        [components.bleu]
        weight = 1.0  # all
        <BLANKLINE>
    """
    data = config.model_dump(exclude_defaults=True)
    lines = [f"# {line}".rstrip() for line in comments]
    plain = {key: value for key, value in data.items() if key not in ("components", "gates", "judge", "name")}
    lines += [f"{key} = {_value(value)}" for key, value in {"name": config.name, **plain}.items()]
    for label, given in data["components"].items():
        lines += ["", f"[components.{_key(label)}]"]
        for key, value in given.items():
            if key == "weight":
                note = (notes or {}).get(label)
                lines.append(f"weight = {_value(value)}" + (f"  # {note}" if note else ""))
            elif key == "transform":
                lines.append(f"transform = {_value(value)}")
            else:
                lines.append(f"{key} = {_value(value)}")
    for gate in config.gates:
        lines += ["", "[[gates]]"]
        lines += [f"{key} = {_value(value)}" for key, value in gate.model_dump().items() if value is not None]
    if config.judge:
        lines += ["", "[judge]", *(f"{_key(key)} = {_value(value)}" for key, value in config.judge.items())]
    text = "\n".join(lines) + "\n"
    if parse_config(text, "the calibrated reward") != config:
        raise ConfigError(f"{config.name}: a setting of this reward cannot be written as TOML")
    return text


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
