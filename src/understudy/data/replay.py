"""A ring buffer of transitions as a pytree, so that it can live in an algorithm's state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree, Shaped

from understudy.types import record, require


@record
class Replay:
    """The last `capacity` entries; every leaf leads with ``capacity``."""

    entries: PyTree[Shaped[Array, "capacity ..."]]
    cursor: Int[Array, ""]
    """Where the next entry goes."""
    size: Int[Array, ""]
    """How many entries are filled."""


def create(example: PyTree[Shaped[Array, "..."]], capacity: int) -> Replay:
    """Return an empty buffer for entries like `example` (one entry, no leading axis).

    Raises:
        UserError: if `capacity` is not above 0.
    """
    require(capacity > 0, f"expected room for at least one entry, found {capacity}")
    entries = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), example)
    return Replay(entries, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(replay: Replay, batch: PyTree[Shaped[Array, "batch ..."]]) -> Replay:
    """Append the entries of `batch` in order; the oldest ones make room.

    Raises:
        UserError: if the batch is larger than the buffer.
    """
    capacity = jax.tree.leaves(replay.entries)[0].shape[0]
    count = jax.tree.leaves(batch)[0].shape[0]
    require(
        count <= capacity,
        f"expected at most {capacity} entries at once, found {count}; make the buffer larger",
    )
    at = (replay.cursor + jnp.arange(count, dtype=jnp.int32)) % capacity
    entries: Any = jax.tree.map(lambda old, new: old.at[at].set(new), replay.entries, batch)
    return Replay(
        entries, (replay.cursor + count) % capacity, jnp.minimum(replay.size + count, capacity)
    )


def sample(
    replay: Replay, key: Key[Array, ""], *, batch: int
) -> PyTree[Shaped[Array, "batch ..."]]:
    """Draw entries uniformly with replacement from the filled part.

    An empty buffer gives entries of zeros; look at ``replay.size`` before learning from them.
    """
    at = jax.random.randint(key, (batch,), 0, jnp.maximum(replay.size, 1))
    return jax.tree.map(lambda leaf: leaf[at], replay.entries)
