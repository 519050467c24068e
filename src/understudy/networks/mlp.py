"""Linear layers and multi-layer perceptrons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

T = TypeVar("T")


def stacked(make: Callable[[Key[Array, ""]], T], count: int, key: Key[Array, ""]) -> T:
    """Build `count` networks with weights of their own, stacked on a leading axis.

    Apply them with ``jax.vmap``: the matrix products become one batched product.
    """
    return jax.vmap(make)(jax.random.split(key, count))


class Linear(eqx.Module):
    """``W x + b`` over the last axis; initialised uniformly within ``±1/sqrt(in)``."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, inputs: int, outputs: int, *, key: Key[Array, ""]):
        weight_key, bias_key = jax.random.split(key)
        bound = 1.0 / math.sqrt(max(inputs, 1))
        self.weight = jax.random.uniform(weight_key, (outputs, inputs), minval=-bound, maxval=bound)
        self.bias = jax.random.uniform(bias_key, (outputs,), minval=-bound, maxval=bound)

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Apply to any leading axes."""
        return affine(x, self.weight, self.bias)


def affine(
    x: Float[Array, "*lead in"], weight: Float[Array, "out in"], bias: Float[Array, " out"]
) -> Float[Array, "*lead out"]:
    """``x Wᵀ + b`` over any leading axes: one matrix product."""
    return x @ weight.T + bias.reshape((1,) * (x.ndim - 1) + (-1,))


class MLP(eqx.Module):
    """Linear layers with an activation between them; the last layer is linear.

    Takes any leading axes, so a whole sequence is one matrix product per layer.
    """

    layers: tuple[Linear, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        key: Key[Array, ""],
        activation: Callable[[Array], Array] = jax.nn.relu,
    ):
        sizes = (inputs, *hidden, outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(
            Linear(n, m, key=k) for n, m, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.activation = activation

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Apply to any leading axes."""
        return self.rest(self.layers[0](x))

    def rest(self, x: Float[Array, "*lead hidden"]) -> Float[Array, "*lead out"]:
        """Everything after the first layer's linear map."""
        for layer in self.layers[1:]:
            x = layer(self.activation(x))
        return x
