"""Actions written as numbers a network can read, and as a state that somebody decides."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.types import ActionSpec


def written(spec: ActionSpec, action: Float[Array, "*lead act"]) -> Float[Array, "*lead numbers"]:
    """An action as numbers: choices one-hot, the rest as it is.

    Args:
        spec: what an action is.
        action: number of the choice of each section, then the continuous values.
    """
    count = len(spec.sections)
    hots = [
        jax.nn.one_hot(action[..., i].astype(jnp.int32), n) for i, n in enumerate(spec.sections)
    ]
    return jnp.concatenate([*hots, action[..., count:]], -1)


def written_size(spec: ActionSpec) -> int:
    """Numbers of `written`."""
    return spec.choices + len(spec.low)
