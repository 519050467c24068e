"""What a batch of learned rewards looks like, agent by agent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""What the five numbers of `quantiles` are quantiles of."""
BINS = 40
"""Of `histogram`."""


def quantiles(
    rewards: Float[Array, "rows agents"], counted: Bool[Array, "rows agents"]
) -> Float[Array, "agents 5"]:
    """`QUANTILES` of every agent's reward over the rows that count; NaN where none does."""
    held = jnp.where(counted, rewards, jnp.nan)
    return jnp.nanquantile(held, jnp.asarray(QUANTILES, rewards.dtype), axis=0).T


def moments(
    rewards: Float[Array, "rows agents"], counted: Bool[Array, "rows agents"]
) -> Float[Array, "agents 2"]:
    """Mean and variance of every agent's reward over the rows that count; 0 where none does."""
    weight = counted.astype(rewards.dtype)
    total = jnp.maximum(weight.sum(0), 1.0)
    mean = (rewards * weight).sum(0) / total
    variance = (jnp.square(rewards - mean[None]) * weight).sum(0) / total
    return jnp.stack([mean, variance], -1)


def histogram(
    rewards: Float[Array, "rows agents"],
    counted: Bool[Array, "rows agents"],
    *,
    low: float,
    high: float,
) -> Float[Array, "agents bins"]:
    """Share of every agent's rewards in `BINS` equal bins; the end bins hold what lies outside."""
    place = jnp.floor((rewards - low) / (high - low) * BINS).astype(jnp.int32)
    place = jnp.clip(place, 0, BINS - 1)
    hits = jnp.where(counted[..., None], jax.nn.one_hot(place, BINS), 0.0)
    return hits.sum(0) / jnp.maximum(counted.sum(0), 1).astype(rewards.dtype)[:, None]


def correlation(
    one: Float[Array, "*shape"], other: Float[Array, "*shape"], counted: Bool[Array, "*shape"]
) -> Float[Array, ""]:
    """Pearson's correlation over the entries that count; 0 where either does not change."""
    weight = counted.astype(one.dtype)
    total = jnp.maximum(weight.sum(), 1.0)
    one, other = (x - (x * weight).sum() / total for x in (one, other))
    both = (one * other * weight).sum()
    spread = jnp.sqrt((jnp.square(one) * weight).sum() * (jnp.square(other) * weight).sum())
    return jnp.where(spread > 1e-12, both / jnp.maximum(spread, 1e-12), 0.0)
