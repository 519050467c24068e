"""Windows to learn from: turned about, with more or less shown than a past, and what is wanted."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.networks.scene import flat
from understudy.types import record


@record
class Scene:
    """Windows as networks take them, and 1 for each number of flat paths that counts."""

    positions: Float[Array, "batch rows agents 2"]
    known: Bool[Array, "batch rows agents"]
    """What is shown."""
    wanted: Bool[Array, "batch rows agents"]
    """What is to be written, and happened."""

    @property
    def truth(self) -> Float[Array, "batch agents numbers"]:
        """x and y of every row of an agent."""
        return flat(self.positions)

    @property
    def weight(self) -> Float[Array, "batch agents numbers"]:
        """Of rows that are wanted."""
        return _two(self.wanted)

    @property
    def moved(self) -> Float[Array, "batch agents numbers"]:
        """Of steps to them, from where somebody was."""
        return _two(self.wanted & _before(self.known | self.wanted))

    @property
    def changed(self) -> Float[Array, "batch agents numbers"]:
        """Of changes of steps, where there was a step before."""
        there = self.known | self.wanted
        return _two(self.wanted & _before(there & _before(there)))


def _before(rows: Bool[Array, "batch rows agents"]) -> Bool[Array, "batch rows agents"]:
    """The row before; False in the first."""
    return jnp.concatenate([jnp.zeros_like(rows[:, :1]), rows[:, :-1]], 1)


def _two(rows: Bool[Array, "batch rows agents"]) -> Float[Array, "batch agents numbers"]:
    """1 for x and for y of rows."""
    return flat(jnp.broadcast_to(rows[..., None], (*rows.shape, 2)).astype(jnp.float32))


def turned(
    positions: Float[Array, "batch rows agents 2"],
    key: Key[Array, ""],
    *,
    how: Literal["none", "flip", "rotate"],
    middle: Float[Array, " 2"],
) -> Float[Array, "batch rows agents 2"]:
    """Each window mirrored about the middle along either axis, or turned by any angle, or neither.

    Args:
        positions: in units of the data.
        key: of the turns.
        how: `flip` mirrors along x, along y or both, `rotate` turns and mirrors.
        middle: of the field.
    """
    if how == "none":
        return positions
    batch, (angle, mirror) = positions.shape[0], jax.random.split(key)
    signs = jnp.where(jax.random.bernoulli(mirror, 0.5, (batch, 2)), -1.0, 1.0)
    turn = jnp.broadcast_to(jnp.eye(2), (batch, 2, 2)) * signs[:, None, :]
    if how == "rotate":
        by = jax.random.uniform(angle, (batch,), maxval=2.0 * jnp.pi)
        rows = [
            jnp.stack([jnp.cos(by), -jnp.sin(by)], -1),
            jnp.stack([jnp.sin(by), jnp.cos(by)], -1),
        ]
        turn = turn @ jnp.stack(rows, 1)
    about = middle.reshape(1, 1, 1, 2)
    return about + (positions - about) @ turn[:, None]


def shown(
    alive: Bool[Array, "batch rows agents"],
    written: Bool[Array, "batch rows agents"],
    key: Key[Array, ""],
    *,
    now: int,
    share: float | Float[Array, ""],
) -> Bool[Array, "batch rows agents"]:
    """Rows that are shown: the past of agents that are there now, and in some windows other rows.

    Args:
        alive: rows in which agents are there.
        written: agents that are to be written.
        key: of the draws.
        now: the last row of the past.
        share: of windows that show, in equal parts, whole futures of some agents, last rows of
            some, pasts with holes, or everything but a stretch of some agents.
    """
    batch, rows, agents = alive.shape
    row = jnp.arange(rows).reshape(1, rows, 1)
    here = alive[:, now : now + 1]
    past = alive & here & (row <= now)
    which, who, holes, often, stretch = jax.random.split(key, 5)
    kind = jax.random.uniform(which, (batch, 1, 1))
    some = jax.random.uniform(often, (batch, 1, 1))
    chosen = jax.random.uniform(who, (batch, 1, agents)) < some
    held = past | (alive & here & chosen)
    told = past | (alive & here & chosen & (row == rows - 1))
    gone = jax.random.uniform(holes, (batch, rows, agents)) < 0.7 * some
    torn = past & ~(gone & (row != now) & written)
    ends = jax.random.randint(stretch, (2, batch, 1, agents), 1, rows - 1)
    inside = (row >= ends.min(0)) & (row <= ends.max(0))
    gaps = alive & here & ~(chosen & inside & written)
    found = past
    for number, other in enumerate((held, told, torn, gaps)):
        turn = (kind >= number * share / 4.0) & (kind < (number + 1) * share / 4.0)
        found = jnp.where(turn, other, found)
    return found
