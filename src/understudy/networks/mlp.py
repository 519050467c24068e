"""Linear layers and multi-layer perceptrons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

T = TypeVar("T")


def stacked(network: T, count: int) -> T:
    """Repeat a network `count` times on a leading axis.

    Apply it with ``jax.vmap``: matrix products become one batched product.
    """
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), network)


def drawn(network: T, key: Key[Array, ""]) -> T:
    """Draw all weights of a network, each uniform between minus and plus the bound it holds.

    Networks are built holding bounds, and drawn once from one vector: a generator of random
    numbers per weight would make compiling `init` several times slower than compiling `update`.
    """
    bounds, structure = jax.tree.flatten(network)
    if not bounds:
        return network
    sizes = [leaf.size for leaf in bounds]
    numbers = jax.random.uniform(key, (sum(sizes),), minval=-1.0, maxval=1.0)
    parts = jnp.split(numbers, list(itertools.accumulate(sizes))[:-1])
    leaves = [b * p.reshape(b.shape) for b, p in zip(bounds, parts, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def orthogonal(
    network: T, key: Key[Array, ""], *, gain: float | Float[Array, ""] | Callable[[str], float]
) -> T:
    """Draw the weights of every linear map of a network orthogonal, its biases 0.

    Args:
        network: anything that holds weights and biases.
        key: of the draw.
        gain: scale, or a function from the path of a weight (``.layers[0].weight``) to its scale.

    Source: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014.
    """
    places, structure = jax.tree_util.tree_flatten_with_path(network)
    paths = [jax.tree_util.keystr(path) for path, _ in places]
    leaves = [
        jnp.zeros_like(x) if p.endswith("bias") else x
        for p, (_, x) in zip(paths, places, strict=True)
    ]
    alike: dict[tuple[int, ...], list[int]] = {}
    for number, path in enumerate(paths):
        if path.endswith("weight"):
            alike.setdefault(leaves[number].shape, []).append(number)
    for shape, numbers in alike.items():  # one loop for all weights of a shape compiles sooner
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(numbers, jnp.uint32))
        for number, drawn in zip(numbers, _orthogonal(keys, shape), strict=True):
            leaves[number] = (gain(paths[number]) if callable(gain) else gain) * drawn
    return jax.tree.unflatten(structure, leaves)


def _orthogonal(keys: Key[Array, " weights"], shape: tuple[int, ...]) -> Array:
    """A weight per key, whose rows (or columns, if there are fewer) are orthonormal.

    Gram and Schmidt on normal vectors, each made orthogonal to those before twice. (Several batched
    QR decompositions of LAPACK at once can wait for each other for ever on a machine of few cores.)
    """
    *lead, rows, columns = shape
    size = (*lead, min(rows, columns), max(rows, columns))
    drawn = jax.vmap(lambda key: jax.random.normal(key, size))(keys)

    def add(i: Array, vectors: Array) -> Array:
        before = vectors * _below(i, vectors)
        new = vectors[..., i, :]
        for _ in range(2):
            along = jnp.einsum("...ij,...j->...i", before, new)
            new = new - jnp.einsum("...ij,...i->...j", before, along)
        new = new / jnp.sqrt(jnp.square(new).sum(-1, keepdims=True))
        return vectors.at[..., i, :].set(new)

    vectors = jax.lax.fori_loop(0, drawn.shape[-2], add, drawn)
    return vectors if rows <= columns else jnp.swapaxes(vectors, -1, -2)


def _below(i: Array, vectors: Array) -> Array:
    """1 for the vectors before number `i`, 0 for the others."""
    mask = (jnp.arange(vectors.shape[-2]) < i).astype(vectors.dtype)
    return mask.reshape((1,) * (vectors.ndim - 2) + (-1, 1))


Activation = Literal["relu", "leaky_relu", "tanh", "gelu"]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
}
"""Name -> function."""


class Linear(eqx.Module):
    """``W x + b`` over the last axis; built holding the bound ``1/sqrt(in)``, see `drawn`."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, inputs: int, outputs: int):
        bound = 1.0 / math.sqrt(max(inputs, 1))
        self.weight = jnp.full((outputs, inputs), bound)
        self.bias = jnp.full((outputs,), bound)

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Apply to any leading axes."""
        return affine(x, self.weight, self.bias)


def affine(
    x: Float[Array, "*lead in"], weight: Float[Array, "out in"], bias: Float[Array, " out"]
) -> Float[Array, "*lead out"]:
    """``x Wᵀ + b`` over any leading axes: one matrix product."""
    return x @ weight.T + bias.reshape((1,) * (x.ndim - 1) + (-1,))


class LayerNorm(eqx.Module):
    """Mean 0 and variance 1 over the last axis, then a learned scale and shift per feature."""

    scale: Float[Array, " features"]
    shift: Float[Array, " features"]

    def __init__(self, features: int):
        self.scale = jnp.ones(features)
        self.shift = jnp.zeros(features)

    def __call__(self, x: Float[Array, "*lead features"]) -> Float[Array, "*lead features"]:
        """Apply to any leading axes."""
        centred = x - x.mean(-1, keepdims=True)
        spread = jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)
        row = (1,) * (x.ndim - 1) + (-1,)
        return centred / spread * self.scale.reshape(row) + self.shift.reshape(row)


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
        activation: Callable[[Array], Array] = jax.nn.relu,
    ):
        sizes = (inputs, *hidden, outputs)
        self.layers = tuple(Linear(n, m) for n, m in itertools.pairwise(sizes))
        self.activation = activation

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Apply to any leading axes."""
        x = self.layers[0](x)
        for layer in self.layers[1:]:
            x = layer(self.activation(x))
        return x
