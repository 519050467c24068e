"""Losses of policy optimisation, element by element; sum or average over the axes you mean."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def clipped_surrogate(
    ratio: Float[Array, "*shape"],
    advantage: Float[Array, "*shape"],
    *,
    clip: float | Float[Array, ""],
) -> Float[Array, "*shape"]:
    """``min(ρ A, clip(ρ, 1 - c, 1 + c) A)``, to be maximised.

    Args:
        ratio: ρ, probability of an action now over that when it was taken.
        advantage: A.
        clip: c.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms", 2017, equation 7.
    """
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage)


def huber(error: Float[Array, "*shape"], width: float | Float[Array, ""]) -> Float[Array, "*shape"]:
    """``½ e²`` up to `width`, then ``width (|e| - ½ width)``."""
    size = jnp.abs(error)
    near = jnp.minimum(size, width)
    return 0.5 * jnp.square(near) + width * (size - near)


def clipped_value_loss(
    value: Float[Array, "*shape"],
    value_old: Float[Array, "*shape"],
    target: Float[Array, "*shape"],
    *,
    clip: float | Float[Array, ""],
    width: float | Float[Array, ""],
) -> Float[Array, "*shape"]:
    """Larger of the Huber losses of a value and of the same value kept within `clip` of the old."""
    kept = value_old + jnp.clip(value - value_old, -clip, clip)
    return jnp.maximum(huber(target - value, width), huber(target - kept, width))


def standardise(
    values: Float[Array, "*shape"], counted: Bool[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Mean 0 and standard deviation 1 over the entries that count."""
    weight = counted.astype(values.dtype)
    total = jnp.maximum(weight.sum(), 1.0)
    centred = values - (values * weight).sum() / total
    variance = (jnp.square(centred) * weight).sum() / total
    return centred / (jnp.sqrt(variance) + 1e-8)


def mean_where(values: Float[Array, "*shape"], counted: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean over the entries that count; 0 if there are none."""
    weight = counted.astype(values.dtype)
    return (values * weight).sum() / jnp.maximum(weight.sum(), 1.0)
