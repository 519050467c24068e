"""Transitions: what an off-policy learner remembers of a step of all agents."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from understudy.networks.actions import action_of
from understudy.networks.deterministic import to_unit
from understudy.types import Observation, Rollout, Spec, record


@record
class Transition:
    """One step; any leading axes."""

    observation: Observation
    observation_next: Observation
    action: Any
    """``{group: [..., agents, act]}``, -1 to 1."""
    reward: Any
    terminated: Any
    kept: Any = ()
    """Of the policy's memory after the step."""


def blank(spec: Spec, *, state: bool, kept: Any = ()) -> Transition:
    """One transition of zeros.

    Args:
        spec: groups and sizes.
        state: the state of the game is remembered too.
        kept: of the memory of a policy.
    """
    seen = Observation(
        {g.name: jnp.zeros((g.agents, g.observation)) for g in spec.groups},
        {g.name: jnp.zeros(g.agents, bool) for g in spec.groups},
        None,
        jnp.zeros(spec.state) if state else None,
    )
    return Transition(
        observation=seen,
        observation_next=seen,
        action={g.name: jnp.zeros((g.agents, len(action_of(g).low))) for g in spec.groups},
        reward={g.name: jnp.zeros(g.agents) for g in spec.groups},
        terminated=jnp.zeros((), bool),
        kept=kept,
    )


def of_rollout(spec: Spec, rollout: Rollout, *, state: bool) -> Transition:
    """Rows of a rollout, ``[time * envs, ...]``; `state` as of `blank`."""

    def seen(observation: Observation) -> Observation:
        return Observation(
            observation.features, observation.alive, None, observation.state if state else None
        )

    rows = Transition(
        observation=seen(rollout.observation),
        observation_next=seen(rollout.observation_next),
        action={g.name: to_unit(action_of(g), rollout.action[g.name]) for g in spec.groups},
        reward={name: rollout.reward[name] for name in spec.names},
        terminated=rollout.terminated,
        kept=rollout.kept,
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)


def goes_on(rows: Transition, name: str) -> Bool[Array, "batch agents"]:
    """Whose future still counts: of agents alive afterwards, in games that were not terminated."""
    return rows.observation_next.alive[name] & ~rows.terminated[:, None]
