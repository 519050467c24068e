"""Rollouts: an env and a policy produce rows together; the one place that resets an env.

It knows the `Env` and `Policy` protocols and nothing else. Both the observation acted on and the
one that followed, before any reset, are kept for every step.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key

from understudy import tree
from understudy.types import Env, Memory, Observation, Policy, Rollout, record


@record
class Actor:
    """Where a rollout stands, ``[envs, ...]``; what goes from one `collect` to the next."""

    state: Any
    """Of the env."""
    observation: Observation
    memory: Memory
    starts: Bool[Array, " envs"]
    """The next action is the first of an episode."""


def agents_of(observation: Observation) -> dict[str, int]:
    """Number of agent slots per group, read from the arrays and not from a spec."""
    return {name: alive.shape[-1] for name, alive in observation.alive.items()}


def begin(env: Env, policy: Policy, key: Key[Array, ""], *, envs: int) -> Actor:
    """Reset `envs` copies of `env`."""
    state, observation = jax.vmap(env.reset)(jax.random.split(key, envs))
    memory = blank(policy, observation, envs)
    return Actor(state, observation, memory, jnp.ones(envs, bool))


def blank(policy: Policy, observation: Observation, envs: int) -> Memory:
    """Memory of `policy` before the first row, ``[envs, ...]``."""
    fresh = policy.memory(agents_of(observation))
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (envs, *jnp.shape(leaf))), fresh)


def act(
    policy: Policy,
    observation: Observation,
    memory: Memory,
    starts: Bool[Array, " envs"],
    key: Key[Array, ""],
) -> tuple[Any, Memory]:
    """One action in every env, ``[envs, ...]``; memory is reset first where an episode starts."""
    envs = starts.shape[0]
    memory = tree.where(starts, blank(policy, observation, envs), memory)
    return jax.vmap(policy.act)(observation, memory, jax.random.split(key, envs))


def collect(
    env: Env, policy: Policy, actor: Actor, key: Key[Array, ""], *, steps: int
) -> tuple[Actor, Rollout]:
    """Act for `steps` steps in every env; an env that ends is reset at once.

    Returns:
        Where it stands now, and the rollout ``[time, envs, ...]``.
    """

    def row(actor: Actor, key: Key[Array, ""]) -> tuple[Actor, dict[str, Any]]:
        act_key, step_key, reset_key = jax.random.split(key, 3)
        envs = actor.starts.shape[0]
        action, memory = act(policy, actor.observation, actor.memory, actor.starts, act_key)
        state, step = jax.vmap(env.step)(actor.state, action, jax.random.split(step_key, envs))
        done = jnp.logical_or(step.terminated, step.truncated)
        fresh = jax.vmap(env.reset)(jax.random.split(reset_key, envs))
        state, observation = tree.where(done, fresh, (state, step.observation))
        kept = {
            "observation": actor.observation,
            "observation_next": step.observation,
            "action": step.action,
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "starts": actor.starts,
            "info": step.info,
        }
        return Actor(state, observation, memory, done), kept

    before = tree.where(
        actor.starts, blank(policy, actor.observation, actor.starts.shape[0]), actor.memory
    )
    actor, rows = jax.lax.scan(row, actor, jax.random.split(key, steps))
    return actor, Rollout(memory=before, **rows)
