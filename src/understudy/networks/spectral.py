"""Spectral normalisation: every linear weight W is used as ``W / σ(W)``, or ``σ(W_0) W / σ(W)``.

σ is the largest singular value, found by power iteration whose vectors u and v are kept between
steps; ``σ = uᵀ W v`` has a gradient in W, the vectors have none. In the improved form weights keep
the σ of W_0, which they were drawn with.

Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018; Lee
et al., "ViTGAN: Training GANs with Vision Transformers", ICLR 2022, section 4.1 (improved).
Deviation: many power iterations at a time, by squaring; see `SQUARINGS`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.types import record

T = TypeVar("T")

Normalisation = Literal["none", "spectral", "improved"]
"""Weights as they are, with largest singular value 1, or with the one they were drawn with."""

SQUARINGS = 7
"""``WᵀW`` is squared so often: 2⁷ = 128 power iterations at a time, whose σ is within 2 % of the
largest singular value however weights move. One at a time stays up to 30 % behind weights that
were drawn orthogonal: their singular values are alike at first, and then no more."""
SMALLEST = 1e-12
"""Lengths are taken to be at least this."""


@record
class Vectors:
    """What is kept of every linear weight of a network, in the order of its leaves."""

    left: tuple[Any, ...]
    """u, ``[*lead, out]`` of length 1."""
    right: tuple[Any, ...]
    """v, ``[*lead, in]`` of length 1."""
    start: tuple[Any, ...]
    """σ of the weights at the beginning, ``[*lead]``."""


def start(network: Any) -> Vectors:
    """Vectors of fresh weights."""
    weights = _weights(network)
    left = tuple(_spread(weight[..., 0]) for weight in weights)
    right = tuple(_spread(weight[..., 0, :]) for weight in weights)
    empty = tuple(jnp.zeros(weight.shape[:-2]) for weight in weights)
    found = advance(network, Vectors(left, right, empty))
    sides = zip(weights, found.left, found.right, strict=True)
    largest = tuple(_largest(*three) for three in sides)
    return Vectors(found.left, found.right, jax.lax.stop_gradient(largest))


def advance(network: Any, vectors: Vectors) -> Vectors:
    """Follow weights that have changed by some power iterations; without a gradient."""
    left, right = list(vectors.left), list(vectors.right)
    alike: dict[tuple[int, ...], list[int]] = {}
    weights = jax.lax.stop_gradient(_weights(network))
    for number, weight in enumerate(weights):
        alike.setdefault(weight.shape, []).append(number)
    for numbers in alike.values():  # weights of one shape at once
        stack = [jnp.stack([each[n] for n in numbers]) for each in (weights, left, right)]
        u, v = _follow(*stack)
        for place, number in enumerate(numbers):
            left[number], right[number] = u[place], v[place]
    return Vectors(tuple(left), tuple(right), vectors.start)


def normalised(network: T, vectors: Vectors, kind: Normalisation) -> T:
    """The network with normalised weights; gradients flow to its own.

    Args:
        network: any pytree; its linear weights are the leaves whose path ends in ``weight``,
            ``[*lead, out, in]``.
        vectors: of this network.
        kind: of normalisation.
    """
    if kind == "none":
        return network
    places, structure = jax.tree_util.tree_flatten_with_path(network)
    kept = iter(zip(vectors.left, vectors.right, vectors.start, strict=True))
    leaves = [_scaled(leaf, next(kept), kind) if _linear(path) else leaf for path, leaf in places]
    return jax.tree.unflatten(structure, leaves)


def _scaled(weight: Array, kept: tuple[Array, Array, Array], kind: str) -> Array:
    u, v, first = jax.lax.stop_gradient(kept)
    scale = 1.0 / jnp.maximum(_largest(weight, u, v), SMALLEST)
    return weight * (scale * first if kind == "improved" else scale)[..., None, None]


def _largest(weight: Array, u: Array, v: Array) -> Array:
    """``uᵀ W v``."""
    return jnp.einsum("...o,...oi,...i->...", u, weight, v)


def _follow(weight: Array, u: Array, v: Array) -> tuple[Array, Array]:
    """Power iterations over leading axes, on the shorter side."""
    flat = jnp.swapaxes(weight, -1, -2)
    wide = weight.shape[-1] > weight.shape[-2]
    power = weight @ flat if wide else flat @ weight
    for _ in range(SQUARINGS):
        power = power / jnp.maximum(jnp.abs(power).max((-1, -2), keepdims=True), SMALLEST)
        power = power @ power
    if wide:
        u = _unit(_times(power, u), u)
        v = _unit(_times(flat, u), v)
        return u, v
    v = _unit(_times(power, v), v)
    return _unit(_times(weight, v), u), v


def _times(matrix: Float[Array, "*lead out in"], x: Float[Array, "*lead in"]) -> Array:
    return jnp.einsum("...oi,...i->...o", matrix, x)


def _unit(x: Float[Array, "*lead size"], old: Float[Array, "*lead size"]) -> Array:
    """Of length 1; the old vector where there is no direction."""
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
    return jnp.where(length > SMALLEST, x / jnp.maximum(length, SMALLEST), old)


def _spread(like: Float[Array, "*lead size"]) -> Float[Array, "*lead size"]:
    """A vector of length 1 in no special direction, the same every time."""
    places = jnp.arange(like.shape[-1], dtype=jnp.float32)
    vector = jnp.cos(2.4 * places**2 + 0.3)
    return jnp.broadcast_to(vector / jnp.sqrt(jnp.square(vector).sum()), like.shape)


def _weights(network: Any) -> list[Array]:
    places, _ = jax.tree_util.tree_flatten_with_path(network)
    return [leaf for path, leaf in places if _linear(path)]


def _linear(path: Any) -> bool:
    return jax.tree_util.keystr(path).endswith("weight")
