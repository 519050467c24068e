"""Running moments of a stream of numbers: an average that forgets, corrected for its beginning."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.types import record

FLOOR = 1e-2
"""Smallest variance."""


@record
class Moments:
    """Exponential averages of values and squares, and the weight they have gathered."""

    mean: Float[Array, ""]
    square: Float[Array, ""]
    weight: Float[Array, ""]


def start() -> Moments:
    """Nothing seen yet; normalises by 0 and 1."""
    zero = jnp.zeros(())
    return Moments(zero, zero, zero)


def follow(
    moments: Moments,
    values: Float[Array, "*shape"],
    counted: Bool[Array, "*shape"],
    *,
    keep: float | Float[Array, ""],
) -> Moments:
    """Take in a batch; `keep` is the share of the past that stays."""
    weight = counted.astype(values.dtype)
    total = jnp.maximum(weight.sum(), 1.0)
    mean = (values * weight).sum() / total
    square = (jnp.square(values) * weight).sum() / total
    return Moments(
        keep * moments.mean + (1.0 - keep) * mean,
        keep * moments.square + (1.0 - keep) * square,
        keep * moments.weight + (1.0 - keep),
    )


def scale(moments: Moments) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation of what was seen; 0 and 1 if nothing was."""
    weight = jnp.maximum(moments.weight, 1e-5)
    mean = moments.mean / weight
    variance = jnp.maximum(moments.square / weight - jnp.square(mean), FLOOR)
    seen = moments.weight > 0
    return jnp.where(seen, mean, 0.0), jnp.where(seen, jnp.sqrt(variance), 1.0)
