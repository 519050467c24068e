"""Our JAX envs of one agent as envs of Gymnasium (extra ``mujoco``, or Gymnasium alone)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from understudy.envs.adapters import spaces
from understudy.envs.adapters.foreign import package
from understudy.types import ActionSpec, Env, HostEnv, require

CHOICES, VALUES = "choices", "values"
"""Keys of an action that has both."""

_Env: Any = package("gymnasium").Env


class Exported(_Env):
    """One game of a JAX env with one agent; see `to_gymnasium`."""

    def __init__(self, env: Env) -> None:
        require(
            isinstance(env, Env) and not isinstance(env, HostEnv),
            f"expected a JAX env of understudy, found {type(env).__name__}",
        )
        groups = env.spec.groups
        require(
            len(groups) == 1 and groups[0].agents == 1 and groups[0].action is not None,
            f"expected an env of one agent that acts, found groups "
            f"{[(g.name, g.agents) for g in groups]}; use to_pettingzoo for several",
        )
        masked = jax.eval_shape(env.reset, jax.random.key(0))[1].legal is not None
        require(
            not masked,
            "expected an env in which every choice is legal, found one that says which are; use "
            "to_pettingzoo, which has action masks",
        )
        self.env = env
        self.metadata = {"render_modes": []}
        self.render_mode = None
        self._group = groups[0]
        assert self._group.action is not None
        self._spec: ActionSpec = self._group.action
        box = package("gymnasium.spaces").Box
        self.observation_space = box(-np.inf, np.inf, (self._group.observation,), np.float32)
        self.action_space = _action_space(self._spec)
        self._reset, self._step = (
            jax.jit(lambda *arguments: env.reset(*arguments)),
            jax.jit(lambda *arguments: env.step(*arguments)),
        )
        self._game: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        """Begin the game that `seed` decides; the next one of that seed if None."""
        super().reset(seed=seed)
        self._key = jax.random.key(int(self.np_random.integers(2**31)))
        self._time = 0
        begin, self._key = jax.random.split(self._key)
        self._game, observation = self._reset(begin)
        return self._row(observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """Play one step.

        Raises:
            UserError: before the first reset.
        """
        require(self._game is not None, "expected reset() before step(), found none; call it")
        done = {self._group.name: _played(self._spec, action)[None]}
        key = jax.random.fold_in(self._key, self._time)
        self._time += 1
        self._game, step = self._step(self._game, done, key)
        told = {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf).item()
            for path, leaf in jax.tree_util.tree_leaves_with_path(step.info)
            if leaf.size == 1
        }
        reward = float(np.asarray(step.reward[self._group.name])[0])
        ended = bool(step.terminated), bool(step.truncated)
        return self._row(step.observation), reward, *ended, told

    def _row(self, observation: Any) -> np.ndarray:
        return np.asarray(observation.features[self._group.name])[0].copy()


def to_gymnasium(env: Env) -> Exported:
    """One of our JAX envs as an env of Gymnasium.

    An action of choices is a number or an array of them, one of real numbers an array, one of both
    a dictionary of ``choices`` and ``values``. ``info`` holds what the env tells, one number each.

    Raises:
        UserError: for a host env, several agents, or choices that are not always legal.
    """
    return Exported(env)


def _action_space(spec: ActionSpec) -> Any:
    if not (spec.sections and spec.low):
        return spaces.action_space(spec)
    parts = {
        CHOICES: package("gymnasium.spaces").MultiDiscrete(np.array(spec.sections)),
        VALUES: spaces.action_space(ActionSpec(low=spec.low, high=spec.high)),
    }
    return package("gymnasium.spaces").Dict(parts)


def _played(spec: ActionSpec, action: Any) -> np.ndarray:
    """An action of theirs as we store it."""
    if spec.sections and spec.low:
        action = np.concatenate([np.ravel(action[CHOICES]), np.ravel(action[VALUES])])
    row = np.ravel(action).astype(np.float32)
    require(
        row.shape == (spec.size,),
        f"expected an action of {spec.size} numbers, found {row.shape[0]}",
    )
    return row
