"""Spectral normalisation: every linear weight W is used as ``W / σ(W)``, or ``σ(W_0) W / σ(W)``.

σ is the largest singular value, found by power iteration whose vectors u and v are kept between
steps; ``σ = uᵀ W v`` has a gradient in W, the vectors have none. With the improved form weights
keep the σ they were drawn with, W_0, which lets transformers learn where 1 does not.

Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018; Lee
et al., "ViTGAN: Training GANs with Vision Transformers", ICLR 2022, section 4.1 (improved).
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

START = 15
"""Power iterations before the first step."""
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
    key = jax.random.key(0)
    left = tuple(
        _unit(jax.random.normal(jax.random.fold_in(key, number), weight.shape[:-1]))
        for number, weight in enumerate(weights)
    )
    right = tuple(jnp.zeros((*weight.shape[:-2], weight.shape[-1])) for weight in weights)
    empty = tuple(jnp.zeros(weight.shape[:-2]) for weight in weights)
    found = advance(network, Vectors(left, right, empty), iterations=START)
    largest = tuple(map(_largest, weights, found.left, found.right, strict=True))
    return Vectors(found.left, found.right, jax.lax.stop_gradient(largest))


def advance(network: Any, vectors: Vectors, *, iterations: int = 1) -> Vectors:
    """Follow weights that have changed by some power iterations; without a gradient."""
    weights = jax.lax.stop_gradient(_weights(network))
    left, right = list(vectors.left), list(vectors.right)
    for number, weight in enumerate(weights):
        for _ in range(iterations):
            right[number] = _unit(jnp.einsum("...oi,...o->...i", weight, left[number]))
            left[number] = _unit(jnp.einsum("...oi,...i->...o", weight, right[number]))
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


def _unit(x: Float[Array, "*lead size"]) -> Float[Array, "*lead size"]:
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
    return x / jnp.maximum(length, SMALLEST)


def _weights(network: Any) -> list[Array]:
    places, _ = jax.tree_util.tree_flatten_with_path(network)
    return [leaf for path, leaf in places if _linear(path)]


def _linear(path: Any) -> bool:
    return jax.tree_util.keystr(path).endswith("weight")
