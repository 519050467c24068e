"""What many outcomes are worth together, and smooth stand-ins for events."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Attitude = Literal["best", "mean", "worst", "cvar"]


def together(
    returns: Float[Array, "*lead others"], attitude: Attitude, share: float = 0.2
) -> Float[Array, "*lead"]:
    """One number for returns against several others.

    Args:
        returns: one for each of the others.
        attitude: the best of them, their mean, the worst, or the mean of the worst `share`.
        share: of the others that ``cvar`` looks at, above 0.
    """
    if attitude == "mean":
        return returns.mean(-1)
    if attitude in ("best", "worst"):
        # the gradient of a minimum compares with it again, and may then find nothing equal to it
        number = returns.argmax(-1) if attitude == "best" else returns.argmin(-1)
        return jnp.take_along_axis(returns, number[..., None], -1)[..., 0]
    count = max(1, round(share * returns.shape[-1]))
    return jnp.sort(returns, -1)[..., :count].mean(-1)


def lasting(
    chances: Float[Array, " time"],
) -> tuple[Float[Array, " time"], Float[Array, " time"]]:
    """An event that ends the game, of which each step has a chance.

    Returns:
        The chance that it is still to come before each step, ``Π_{s<t} (1 - c_s)``, and that it
        comes in the step. They are differentiable where the event itself is not.
    """
    kept = jnp.cumprod(1.0 - chances)
    before = jnp.concatenate([jnp.ones(1), kept[:-1]])
    return before, before * chances


def beyond(distance: Float[Array, "*lead"], width: float) -> Float[Array, "*lead"]:
    """Chance, smooth, that a signed distance is above 0: ``σ(distance / width)``."""
    return jax.nn.sigmoid(distance / width)
