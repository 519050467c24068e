"""What a policy optimiser learns from: rows acted in, what they were worth, and cuts of them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.functional import moments, rewards
from understudy.functional.losses import mean_where, standardise
from understudy.functional.moments import Moments
from understudy.functional.returns import gae
from understudy.networks.policy import Network
from understudy.types import (
    Actions,
    Memory,
    Metrics,
    Observation,
    Rewards,
    Rollout,
    Spec,
    record,
    require,
)

T = TypeVar("T", bound=Any)

Advantage = Literal["individual", "joint"]
"""Each agent's own advantage, or the mean over the agents alive for all of them."""


@record
class Experience:
    """Rows ``[time, envs]`` and what they were worth when they were acted in."""

    observation: Observation
    action: Actions
    starts: Any
    memory: Memory
    log_probs: Any
    """``{group: [time, envs, agents, parts]}`` of the policy that acted."""
    value: Any
    """``{group: [time, envs, agents]}``, as the critic put it out."""
    advantage: Any
    """``{group: [time, envs, agents]}``, mean 0 and deviation 1 over the agents alive."""
    target: Any
    """``{group: [time, envs, agents]}`` for the critic, on the critic's scale."""


def look_back(
    network: Network,
    seen: dict[str, Moments] | None,
    rollout: Rollout,
    spec: Spec,
    *,
    discount: float | Float[Array, ""],
    trace: float | Float[Array, ""],
    keep: float | Float[Array, ""],
    advantage: Advantage,
) -> tuple[Experience, dict[str, Moments] | None, Metrics]:
    """Work out advantages and targets of a rollout in one batched pass.

    Args:
        network: of the policy that acted.
        seen: moments of earlier targets, which critics are scaled by; None: they are not.
        rollout: rewards may come from anywhere.
        spec: groups.
        discount: γ.
        trace: λ.
        keep: share of the moments' past that stays.
        advantage: whose.

    Returns:
        Experience, new moments, and what the rollout says of the policy: `summary`, the share of
        the returns' variance that critics explain, and ``advantage_variance``, the sum over agents
        of the variance of their own advantages as they are, before any scaling.
    """
    before = network.evaluate(rollout)
    following = network.values_next(rollout, rollout.observation_next)
    ended = jnp.logical_or(rollout.terminated, rollout.truncated)
    advantages, targets, after = {}, {}, {}
    unexplained, total, spread = jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
    for group in spec.groups:
        name = group.name
        alive = rollout.observation.alive[name]
        mean, std = moments.scale(seen[name]) if seen else (jnp.zeros(()), jnp.ones(()))
        now, then = before.value[name] * std + mean, following[name] * std + mean
        gain = gae(
            rollout.reward[name],
            now,
            then,
            jnp.broadcast_to(rollout.terminated[..., None], now.shape),
            jnp.broadcast_to(ended[..., None], now.shape),
            discount=discount,
            trace=trace,
        )
        unexplained += mean_where(jnp.square(gain), alive)
        total += mean_where(jnp.square(gain + now - mean_where(gain + now, alive)), alive)
        spread += _variances(gain, alive).sum()
        if seen:
            after[name] = moments.follow(seen[name], gain + now, alive, keep=keep)
            mean, std = moments.scale(after[name])
        targets[name] = (gain + now - mean) / std
        if advantage == "joint":
            count = jnp.maximum(alive.sum(-1, keepdims=True), 1).astype(gain.dtype)
            shared = jnp.where(alive, gain, 0.0).sum(-1, keepdims=True) / count
            gain = jnp.broadcast_to(shared, gain.shape)
        advantages[name] = standardise(gain, alive)
    experience = Experience(
        rollout.observation, rollout.action, rollout.starts, rollout.memory,
        before.log_probs, before.value, advantages, targets,
    )  # fmt: skip
    metrics = summary(rollout) | {
        "explained_variance": 1.0 - unexplained / jnp.maximum(total, 1e-8),
        "advantage_variance": spread,
    }
    return jax.lax.stop_gradient(experience), (after if seen else None), metrics


def _variances(
    values: Float[Array, "time envs agents"], alive: Bool[Array, "time envs agents"]
) -> Float[Array, " agents"]:
    """Variance of each agent's values over the rows in which it is alive; 0 if it never is."""
    mean = jax.vmap(mean_where, in_axes=-1)
    return mean(jnp.square(values - mean(values, alive)[None, None]), alive)


