"""Paths through rows that are known: straight between them, at rest beyond them, and moves on top.

Of each agent some rows are known. A bridge B takes any path to the one that needs nothing else,
which is straight between known rows and rests before the first and after the last. Moves r are put
on top of it so that it still goes through every known row,

    x = B x + (1 - B) s,    s_t = Σ_{i ≤ t} r_i

and behind the last known row (1 - B) s is the sum of moves since.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def bridge(known: Bool[Array, "*lead rows agents"]) -> Float[Array, "*lead agents rows rows"]:
    """B of every agent, a matrix over rows; 0 where no row is known."""
    known = jnp.swapaxes(known, -1, -2)
    count, axis = known.shape[-1], known.ndim - 1
    rows = jnp.broadcast_to(jnp.arange(count), known.shape)
    before = jax.lax.cummax(jnp.where(known, rows, -1), axis=axis)
    after = jax.lax.cummin(jnp.where(known, rows, count), axis=axis, reverse=True)
    low = jnp.where(before >= 0, before, after)
    high = jnp.where(after < count, after, before)
    share = ((rows - low) / jnp.maximum(high - low, 1)).astype(jnp.float32)
    # a number of a row that there is not is a row of zeros
    first, last = (jax.nn.one_hot(i, count, dtype=jnp.float32) for i in (low, high))
    return first + share[..., None] * (last - first)


def on_top(bridge: Float[Array, "*lead rows rows"]) -> Float[Array, "*lead rows rows"]:
    """``(1 - B) S``: what moves add to each row, S summing them up."""
    count = bridge.shape[-1]
    one, summed = np.eye(count, dtype=np.float32), np.tri(count, dtype=np.float32)
    return (jnp.broadcast_to(one, bridge.shape) - bridge) @ jnp.broadcast_to(summed, bridge.shape)
