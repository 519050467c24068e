"""How fast a function may change: an analytic bound for attention by distance, and what is seen."""

from __future__ import annotations

import math

import jax.numpy as jnp
import scipy.special
from jaxtyping import Array, Bool, Float


def l2_attention_bound(
    query: Float[Array, "width width"],
    value: Float[Array, "width width"],
    out: Float[Array, "width width"],
    *,
    heads: int,
    tokens: int,
) -> Float[Array, ""]:
    """Largest 2-norm of the Jacobian of unmasked self-attention by distance, at any input.

        √N / √d (4 φ⁻¹(N - 1) + 1) √(Σ_h |W_Q^h|² |W_V^h|²) |W_O|,  φ(x) = x exp(x + 1)

    for N tokens and heads of size d, with queries and keys of one map and values ``X A W_V``. It
    says nothing of attention from some tokens to others, nor of what stands around attention.

    Args:
        query: ``[out, in]``; head after head along ``out``.
        value: likewise.
        out: ``[out, in]``; head after head along ``in``.
        heads: how many share the width.
        tokens: N.

    Source: Kim, Papamakarios, Mnih, "The Lipschitz Constant of Self-Attention", ICML 2021, theorem
    3.2.
    """
    width = query.shape[0]
    size = width // heads
    shape = (heads, size, width)
    norms = [jnp.linalg.matrix_norm(w.reshape(shape), ord=2) for w in (query, value)]
    parts = jnp.sqrt(jnp.square(norms[0] * norms[1]).sum())
    near = math.sqrt(tokens / size) * (4.0 * inverse_phi(float(tokens - 1)) + 1.0)
    return near * parts * jnp.linalg.matrix_norm(out, ord=2)


def inverse_phi(y: float) -> float:
    """The x of ``x exp(x + 1) = y``, for y of 0 or more; it grows like ``log y``."""
    return float(scipy.special.lambertw(y / math.e).real)


def largest_ratio(
    first: Float[Array, "*shape"],
    second: Float[Array, "*shape"],
    distance: Float[Array, "*shape"],
    counted: Bool[Array, "*shape"],
) -> Float[Array, ""]:
    """Largest ``|f(x) - f(y)| / d(x, y)`` of some pairs: no Lipschitz constant can be smaller.

    Args:
        first: f(x).
        second: f(y).
        distance: d(x, y); pairs nearer than `NEAR` do not count.
        counted: pairs that count; 0 is returned if there are none.
    """
    counted = jnp.logical_and(counted, distance > NEAR)
    ratio = jnp.abs(first - second) / jnp.maximum(distance, NEAR)
    return jnp.where(counted, ratio, 0.0).max(initial=0.0)


NEAR = 1e-6
"""Distance below which a ratio is mostly rounding."""
