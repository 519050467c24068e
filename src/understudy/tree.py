"""Pytree helpers: stacking, selecting, and applying a function group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from understudy.types import Spec

T = TypeVar("T")


def stack(trees: Sequence[T]) -> T:
    """Stack equal trees on a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: T) -> list[T]:
    """Undo `stack`: one tree per index of the leading axis."""
    leaves = jax.tree.leaves(tree)
    return [index(tree, i) for i in range(leaves[0].shape[0] if leaves else 0)]


def index(tree: T, i: Any) -> T:
    """Take ``leaf[i]`` of every leaf; `i` may be an index, a slice or an array."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def where(condition: Any, on_true: T, on_false: T) -> T:
    """Select leaf by leaf; `condition` is broadcast from the left over each leaf's axes."""
    condition = jnp.asarray(condition)

    def choose(a: Any, b: Any) -> Any:
        mask = condition.reshape(condition.shape + (1,) * (a.ndim - condition.ndim))
        return jnp.where(mask, a, b)

    return jax.tree.map(choose, on_true, on_false)


@jax.custom_batching.custom_vmap
def anywhere(where: Bool[Array, "..."]) -> Bool[Array, ""]:
    """True if `where` is anywhere, in the whole batch too.

    Under `vmap` the answer is one for all, so that a `cond` on it runs one branch and not both.
    """
    return jnp.any(where)


@anywhere.def_vmap
def _anywhere_in_batch(size: int, batched: Any, where: Any) -> tuple[Any, bool]:
    return anywhere(where), False


def all_finite(tree: Any) -> jax.Array:
    """True where every floating-point leaf is finite (a scalar)."""
    checks = [
        jnp.isfinite(leaf).reshape(-1)
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return jnp.all(jnp.concatenate(checks)) if checks else jnp.asarray(True)


def per_group(spec: Spec, function: Callable[..., Any], *mappings: Mapping[str, Any] | None) -> Any:
    """Apply ``function(group, *arrays)`` to each group in spec order.

    A mapping that is None passes None. Returns ``{group: result}``.
    """
    return {
        group.name: function(group, *(m if m is None else m[group.name] for m in mappings))
        for group in spec.groups
    }


def keys_of(key: Key[Array, ""], count: int) -> list[Key[Array, ""]]:
    """One key for each of `count` groups; `key` itself for a single one, which costs nothing."""
    return [key] if count == 1 else [jax.random.fold_in(key, number) for number in range(count)]
