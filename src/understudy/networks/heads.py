"""Perceptrons of several heads (agents) that read one scene, each with weights of its own."""

from __future__ import annotations

from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.networks.mlp import MLP, stacked

PerHead: TypeAlias = Float[Array, "*time heads batch _size"]
Common: TypeAlias = Float[Array, "*time batch _size"]

PER_HEAD = ("target", "extra", "latent")
COMMON = ("seen", "hidden")


class Heads(eqx.Module):
    """Perceptrons over named inputs: those of `PER_HEAD` and those of `COMMON` to all heads."""

    nets: MLP
    sizes: tuple[tuple[str, int], ...] = eqx.field(static=True)
    """Inputs in the order of the first layer's columns."""

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

    def join(self, **inputs: Float[Array, "..."]) -> PerHead:
        """Inputs side by side, per head; those that this network has not are left out."""
        heads = self.nets.layers[0].bias.shape[0]
        parts = [
            spread(inputs[name], heads) if name in COMMON else inputs[name]
            for name, _ in self.sizes
            if name in inputs
        ]
        return jnp.concatenate(parts, -1) if len(parts) > 1 else parts[0]

    def __call__(self, **inputs: Float[Array, "..."]) -> PerHead:
        """Outputs of every head: one product per layer, batched over heads, over all of time."""
        x = self.join(**inputs)
        heads, *rest = jnp.moveaxis(x, -3, 0).shape
        x = jnp.moveaxis(x, -3, 0).reshape(heads, -1, rest[-1])
        x = jax.vmap(lambda net, rows: net(rows))(self.nets, x)
        return jnp.moveaxis(x.reshape(heads, *rest[:-1], -1), 0, -3)


def spread(x: Common, heads: int) -> PerHead:
    """The same for every head."""
    *lead, batch, size = x.shape
    return jnp.broadcast_to(x[..., None, :, :], (*lead, heads, batch, size))
