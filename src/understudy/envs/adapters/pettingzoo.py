"""PettingZoo's parallel envs as host envs (extra ``pettingzoo``).

An agent that leaves while others play on is not alive from then on, whether it was terminated or
its own time was up. The game ends when nobody is left: truncated if an agent was truncated in that
last step, terminated otherwise. Those who leave last are alive in their last observation; where
some are truncated and others terminated in one step, the truncated ones alone, whose value is still
asked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from understudy.envs.adapters import spaces
from understudy.envs.host import Batched
from understudy.types import Group, Observation, Spec, Step, UserError, require


def from_parallel(
    make: Callable[[], Any],
    *,
    envs: int = 8,
    horizon: int | None = None,
    pad: bool = False,
    agent_ids: bool = False,
    **options: Any,
) -> Batched:
    """Any parallel env of PettingZoo as a `HostEnv`.

    Agents with equal observation and action spaces are one group; see `groups_of`.

    Args:
        make: builds one env, such as ``simple_spread_v3.parallel_env``; importable (not a lambda)
            for processes.
        envs: how many games side by side.
        horizon: longest episode in steps; the env's ``max_cycles`` if left out. Episodes that reach
            it are truncated.
        pad: put agents into one group whose observations differ in size, with zeros at the end.
        agent_ids: append to each observation who in its group the agent is, as one-hot.
        options: of `Batched`: ``by``, ``workers``, ``timeout``.

    Raises:
        UserError: for spaces that have no flat form.
    """
    build = functools.partial(Parallel, make, horizon=horizon, pad=pad, agent_ids=agent_ids)
    return Batched(build, envs=envs, **options)


def groups_of(env: Any, *, pad: bool = False) -> dict[str, tuple[str, ...]]:
    """Names of the agents of each group, in order.

    All agents are the group ``"agents"`` if their spaces are equal. Otherwise a group is named
    after what its agents' names begin with, up to the last underscore, or after its first agent
    where another group begins alike.
    """
    alike: list[list[str]] = []
    for agent in env.possible_agents:
        home = next((group for group in alike if _equal(env, group[0], agent, pad)), None)
        alike.append([agent]) if home is None else home.append(agent)
    if len(alike) == 1:
        return {"agents": tuple(alike[0])}
    starts = [{agent.rpartition("_")[0] or agent for agent in group} for group in alike]
    names = {}
    for group, own in zip(alike, starts, strict=True):
        start = min(own)
        alone = len(own) == 1 and sum(start in other for other in starts) == 1
        names[start if alone else group[0]] = tuple(group)
    return names


class Parallel:
    """One parallel env as a `Simulator`; see `from_parallel`."""

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        horizon: int | None = None,
        pad: bool = False,
        agent_ids: bool = False,
    ) -> None:
        self.env = make()
        require(
            hasattr(self.env, "possible_agents") and not hasattr(self.env, "agent_iter"),
            f"expected a parallel env with possible_agents, found {type(self.env).__name__}; "
            "give its parallel_env, not its env",
        )
        self.agents, self.ids = groups_of(self.env, pad=pad), agent_ids
        self.actions = {
            agent: spaces.action_spec(self.env.action_space(agent))
            for agent in self.env.possible_agents
        }
        horizon = horizon or getattr(self.env.unwrapped, "max_cycles", None)
        infos = self._begin(0)
        self.masked = any(
            spaces.has_mask(self.env.observation_space(agent))
            or spaces.MASK in infos.get(agent, {})
            for agent in self.env.possible_agents
        )
        state = self._state()
        self.spec = Spec(
            tuple(self._group(name) for name in self.agents),
            state=0 if state is None else len(state),
            horizon=horizon,
        )

    def reset(self, seed: int) -> Observation:
        """Begin the game that `seed` decides."""
        infos = self._begin(seed)
        return self._observe(self.seen, infos, set(self.env.agents))

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Play one step with the agents that are in the game."""
        present = [agent for agent in self.env.possible_agents if agent in self.present]
        done: dict[str, np.ndarray] = {}
        asked: dict[str, Any] = {}
        for name, agents in self.agents.items():
            rows = []
            for i, agent in enumerate(agents):
                row = spaces.executed(self.actions[agent], actions[name][i], self.legal.get(agent))
                rows.append(row)
                if agent in present:
                    asked[agent] = spaces.action(self.env.action_space(agent), row)
            done[name] = np.stack(rows)
        seen, rewards, terminated, truncated, infos = self.env.step(asked)
        self.time += 1
        ended = {a for a in present if terminated.get(a, False) or truncated.get(a, False)}
        left = {agent for agent in self.env.agents if agent not in ended}
        late = {agent for agent in ended if truncated.get(agent, False)}
        out_of_time = bool(left) and self.time == self.spec.horizon
        over = not left or out_of_time
        observation = self._observe(seen, infos, left or late or ended)
        return Step(
            observation,
            done,
            {
                name: np.array([rewards.get(agent, 0.0) for agent in agents], np.float32)
                for name, agents in self.agents.items()
            },
            terminated=np.asarray(over and not (late or out_of_time)),
            truncated=np.asarray(over and bool(late or out_of_time)),
        )

    def close(self) -> None:
        """Close the env."""
        self.env.close()

    def _begin(self, seed: int) -> dict[str, Any]:
        self.time, self.legal = 0, {}
        answer = self.env.reset(seed=seed)
        self.seen, infos = answer if isinstance(answer, tuple) else (answer, {})
        return infos

    def _observe(self, seen: Mapping[str, Any], infos: Any, present: set[str]) -> Observation:
        self.present = present
        self.legal = {a: self._legal(a, seen, infos) for a in present} if self.masked else {}
        features, alive, legal = {}, {}, {}
        for group in self.spec.groups:
            agents = self.agents[group.name]
            table = np.zeros((group.agents, group.observation), np.float32)
            for i, agent in enumerate(agents):
                if agent in seen and agent in present:
                    row = spaces.features(self.env.observation_space(agent), seen[agent])
                    table[i, : len(row)] = row
            if self.ids:
                table[:, -group.agents :] = np.eye(group.agents)
            features[group.name] = table
            alive[group.name] = np.array([agent in present for agent in agents])
            free = np.ones(group.action.choices if group.action else 0, bool)
            legal[group.name] = np.stack([self.legal.get(agent, free) for agent in agents])
        return Observation(features, alive, legal if self.masked else None, self._state())

    def _legal(self, agent: str, seen: Mapping[str, Any], infos: Mapping[str, Any]) -> np.ndarray:
        """Legal choices, from the observation or else from the information beside it."""
        spec, answer = self.actions[agent], seen.get(agent)
        if isinstance(answer, dict) and spaces.MASK in answer:
            return spaces.row_of(spec, answer[spaces.MASK])
        mask = infos.get(agent, {}).get(spaces.MASK)
        return np.ones(spec.choices, bool) if mask is None else spaces.row_of(spec, mask)

    def _state(self) -> np.ndarray | None:
        """The global state where the env has one."""
        try:
            return np.asarray(self.env.state(), np.float32).ravel()
        except (AttributeError, NotImplementedError):
            return None

    def _group(self, name: str) -> Group:
        agents = self.agents[name]
        sizes = [spaces.observation_size(self.env.observation_space(agent)) for agent in agents]
        ids = len(agents) if self.ids else 0
        return Group(name, len(agents), max(sizes) + ids, self.actions[agents[0]])


def _equal(env: Any, one: str, other: str, pad: bool) -> bool:
    """Whether two agents belong to one group."""
    try:
        same = env.action_space(one) == env.action_space(other)
        return same and (pad or env.observation_space(one) == env.observation_space(other))
    except KeyError as error:
        raise UserError(
            f"expected spaces for the agents {one!r} and {other!r}, found none for {error}"
        ) from error
