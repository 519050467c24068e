"""Envs around other envs: a limit of time, running returns, scaled observations, agent numbers.

A wrapper is hyper-parameters with a field ``env``, so a config of it holds the env too. What else
the inner env can do - ``scene``, ``rate``, its own fields - it still does.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy import tree
from understudy.types import (
    Actions,
    Env,
    Features,
    Group,
    Observation,
    Rewards,
    Spec,
    Statistics,
    Step,
    hyperparameters,
    record,
    require,
)


def bare(env: Any) -> Any:
    """The env inside all wrappers."""
    while isinstance(env, Wrapper):
        env = env.env
    return env


@record
class Within:
    """State of a wrapper that counts: that of the inner env, steps, and rewards so far."""

    state: Any
    time: Int[Array, ""]
    returns: Rewards
    """``{group: [agents]}``; empty where nobody asks."""


class Wrapper:
    """What all wrappers share: they are the inner env but for what they change."""

    env: Env
    lanes: ClassVar[bool] = False

    @property
    def spec(self) -> Spec:
        """That of the inner env."""
        return self.env.spec

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Observation]:
        """Reset the inner env."""
        return self.env.reset(key)

    def step(self, state: Any, action: Actions, key: Key[Array, ""]) -> tuple[Any, Step]:
        """Step the inner env."""
        return self.env.step(state, action, key)

    def inner(self, state: Any) -> Any:
        """The inner env's own state."""
        return state.state if isinstance(state, Within) else state

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        found = getattr(self.env, name)
        if name == "scene":
            return lambda state: found(self.inner(state))
        return found


@hyperparameters
class TimeLimit(Wrapper):
    """Truncates episodes after so many steps."""

    env: Env
    steps: int

    def __post_init__(self) -> None:
        require(self.steps >= 1, f"expected a limit of at least one step, found {self.steps}")

    @property
    def spec(self) -> Spec:
        """With the horizon that comes first."""
        horizon = self.env.spec.horizon
        limit = self.steps if horizon is None else min(horizon, self.steps)
        return dataclasses.replace(self.env.spec, horizon=limit)

    def reset(self, key: Key[Array, ""]) -> tuple[Within, Observation]:
        """Begin to count."""
        state, observation = self.env.reset(key)
        return Within(state, jnp.zeros((), jnp.int32), {}), observation

    def step(self, state: Within, action: Actions, key: Key[Array, ""]) -> tuple[Within, Step]:
        """Count, and truncate what the step did not terminate."""
        after, step = self.env.step(state.state, action, key)
        time = state.time + 1
        over = (time >= self.steps) & ~jnp.asarray(step.terminated)
        step = dataclasses.replace(step, truncated=step.truncated | over)
        return Within(after, time, {}), step


@hyperparameters
class EpisodeStatistics(Wrapper):
    """Tells in ``info`` how the episode went so far: ``return`` per agent, and ``length``."""

    env: Env

    def reset(self, key: Key[Array, ""]) -> tuple[Within, Observation]:
        """Begin with nothing."""
        state, observation = self.env.reset(key)
        zeros = {name: jnp.zeros(alive.shape) for name, alive in observation.alive.items()}
        return Within(state, jnp.zeros((), jnp.int32), zeros), observation

    def step(self, state: Within, action: Actions, key: Key[Array, ""]) -> tuple[Within, Step]:
        """Add up."""
        after, step = self.env.step(state.state, action, key)
        sums = {name: state.returns[name] + step.reward[name] for name in state.returns}
        time = state.time + 1
        info = {**step.info, "return": sums, "length": time}
        return Within(after, time, sums), dataclasses.replace(step, info=info)


@hyperparameters
class ObservationNormalisation(Wrapper):
    """Scales features to mean 0 and deviation 1 by fixed statistics, those of demonstrations.

    Moments of what a policy meets would be another observation for every policy and for every env
    side by side; fixed ones keep the env a pure function, and demonstrations scaled alike.
    """

    env: Env
    mean: tuple[tuple[float, ...], ...]
    """Per group, in spec order."""
    std: tuple[tuple[float, ...], ...]
    clip: float = 10.0
    """Scaled features are cut to plus and minus this."""

    def __post_init__(self) -> None:
        sizes = [group.observation for group in self.env.spec.groups]
        found = [[len(row) for row in rows] for rows in (self.mean, self.std)]
        require(
            found == [sizes, sizes],
            f"expected a mean and a deviation of {sizes} features per group, found {found}",
        )
        require(
            all(value > 0 for row in self.std for value in row),
            "expected deviations above 0, found others; give 1 for a feature that never changes",
        )

    @classmethod
    def of(
        cls, env: Env, statistics: Statistics, *, clip: float = 10.0
    ) -> ObservationNormalisation:
        """Scale by the statistics of demonstrations, those of `data.statistics`."""

        def rows(mapping: Any) -> tuple[tuple[float, ...], ...]:
            return tuple(tuple(float(x) for x in mapping[name]) for name in env.spec.names)

        return cls(env, rows(statistics.mean), rows(statistics.std), clip)

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Observation]:
        """Reset, and scale what is seen."""
        state, observation = self.env.reset(key)
        return state, self._scaled(observation)

    def step(self, state: Any, action: Actions, key: Key[Array, ""]) -> tuple[Any, Step]:
        """Step, and scale what is seen."""
        state, step = self.env.step(state, action, key)
        return state, dataclasses.replace(step, observation=self._scaled(step.observation))

    def _scaled(self, observation: Observation) -> Observation:
        numbers = {name: i for i, name in enumerate(self.env.spec.names)}

        def scale(group: Group, features: Any, alive: Any) -> Float[Array, "agents obs"]:
            mean, std = (
                jnp.asarray(rows[numbers[group.name]])[None] for rows in (self.mean, self.std)
            )
            scaled = jnp.clip((features - mean) / std, -self.clip, self.clip)
            return jnp.where(alive[:, None], scaled, 0.0)

        features: Features = tree.per_group(
            self.env.spec, scale, observation.features, observation.alive
        )
        return dataclasses.replace(observation, features=features)


@hyperparameters
class AgentId(Wrapper):
    """Appends the agent's number in its group to what it sees, as a one-hot row.

    A policy that shares its weights can then tell agents apart, and no longer transfers to another
    number of agents.
    """

    env: Env

    @property
    def spec(self) -> Spec:
        """With as many more features as the group has agents."""

        def wider(group: Group) -> Group:
            names = tuple(f"agent {i}" for i in range(group.agents))
            return dataclasses.replace(
                group,
                observation=group.observation + group.agents,
                features=(*group.features, *names) if group.features else (),
            )

        inner = self.env.spec
        return dataclasses.replace(inner, groups=tuple(wider(group) for group in inner.groups))

    def reset(self, key: Key[Array, ""]) -> tuple[Any, Observation]:
        """Reset, and append."""
        state, observation = self.env.reset(key)
        return state, _numbered(observation)

    def step(self, state: Any, action: Actions, key: Key[Array, ""]) -> tuple[Any, Step]:
        """Step, and append."""
        state, step = self.env.step(state, action, key)
        return state, dataclasses.replace(step, observation=_numbered(step.observation))


def _numbered(observation: Observation) -> Observation:
    features = {}
    for name, seen in observation.features.items():
        alive = observation.alive[name]
        numbers = jnp.where(alive[:, None], jnp.eye(len(alive), dtype=seen.dtype), 0.0)
        features[name] = jnp.concatenate([seen, numbers], -1)
    return dataclasses.replace(observation, features=features)
