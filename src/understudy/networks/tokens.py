"""Tokens of a scene: one per agent, all groups in spec order, of a common width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.types import Spec, require


def join(spec: Spec, arrays: Mapping[str, Any]) -> Array:
    """``{group: [*lead, agents, ...]}`` of equal features -> ``[*lead, tokens, ...]``.

    Args:
        spec: order of the groups.
        arrays: without trailing features (masks), or with one axis of them.
    """
    parts = [arrays[name] for name in spec.names]
    return (
        jnp.asarray(parts[0])
        if len(parts) == 1
        else jnp.concatenate(parts, token_axis(arrays, spec))
    )


def token_axis(arrays: Mapping[str, Any], spec: Spec) -> int:
    """Masks end in the token axis, features have it last but one."""
    return -1 if arrays[spec.names[0]].dtype == jnp.bool_ else -2


def part(
    spec: Spec, tokens: Array, counts: Mapping[str, int], *, axis: int = -2
) -> dict[str, Array]:
    """Undo `join`: the tokens of each group."""
    found, first = {}, 0
    for name in spec.names:
        found[name] = jax.lax.slice_in_dim(tokens, first, first + counts[name], axis=axis)
        first += counts[name]
    return found


def identified(
    identity: Float[Array, "tokens_or_none width"], x: Float[Array, "*lead tokens width"]
) -> Float[Array, "*lead tokens width"]:
    """Tokens with a vector added that says which agent each is; as they are without any.

    Raises:
        UserError: for another number of tokens than have a vector.
    """
    if not identity.shape[0]:
        return x
    require(
        x.shape[-2] == identity.shape[0],
        f"expected {identity.shape[0]} agents, which have an identity each, found "
        f"{x.shape[-2]}; train with identity=False for other numbers",
    )
    return x + identity.reshape((1,) * (x.ndim - 2) + identity.shape)


def among_alive(
    alive: Bool[Array, "*lead tokens"], *, causal: bool = False
) -> Bool[Array, "*lead tokens tokens"]:
    """Who may attend to whom: to those alive and, if causal, not to those that come later."""
    tokens = alive.shape[-1]
    order = (
        jnp.tril(jnp.ones((tokens, tokens), bool)) if causal else jnp.ones((tokens, tokens), bool)
    )
    seen = jnp.broadcast_to(alive[..., None, :], (*alive.shape, tokens))
    return jnp.logical_and(seen, jnp.broadcast_to(order, seen.shape))
