"""Perceptrons of several heads (agents) that read one scene, each with weights of its own."""

from __future__ import annotations

from typing import TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.networks.mlp import MLP, stacked

PerHead: TypeAlias = Float[Array, "*time heads batch _size"]
Common: TypeAlias = Float[Array, "*time batch _size"]

PER_HEAD = ("target", "extra", "latent")
COMMON = ("seen", "hidden")


class Heads(eqx.Module):
    """Perceptrons over named inputs: those of `PER_HEAD` and those of `COMMON` to all heads.

    The first layer is a sum over inputs, so nothing is repeated or concatenated and the share of
    inputs known ahead of time is computed ahead, in one product over all of time.
    """

    nets: MLP
    sizes: tuple[tuple[str, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        sizes: dict[str, int],
        hidden: tuple[int, ...],
        outputs: int,
        *,
        heads: int,
    ):
        self.sizes = tuple((name, size) for name, size in sizes.items() if size)
        inputs = sum(size for _, size in self.sizes)
        self.nets = stacked(MLP(inputs, hidden, outputs), heads)

    def weight(self, name: str) -> Float[Array, "heads hidden size"]:
        """First-layer weights of one input."""
        start = 0
        for other, size in self.sizes:
            if other == name:
                return self.nets.layers[0].weight[..., start : start + size]
            start += size
        raise KeyError(name)

    def first(self, **inputs: Float[Array, "..."]) -> PerHead:
        """First layer before its activation; inputs that this network has not are left out."""
        terms = [
            (common if n in COMMON else per_head)(inputs[n], self.weight(n))
            for n, _ in self.sizes
            if n in inputs
        ]
        return sum(terms[1:], terms[0]) + _over(self.nets.layers[0].bias, terms[0])

    def rest(self, x: PerHead) -> PerHead:
        """Everything after the first layer's linear map."""
        for layer in self.nets.layers[1:]:
            x = per_head(self.nets.activation(x), layer.weight)
            x = x + _over(layer.bias, x)
        return x

    def __call__(self, **inputs: Float[Array, "..."]) -> PerHead:
        """Outputs of every head."""
        return self.rest(self.first(**inputs))


def per_head(x: PerHead, weight: Float[Array, "heads out in"]) -> PerHead:
    """``y[..., m, b, :] = W_m x[..., m, b, :]``: one product batched over heads."""
    heads, out, size = weight.shape
    *time, _, batch, _ = x.shape
    rows = jnp.moveaxis(x, -3, 0).reshape(heads, -1, size)
    y = jnp.matmul(rows, jnp.swapaxes(weight, 1, 2)).reshape(heads, *time, batch, out)
    return jnp.moveaxis(y, 0, -3)


def common(x: Common, weight: Float[Array, "heads out in"]) -> PerHead:
    """``y[..., m, b, :] = W_m x[..., b, :]``: one product, all heads' weights side by side."""
    heads, out, size = weight.shape
    y = (x.reshape(-1, size) @ weight.reshape(-1, size).T).reshape(*x.shape[:-1], heads, out)
    return jnp.moveaxis(y, -2, -3)


def _over(bias: Float[Array, "heads out"], x: PerHead) -> Float[Array, "*ones heads 1 out"]:
    heads, out = bias.shape
    return bias.reshape((1,) * (x.ndim - 3) + (heads, 1, out))
