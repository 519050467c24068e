"""Distributions that networks put out."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.functional import latent


class DiagonalGaussian(eqx.Module):
    """Independent normal dimensions; batch axes lead."""

    mean: Float[Array, "*lead size"]
    std: Float[Array, "*lead size"]

    @classmethod
    def from_head(
        cls, head: Float[Array, "*lead twice_size"], floor: float | Float[Array, " size"]
    ) -> DiagonalGaussian:
        """Split a network's output into a mean and a raw std; ``std = floor + softplus(raw)``."""
        mean, raw = jnp.split(head, 2, axis=-1)
        floor = jnp.broadcast_to(jnp.asarray(floor, raw.dtype), raw.shape[-1:])
        return cls(mean, latent.positive_std(raw, floor.reshape((1,) * (raw.ndim - 1) + (-1,))))

    def sample(self, noise: Float[Array, "*lead size"]) -> Float[Array, "*lead size"]:
        """Reparametrised draw from standard normal `noise`."""
        return self.mean + self.std * noise

    def log_prob(self, value: Float[Array, "*lead size"]) -> Float[Array, "*lead size"]:
        """Log-density of each dimension, nats."""
        return latent.gaussian_log_prob(value, self.mean, self.std)

    def kl(self, prior: DiagonalGaussian) -> Float[Array, "*lead size"]:
        """``KL(self || prior)`` of each dimension, nats."""
        return latent.gaussian_kl(self.mean, self.std, prior.mean, prior.std)

    def entropy(self) -> Float[Array, "*lead size"]:
        """Entropy of each dimension, nats."""
        return latent.gaussian_entropy(self.std)
