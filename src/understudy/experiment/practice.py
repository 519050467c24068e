"""Games played while training: what the policy of every seed earns on the way.

They have keys of their own and only read the states, so a run learns the same with them and
without. Every evaluation plays other episodes, the same ones in both modes.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy.algorithms.stages import Stages
from understudy.experiment import returns
from understudy.experiment.loops import Parts, each_seed
from understudy.experiment.plan import Stage, TrainOptions
from understudy.types import HostEnv, Mode, UserError, require

TWENTY_EVERY_FIFTY = TrainOptions(evaluate_every=50, evaluate_episodes=20)
"""20 episodes every 50 episodes of training, as published for MILD²."""

ENDINGS: dict[Mode, str] = {"sample": "", "mode": "_mode"}
"""How a policy acts -> end of the names of what it earns."""


def check(stages: Stages, env: Any, options: TrainOptions) -> None:
    """See that evaluations asked for can take place.

    Raises:
        UserError: without a policy, or an env in JAX that says how long an episode lasts.
    """
    if options.evaluate_every is None:
        return
    require(
        any(hasattr(algorithm, "policy") for algorithm, _ in stages.stages),
        "expected an algorithm that makes a policy to evaluate while training, found none; leave "
        "evaluate_every out",
    )
    if env is None or isinstance(env, HostEnv):
        name = "none" if env is None else type(env).__name__
        raise UserError(
            f"expected an env in JAX to evaluate policies in while training, found {name}; leave "
            "evaluate_every out and evaluate the run"
        )
    require(
        env.spec.horizon is not None,
        f"expected an env with a horizon to count episodes by, {type(env).__name__} has none; wrap "
        "it in a time limit or leave evaluate_every out",
    )


def due(stage: Stage, before: int, step: int, options: TrainOptions, env: Any) -> bool:
    """An evaluation falls into the updates after `before` up to `step` of a stage."""
    if options.evaluate_every is None or not hasattr(stage.algorithm, "policy"):
        return False
    if step == stage.updates:
        return True
    if not stage.online:
        return False
    rows = stage.algorithm.rollout * stage.algorithm.envs
    every = options.evaluate_every * env.spec.horizon
    return step * rows // every > before * rows // every


def play(
    algorithm: Any,
    states: Any,
    env: Any,
    keys: Key[Array, " seeds"],
    step: Int[Array, ""],
    *,
    episodes: int,
) -> dict[str, Float[Array, " seeds"]]:
    """Mean return of the policy of every seed, and the share of episodes it solves.

    A return is averaged over the agents that are ever alive; where there are several groups, each
    has its own too.

    Args:
        algorithm: makes the policies.
        states: of every seed.
        env: where.
        keys: one per seed, folded with `step`.
        step: of the stage.
        episodes: of each seed and mode.
    """
    parts = Parts.of(env)
    return _play(
        algorithm, states, parts.arrays, keys, step, env_rest=parts.rest, episodes=episodes
    )


@functools.partial(jax.jit, static_argnames=("env_rest", "episodes"))
def _play(
    algorithm: Any,
    states: Any,
    env_arrays: Any,
    keys: Key[Array, " seeds"],
    step: Int[Array, ""],
    *,
    env_rest: Any,
    episodes: int,
) -> dict[str, Float[Array, " seeds"]]:
    env = Parts(env_arrays, env_rest).whole()
    numbers = jnp.arange(episodes, dtype=jnp.int32)

    def one(state: Any, key: Any) -> dict[str, Any]:
        found = {}
        for mode, ending in ENDINGS.items():
            played = returns.episodes_of(
                algorithm.policy(state, mode),
                env,
                jax.random.fold_in(key, step),
                numbers,
                horizon=env.spec.horizon,
            )
            found[f"evaluation/return{ending}"] = _team(played, env.spec.names)
            if len(env.spec.groups) > 1:
                for name in env.spec.names:
                    own = _team(played, (name,))
                    found[f"evaluation/return{ending}/{name}"] = own
            if played.success is not None:
                found[f"evaluation/success{ending}"] = played.success.astype(jnp.float32).mean()
        return found

    return each_seed(one, states, keys)


def _team(played: returns.Played, names: tuple[str, ...]) -> Float[Array, ""]:
    """Mean over episodes of the mean return of the agents that were there."""
    earned = jnp.concatenate([played.returns[name] for name in names], 1)
    there = jnp.concatenate([played.present[name] for name in names], 1)
    count = jnp.maximum(there.sum(1), 1).astype(earned.dtype)
    return (jnp.where(there, earned, 0.0).sum(1) / count).mean()