def summary(rollout: Rollout) -> Metrics:
    """Reward per step, episodes ended and, where games can be won, the share of them won."""
    ended = jnp.logical_or(rollout.terminated, rollout.truncated)
    found = {"reward": mean_reward(rollout), "episodes": ended.astype(jnp.float32).sum()}
    if "success" in rollout.info:
        won = jnp.logical_and(ended, rollout.info["success"]).astype(jnp.float32).sum()
        found["success"] = won / jnp.maximum(found["episodes"], 1.0)
    return found


def mean_reward(rollout: Rollout) -> Float[Array, ""]:
    """Reward per agent and step, groups counted alike."""
    return jnp.stack([reward.mean() for reward in rollout.reward.values()]).mean()


def described(spec: Spec, rollout: Rollout, true: Rewards, *, span: tuple[float, float]) -> Metrics:
    """What learned rewards are like, and whether they go with the env's own.

    Args:
        spec: order of the groups.
        rollout: with the learned rewards.
        true: the env's.
        span: range of the histograms.

    Returns:
        ``learned_reward``, ``reward_correlation`` and per group ``reward_quantiles``,
        ``reward_moments`` and ``reward_histogram``, see `functional.rewards`.
    """
    found: Metrics = {"learned_reward": mean_reward(rollout)}
    alive = rollout.observation.alive
    for name in spec.names:
        reward = rollout.reward[name]
        rows, counted = (x.reshape(-1, x.shape[-1]) for x in (reward, alive[name]))
        found[f"reward_quantiles/{name}"] = rewards.quantiles(rows, counted)
        found[f"reward_moments/{name}"] = rewards.moments(rows, counted)
        found[f"reward_histogram/{name}"] = rewards.histogram(
            rows, counted, low=span[0], high=span[1]
        )
    found["reward_correlation"] = rewards.correlation(
        *(
            jnp.concatenate([values[name] for name in spec.names], -1)
            for values in (rollout.reward, true, alive)
        )
    )
    return found


def cut(rows: T, step: Int[Array, ""], epoch: Any, *, count: int, recurrent: bool) -> T:
    """Cut rows into minibatches ``[count, ...]``, in an order that `step` and `epoch` decide.

    With memory, envs are dealt out and time stays whole; without, single rows are. The order is
    the same for all seeds, so that it is drawn once.

    Args:
        rows: a record with ``starts [time, envs]``, ``memory [envs, ...]`` and other leaves
            ``[time, envs, ...]``.
        step: of the update.
        epoch: of the update.
        count: minibatches.
        recurrent: rows depend on rows before.

    Raises:
        UserError: when rows cannot be dealt out evenly.
    """
    if count == 1:
        return jax.tree.map(lambda leaf: leaf[None], rows)
    time, envs = rows.starts.shape
    items = envs if recurrent else time * envs
    require(
        items % count == 0,
        f"expected {'envs' if recurrent else 'rows (rollout times envs)'} that {count} minibatches "
        f"share evenly, found {items}; change minibatches, envs or rollout",
    )
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), step), epoch)
    order = shuffled(key, items).reshape(count, -1)
    memory = jax.tree.map(lambda leaf: leaf[order], rows.memory)
    whole = dataclasses.replace(rows, memory=())

    def deal(leaf: Array) -> Array:
        if recurrent:  # [time, envs, ...] -> [count, time, few, ...]
            return jnp.moveaxis(leaf[:, order], 1, 0)
        return leaf.reshape(items, *leaf.shape[2:])[order][:, None]

    return dataclasses.replace(jax.tree.map(deal, whole), memory=memory)


def shuffled(key: Key[Array, ""], items: int) -> Int[Array, " items"]:
    """``0 ... items - 1`` in a random order: one sort of random numbers that end in their place.

    With 12 random bits or fewer left beside the place, ties would keep their order too often, and
    `jax.random.permutation` draws instead, which is several times slower.
    """
    bits = max(1, (items - 1).bit_length())
    if bits > 20:
        return jax.random.permutation(key, items)
    drawn = jax.random.bits(key, (items,), jnp.uint32) << bits
    places = jax.lax.sort(drawn | jnp.arange(items, dtype=jnp.uint32))
    return (places & jnp.uint32(2**bits - 1)).astype(jnp.int32)
