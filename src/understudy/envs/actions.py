"""What an env makes of an action before it plays it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.types import ActionSpec, Spec


def executed(spec: Spec, actions: Mapping[str, Any]) -> dict[str, Any]:
    """Clip the actions of every group to what its `ActionSpec` allows."""
    return {
        group.name: clip(group.action, actions[group.name])
        for group in spec.groups
        if group.action is not None
    }


def clip(spec: ActionSpec, action: Float[Array, "... act"]) -> Float[Array, "... act"]:
    """Round sections to a choice that exists, clip the rest to its bounds."""
    low = jnp.asarray([0.0] * len(spec.sections) + list(spec.low), action.dtype)
    high = jnp.asarray([n - 1.0 for n in spec.sections] + list(spec.high), action.dtype)
    discrete = jnp.arange(spec.size) < len(spec.sections)
    shape = (1,) * (action.ndim - 1) + (spec.size,)
    rounded = jnp.where(discrete.reshape(shape), jnp.round(action), action)
    return jnp.clip(rounded, low.reshape(shape), high.reshape(shape))
