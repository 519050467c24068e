"""How steep a function of many inputs is, and what that costs a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def steepness(
    function: Callable[[Any], Float[Array, " outputs"]], inputs: Any
) -> Float[Array, " outputs"]:
    """Norm of the gradient of every output over all inputs, unbatched; callers ``vmap``.

    Args:
        function: of a pytree of inputs.
        inputs: where.
    """
    outputs, pull = jax.vjp(function, inputs)

    def norm(direction: Float[Array, " outputs"]) -> Float[Array, ""]:
        (gradient,) = pull(direction)
        total = sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradient))
        return jnp.sqrt(total + 1e-12)

    return jax.vmap(norm)(jnp.eye(outputs.shape[0], dtype=outputs.dtype))


def gradient_penalty(norms: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``(|∇e| - 1)²``.

    Args:
        norms: of the gradient, between an entry of the expert and one of the policy.

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs", NIPS 2017, equation 3.
    """
    return jnp.square(norms - 1.0)
