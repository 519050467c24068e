"""What a picture of a game shows at one step: discs and lines in the plane.

A game that can be drawn has a method ``scene(state) -> Scene``; pictures know nothing else of it.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from understudy.types import record

THING = -1
"""Team of a disc that nobody controls: a landmark, an obstacle."""


@record
class Scene:
    """One step of a game, in the game's own units of length."""

    centres: Float[Array, "discs 2"]
    radii: Float[Array, " discs"]
    teams: Int[Array, " discs"]
    """Who a disc belongs to, counted from 0; `THING` for nobody."""
    strength: Float[Array, " discs"]
    """1 is drawn fully, 0 not at all: health, or presence."""
    lines: Float[Array, "lines ends=2 2"]
    half_size: Float[Array, ""]
    """The picture shows ``[-half_size, half_size]`` in both directions."""


def discs(
    centres: Float[Array, "discs 2"],
    radii: Float[Array, " discs"],
    teams: Int[Array, " discs"],
    *,
    half_size: Float[Array, ""],
) -> Scene:
    """A scene of discs alone, all fully there."""
    none = jnp.zeros((0, 2, 2), centres.dtype)
    return Scene(centres, radii, teams, jnp.ones_like(radii), none, half_size)


def box(low: tuple[float, float], high: tuple[float, float]) -> Float[Array, "lines=4 ends=2 2"]:
    """The four sides of a rectangle between two corners, as lines of a scene."""
    (left, bottom), (right, top) = low, high
    corners = jnp.array([[left, bottom], [right, bottom], [right, top], [left, top]])
    return jnp.stack([corners, jnp.roll(corners, -1, 0)], 1)
