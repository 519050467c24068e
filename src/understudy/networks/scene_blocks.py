"""Attention between agents that knows where they are to each other.

What agent i makes of agent j, from where j is and how fast it comes, moves how much j gets of i's
attention, head by head; and beside values i reads where those it looks at are, on the average,

    P = softmax(Q Kᵀ / √d + B(e)),    out_i = Σ_j P_ij v_j + C Σ_j P_ij (x_j - x_i)

so geometry counts without anybody knowing more than differences of positions and velocities x.

Source: relative positions in attention, Shaw, Uszkoreit, Vaswani, NAACL 2018 (arXiv 1803.02155).
Deviation: biases come from geometry through one small perceptron for all blocks.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.networks.attention import MASKED
from understudy.networks.mlp import LayerNorm, Linear

HIDDEN = 16
"""Units of the perceptron that reads pairs of agents."""
GEOMETRY = 7
"""Numbers that describe a pair."""
WHERE = 4
"""Position and velocity."""


class Biases(eqx.Module):
    """A perceptron that reads what two agents are to each other, for all heads of all blocks."""

    wide: Linear
    out: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, blocks: int, heads: int) -> None:
        self.wide, self.out = Linear(GEOMETRY, HIDDEN), Linear(HIDDEN, blocks * heads)
        self.heads = heads

    def __call__(
        self, where: Float[Array, "*lead agents 4"], answers: Bool[Array, "*lead agents"]
    ) -> list[Float[Array, "*lead heads agents agents"]]:
        """Biases of every block; far below 0 towards agents that do not answer.

        Args:
            where: positions, in units that make neighbours about 1 apart, and moves, in usual ones.
            answers: agents that may be read.
        """
        between = where[..., None, :, :] - where[..., :, None, :]
        away, faster = jnp.split(between, 2, -1)
        far = jnp.sqrt(jnp.square(away).sum(-1, keepdims=True) + 1e-6)
        coming = (away * faster).sum(-1, keepdims=True) / far
        seen = jnp.concatenate([between, far, jnp.exp(-far), coming], -1)
        found = jnp.moveaxis(self.out(jax.nn.gelu(self.wide(seen))), -1, -3)
        found = jnp.where(answers[..., None, None, :], found, MASKED)
        return jnp.split(found, found.shape[-3] // self.heads, -3)


class GeometricBlock(eqx.Module):
    """Attention between agents by geometry, then a perceptron; each reads what is normalised."""

    asked: Linear
    where: Linear
    out: Linear
    wide: Linear
    narrow: Linear
    norms: tuple[LayerNorm, LayerNorm]
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int):
        self.asked, self.where = Linear(width, 3 * width), Linear(heads * WHERE, width)
        self.out = Linear(width, width)
        self.wide, self.narrow = Linear(width, 2 * width), Linear(2 * width, width)
        self.norms = (LayerNorm(width), LayerNorm(width))
        self.heads = heads

    def __call__(
        self,
        x: Float[Array, "*lead agents width"],
        bias: Float[Array, "*shared heads agents agents"],
        where: Float[Array, "*shared agents 4"],
    ) -> Float[Array, "*lead agents width"]:
        """Read others; of `bias` and `where` leading axes may be 1, which futures share."""
        x = x + self._attend(self.norms[0](x), bias, where)
        return x + self.narrow(jax.nn.gelu(self.wide(self.norms[1](x))))

    def _attend(self, x: Array, bias: Array, where: Array) -> Array:
        *lead, agents, width = x.shape
        size = width // self.heads
        asked = self.asked(x).reshape(*lead, agents, 3, self.heads, size)
        query, key, value = (jnp.swapaxes(asked[..., i, :, :], -3, -2) for i in range(3))
        scores = query @ jnp.swapaxes(key, -1, -2) / math.sqrt(size)
        weights = jax.nn.softmax(scores + jnp.broadcast_to(bias, scores.shape))
        shown = jnp.broadcast_to(where[..., None, :, :], (*scores.shape[:-1], WHERE))
        read = weights @ jnp.concatenate([value, shown], -1)
        values, seen = read[..., :size], read[..., size:] - shown
        return self.out(_merged(values)) + self.where(_merged(seen))


def _merged(x: Float[Array, "*lead heads agents size"]) -> Float[Array, "*lead agents all"]:
    x = jnp.swapaxes(x, -3, -2)
    return x.reshape(*x.shape[:-2], -1)
