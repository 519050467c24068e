"""Our JAX envs as parallel envs of PettingZoo (extra ``pettingzoo``)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from understudy.envs.adapters import spaces
from understudy.envs.adapters.foreign import package
from understudy.envs.adapters.player import names_of
from understudy.types import Env, HostEnv, Observation, Step, require

_ParallelEnv: Any = package("pettingzoo").ParallelEnv


class Exported(_ParallelEnv):
    """One game of a JAX env; see `to_pettingzoo`."""

    def __init__(self, env: Env) -> None:
        require(
            isinstance(env, Env) and not isinstance(env, HostEnv),
            f"expected a JAX env of understudy, found {type(env).__name__}",
        )
        seeing = [group.name for group in env.spec.groups if group.sees]
        require(
            not seeing,
            f"expected agents that act at once, found {seeing}, which see others' actions; a "
            "parallel env of PettingZoo has no such order",
        )
        self.env = env
        name = type(env).__name__.lower()
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": True}
        self.render_mode = None
        self._names = names_of(env.spec)
        self.possible_agents = [agent for names in self._names.values() for agent in names]
        self.agents: list[str] = []
        self._reset, self._step = jax.jit(lambda key: env.reset(key)), jax.jit(_step(env))
        self._masked = jax.eval_shape(env.reset, jax.random.key(0))[1].legal is not None
        self._spaces = {
            agent: (self._observation_space(group), spaces.action_space(group.action))
            for group in env.spec.groups
            if group.action is not None
            for agent in self._names[group.name]
        }
        self._chance = np.random.default_rng()
        if env.spec.state:
            box = package("gymnasium.spaces").Box
            self.state_space = box(-np.inf, np.inf, (env.spec.state,), np.float32)

    def observation_space(self, agent: str) -> Any:
        """A box; beside an ``action_mask`` in a dictionary where not every choice is legal."""
        return self._spaces[agent][0]

    def action_space(self, agent: str) -> Any:
        """Choices from 0 on, or a box."""
        return self._spaces[agent][1]

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict, dict]:
        """Begin the game that `seed` decides; the next one of that seed if None."""
        if seed is not None:
            self._chance = np.random.default_rng(seed)
        self._key = jax.random.key(int(self._chance.integers(2**31)))
        self._time = 0
        begin, self._key = jax.random.split(self._key)
        self._game, observation = self._reset(begin)
        alive = self._alive(observation)
        self.agents = [agent for agent in self.possible_agents if alive[agent]]
        return self._seen(observation), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Play one step; agents that died, or all at the end, are gone afterwards."""
        rows = {}
        for group in self.env.spec.groups:
            if group.action is not None:
                table = np.zeros((group.agents, group.action.size), np.float32)
                for i, agent in enumerate(self._names[group.name]):
                    if agent in actions:
                        table[i] = np.ravel(actions[agent])
                rows[group.name] = table
        key = jax.random.fold_in(self._key, self._time)
        self._time += 1
        self._game, step = self._step(self._game, rows, key)
        return self._answer(jax.tree.map(np.asarray, step))

    def state(self) -> np.ndarray:
        """The global state.

        Raises:
            NotImplementedError: where the game has none.
        """
        if self._whole is None:
            raise NotImplementedError("this game has no global state")
        return self._whole

    def close(self) -> None:
        """Nothing is held."""

    def render(self) -> None:
        """Nothing; `understudy.animate` draws runs."""

    def _answer(self, step: Step) -> tuple[dict, dict, dict, dict, dict]:
        alive, names = self._alive(step.observation), list(self.agents)
        over = bool(step.terminated) or bool(step.truncated)
        rewards = {
            agent: float(np.asarray(step.reward[group])[i])
            for group, agents in self._names.items()
            for i, agent in enumerate(agents)
            if agent in names and group in step.reward
        }
        terminated = {a: bool(step.terminated) or not (alive[a] or over) for a in names}
        truncated = {agent: bool(step.truncated) for agent in names}
        told = {name: value.item() for name, value in step.info.items() if value.ndim == 0}
        seen = self._seen(step.observation)
        self.agents = [agent for agent in names if alive[agent] and not over]
        return seen, rewards, terminated, truncated, {agent: dict(told) for agent in names}

    def _alive(self, observation: Observation) -> dict[str, bool]:
        return {
            agent: bool(observation.alive[group][i])
            for group, agents in self._names.items()
            for i, agent in enumerate(agents)
        }

    def _seen(self, observation: Observation) -> dict[str, Any]:
        """What those in the game see, and keep the global state."""
        whole = observation.state
        self._whole = None if whole is None else np.asarray(whole)
        answer: dict[str, Any] = {}
        for group in self.env.spec.groups:
            table = np.asarray(observation.features[group.name])
            for i, agent in enumerate(self._names[group.name]):
                if agent not in self.agents:
                    continue
                answer[agent] = table[i].copy()
                if self._masked and observation.legal is not None and group.action is not None:
                    row = np.asarray(observation.legal[group.name])[i].astype(np.int8)
                    parts = np.split(row, np.cumsum(group.action.sections)[:-1])
                    mask = parts[0] if len(parts) == 1 else tuple(parts)
                    answer[agent] = {"observation": answer[agent], spaces.MASK: mask}
        return answer

    def _observation_space(self, group: Any) -> Any:
        gym = package("gymnasium.spaces")
        seen = gym.Box(-np.inf, np.inf, (group.observation,), np.float32)
        if not self._masked:
            return seen
        parts = [gym.Box(0, 1, (count,), np.int8) for count in group.action.sections]
        mask = parts[0] if len(parts) == 1 else gym.Tuple(parts)
        return gym.Dict({"observation": seen, spaces.MASK: mask})


def to_pettingzoo(env: Env) -> Exported:
    """One of our JAX envs as a parallel env of PettingZoo.

    Agents are named after their group, ``agents_0, agents_1, ...``; `player` answers to the same
    names. Legal choices are the ``action_mask`` of a dictionary observation. An agent that is no
    longer alive is terminated and does not come back.

    Raises:
        UserError: for a host env, agents that act in an order, or actions PettingZoo has no space
            for.
    """
    return Exported(env)


def _step(env: Env) -> Any:
    return lambda state, action, key: env.step(state, action, key)
