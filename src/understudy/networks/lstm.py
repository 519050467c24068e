"""A bidirectional LSTM over a short sequence, some of whose rows may be absent."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class LSTMLayer(eqx.Module):
    """One layer, forwards and backwards; gates in the order input, forget, candidate, output.

    ``i, f, o = σ(W x + b + U h + c)``, ``g = tanh(...)``, ``s ← f s + i g``, ``h ← o tanh(s)``.
    Built holding the bound ``1/sqrt(hidden)``, see `understudy.networks.mlp.drawn`.
    """

    input_weight: Float[Array, "two gates in"]
    input_bias: Float[Array, "two gates"]
    hidden_weight: Float[Array, "two gates hidden"]
    hidden_bias: Float[Array, "two gates"]

    def __init__(self, inputs: int, hidden: int):
        bound = 1.0 / math.sqrt(hidden)
        self.input_weight = jnp.full((2, 4 * hidden, inputs), bound)
        self.input_bias = jnp.full((2, 4 * hidden), bound)
        self.hidden_weight = jnp.full((2, 4 * hidden, hidden), bound)
        self.hidden_bias = jnp.full((2, 4 * hidden), bound)

    def __call__(
        self, x: Float[Array, "rows in"], present: Bool[Array, " rows"]
    ) -> Float[Array, "two rows hidden"]:
        """Outputs of both directions; an absent row changes nothing and has the output before."""
        projected = jnp.einsum("dgi,ri->rdg", self.input_weight, x) + self.input_bias[None]
        inputs = _both_ways(projected), jnp.stack([present, present[::-1]], 1)
        still = jnp.zeros((2, self.hidden_weight.shape[-1]), x.dtype)

        def step(state: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[tuple, Array]:
            hidden, cell = state
            gates = row[0] + jnp.einsum("dgh,dh->dg", self.hidden_weight, hidden)
            i, f, g, o = jnp.split(gates + self.hidden_bias, 4, -1)
            after = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
            said = jax.nn.sigmoid(o) * jnp.tanh(after)
            there = row[1][:, None]
            hidden, cell = jnp.where(there, said, hidden), jnp.where(there, after, cell)
            return (hidden, cell), hidden

        outputs = jax.lax.scan(step, (still, still), inputs, unroll=len(x))[1]
        return jnp.moveaxis(_both_ways(outputs), 1, 0)


def _both_ways(rows: Float[Array, "rows two size"]) -> Float[Array, "rows two size"]:
    """The second of two sequences from its end to its beginning."""
    return jnp.stack([rows[:, 0], rows[::-1, 1]], 1)


class BidirectionalLSTM(eqx.Module):
    """Layers one above the other, each reading both directions of the one below.

    Outputs are the sum of both directions of the last layer.
    """

    layers: tuple[LSTMLayer, ...]

    def __init__(self, inputs: int, hidden: int, layers: int):
        self.layers = tuple(LSTMLayer(2 * hidden if i else inputs, hidden) for i in range(layers))

    def __call__(
        self, x: Float[Array, "rows in"], present: Bool[Array, " rows"]
    ) -> Float[Array, "rows hidden"]:
        """Outputs of the rows that are present; what stands in the others means nothing."""
        both = self.layers[0](x, present)
        for layer in self.layers[1:]:
            both = layer(jnp.concatenate([both[0], both[1]], -1), present)
        return both[0] + both[1]
