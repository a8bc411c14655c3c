"""SkyRL's environment of one turn, in which the policy writes a report.

In the entry point of the training, before the experiment runs:

```text
from cxr_rewards.adapters.skyrl import register
register(config="rules", unscored=-1.0, context=["age"])
```

and `"env_class": "cxr_rewards"` in each row of the data. The reference is `reward_spec["ground_truth"]`: the report, or
an object, or one as JSON, with `reference`, `priors` and the keys of `context`, which may also be columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxr_rewards.adapters.samples import Samples, samples_of
from cxr_rewards.errors import ConfigError, MissingDependencyError, unknown_name


def register(name: str = "cxr_rewards", **options: Any) -> type:
    """Register an environment with SkyRL, and return its class.

    Threads of SkyRL score at the same time (`max_env_workers`): their reports are one batch. Each component is a metric
    of the environment, averaged over the rollouts that have a value; `<component>/unscored` is the share without.

    Args:
        name: for `env_class` in the data; a second call with the same name replaces the first.
        **options: arguments of `cxr_rewards.adapters.samples.Samples`; `unscored` must be given, because a reward may
            not be missing. With `generator.batched` reports come one by one: set `wait_s` to 0.

    Raises:
        ConfigError: an unknown option, or a bad value.
        MissingDependencyError: skyrl-gym is not installed.
    """
    try:
        import skyrl_gym
        from skyrl_gym.envs import registration
    except ImportError as error:
        raise MissingDependencyError(f"adapters.skyrl: needs skyrl-gym: pip install skyrl-gym ({error})") from error
    samples = samples_of(options)
    made = _environment(samples)
    if name in registration.registry:
        registration.deregister(name)
    skyrl_gym.register(id=name, entry_point=made)
    return made


def _environment(samples: Samples) -> type:
    """Return the class of an environment that scores with these samples' reward."""
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

    class ReportEnv(BaseTextEnv):  # type: ignore[misc]  # skyrl-gym is not installed where types are checked
        """One turn, whose action is a report."""

        def __init__(self, env_config: object = None, extras: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
            super().__init__()
            self._extras = extras or {}
            spec = self._extras.get("reward_spec")
            if not (isinstance(spec, Mapping) and "ground_truth" in spec):
                raise ConfigError(
                    unknown_name("skyrl: the data", "column", "reward_spec.ground_truth", map(str, self._extras))
                )
            self._metrics: dict[str, float] = {}

        def step(self, action: str) -> BaseTextEnvStepOutput:
            label = self._extras["reward_spec"]["ground_truth"]
            case = samples.labelled_case(action, label, self._extras)
            reward = samples.submit(case).result()
            parts = samples.parts(reward)
            self._metrics = {name: value for name, value in parts.items() if value is not None}
            value = samples.value(reward)
            return BaseTextEnvStepOutput(observations=[], reward=value, done=True, metadata={"reasons": reward.reasons})

        def get_metrics(self) -> dict[str, float]:
            return self._metrics

    return ReportEnv
