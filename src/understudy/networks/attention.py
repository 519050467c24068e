"""Attention between tokens, with heads and a mask: by products, or by distances."""

from __future__ import annotations

import abc
import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.networks.mlp import Linear

MASKED = -1e9


class AnyAttention(eqx.Module):
    """What every attention does with its keys, values and scores."""

    out: eqx.AbstractVar[Linear]
    heads: eqx.AbstractVar[int]

    def __call__(
        self,
        asking: Float[Array, "*lead asking width"],
        answering: Float[Array, "*lead answering width"],
        mask: Bool[Array, "*lead asking answering"],
    ) -> Float[Array, "*lead asking width"]:
        """Each token that asks gets a mean of those that answer, where the mask lets it."""
        return self.attend(asking, self.keys(answering), mask)

    @abc.abstractmethod
    def keys(
        self, answering: Float[Array, "*lead answering width"]
    ) -> Float[Array, "*lead both answering width"]:
        """Keys and values of tokens, which may be kept."""

    def gains(self) -> dict[str, float]:
        """Scale of orthogonal weights at the beginning, by name; 1 of those not named."""
        return {}

    @abc.abstractmethod
    def scores(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead answering width"],
    ) -> Float[Array, "*lead heads asking answering"]:
        """How much each token that asks wants of each that answers, before the softmax."""

    def weights(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead both answering width"],
        mask: Bool[Array, "*lead asking answering"],
    ) -> Float[Array, "*lead heads asking answering"]:
        """P: how much of each token that answers goes to each that asks."""
        scores = self.scores(asking, keys[..., 0, :, :])
        return jax.nn.softmax(jnp.where(mask[..., None, :, :], scores, MASKED))

    def attend(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead both answering width"],
        mask: Bool[Array, "*lead asking answering"],
    ) -> Float[Array, "*lead asking width"]:
        """Attention over keys and values made before."""
        values = self._split(keys[..., 1, :, :])
        return self.out(self._merge(self.weights(asking, keys, mask) @ values))

    def _split(
        self, x: Float[Array, "*lead tokens width"]
    ) -> Float[Array, "*lead heads tokens size"]:
        """The part of each head. Heads come first, so that what follows are plain products."""
        if self.heads == 1:
            return x[..., None, :, :]
        return jnp.swapaxes(x.reshape(*x.shape[:-1], self.heads, -1), -3, -2)

    def _merge(
        self, x: Float[Array, "*lead heads tokens size"]
    ) -> Float[Array, "*lead tokens width"]:
        """Undo `_split`."""
        if self.heads == 1:
            return x[..., 0, :, :]
        x = jnp.swapaxes(x, -3, -2)
        return x.reshape(*x.shape[:-2], -1)


class Attention(AnyAttention):
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

    def keys(
        self, answering: Float[Array, "*lead answering width"]
    ) -> Float[Array, "*lead both answering width"]:
        """Keys and values of tokens, which may be kept."""
        return jnp.stack([self.key(answering), self.value(answering)], -3)

    def scores(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead answering width"],
    ) -> Float[Array, "*lead heads asking answering"]:
        """How much each token that asks wants of each that answers, before the softmax."""
        q, k = self._split(self.query(asking)), self._split(keys)
        return q @ jnp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])


class L2Attention(AnyAttention):
    """Attention by distance: a token attends most to what is near it, itself if it is there.

    With one map W_Q for queries and keys, per head

        P_ij ∝ exp(-|x_i W_Q - x_j W_Q|² / √d)

    and the head is ``P X A W_V`` with ``A = W_Q W_Qᵀ / √d`` (`form` "kim"), or ``P X W_V``
    ("vitgan"). Between all tokens the first has a Lipschitz constant, which
    `functional.lipschitz.l2_attention_bound` bounds; attention by products has none.

    Source: Kim, Papamakarios, Mnih, "The Lipschitz Constant of Self-Attention", ICML 2021, section
    3.2; Lee et al., "ViTGAN: Training GANs with Vision Transformers", ICLR 2022, section 4.1.
    Deviation: values and outputs have biases; queries have none, which distances would not show.
    """

    query_weight: Float[Array, "width width"]
    value: Linear
    out: Linear
    heads: int = eqx.field(static=True)
    form: Literal["kim", "vitgan"] = eqx.field(static=True)

    def __init__(self, width: int, heads: int, form: Literal["kim", "vitgan"] = "kim"):
        self.query_weight = Linear(width, width).weight
        self.value, self.out = Linear(width, width), Linear(width, width)
        self.heads, self.form = heads, form

    def keys(
        self, answering: Float[Array, "*lead answering width"]
    ) -> Float[Array, "*lead both answering width"]:
        """Keys and values of tokens, which may be kept."""
        keys = answering @ self.query_weight.T
        return jnp.stack([keys, self._values(answering, keys)], -3)

    def scores(
        self,
        asking: Float[Array, "*lead asking width"],
        keys: Float[Array, "*lead answering width"],
    ) -> Float[Array, "*lead heads asking answering"]:
        """Minus squared distances, before the softmax."""
        q, k = self._split(asking @ self.query_weight.T), self._split(keys)
        # |q|² is the same in all of a row, which the softmax does not see
        norms = jnp.square(k).sum(-1)[..., None, :]
        products = q @ jnp.swapaxes(k, -1, -2)
        return (2.0 * products - jnp.broadcast_to(norms, products.shape)) / math.sqrt(q.shape[-1])

    def gains(self) -> dict[str, float]:
        """Normalised tokens that have nothing in common begin at a distance of 1 from each other.

        With an orthogonal W_Q it is 2√d: they would attend to themselves alone, and where spectral
        norms are kept as they were at the beginning, for ever. ``A W_V`` keeps the size of tokens.
        """
        size = self.query_weight.shape[0] // self.heads
        near = (2.0 * math.sqrt(size)) ** -0.5
        if self.form == "vitgan":
            return {"query_weight": near}
        # |x A| is near²/√d of what it would be, and heads share the directions of x
        return {"query_weight": near, "value.weight": math.sqrt(size * self.heads) / near**2}

    def _values(self, x: Array, keys: Array) -> Array:
        """``X A W_V`` (or ``X W_V``) of all heads, side by side."""
        if self.form == "vitgan":
            return self.value(x)
        width = self.query_weight.shape[0]
        shape = (self.heads, width // self.heads, width)
        small = jnp.einsum(
            "haw,hbw->hab", self.query_weight.reshape(shape), self.value.weight.reshape(shape)
        )
        values = jnp.einsum("...hta,hab->...htb", self._split(keys), small) / math.sqrt(shape[1])
        bias = self.value.bias.reshape((1,) * (x.ndim - 1) + (-1,))
        return self._merge(values) + bias
