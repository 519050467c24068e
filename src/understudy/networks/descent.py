"""One step down the gradient: Adam, clipped by the global norm, at a rate that may be traced.

Weights are one flat vector here: a program with kernels for each of a hundred arrays takes longer
to compile.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

Params = TypeVar("Params", bound=Any)


EPSILON = 1e-8
"""What Adam adds to the root of the second moment."""
BETAS = (0.9, 0.999)
"""Shares of the past of the first and second moment."""


def start(params: Any) -> optax.OptState:
    """State of Adam for `params`: its moments are kept for all of training."""
    return optax.scale_by_adam().init(ravel_pytree(params)[0])


def descend(
    params: Params,
    gradient: Params,
    state: optax.OptState,
    *,
    rate: float | Float[Array, ""],
    clip: float | Float[Array, ""],
    epsilon: float = EPSILON,
    betas: tuple[Any, Any] = BETAS,
) -> tuple[Params, optax.OptState, Float[Array, ""]]:
    """Take one step.

    Args:
        params: weights.
        gradient: of what is minimised.
        state: of Adam.
        rate: learning rate.
        clip: a gradient of a larger global norm is scaled down to this norm.
        epsilon: of Adam.
        betas: of Adam, the shares of its moments' past that stay.

    Returns:
        New weights, new state, and the norm of the gradient before clipping.
    """
    flat, whole = ravel_pytree(gradient)
    norm = jnp.sqrt(jnp.square(flat).sum())
    flat = flat * jnp.minimum(1.0, clip / jnp.maximum(norm, 1e-12))
    with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an int32 count
        adam = optax.scale_by_adam(b1=betas[0], b2=betas[1], eps=epsilon)
        change, state = adam.update(flat, state)
    return jax.tree.map(jnp.subtract, params, whole(rate * cast(Array, change))), state, norm


def shrink(params: Params, before: Params, share: float | Float[Array, ""]) -> Params:
    """Take a share of what the weights of linear maps were `before` a step off what they are now.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    def less(path: Any, new: Array, old: Array) -> Array:
        return new - share * old if jax.tree_util.keystr(path).endswith("weight") else new

    return jax.tree_util.tree_map_with_path(less, params, before)


def linear(rate: float | Float[Array, ""], step: Int[Array, ""], *, decay: int) -> Float[Array, ""]:
    """Fall from `rate` to 0 over `decay` steps along a line; constant if 0."""
    if not decay:
        return jnp.asarray(rate, jnp.float32)
    return jnp.asarray(rate, jnp.float32) * jnp.clip(1.0 - step.astype(jnp.float32) / decay, 0.0)


def cosine(
    rate: float | Float[Array, ""],
    step: Int[Array, ""],
    *,
    decay: int,
    final: float | Float[Array, ""] = 0.01,
) -> Float[Array, ""]:
    """Fall from `rate` to ``final * rate`` over `decay` steps along a cosine; constant if 0."""
    if not decay:
        return jnp.asarray(rate, jnp.float32)
    along = jnp.clip(step.astype(jnp.float32) / decay, 0.0, 1.0)
    share = final + (1.0 - final) * 0.5 * (1.0 + jnp.cos(math.pi * along))
    return jnp.asarray(rate * share, jnp.float32)
