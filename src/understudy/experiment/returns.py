"""What a policy earns: whole episodes from the same initial states, whoever plays."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from understudy.envs import rollout
from understudy.experiment.loops import Parts
from understudy.types import Env, HostEnv, Policy, UserError, require

Returns = dict[str, Float[np.ndarray, "episodes agents"]]
"""Sum of rewards per episode and agent, by group."""


def episode_returns(
    policy: Policy, env: Env | HostEnv, *, episodes: int, seed: int, horizon: int | None = None
) -> Returns:
    """Play `episodes` episodes and add up the rewards of each agent.

    Episode i begins in a state that `seed` and i decide, and the env's own chance is the same for
    every policy, so differences between two policies are theirs.

    Args:
        policy: who acts.
        env: where.
        episodes: how many.
        seed: of the evaluation; keep it apart from those of training.
        horizon: longest episode in steps; that of the spec if left out.

    Raises:
        UserError: when nobody says how long an episode may last.
    """
    require(episodes > 0, f"expected at least one episode, found {episodes}")
    horizon = env.spec.horizon if horizon is None else horizon
    if horizon is None:
        raise UserError("expected a horizon for an env that has none; give horizon=")
    if isinstance(env, HostEnv):
        return _host(policy, env, episodes, seed, horizon)
    env_parts = Parts.of(env)
    numbers = jnp.arange(episodes, dtype=jnp.int32)
    totals = _compiled(
        Parts.of(policy).arrays, env_parts.arrays, jax.random.key(seed), numbers,
        rest=(Parts.of(policy).rest, env_parts.rest), horizon=horizon,
    )  # fmt: skip
    return {name: np.asarray(total) for name, total in totals.items()}


@functools.partial(jax.jit, static_argnames=("rest", "horizon"))
def _compiled(
    policy: Any, env: Any, key: Any, numbers: Any, *, rest: tuple[Any, Any], horizon: int
) -> Any:
    player, game = Parts(policy, rest[0]).whole(), Parts(env, rest[1]).whole()

    def episode(number: Any) -> Any:
        reset_key, act_key, step_key = jax.random.split(jax.random.fold_in(key, number), 3)
        state, observation = game.reset(reset_key)
        memory = player.memory(rollout.agents_of(observation))
        totals = {name: jnp.zeros(a.shape[-1]) for name, a in observation.alive.items()}

        def row(carry: Any, t: Any) -> tuple[Any, None]:
            state, observation, memory, totals, over = carry
            action, memory = player.act(observation, memory, jax.random.fold_in(act_key, t))
            state, step = game.step(state, action, jax.random.fold_in(step_key, t))
            totals = {
                name: total + jnp.where(over, 0.0, step.reward[name])
                for name, total in totals.items()
            }
            over = over | step.terminated | step.truncated
            return (state, step.observation, memory, totals, over), None

        start = (state, observation, memory, totals, jnp.asarray(False))
        (_, _, _, totals, _), _ = jax.lax.scan(row, start, jnp.arange(horizon, dtype=jnp.int32))
        return totals

    return jax.vmap(episode)(numbers)


def _host(policy: Policy, env: HostEnv, episodes: int, seed: int, horizon: int) -> Returns:
    """As many episodes at a time as the env has games; the last ones are played and left out."""
    parts = []
    act = jax.jit(jax.vmap(lambda o, m, k: policy.act(o, m, k)))
    for first in range(0, episodes, env.envs):
        numbers = range(first, first + env.envs)
        entropy = [np.random.SeedSequence([seed, n]) for n in numbers]
        seeds = np.array([int(e.generate_state(1)[0]) for e in entropy])
        observation = env.reset(seeds)
        memory = rollout.blank(policy, observation, env.envs)
        keys = jax.vmap(lambda n: jax.random.fold_in(jax.random.key(seed), n))(jnp.array(numbers))
        totals = {name: np.zeros(a.shape, np.float32) for name, a in observation.alive.items()}
        over = np.zeros(env.envs, bool)
        for t in range(horizon):
            row_keys = jax.vmap(lambda k, t=t: jax.random.fold_in(k, t))(keys)
            action, memory = act(observation, memory, row_keys)
            step = env.step({name: np.asarray(a) for name, a in action.items()})
            for name, total in totals.items():
                total += np.where(over[:, None], 0.0, step.reward[name])
            ended = np.asarray(step.terminated | step.truncated)
            over |= ended
            if over.all():
                break
            observation = env.reset(seeds, ended) if ended.any() else step.observation
        parts.append(totals)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:episodes], *parts)
