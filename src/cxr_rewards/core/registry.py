"""Component names: the built-in ones, and those that installed packages add by entry point.

A package adds components in its `pyproject.toml`; the entry's name is the component's `name`:

```toml
[project.entry-points."cxr_rewards.components"]
my_metric = "my_package.my_metric:MyMetric"
```
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from cxr_rewards.errors import ConfigError, MissingDependencyError, unknown_name

if TYPE_CHECKING:
    from cxr_rewards.core.component import Component

GROUP = "cxr_rewards.components"

_FOLDERS = {
    "components": (
        "bleu",
        "rouge_l",
        "temporal_f1",
        "bertscore",
        "chexbert_f1",
        "semb_score",
        "radgraph_f1",
        "radgraph_combined",
        "ratescore",
        "radcliq_v0",
        "radcliq_v1",
        "sentence_set",
        "external",
        "injection_flag",
        "findings_score",
        "findings_soft_f1",
        "findings_f1",
        "worst_error",
        "negatives_recall",
        "severity_agreement",
        "location_agreement",
        "chexpert_rule_f1",
        "device_f1",
        "change_f1",
        "prior_consistency",
        "format",
        "length",
        "repetition",
        "gibberish",
        "cut_off",
        "self_contradiction",
        "copy_prior",
    ),
    "judges.protocols": ("chexprompt", "green", "crimson", "fineradscore", "radfact", "rubric"),
    "judges.official": ("chexprompt_official", "crimson_official", "green_official", "radfact_official"),
}

_BUILT_IN = {
    name: f"cxr_rewards.{folder}.{name}:{''.join(part.capitalize() for part in name.split('_'))}"
    for folder, names in _FOLDERS.items()
    for name in names
}


@cache
def _targets() -> dict[str, str]:
    """Return `module:Class` by component name. Two owners of one name are an error."""
    targets = dict(_BUILT_IN)
    owners = dict.fromkeys(_BUILT_IN, "cxr_rewards")
    for entry in entry_points(group=GROUP):
        owner = entry.dist.name if entry.dist else "an installed package"
        if targets.get(entry.name, entry.value) != entry.value:
            raise ConfigError(
                f"component {entry.name!r} is declared by {owners[entry.name]} and by {owner}; "
                f"rename or uninstall one of them"
            )
        targets[entry.name], owners[entry.name] = entry.value, owner
    return targets


def component_names() -> list[str]:
    """Return the names of all known components, sorted."""
    return sorted(_targets())


def load_component(name: str, where: str = "registry") -> type[Component]:
    """Return the class of a component by name.

    Raises:
        ConfigError: no such name (the message holds the nearest), its module fails, or the entry point does not name
            a `Component` of that name; begins with `where`.
        MissingDependencyError: the module of a third-party component needs something that is not installed.

    Example:
        >>> load_component("temporal_f1").name
        'temporal_f1'
    """
    from cxr_rewards.core.component import Component

    targets = _targets()
    if name not in targets:
        raise ConfigError(unknown_name(where, "component", name, targets))
    target = targets[name]
    try:
        cls = EntryPoint(name, target, GROUP).load()
    except ImportError as error:
        raise MissingDependencyError(f"{where}: component {name!r} ({target}) cannot be imported: {error}") from error
    except AttributeError as error:
        raise ConfigError(f"{where}: component {name!r}: {target} does not exist ({error})") from error
    except Exception as error:  # importing runs another package's code, which may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where}: component {name!r} ({target}) cannot be imported: {reason}") from error
    if not (isinstance(cls, type) and issubclass(cls, Component)):
        raise ConfigError(f"{where}: component {name!r}: {target} is not a subclass of cxr_rewards.Component")
    if cls.name != name:
        raise ConfigError(f"{where}: component {name!r}: {target} calls itself {cls.name!r}; the two must be equal")
    return cls


def missing_modules(cls: type[Component]) -> list[str]:
    """Return the modules that a component requires and that are not installed, without importing any."""
    return [name for name in cls.requires if importlib.util.find_spec(name.partition(".")[0]) is None]


def pip_line(cls: type[Component]) -> str:
    """Return the command that installs what a component requires."""
    return f'pip install "cxr_rewards[{cls.extra}]"' if cls.extra else f"pip install {' '.join(missing_modules(cls))}"


def require(cls: type[Component]) -> None:
    """Raise, with the pip line, if something a component requires is not installed.

    Raises:
        MissingDependencyError: names the component, the modules and the command.
    """
    missing = missing_modules(cls)
    if missing:
        raise MissingDependencyError(f"{cls.name}: needs {', '.join(missing)}: {pip_line(cls)}")
