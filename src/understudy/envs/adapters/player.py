"""A policy as a plain function of dictionaries, for somebody else's loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from understudy.envs.adapters import spaces
from understudy.types import Group, Observation, Policy, Spec, require


class Player:
    """Acts for the agents it is shown, and remembers; see `player`."""

    def __init__(
        self,
        policy: Policy,
        spec: Spec,
        *,
        agents: Mapping[str, Sequence[str]] | None = None,
        agent_ids: bool = False,
        seed: int = 0,
    ) -> None:
        self.policy, self.spec, self.agent_ids = policy, spec, agent_ids
        self.agents = names_of(spec) if agents is None else {g: tuple(a) for g, a in agents.items()}
        wanted = {group.name: group.agents for group in spec.groups}
        found = {name: len(names) for name, names in self.agents.items()}
        require(
            found == wanted,
            f"expected agents={{group: names}} with {wanted} names, found {found}",
        )
        self._act = jax.jit(lambda policy, *rest: policy.act(*rest))
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Forget; call it before every game. A seed begins the policy's chance anew."""
        if seed is not None:
            self._key, self._games = jax.random.key(seed), 0
        self._games += 1
        self._time = 0
        self._memory = self.policy.memory({group.name: group.agents for group in self.spec.groups})

    def __call__(self, observations: Mapping[str, Any], state: Any = None) -> dict[str, Any]:
        """Choose an action for every agent observed.

        Args:
            observations: ``{agent: array}``, or ``{agent: {"observation", "action_mask"}}``;
                whoever is missing is not alive.
            state: the global state, for policies that read it.

        Returns:
            ``{agent: action}``: a number for one choice, an array of numbers for several, an array
            of real numbers otherwise. Choices count from 0.
        """
        known = {name for names in self.agents.values() for name in names}
        strangers = sorted(set(observations) - known)
        require(not strangers, f"expected agents among {sorted(known)}, found {strangers} too")
        masked = any(isinstance(seen, Mapping) for seen in observations.values())
        features, alive, legal = {}, {}, {}
        for group in self.spec.groups:
            names = self.agents[group.name]
            features[group.name] = self._table(group, observations)
            alive[group.name] = np.array([name in observations for name in names])
            if group.action is not None:
                rows = [_mask(group, observations.get(name)) for name in names]
                legal[group.name] = np.stack(rows)
        whole = None if state is None else np.asarray(state, np.float32).ravel()
        seen = Observation(features, alive, legal if masked else None, whole)
        key = jax.random.fold_in(jax.random.fold_in(self._key, self._games), self._time)
        actions, self._memory = self._act(self.policy, seen, self._memory, key)
        self._time += 1
        return {
            name: _played(group, np.asarray(actions[group.name])[i], legal[group.name][i])
            for group in self.spec.groups
            if group.action is not None
            for i, name in enumerate(self.agents[group.name])
            if name in observations
        }

    def _table(self, group: Group, observations: Mapping[str, Any]) -> np.ndarray:
        table = np.zeros((group.agents, group.observation), np.float32)
        ids = group.agents if self.agent_ids else 0
        for i, name in enumerate(self.agents[group.name]):
            if name in observations:
                seen = observations[name]
                row = np.ravel(seen["observation"] if isinstance(seen, Mapping) else seen)
                require(
                    len(row) <= group.observation - ids,
                    f"expected at most {group.observation - ids} features of the agent {name!r}, "
                    f"found {len(row)}; show what the policy was trained on",
                )
                table[i, : len(row)] = row
        if ids:
            table[:, -ids:] = np.eye(ids)
        return table


def player(
    policy: Policy,
    spec: Spec,
    *,
    agents: Mapping[str, Sequence[str]] | None = None,
    agent_ids: bool = False,
    seed: int = 0,
) -> Player:
    """A policy as a function, ``act(observations) -> actions``, with its memory inside.

    Args:
        policy: who acts, such as `load_policy` gives.
        spec: of the env it was trained in.
        agents: names of the agents of each group, such as `groups_of` gives for an env of
            PettingZoo; ``agents_0, agents_1, ...`` if left out, as `to_pettingzoo` names them.
        agent_ids: append to observations who the agent is, where training did.
        seed: of the policy's own chance.

    Raises:
        UserError: for names that do not fit the spec.
    """
    return Player(policy, spec, agents=agents, agent_ids=agent_ids, seed=seed)


def names_of(spec: Spec) -> dict[str, tuple[str, ...]]:
    """Names of the agents of each group: the group's, and a number."""
    return {
        group.name: tuple(f"{group.name}_{i}" for i in range(group.agents)) for group in spec.groups
    }


def _mask(group: Group, seen: Any) -> np.ndarray:
    """Legal choices of one agent; all of them where nobody says."""
    assert group.action is not None
    if isinstance(seen, Mapping) and spaces.MASK in seen:
        return spaces.row_of(group.action, seen[spaces.MASK])
    return np.ones(group.action.choices, bool)


def _played(group: Group, row: np.ndarray, legal: np.ndarray) -> Any:
    """One action as others write it."""
    spec = group.action
    assert spec is not None
    row = spaces.executed(spec, row, legal)
    if spec.low:
        return row
    return int(row[0]) if len(spec.sections) == 1 else row.astype(np.int64)
