"""Attention between tokens, with heads and a mask."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.networks.mlp import Linear

MASKED = -1e9


class Attention(eqx.Module):
    """Scaled dot-product attention: ``softmax(Q Kᵀ / √d) V`` per head, then a linear map.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.
    """

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int):
        self.query, self.key, self.value, self.out = (Linear(width, width) for _ in range(4))
        self.heads = heads

    def __call__(
        self,
        asking: Float[Array, "*lead asking width"],
        answering: Float[Array, "*lead answering width"],
        mask: Bool[Array, "*lead asking answering"],
    ) -> Float[Array, "*lead asking width"]:
        """Each token that asks gets a mean of those that answer, where the mask lets it."""
        return self.attend(asking, self.keys(answering), mask)

    def keys(
        self, answering: Float[Array, "*lead answering width"]
    ) -> Float[Array, "*lead answering both width"]:
        """Keys and values of tokens, which may be kept."""
        return jnp.stack([self.key(answering), self.value(answering)], -2)

    def attend(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead answering both width"],
        mask: Bool[Array, "*lead asking answering"],
    ) -> Float[Array, "*lead asking width"]:
        """Attention over keys and values made before."""
        q = self._split(self.query(asking))
        k, v = self._split(keys[..., 0, :]), self._split(keys[..., 1, :])
        scores = jnp.einsum("...qhd,...khd->...hqk", q, k) / math.sqrt(q.shape[-1])
        scores = jnp.where(mask[..., None, :, :], scores, MASKED)
        mixed = jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(scores), v)
        return self.out(mixed.reshape(asking.shape))

    def _split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.heads, -1)
