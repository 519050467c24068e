"""What a track says about itself row by row: steps, runs of rows without a break, means.

Every function takes numpy or JAX arrays with any leading axes, ``[*batch, time, agents, ...]``, and
answers in kind, so one definition labels a whole set on the host and one track inside ``jit``.
A *run* is a maximal stretch of rows in which an agent is alive.
"""

from __future__ import annotations

from types import ModuleType
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

Track: TypeAlias = Float[Array, "*batch time agents 2"] | Float[np.ndarray, "*batch time agents 2"]
"""Positions, in the unit of the demonstrations."""
Vectors: TypeAlias = Float[Array, "*shape 2"] | Float[np.ndarray, "*shape 2"]
Norms: TypeAlias = Float[Array, "*shape"] | Float[np.ndarray, "*shape"]
Alive: TypeAlias = Bool[Array, "*batch time agents"] | Bool[np.ndarray, "*batch time agents"]
Rows: TypeAlias = Int[Array, "*batch time agents"] | Int[np.ndarray, "*batch time agents"]
Lengths: TypeAlias = Float[Array, "*batch time agents"] | Float[np.ndarray, "*batch time agents"]
PerAgent: TypeAlias = Float[Array, "*batch agents"] | Float[np.ndarray, "*batch agents"]
Classes: TypeAlias = Int[Array, "*batch agents"] | Int[np.ndarray, "*batch agents"]
Rate: TypeAlias = float | int | Shaped[Array, ""]
"""Rows per second."""


def namespace(array: Array | np.ndarray) -> ModuleType:
    """``numpy`` for its arrays, ``jax.numpy`` for the rest."""
    return np if isinstance(array, np.ndarray) else jnp


def everywhere(track: Track, alive: Alive | None = None) -> Alive:
    """`alive`, or True in every row if it is None."""
    return namespace(track).ones(track.shape[:-1], bool) if alive is None else alive


def rows(alive: Alive) -> Rows:
    """The number of each row, shaped like `alive`."""
    xp = namespace(alive)
    return xp.broadcast_to(xp.arange(alive.shape[-2], dtype=np.int32)[:, None], alive.shape)


def later(values: Alive) -> Alive:
    """The value of the next row; False in the last row."""
    xp = namespace(values)
    return xp.concatenate([values[..., 1:, :], xp.zeros_like(values[..., :1, :])], axis=-2)


def goes_on(alive: Alive) -> Alive:
    """True where the agent is alive in this row and in the next: where there is a step."""
    return alive & later(alive)


def steps(track: Track) -> Track:
    """The vector to the next row; 0 in the last row."""
    xp = namespace(track)
    ahead = track[..., 1:, :, :] - track[..., :-1, :, :]
    return xp.concatenate([ahead, xp.zeros_like(track[..., :1, :, :])], axis=-3)


def length(vectors: Vectors) -> Norms:
    """Euclidean length."""
    xp = namespace(vectors)
    return xp.sqrt(xp.square(vectors[..., 0]) + xp.square(vectors[..., 1]))


def next_true(mask: Alive) -> Rows:
    """The first row from this one on where `mask` holds; the last row if there is none."""
    found = namespace(mask).where(mask, rows(mask), np.int32(mask.shape[-2] - 1))
    if isinstance(found, np.ndarray):
        return np.flip(np.minimum.accumulate(np.flip(found, -2), axis=-2), -2)
    return jax.lax.cummin(found, axis=found.ndim - 2, reverse=True)


def run_begin(alive: Alive) -> Rows:
    """The first row of the run each row is in."""
    xp = namespace(alive)
    before = xp.concatenate([xp.zeros_like(alive[..., :1, :]), alive[..., :-1, :]], axis=-2)
    found = xp.where(alive & ~before, rows(alive), np.int32(0))
    if isinstance(found, np.ndarray):
        return np.maximum.accumulate(found, axis=-2)
    return jax.lax.cummax(found, axis=found.ndim - 2)


def run_end(alive: Alive) -> Rows:
    """The last row of the run each row is in."""
    return next_true(alive & ~later(alive))


def ends(track: Track, alive: Alive) -> tuple[Array | np.ndarray, Array | np.ndarray]:
    """Positions ``[*batch, agents, 2]`` in each agent's first and last live row."""
    xp = namespace(track)
    first = xp.argmax(alive, axis=-2)[..., None, :, None]
    last = alive.shape[-2] - 1 - xp.argmax(xp.flip(alive, -2), axis=-2)[..., None, :, None]
    return (
        xp.take_along_axis(track, first, axis=-3)[..., 0, :, :],
        xp.take_along_axis(track, last, axis=-3)[..., 0, :, :],
    )


def mean_where(values: Lengths, where: Alive) -> PerAgent:
    """Mean over time of the values where `where` holds; 0 if nowhere."""
    xp = namespace(values)
    total = xp.where(where, values, np.float32(0)).sum(-2)
    return total / xp.maximum(where.sum(-2), 1).astype(values.dtype)


def spread(classes: Classes, alive: Alive) -> Rows:
    """Repeat a class per agent over its live rows; 0 in the others."""
    xp = namespace(alive)
    repeated = xp.broadcast_to(classes[..., None, :], alive.shape)
    return xp.where(alive, repeated, np.int32(0)).astype(np.int32)
