"""`RayReward`: a reward computed by a pool of Ray actors, with the interface and the numbers of a local one."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxr_rewards.core.component import Component
from cxr_rewards.errors import ConfigError, MissingDependencyError, SetupError
from cxr_rewards.remote.base import ElsewhereReward, RewardInfo, describe, settle
from cxr_rewards.reward.composite import CompositeReward, load_composite
from cxr_rewards.types import Case, Failure, Score

NAMESPACE = "cxr_rewards"
_PAUSE_S = 0.5
"""How long an actor that died is left alone while Ray restarts it."""


class _Scorer:
    """The actor: a reward with its models."""

    def __init__(self, reward: CompositeReward | str, overrides: Mapping[str, Any]) -> None:
        if isinstance(reward, str):
            reward = load_composite(reward, **overrides)
        self.reward = reward
        settle(reward, own_process=True)

    def describe(self) -> tuple[dict[str, object], dict[str, Component]]:
        return describe(self.reward), self.reward.components

    def parts(self, cases: list[Case]) -> list[tuple[Score, ...]]:
        return self.reward.parts(cases)

    def release(self) -> None:
        self.reward.release()


@dataclass(frozen=True)
class _Pool:
    """Named actors that hold the same reward."""

    name: str
    actors: list[Any]

    @classmethod
    def start(
        cls, name: str, count: int, reward: tuple[CompositeReward | str, Mapping[str, object]], **options: Any
    ) -> _Pool:
        """Start actors; Ray restarts those that die. `reward` holds the arguments of `_Scorer`."""
        actor = _ray().remote(_Scorer)
        made = [
            actor.options(name=f"{name}-{number}", namespace=NAMESPACE, max_restarts=-1, **options).remote(*reward)
            for number in range(count)
        ]
        return cls(name, made)

    @classmethod
    def find(cls, name: str) -> _Pool:
        """Return the pool of this name.

        Raises:
            SetupError: the Ray cluster has none.
        """
        ray = _ray()
        actors: list[Any] = []
        while True:
            try:
                actors.append(ray.get_actor(f"{name}-{len(actors)}", namespace=NAMESPACE))
            except ValueError:
                break
        if not actors:
            raise SetupError(f"RayReward: no pool {name!r} in this Ray cluster; the process that made it has ended?")
        return cls(name, actors)

    def describe(self, timeout_s: float) -> RewardInfo:
        """Ask an actor for its reward; closes the pool if there is no answer.

        Raises:
            SetupError: no actor started in time, or the reward cannot be built.
        """
        ray = _ray()
        try:
            description, components = ray.get(self.actors[0].describe.remote(), timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            free = ray.available_resources()
            self.close()
            raise SetupError(
                f"RayReward: no actor within {timeout_s:g} s; has the cluster what num_cpus and num_gpus ask for? "
                f"Free: {free.get('CPU', 0):g} CPUs, {free.get('GPU', 0):g} GPUs"
            ) from None
        except ray.exceptions.RayError as error:
            self.close()
            raise SetupError(f"RayReward: the actors cannot be made: {_last_line(error)}") from None
        info = RewardInfo.parse(description, "RayReward")
        return replace(info, components=components)  # the real ones, for corpus statistics

    def close(self) -> None:
        """End the actors."""
        ray = _ray()
        for actor in self.actors:
            ray.kill(actor)


class RayReward(ElsewhereReward):
    """Scores in actors of a Ray cluster what `CompositeReward` scores here.

    The actors hold the models and compute the parts; this process makes the sum, so values are those of a local reward
    to the last bit. A call is split into batches; each goes to the least busy actor. If an actor dies, Ray restarts it;
    its batches go to the others, and no case is lost or counted twice. The pool has a name: pickled copies and
    `RayReward.attach` find it by that name from any process of the cluster while it lives.

    Args:
        reward: a preset, the path of a reward's TOML (on every node), or a `CompositeReward`.
        actors: how many.
        num_cpus, num_gpus: of each, as Ray counts; 0.25 puts four actors on a GPU.
        batch: cases of a batch.
        concurrency: batches that an actor scores at a time; more than 1 helps if it waits for judges.
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
        reward: CompositeReward | _Pool | str = "rules",
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
        pool = reward
        if not isinstance(pool, _Pool):
            pool = _Pool.start(
                name or f"cxr-rewards-{uuid.uuid4().hex[:8]}",
                actors,
                (pool, overrides),
                num_cpus=num_cpus,
                num_gpus=num_gpus,
                max_concurrency=concurrency,
                lifetime="detached" if detached else None,
            )
        super().__init__(pool.describe(start_s))
        self.pool, self._actors = pool.name, pool.actors
        self.batch, self.concurrency, self.retries = batch, concurrency, retries

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
        """Return the reward of a pool that another process started.

        Raises:
            SetupError: the pool does not exist.
        """
        return cls(_Pool.find(name), batch=batch, retries=retries, start_s=60.0)

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_actors"}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self.__dict__.update(state)
        self._actors = _Pool.find(self.pool).actors

    def send(self, cases: Sequence[Case]) -> list[tuple[Score, ...]]:
        """Return the scores of cases, in order; each batch goes to the least busy actor."""
        ray = _ray()
        todo = deque(range(0, len(cases), self.batch))
        scored: dict[int, list[tuple[Score, ...]]] = {}
        under_way: dict[object, tuple[int, int, int]] = {}
        most = 2 * self.concurrency
        load = [0] * len(self._actors)
        rests = [0.0] * len(self._actors)
        tries: dict[int, int] = dict.fromkeys(todo, 0)
        while todo or under_way:
            now = time.monotonic()
            ready = [i for i in range(len(load)) if load[i] < most and rests[i] <= now]
            while todo and ready:
                actor = min(ready, key=load.__getitem__)
                # A batch whose actor died has the next one to itself: if it ends that too, no other batch is lost.
                share = most if tries[todo[0]] else 1
                if load[actor] + share > most:
                    break
                start = todo.popleft()
                reference = self._actors[actor].parts.remote(list(cases[start : start + self.batch]))
                under_way[reference] = (start, actor, share)
                load[actor] += share
                if load[actor] >= most:
                    ready.remove(actor)
            if not under_way:
                time.sleep(_PAUSE_S / 5)
                continue
            done, _ = ray.wait(list(under_way), num_returns=1, timeout=_PAUSE_S if todo else None)
            for reference in done:
                start, actor, share = under_way.pop(reference)
                load[actor] -= share
                try:
                    scored[start] = ray.get(reference)
                except ray.exceptions.RayActorError as error:
                    rests[actor] = time.monotonic() + _PAUSE_S
                    tries[start] += 1
                    if tries[start] <= self.retries:
                        todo.appendleft(start)
                    else:
                        failure = Failure("ray", f"{tries[start]} actors died: {_last_line(error)}"[:300], "transport")
                        scored[start] = [self.failed(failure)] * len(cases[start : start + self.batch])
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    raise (cause if isinstance(cause, Exception) else SetupError(_last_line(error))) from None
        return [row for start in sorted(scored) for row in scored[start]]

    def release(self) -> None:
        """Forget the models of the actors, and free their GPUs; the next call loads them again."""
        ray = _ray()
        ray.wait([actor.release.remote() for actor in self._actors], num_returns=len(self._actors))

    def close(self) -> None:
        """End the actors."""
        _Pool(self.pool, self._actors).close()

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


def _last_line(error: Exception) -> str:
    """Return the last line of a Ray error, which says what happened."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip() if lines else ''}"
