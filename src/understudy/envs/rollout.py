"""Rollouts: an env and a policy produce rows together; the one place that resets an env.

It knows the `Env` and `Policy` protocols and nothing else. Both the observation acted on and the
one that followed, before any reset, are kept for every step.

An env may say ``lanes = True``: its `step` and the arrays it takes and gives also work with an axis
of envs after all others, ``[agents, features, envs]``. Then its states stay in that layout, in
which a processor's vectors run along envs, and only what policies see is turned round. Any other
env is vmapped over a leading axis. Callers see no difference but the speed.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Key

from understudy import tree
from understudy.types import Actions, Env, Memory, Observation, Policy, Rollout, Step, record


@record
class Actor:
    """Where a rollout stands, ``[envs, ...]``; what goes from one `collect` to the next."""

    state: Any
    """Of the env; envs come last where the env has ``lanes``."""
    observation: Observation
    memory: Memory
    starts: Bool[Array, " envs"]
    """The next action is the first of an episode."""


def agents_of(observation: Observation) -> dict[str, int]:
    """Number of agent slots per group, read from the arrays and not from a spec."""
    return {name: alive.shape[-1] for name, alive in observation.alive.items()}


def reset(env: Env, key: Key[Array, ""], *, envs: int) -> tuple[Any, Observation]:
    """Begin `envs` games: their states, for `advance`, and observations ``[envs, ...]``."""
    out = (-1 if has_lanes(env) else 0, 0)
    return jax.vmap(env.reset, out_axes=out)(jax.random.split(key, envs))


def advance(
    env: Env, state: Any, action: Actions, key: Key[Array, ""]
) -> tuple[Any, Observation, Step]:
    """Play one step of many games; those that end begin again at once.

    Nothing is drawn for new games in a step at which none ends.

    Args:
        env: the game.
        state: of all games, from `reset` or the last call.
        action: ``{group: [envs, agents, act]}``.
        key: for the steps and the new games.

    Returns:
        States and observations to act on next, and what the step brought, ``[envs, ...]``:
        `Step.observation` is from before any reset.
    """
    envs = jax.tree.leaves(action)[0].shape[0]
    if has_lanes(env):
        state, step = env.step(state, _last(action), key)
        step = _first(step)
    else:
        state, step = jax.vmap(env.step)(state, action, jax.random.split(key, envs))
    done = jnp.logical_or(step.terminated, step.truncated)

    def begin_again(state: Any, observation: Observation) -> tuple[Any, Observation]:
        fresh, seen = reset(env, jax.random.fold_in(key, envs), envs=envs)
        if has_lanes(env):
            fresh = _last(tree.where(done, _first(fresh), _first(state)))
        else:
            fresh = tree.where(done, fresh, state)
        return fresh, tree.where(done, seen, observation)

    state, observation = jax.lax.cond(
        tree.anywhere(done), begin_again, lambda *same: same, state, step.observation
    )
    return state, observation, step


def has_lanes(env: Env) -> bool:
    """The env takes arrays with an axis of envs after all others."""
    return getattr(env, "lanes", False)


def _first(batch: Any) -> Any:
    """The axis of envs from the end to the front."""
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), batch)


def _last(batch: Any) -> Any:
    """The axis of envs from the front to the end."""
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), batch)


def begin(env: Env, policy: Policy, key: Key[Array, ""], *, envs: int) -> Actor:
    """Reset `envs` copies of `env`."""
    state, observation = reset(env, key, envs=envs)
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
    keys: Key[Array, " envs"],
) -> tuple[Any, Memory]:
    """One action in every env, ``[envs, ...]``; memory is reset first where an episode starts."""
    memory = tree.where(starts, blank(policy, observation, starts.shape[0]), memory)
    return jax.vmap(policy.act)(observation, memory, keys)


def kept(policy: Policy, memory: Memory) -> Any:
    """What `policy` asks to keep of its memory after a step; ``()`` if it does not ask."""
    keep = getattr(policy, "kept", None)
    return () if keep is None else keep(memory)


def collect(
    env: Env, policy: Policy, actor: Actor, key: Key[Array, ""], *, steps: int
) -> tuple[Actor, Rollout]:
    """Act for `steps` steps in every env; an env that ends is reset at once.

    Returns:
        Where it stands now, and the rollout ``[time, envs, ...]``.
    """

    envs = actor.starts.shape[0]
    act_key, step_key = jax.random.split(key)

    def play(actor: Actor, keys: Any) -> tuple[Actor, dict[str, Any]]:
        action, memory = act(policy, actor.observation, actor.memory, actor.starts, keys[0])
        state, observation, step = advance(env, actor.state, action, keys[1])
        done = jnp.logical_or(step.terminated, step.truncated)
        row = {
            "observation": actor.observation,
            "observation_next": step.observation,
            "action": step.action,
            "reward": step.reward,
            "terminated": step.terminated,
            "truncated": step.truncated,
            "starts": actor.starts,
            "info": step.info,
            "kept": kept(policy, memory),
        }
        return Actor(state, observation, memory, done), row

    before = tree.where(actor.starts, blank(policy, actor.observation, envs), actor.memory)
    # all at once: a split in every step would take longer than many an env
    keys = jax.random.split(act_key, (steps, envs)), jax.random.split(step_key, steps)
    actor, rows = jax.lax.scan(play, actor, keys)
    return actor, Rollout(memory=before, **rows)
