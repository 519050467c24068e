"""The energy score as something to learn from: masks, any number of futures, one matrix product.

    ES = 1/K Σ_s ‖X_s - y‖ - 1/(2K(K-1)) Σ_{s≠s'} ‖X_s - X_s'‖

is proper: what minimises it on average is a sampler of the true distribution, so a network that
turns noise into futures learns from it by plain gradient descent, without a likelihood. Sums of
scores of different views of a future (whole scene, each agent, its moves) are proper too. Squared
distances of a whole are sums of those of its parts, so a scene costs nothing beside its agents.

Source: Gneiting and Raftery, JASA 2007, section 4.2; Pacchiardi, Adewoyin, Dueben, Dutta,
"Probabilistic Forecasting with Generative Networks via Scoring Rule Minimization", JMLR 2024
(arXiv 2112.08217).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.types import record


@record
class Squares:
    """Weighted sums of squared differences."""

    off: Float[Array, "*lead futures"]
    """Of each future from the truth."""
    apart: Float[Array, "*lead futures futures"]
    """Of each future from each other."""
    weight: Float[Array, "*lead"]
    """Sum of the weights."""

    def together(self) -> Squares:
        """Of all parts on the last leading axis at once."""
        return Squares(self.off.sum(-2), self.apart.sum(-3), self.weight.sum(-1))

    def energy(self) -> Float[Array, "*lead"]:
        """Energy scores with ``‖x‖ = sqrt(Σ weight x² / Σ weight)``; 0 where all weights are."""
        count = self.off.shape[-1]
        total = jnp.maximum(self.weight, 1e-6)[..., None]
        off = _root(self.off / total).mean(-1)
        apart = _root(self.apart / total[..., None]).sum((-1, -2))
        return off - 0.5 * apart / (count * (count - 1))


def squares(
    futures: Float[Array, "*lead futures numbers"],
    truth: Float[Array, "*lead numbers"],
    weight: Float[Array, "*lead numbers"],
) -> Squares:
    """Squared differences of K futures, at least 2, from the truth and from each other.

    Args:
        futures: K of them.
        truth: what happened.
        weight: of every number, 0 or more.
    """
    # about the truth, so that differences are not lost in squares
    away = (futures - truth[..., None, :]) * jnp.sqrt(weight)[..., None, :]
    off = jnp.square(away).sum(-1)
    products = away @ jnp.swapaxes(away, -1, -2)
    count = off.shape[-1]
    other = 1.0 - jnp.eye(count).reshape((1,) * (off.ndim - 1) + (count, count))
    apart = (off[..., :, None] + off[..., None, :] - 2.0 * products) * other
    return Squares(off, apart, weight.sum(-1))


def _root(squares: Array) -> Array:
    """A square root whose slope stays finite; 0 of 0."""
    return jnp.sqrt(jnp.maximum(squares, 0.0) + 1e-6) - 1e-3
