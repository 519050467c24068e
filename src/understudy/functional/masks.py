"""Sums and means over the agents that count, and lengths of vectors."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def length(vectors: Float[Array, "*shape 2"]) -> Float[Array, "*shape"]:
    """Euclidean length of plane vectors."""
    return jnp.sqrt(jnp.square(vectors).sum(-1))


def where_alive(
    values: Float[Array, "*shape agents"], alive: Bool[Array, " agents"]
) -> Float[Array, "*shape agents"]:
    """`values` of live agents, 0 for the others whatever stands there (not a number included)."""
    return jnp.where(jnp.broadcast_to(alive, values.shape), values, 0)


def mean_alive(
    values: Float[Array, "*shape agents"], alive: Bool[Array, " agents"]
) -> Float[Array, "*shape"]:
    """Mean of `values` over the live agents; 0 if there are none."""
    count = jnp.maximum(alive.sum(), 1).astype(values.dtype)
    return where_alive(values, alive).sum(-1) / count
