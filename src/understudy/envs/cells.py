"""Who is near whom: everybody measured against everybody, or cell by cell.

A team of N has N² pairs. `Everyone` measures them all, which is fastest for small teams. `Cells`
sorts places into a grid of square cells and looks only at those around a point, so that what an
agent costs does not grow with the team. Both find the same:

- Sorted by env, row and column, the places in neighbouring cells of a row stand together. A point's
  candidates are one *window* of that list for each row of the block of cells around it.
- A block holds everything within a *margin* of its point. K nearest are certain if the K-th is
  nearer than that. The few points for which they are not, in corners and far outside, look in a
  larger block, then everywhere.
- Forces and touches do not reach across a cell.

Places outside the grid count to the cells at its edge. Arrays are ``[agents, 2, *envs]``, as in
`particles`; all envs share one list. Distances and forces have gradients, and numbers have none.

Source: the cell lists of molecular dynamics; Allen and Tildesley, Computer Simulation of Liquids
(1987), section 5.3.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from understudy import tree
from understudy.envs import particles

CROWD = 128
"""From so many places on, cells are faster on a processor (measured with 8 to 12 envs)."""
SIDE = 0.75
"""Side of a cell, in mean spacings of the places."""
FADED = 120 * particles.CONTACT_MARGIN
"""Discs this far apart do not push each other: exp(-120) is 0 in float32."""
STRIDE = 8
"""So many neighbours are added before the next look whether there are more."""
FEW = 64
"""So many points at a time look again."""

NOBODY = np.iinfo(np.int32).max
"""Number of nobody: after everybody who is as near."""


def among(
    places: Float[Array, "agents 2 *envs"], half_size: Any, *, touch: float = 0.0
) -> Everyone | Cells:
    """The faster way to find neighbours among `places`.

    Args:
        places: of the agents, or of things.
        half_size: most are scattered over the square ``[-half_size, half_size]²``; None if nothing
            is known.
        touch: distance at which two of them touch.
    """
    if half_size is None or places.shape[0] < CROWD:
        return Everyone(places, touch)
    return fill(places, half_size, touch=touch)


def fill(places: Float[Array, "agents 2 *envs"], half_size: Any, *, touch: float = 0.0) -> Cells:
    """Sort `places` into cells, so wide that no force reaches across one."""
    across = max(1, int(math.sqrt(places.shape[0]) / SIDE))
    side = jnp.maximum(2.0 * jnp.asarray(half_size, places.dtype) / across, touch + FADED)
    points = listed(places)
    row, column = (_cell(values, across, side) for values in (points.x, points.y))
    cells, order = jax.lax.sort(
        (
            (points.envs * across + row) * across + column,
            jnp.arange(row.shape[0], dtype=jnp.int32),
        ),
        num_keys=1,
    )
    ends = jnp.arange(math.prod(places.shape[2:]) * across**2 + 1, dtype=jnp.int32)
    starts = jnp.searchsorted(cells, ends).astype(jnp.int32)
    return Cells(places, touch, points.at(order), starts, across, side)


@dataclasses.dataclass(frozen=True)
class Points:
    """Places of all envs in one list."""

    x: Float[Array, " points"]
    y: Float[Array, " points"]
    numbers: Int[Array, " points"]
    """Which agent it is."""
    envs: Int[Array, " points"]
    """Which env it is in."""

    def at(self, index: Int[Array, " others"]) -> Points:
        """Those that stand there; the last one behind the end."""
        parts = (self.x, self.y, self.numbers, self.envs)
        return Points(*(values.at[index].get(mode="clip") for values in parts))

    def held(self) -> Points:
        """As they are, without gradients."""
        x, y = jax.lax.stop_gradient((self.x, self.y))
        return Points(x, y, self.numbers, self.envs)


def listed(places: Float[Array, "agents 2 *envs"]) -> Points:
    """Places as a list, agent by agent."""
    agents, envs = places.shape[0], math.prod(places.shape[2:])
    numbers = jnp.repeat(jnp.arange(agents, dtype=jnp.int32), envs)
    env = jnp.tile(jnp.arange(envs, dtype=jnp.int32), agents)
    return Points(places[:, 0].reshape(-1), places[:, 1].reshape(-1), numbers, env)


@dataclasses.dataclass(frozen=True)
class Everyone:
    """Finds neighbours by measuring all pairs."""

    places: Float[Array, "agents 2 *envs"]
    touch: float

    def contact(self) -> Float[Array, "agents 2 *envs"]:
        """Force on each from those that it touches."""
        alone = np.eye(self.places.shape[0], dtype=bool)
        return particles.contact(self.places, self.places, np.where(alone, -np.inf, self.touch))

    def overlaps(self) -> tuple[Float[Array, "agents *envs"], Float[Array, "agents *envs"]]:
        """How many others each touches, and the sum of how deep."""
        overlap = particles.length(particles.between(self.places, self.places), 2) - self.touch
        others = particles.along(~np.eye(self.places.shape[0], dtype=bool), overlap.ndim)
        touching = (overlap < 0.0) & others
        depth = jnp.where(touching, -overlap, 0.0)
        return particles.add(touching.astype(depth.dtype), 1), particles.add(depth, 1)

    def nearest(
        self, here: Float[Array, "others 2 *envs"], count: int, *, itself: bool
    ) -> Int[Array, "others count *envs"]:
        """Numbers of the `count` places nearest to each of `here`; see `particles.nearest`."""
        return particles.nearest(here, self.places, count, itself=itself)

    def distance(self, here: Float[Array, "others 2 *envs"]) -> Float[Array, "others *envs"]:
        """From each of `here` to the nearest place."""
        return particles.least(particles.length(particles.between(here, self.places), 2), 1)


@dataclasses.dataclass(frozen=True)
class Windows:
    """Parts of the sorted list, one after the other: the candidates of each of some points."""

    befores: list[Int[Array, " points"]]
    """How many candidates all windows before this one hold."""
    jumps: list[Int[Array, " points"]]
    """From the end of the window before to the beginning of this one."""
    total: Int[Array, " points"]
    """How many candidates all windows hold."""

    def at(self, number: Int[Array, ""]) -> Int[Array, " points"]:
        """Where the candidate of that number stands."""
        index = jnp.broadcast_to(number, self.total.shape)
        for before, jump in zip(self.befores, self.jumps, strict=True):
            index = index + jnp.where(number >= before, jump, 0)
        return index


@dataclasses.dataclass(frozen=True)
class Cells:
    """Finds neighbours in the cells around them; made by `fill`."""

    places: Float[Array, "agents 2 *envs"]
    touch: float
    points: Points
    """Sorted by env, row and column."""
    starts: Int[Array, " cells_and_end"]
    """Where each cell begins among them."""
    across: int
    """Cells along each side of the grid."""
    side: Float[Array, ""]

    def contact(self) -> Float[Array, "agents 2 *envs"]:
        """As `Everyone.contact`."""

        def push(x: Array, y: Array, other: Array) -> tuple[Array, Array]:
            squared = jnp.square(x) + jnp.square(y)
            strength = particles.repulsion(squared, self.touch, other & (squared > 0.0))
            return -strength * x, -strength * y

        return jnp.stack(self._sum(push), 1)

    def overlaps(self) -> tuple[Float[Array, "agents *envs"], Float[Array, "agents *envs"]]:
        """As `Everyone.overlaps`."""

        def overlap(x: Array, y: Array, other: Array) -> tuple[Array, Array]:
            depth = self.touch - particles.norm(x, y)
            touching = other & (depth > 0.0)
            return touching.astype(depth.dtype), jnp.where(touching, depth, 0.0)

        return self._sum(overlap)

    def nearest(
        self, here: Float[Array, "others 2 *envs"], count: int, *, itself: bool
    ) -> Int[Array, "others count *envs"]:
        """As `Everyone.nearest`."""
        # far more would be slower than all
        if not 0 < count <= self.places.shape[0] // 16:
            return particles.nearest(here, self.places, count, itself=itself)
        return self._search(here, count, _taxicab, itself=itself)

    def distance(self, here: Float[Array, "others 2 *envs"]) -> Float[Array, "others *envs"]:
        """As `Everyone.distance`."""
        numbers = self._search(here, 1, particles.norm, itself=False)
        return particles.length(particles.pick(self.places, numbers)[:, 0] - here, 1)

    def _search(
        self,
        here: Float[Array, "others 2 *envs"],
        count: int,
        length: Callable[[Array, Array], Array],
        *,
        itself: bool,
    ) -> Int[Array, "others count *envs"]:
        """Numbers of the `count` nearest places, by the `length` of a way along x and y."""
        points, places = listed(here).held(), self.points.held()

        def look(points: Points, windows: Windows) -> tuple[Array, Array]:
            """Numbers, nearest first, and the distance of the last."""

            def insert(found: Any, number: Array) -> Any:
                other = places.at(windows.at(number))
                there = number < windows.total
                there = there & (other.numbers != points.numbers) if itself else there
                away = jnp.where(there, length(other.x - points.x, other.y - points.y), jnp.inf)
                return _insert(found, (away, jnp.where(there, other.numbers, NOBODY)))

            nobody = jnp.full_like(points.x, jnp.inf), jnp.full_like(points.numbers, NOBODY)
            most = jnp.max(windows.total)
            found = jax.lax.fori_loop(0, most, lambda i, f: insert(f, i), (nobody,) * count)
            return jnp.stack([number for _, number in found]), found[-1][0]

        # by L1 distance, 2 (count + 1) places are within the margin at one per unit of area
        reach = math.ceil(math.sqrt(count + 1) / SIDE)
        numbers, farthest = look(points, self._block(points, reach))
        unsure = ~(farthest < self._margin(points, reach))
        for wider in (2 * reach, None):
            numbers, unsure = self._again(points, numbers, unsure, look, wider)
        return jnp.moveaxis(numbers.reshape(count, here.shape[0], *here.shape[2:]), 0, 1)

    def _again(
        self, points: Points, numbers: Array, unsure: Bool[Array, " points"], look: Any, reach: Any
    ) -> tuple[Array, Array]:
        """Let those who are unsure look in larger blocks, or everywhere; a few at a time."""
        ranks = jnp.cumsum(unsure, dtype=jnp.int32)

        def few(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            done, numbers, unsure = carry
            # behind the end where there are no more
            rows = jnp.searchsorted(ranks, done + jnp.arange(1, FEW + 1, dtype=jnp.int32))
            asking = points.at(rows)
            windows = self._all(asking) if reach is None else self._block(asking, reach)
            found, farthest = look(asking, windows)
            still = jnp.zeros(FEW, bool)
            if reach is not None:
                still = ~(farthest < self._margin(asking, reach))
            numbers = numbers.at[:, rows].set(found, mode="drop")
            return done + FEW, numbers, unsure.at[rows].set(still, mode="drop")

        _, numbers, unsure = jax.lax.while_loop(
            lambda carry: carry[0] < ranks[-1], few, (jnp.int32(0), numbers, unsure)
        )
        return numbers, unsure

    def _sum(
        self, pair: Callable[[Array, Array, Array], tuple[Array, Array]]
    ) -> tuple[Array, Array]:
        """For every place, the sums over its neighbours of ``pair(x, y, it is another)``."""
        here = listed(self.places)
        windows = self._block(here, 1)
        most = jnp.max(windows.total)

        def add(sums: Any, number: Array) -> tuple[Any, None]:
            other = self.points.at(windows.at(number))
            valid = (number < windows.total) & (other.numbers != here.numbers)
            found = pair(other.x - here.x, other.y - here.y, valid)
            return (sums[0] + found[0], sums[1] + found[1]), None

        def stride(sums: Any, first: Array) -> Any:
            return jax.lax.scan(add, sums, first + jnp.arange(STRIDE, dtype=jnp.int32))[0]

        def step(sums: Any, first: Array) -> tuple[Any, None]:
            # a loop of no fixed length would have no gradient
            going = tree.anywhere(first < most)
            return jax.lax.cond(going, stride, lambda sums, _: sums, sums, first), None

        zero, count = jnp.zeros_like(here.x), self.places.shape[0]
        firsts = jnp.arange(0, count, STRIDE, dtype=jnp.int32)
        sums, _ = jax.lax.scan(step, (zero, zero), firsts)
        shape = count, *self.places.shape[2:]
        return sums[0].reshape(shape), sums[1].reshape(shape)

    def _block(self, here: Points, reach: int) -> Windows:
        """The cells at most `reach` rows and columns away."""
        row, column = (_cell(values, self.across, self.side) for values in (here.x, here.y))
        last = self.across - 1
        rows = row[None] + jnp.arange(-reach, reach + 1, dtype=jnp.int32)[:, None]
        first = (here.envs[None] * self.across + jnp.clip(rows, 0, last)) * self.across
        begins = self.starts[first + jnp.maximum(column - reach, 0)[None]]
        ends = self.starts[first + jnp.minimum(column + reach, last)[None] + 1]
        ends = jnp.where((rows >= 0) & (rows <= last), ends, begins)
        upto = jnp.cumsum(ends - begins, 0, dtype=jnp.int32)
        jumps = jnp.concatenate([begins[:1], begins[1:] - ends[:-1]])
        return Windows(list(upto - (ends - begins)), list(jumps), upto[-1])

    def _all(self, here: Points) -> Windows:
        """All places of the env."""
        count = self.places.shape[0]
        zero = jnp.zeros_like(here.envs)
        return Windows([zero], [here.envs * count], zero + count)

    def _margin(self, here: Points, reach: int) -> Float[Array, " points"]:
        """What is nearer than this is in the block."""
        middle, ways = self.across / 2, []
        for at in (here.x, here.y):
            cell = _cell(at, self.across, self.side)
            low, high = cell - reach, cell + reach + 1
            below = at - self.side * (low.astype(at.dtype) - middle)
            over = self.side * (high.astype(at.dtype) - middle) - at
            # nothing is behind the edge of the grid
            ways += [jnp.where(low > 0, below, jnp.inf)]
            ways += [jnp.where(high < self.across, over, jnp.inf)]
        # a place on the border of two cells may have been rounded into the other
        return jnp.min(jnp.stack(ways), 0) - 1e-3 * self.side


def _cell(at: Float[Array, " points"], across: int, side: Array) -> Int[Array, " points"]:
    """The row or column of a place, the nearest one for places outside."""
    number = jnp.floor(at / side + across / 2)
    # what is not a number counts to the first
    return jnp.where(number > 0.0, jnp.minimum(number, across - 1.0), 0.0).astype(jnp.int32)


def _taxicab(x: Array, y: Array) -> Array:
    return jnp.abs(x) + jnp.abs(y)


def _insert(found: Any, new: tuple[Array, Array]) -> Any:
    """One more among (distance, number) in ascending order, of which the last drops out."""
    kept, (away, number) = [], new
    for near, who in found:
        first = (away < near) | ((away == near) & (number < who))
        kept.append((jnp.where(first, away, near), jnp.where(first, number, who)))
        away, number = jnp.where(first, near, away), jnp.where(first, who, number)
    return tuple(kept)
