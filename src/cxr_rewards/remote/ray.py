"""`RayReward`: a reward computed by a pool of Ray actors, with the interface and the numbers of a local one."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr_rewards.errors import ConfigError, MissingDependencyError, SetupError
from cxr_rewards.remote.base import ElsewhereReward, describe, settle
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.types import Case, Failure, Score

NAMESPACE = "cxr_rewards"
_PAUSE_S = 0.5
"""How long an actor that died is left alone: Ray begins it anew meanwhile."""


class _Scorer:
    """What an actor is: a reward, with its models."""

    def __init__(self, reward: CompositeReward | str, overrides: Mapping[str, Any]) -> None:
        if isinstance(reward, str):
            build = CompositeReward.from_config if reward.endswith(".toml") else CompositeReward.from_preset
            reward = build(reward, **overrides)
        self.reward = reward
        settle(reward, own_process=True)

    def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return describe(self.reward), self.reward.components

    def parts(self, cases: list[Case]) -> list[tuple[Score, ...]]:
        return self.reward.parts(cases)

    def release(self) -> None:
        self.reward.release()


class RayReward(ElsewhereReward):
    """Scores in actors of a Ray cluster what `CompositeReward` scores here.

    The actors hold the models and compute the parts; this process makes the sum, so values are those of a local reward
    to the last bit. A call is cut into batches, each for the actor that has least to do. An actor that dies is begun
    anew by Ray; its batches go to the others, and no case is lost or counted twice. The pool has a name: what has been
    pickled, and `RayReward.attach`, find it from any process of the cluster while it lives.

    Args:
        reward: a preset, the path of a reward's TOML (on every node), or a `CompositeReward`.
        actors: how many.
        num_cpus, num_gpus: of each, as Ray counts; 0.25 puts four actors on a GPU.
        batch: cases of a batch.
        concurrency: batches that an actor scores at a time: more than 1 where judges are waited for.
        retries: how often a batch goes to another actor before its cases are unscored, with the reason.
        name: of the pool; one is made if left out. With `detached` it outlives this process: `close` ends it.
        detached: see `name`.
        start_s: how long to wait for the first actor.
        **overrides: of the reward: judge, cache (a path that every node reaches), device, dtype.

    Raises:
        ConfigError: a bad number.
        MissingDependencyError: Ray is not installed.
        SetupError: the reward cannot be built in an actor.

    Example:
        With `pip install "cxr_rewards[ray]"`:

        ```text
        reward = RayReward("unirg", actors=4, num_gpus=0.25)
        trainer = GRPOTrainer(reward_funcs=reward.as_trl(group="study_id"), ...)
        ```
    """

    place = "an actor"

    def __init__(
        self,
        reward: CompositeReward | str = "rules",
        *,
        actors: int = 2,
        num_cpus: float = 1.0,
        num_gpus: float = 0.0,
        batch: int = 256,
        concurrency: int = 1,
        retries: int = 5,
        name: str = "",
        detached: bool = False,
        start_s: float = 300.0,
        **overrides: Any,
    ) -> None:
        for key, number in (("actors", actors), ("batch", batch), ("concurrency", concurrency)):
            if number < 1:
                raise ConfigError(f"RayReward: {key} must be 1 or more, got {number!r}")
        ray = _ray()
        self.pool, self._count = name or f"cxr-rewards-{uuid.uuid4().hex[:8]}", actors
        self.batch, self.concurrency, self.retries = batch, concurrency, retries
        made = ray.remote(_Scorer)
        self._actors = [
            made.options(
                name=f"{self.pool}-{number}", namespace=NAMESPACE, num_cpus=num_cpus, num_gpus=num_gpus,
                max_restarts=-1, max_concurrency=concurrency, lifetime="detached" if detached else None,
            ).remote(reward, overrides)
            for number in range(actors)
        ]  # fmt: skip
        self._learn(start_s)

    @classmethod
    def from_preset(cls, name: str, /, **overrides: Any) -> RayReward:
        """Make a pool of a preset's reward: `RayReward(name, **overrides)`."""
        return cls(name, **overrides)

    @classmethod
    def from_config(cls, path: str | Path, /, **overrides: Any) -> RayReward:
        """Make a pool of the reward of a TOML file: `RayReward(path, **overrides)`."""
        return cls(str(path), **overrides)

    @classmethod
    def attach(cls, name: str, *, batch: int = 256, retries: int = 5) -> RayReward:
        """Return the reward of a pool that another process has made.

        Raises:
            SetupError: there is no such pool.
        """
        made = cls.__new__(cls)
        made.pool, made.batch, made.concurrency, made.retries = name, batch, 1, retries
        made._find()
        made._learn(60.0)
        return made

    def _find(self) -> None:
        ray = _ray()
        self._actors = []
        while True:
            try:
                self._actors.append(ray.get_actor(f"{self.pool}-{len(self._actors)}", namespace=NAMESPACE))
            except ValueError:
                break
        if not self._actors:
            raise SetupError(
                f"RayReward: no pool {self.pool!r} in this Ray cluster; the process that made it has ended?"
            )

    def _learn(self, timeout_s: float) -> None:
        """Ask what the reward is made of; an actor that cannot be made says why."""
        ray = _ray()
        try:
            told, components = ray.get(self._actors[0].describe.remote(), timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            free = ray.available_resources()
            self.close()
            raise SetupError(
                f"RayReward: no actor within {timeout_s:g} s; has the cluster what num_cpus and num_gpus ask for? "
                f"Free: {free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"
            ) from None
        except ray.exceptions.RayError as error:
            self.close()
            raise SetupError(f"RayReward: the actors cannot be made: {_told(error)}") from None
        super().__init__(told, "RayReward")
        self.components = components  # the real ones, for their statistics of whole files

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_actors"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._find()

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases, in order, of whichever actor has time."""
        ray = _ray()
        todo = deque(range(0, len(cases), self.batch))
        found: dict[int, list[tuple[Score, ...]]] = {}
        under_way: dict[Any, tuple[int, int]] = {}
        load = [0] * len(self._actors)
        rests = [0.0] * len(self._actors)
        tries: dict[int, int] = dict.fromkeys(todo, 0)
        while todo or under_way:
            now = time.monotonic()
            ready = [i for i in range(len(load)) if load[i] < 2 * self.concurrency and rests[i] <= now]
            while todo and ready:
                actor = min(ready, key=load.__getitem__)
                start = todo.popleft()
                reference = self._actors[actor].parts.remote(list(cases[start : start + self.batch]))
                under_way[reference] = (start, actor)
                load[actor] += 1
                if load[actor] >= 2 * self.concurrency:
                    ready.remove(actor)
            if not under_way:
                time.sleep(_PAUSE_S / 5)
                continue
            done, _ = ray.wait(list(under_way), num_returns=1, timeout=_PAUSE_S if todo else None)
            for reference in done:
                start, actor = under_way.pop(reference)
                load[actor] -= 1
                try:
                    found[start] = ray.get(reference)
                except ray.exceptions.RayActorError as error:
                    rests[actor] = time.monotonic() + _PAUSE_S
                    tries[start] += 1
                    if tries[start] <= self.retries:
                        todo.appendleft(start)
                    else:
                        failure = Failure("ray", f"{tries[start]} actors died: {_told(error)}"[:300])
                        found[start] = [self.failed(failure)] * len(cases[start : start + self.batch])
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    raise (cause if isinstance(cause, Exception) else SetupError(_told(error))) from None
        return [row for start in sorted(found) for row in found[start]]

    def release(self) -> None:
        """Forget the models of the actors, and free their GPUs; the next call loads them again."""
        ray = _ray()
        ray.wait([actor.release.remote() for actor in self._actors], num_returns=len(self._actors))

    def close(self) -> None:
        """End the actors."""
        ray = _ray()
        for actor in self._actors:
            ray.kill(actor)

    def __repr__(self) -> str:
        return (
            f"<RayReward {self.name} #{self.signature.rpartition('#')[2]} in {len(self._actors)} actors, {self.pool}>"
        )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(f'RayReward: needs Ray: pip install "cxr_rewards[ray]" ({error})') from error
    if not ray.is_initialized():
        ray.init(namespace=NAMESPACE, log_to_driver=False)
    return ray


def _told(error: Exception) -> str:
    """Return the last line of an error of Ray's, which says what happened."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip() if lines else ''}"
