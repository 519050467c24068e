"""Policies made of other things: one policy per agent, and what was once logged.

They live with the envs because they know nothing but the `Policy` protocol and demonstrations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.data.demonstrations import Demonstrations
from understudy.envs.chance import Certain
from understudy.types import (
    Actions,
    Features,
    Memory,
    Observation,
    Policy,
    Rewards,
    Spec,
    UserError,
    require,
)


class Assigned(eqx.Module):
    """A policy in which every agent is played by one of several policies; see `assign`."""

    policies: tuple[Policy, ...]
    roles: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    """Group -> number of the policy that plays each of its agents."""
    sees: tuple[str, ...] = eqx.field(static=True)
    """Groups that observe what earlier groups do."""
    decentralised: bool = eqx.field(static=True)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """The memories of all policies."""
        return tuple(policy.memory(agents) for policy in self.policies)

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Let every policy act for everybody, and take from each the agents it plays.

        Those who play a group that sees others are asked again once it is known what those do.
        """
        keys = jax.random.split(key, len(self.policies))
        actions: dict[str, Any] = dict(observation.decided or {})

        def ask(n: int) -> tuple[Actions, Memory]:
            told = dataclasses.replace(observation, decided=dict(actions) or None)
            return self.policies[n].act(told, memory[n], keys[n])

        answers = [ask(n) for n in range(len(self.policies))]
        for name, numbers in self.roles:
            if name in self.sees:
                answers = [ask(n) if n in numbers else old for n, old in enumerate(answers)]
            if name not in actions:
                actions[name] = _each([action[name] for action, _ in answers], numbers)
        return actions, tuple(own for _, own in answers)

    def expected(self, memory: Memory) -> Features | None:
        """What the first of the policies that expects anything does."""
        found = (expected(policy, own) for policy, own in zip(self.policies, memory, strict=True))
        return next((one for one in found if one is not None), None)

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Each agent's log-probability and entropy under the policy that plays it."""
        pairs = [
            policy.log_prob(observations, actions, starts, own)
            for policy, own in zip(self.policies, memory, strict=True)
        ]
        return self._choose([p for p, _ in pairs]), self._choose([e for _, e in pairs])

    def _choose(self, answers: list[Any]) -> Any:
        """Of rows, per agent, the answer of its policy."""
        return {name: _each([a[name] for a in answers], numbers, 1) for name, numbers in self.roles}


def expected(policy: Policy, memory: Memory) -> Features | None:
    """What a policy expects everybody to observe, if it plans: ``{group: [time, agents, obs]}``.

    Args:
        policy: any; it says so by a method of this name.
        memory: after the step it just chose.
    """
    ask = getattr(policy, "expected", None)
    return None if ask is None else ask(memory)


def _each(answers: list[Any], numbers: tuple[int, ...], axis: int = 0) -> Any:
    """Agent i as number ``numbers[i]`` answers; `axis` counts the axes before ``agents``."""
    each = [jnp.take(answers[n], i, axis=axis) for i, n in enumerate(numbers)]
    return jnp.stack(each, axis)


def assign(spec: Spec, players: Mapping[tuple[str, int], Policy]) -> Assigned:
    """Let each agent be played by its own policy, ``{(group, agent): policy}``.

    A policy given for several agents is asked once. Every policy sees what all agents observe and
    keeps its own memory.

    Raises:
        UserError: unless every agent of the spec has exactly one policy.
    """
    places = {(group.name, i) for group in spec.groups for i in range(group.agents)}
    require(
        set(players) == places,
        f"expected a policy for each of {len(places)} agents, found none for "
        f"{sorted(places - set(players))[:3]} and {sorted(set(players) - places)[:3]} too many",
    )
    numbers: dict[int, int] = {}
    unique: list[Policy] = []
    for group in spec.groups:
        for i in range(group.agents):
            policy = players[group.name, i]
            if id(policy) not in numbers:
                numbers[id(policy)] = len(unique)
                unique.append(policy)
    roles = tuple(
        (group.name, tuple(numbers[id(players[group.name, i])] for i in range(group.agents)))
        for group in spec.groups
    )
    sees = tuple(group.name for group in spec.groups if group.sees)
    alone = not sees and all(policy.decentralised for policy in unique)
    return Assigned(tuple(unique), roles, sees, alone)


class Replayed(Certain):
    """Plays logged actions back; see `replay`."""

    actions: dict[str, Float[Array, "frames agents act"]]
    first: Int[Array, " episodes"]
    last: Int[Array, " episodes"]
    episode: int = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """Episode (-1: not drawn yet) and row."""
        return jnp.asarray(self.episode, jnp.int32), jnp.zeros((), jnp.int32)

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The logged action of this row; the last one again after the end of the episode."""
        episode, row = memory
        drawn = jax.random.randint(key, (), 0, self.first.shape[0], jnp.int32)
        episode = jnp.where(episode < 0, drawn, episode)
        at = jnp.minimum(self.first[episode] + row, self.last[episode])
        return {name: array[at] for name, array in self.actions.items()}, (episode, row + 1)


def replay(demonstrations: Demonstrations, *, episode: int | None = None) -> Replayed:
    """Act as was logged, row by row, whatever is observed.

    Args:
        demonstrations: with known actions in every row but the last of each episode.
        episode: the one to replay; drawn anew for every game if left out.

    Raises:
        UserError: for tracks, which have no actions, and logs with gaps.
    """
    actions = demonstrations.actions
    if actions is None:
        raise UserError("expected demonstrations with actions to replay, found tracks")
    known = demonstrations.known_actions()
    inner = np.ones(demonstrations.frames, bool)
    inner[demonstrations.starts[1:] - 1] = False
    for name in demonstrations.spec.names:
        gaps = inner[:, None] & demonstrations.alive[name] & ~known[name]
        require(
            not gaps.any(),
            f"expected every action of group {name!r} to be known, found {int(gaps.sum())} gaps; "
            "leave out those episodes",
        )
    require(
        episode is None or 0 <= episode < len(demonstrations),
        f"expected an episode below {len(demonstrations)}, found {episode}",
    )
    require(bool(np.all(demonstrations.lengths > 1)), "expected episodes of at least two rows")
    return Replayed(
        {name: jnp.asarray(array) for name, array in actions.items()},
        jnp.asarray(demonstrations.starts[:-1], jnp.int32),
        jnp.asarray(demonstrations.starts[1:] - 2, jnp.int32),
        -1 if episode is None else episode,
    )
