"""Latent-variable mathematics: diagonal Gaussians, their divergence, importance-weighted bounds.

Arrays in, arrays out. Densities are per element, in nats; sum over the axes you mean.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

STD_FLOOR = 1e-3
"""Smallest standard deviation of any likelihood, in data units."""


def positive_std(
    raw: Float[Array, "*shape"], floor: float | Float[Array, "*#shape"] = STD_FLOOR
) -> Float[Array, "*shape"]:
    """Standard deviation from an unconstrained number: ``floor + softplus(raw)``.

    The floor is added, not clamped, so the gradient never dies at the floor.
    """
    return jax.nn.softplus(raw) + jnp.broadcast_to(jnp.asarray(floor, raw.dtype), raw.shape)


def gaussian_log_prob(
    value: Float[Array, "*shape"], mean: Float[Array, "*shape"], std: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """``log N(value; mean, std²) = -½((value - mean) / std)² - log std - ½ log 2π``."""
    return -0.5 * jnp.square((value - mean) / std) - jnp.log(std) - 0.5 * math.log(2 * math.pi)


def gaussian_kl(
    mean: Float[Array, "*shape"],
    std: Float[Array, "*shape"],
    prior_mean: Float[Array, "*shape"],
    prior_std: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """``KL(N(mean, std²) || N(prior_mean, prior_std²))`` of each dimension.

    ``log(s_p / s_q) + (s_q² + (m_q - m_p)²) / (2 s_p²) - ½``
    """
    ratio = std / prior_std
    shift = (mean - prior_mean) / prior_std
    return 0.5 * (jnp.square(ratio) + jnp.square(shift) - 1.0) - jnp.log(ratio)


def gaussian_entropy(std: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Entropy of each dimension: ``½ log(2πe std²)``, of the variance and not of std."""
    return 0.5 * math.log(2 * math.pi * math.e) + jnp.log(std)


def iwae(log_weights: Float[Array, "particles *shape"]) -> Float[Array, "*shape"]:
    """Importance-weighted bound: ``log mean_k exp(log_weights_k)``.

    Args:
        log_weights: ``log p(x, z_k) - log q(z_k | x)`` with ``z_k ~ q``; one particle gives a
            single-sample ELBO, more particles a tighter bound in expectation.

    Source: Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016.
    """
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])
