"""Actions written as numbers a network can read, and as a state that somebody decides."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.types import ActionSpec, Spec


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


def unwritten(
    spec: ActionSpec, numbers: Float[Array, "*lead numbers"]
) -> Float[Array, "*lead act"]:
    """The action that is written so: the largest choice of each section, the rest as it is.

    Args:
        spec: what an action is.
        numbers: of `written`.
    """
    chosen = [part.argmax(-1)[..., None].astype(numbers.dtype) for part in spec.split(numbers)]
    return jnp.concatenate([*chosen, numbers[..., spec.choices :]], -1)


def written_size(spec: ActionSpec) -> int:
    """Numbers of `written`."""
    return spec.choices + len(spec.low)


def with_seen(
    spec: Spec, name: str, features: Array, actions: Mapping[str, Array]
) -> Float[Array, "*lead agents numbers"]:
    """Append the actions of the groups that a group sees to the features of each of its agents.

    Args:
        spec: of the game.
        name: of the group that observes.
        features: ``[*lead, agents, obs]``.
        actions: ``{group: [*lead, agents, act]}`` of this step, the seen groups at least.

    Returns:
        ``[*lead, agents, Spec.inputs(name)]``: features, then the actions of each group seen as
        `written`, agent after agent.
    """
    rows = [features]
    for other in spec[name].sees:
        action = spec[other].action
        assert action is not None
        numbers = written(action, actions[other])
        flat = numbers.reshape(*numbers.shape[:-2], 1, -1)
        rows.append(jnp.broadcast_to(flat, (*features.shape[:-1], flat.shape[-1])))
    return jnp.concatenate(rows, -1)
