"""Transitions: what an off-policy learner remembers of a step of all agents, or of a few steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from understudy.networks.actions import action_of
from understudy.networks.deterministic import to_unit
from understudy.types import Observation, Rollout, Spec, record


@record
class Transition:
    """One step, or a few; any leading axes."""

    observation: Observation
    observation_next: Observation
    action: Any
    """``{group: [..., agents, act]}``, -1 to 1."""
    reward: Any
    """Of the steps until `observation_next`, discounted."""
    terminated: Any
    discount: Any
    """Of what follows `observation_next`: γ to the power of the steps until then."""
    kept: Any = ()
    """Of the policy's memory after the first step."""


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
        discount=jnp.zeros(()),
        kept=kept,
    )


def of_rollout(
    spec: Spec,
    rollout: Rollout,
    *,
    state: bool,
    discount: float | Float[Array, ""],
    n_step: int = 1,
) -> Transition:
    """Rows of a rollout, ``[time * envs, ...]``.

    Args:
        spec: groups and sizes.
        rollout: ``[time, envs, ...]``.
        state: as of `blank`.
        discount: γ.
        n_step: steps of a row, fewer where an episode or the rollout ends before.
    """

    def seen(observation: Observation) -> Observation:
        return Observation(
            observation.features, observation.alive, None, observation.state if state else None
        )

    reward, last, factor = _ahead(rollout, spec.names, discount, n_step)
    envs = jnp.arange(last.shape[1])[None]
    rows = Transition(
        observation=seen(rollout.observation),
        observation_next=jax.tree.map(lambda x: x[last, envs], seen(rollout.observation_next)),
        action={g.name: to_unit(action_of(g), rollout.action[g.name]) for g in spec.groups},
        reward=reward,
        terminated=rollout.terminated[last, envs],
        discount=factor,
        kept=rollout.kept,
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)


def _ahead(
    rollout: Rollout, names: tuple[str, ...], discount: float | Float[Array, ""], n_step: int
) -> tuple[
    dict[str, Float[Array, "time envs agents"]],
    Int[Array, "time envs"],
    Float[Array, "time envs"],
]:
    """Of the steps that a row covers: discounted rewards, the last one's number, γ after it.

    Rewards of an agent count until it is not alive afterwards.
    """
    time, envs = rollout.terminated.shape
    rows, ended = jnp.arange(time), rollout.terminated | rollout.truncated
    last = jnp.broadcast_to(rows[:, None], (time, envs))
    factor = jnp.full((time, envs), discount, jnp.float32)
    reward = {name: rollout.reward[name] for name in names}
    alive = {name: rollout.observation_next.alive[name] for name in names}
    covers, lives = ~ended, alive
    for step in range(1, n_step):
        at = jnp.minimum(rows + step, time - 1)
        covers = covers & (rows + step < time)[:, None]
        for name in names:
            counts = covers[..., None] & lives[name]
            later = rollout.reward[name][at]
            reward[name] = reward[name] + jnp.where(counts, discount**step * later, 0.0)
        lives = {name: lives[name] & alive[name][at] for name in names}
        last = jnp.where(covers, at[:, None], last)
        factor = jnp.where(covers, discount ** (step + 1), factor)
        covers = covers & ~ended[at]
    return reward, last, factor


def goes_on(rows: Transition, name: str) -> Bool[Array, "batch agents"]:
    """Whose future still counts: of agents alive afterwards, in games that were not terminated."""
    return rows.observation_next.alive[name] & ~rows.terminated[:, None]
