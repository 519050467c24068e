"""Programmatic intents: rules that read an agent's goal off its own track.

A rule is a frozen config and a pure function of one track,
``rule(track [*batch, time, agents, 2], rate, alive) -> int [*batch, time, agents]``, for numpy and
JAX arrays alike (it may be vmapped and jitted). It looks at whole episodes, the future included:
labels teach, they are not observations. Rows in which an agent is not alive are breaks: no step
leads across them, and their label is 0 and means nothing.

Rules of place (`Stationary`, `Window`, `Cells`) speak of each run of live rows apart. Rules of
the whole track (`Destination`, `Direction`, `Speed`, `Displacement`, `Curvature`,
`NearestNeighbour`) give one class per agent, the same in all of its rows.

Source: Zhan et al., ICLR 2019 (arXiv 1803.07612) for stationary, window and nearest neighbour;
Zhan et al., ICML 2020 (arXiv 1910.01179) for speed, displacement, destination, direction and
curvature.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array

from understudy.data import tracks
from understudy.data.grid import Grid
from understudy.data.tracks import Alive, Rate, Rows, Track, namespace
from understudy.types import UserError, hyperparameters

if TYPE_CHECKING:
    from understudy.data.demonstrations import Demonstrations

SLOW = {"ft": 2.5, "yd": 2.5 / 3, "m": 2.5 * 0.3048}
"""Below this a player stands, in units per second: 2.5 ft/s (0.5 ft per row at 5 Hz)."""


@hyperparameters
class Stationary:
    """The cell of the agent's next stop: where it stands before it moves again, or ends.

    With ``slow[t]`` where the step t → t+1 is slower than `threshold` (the last row of a run always
    is), backwards from the end of a run: ``label[t] = cell(x[t])`` if ``slow[t]`` and not
    ``slow[t+1]``, or if t is the end; else ``label[t+1]``.
    """

    grid: Grid = Grid()
    """Cells of the classes."""
    threshold: float | None = None
    """Speed in units per second; None is 2.5 ft/s in the unit of the demonstrations."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.grid.cells

    def resolve(self, demonstrations: Demonstrations, group: str) -> Stationary:
        """Fill in the grid's corners and the threshold from the training split.

        Raises:
            UserError: no threshold, and a unit that cannot be converted to feet.
        """
        threshold = self.threshold
        if threshold is None:
            if demonstrations.unit not in SLOW:
                raise UserError(
                    f"expected a unit among {list(SLOW)} for the default threshold of 2.5 ft/s, "
                    f"found {demonstrations.unit!r}; give a threshold in units per second"
                )
            threshold = SLOW[demonstrations.unit]
        return dataclasses.replace(
            self, grid=self.grid.resolve(demonstrations, group), threshold=threshold
        )

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track.

        Raises:
            UserError: the rule is not resolved.
        """
        if self.threshold is None:
            raise UserError("expected Stationary with a threshold, found None; call resolve first")
        xp, alive = namespace(track), tracks.everywhere(track, alive)
        step = tracks.goes_on(alive)
        moves = step & (tracks.length(tracks.steps(track)) >= self.threshold / rate)
        stops = alive & (~step | (~moves & tracks.later(moves)))
        cells = self.grid.cell(track)
        found = xp.take_along_axis(cells, tracks.next_true(stops), axis=-2)
        return xp.where(alive, found, np.int32(0))


@hyperparameters
class Window:
    """The cell in which the agent's current window of `seconds` ends.

    Windows are counted from the first row of a run; the last one may be shorter.
    """

    grid: Grid = Grid()
    """Cells of the classes."""
    seconds: float = 5.0
    """Length of a window, rounded to rows, at least one."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.grid.cells

    def resolve(self, demonstrations: Demonstrations, group: str) -> Window:
        """Fill in the grid's corners from the training split."""
        return dataclasses.replace(self, grid=self.grid.resolve(demonstrations, group))

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track."""
        xp, alive = namespace(track), tracks.everywhere(track, alive)
        width = _whole_rows(self.seconds, rate, track)
        begin = tracks.run_begin(alive)
        closing = begin + ((tracks.rows(alive) - begin) // width + 1) * width - 1
        target = xp.minimum(closing, tracks.run_end(alive))
        found = xp.take_along_axis(self.grid.cell(track), target, axis=-2)
        return xp.where(alive, found, np.int32(0))


@hyperparameters
class Cells:
    """The cell the agent is in."""

    grid: Grid = Grid()
    """Cells of the classes."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.grid.cells

    def resolve(self, demonstrations: Demonstrations, group: str) -> Cells:
        """Fill in the grid's corners from the training split."""
        return dataclasses.replace(self, grid=self.grid.resolve(demonstrations, group))

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track; `rate` plays no part."""
        return namespace(track).where(
            tracks.everywhere(track, alive), self.grid.cell(track), np.int32(0)
        )


@hyperparameters
class Destination:
    """The cell of the agent's last row."""

    grid: Grid = Grid()
    """Cells of the classes."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.grid.cells

    def resolve(self, demonstrations: Demonstrations, group: str) -> Destination:
        """Fill in the grid's corners from the training split."""
        return dataclasses.replace(self, grid=self.grid.resolve(demonstrations, group))

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track; `rate` plays no part."""
        alive = tracks.everywhere(track, alive)
        _, last = tracks.ends(track, alive)
        return tracks.spread(self.grid.cell(last), alive)


@hyperparameters
class Direction:
    """The sector of the way from the agent's first row to its last.

    Sector 0 is centred on +x and sectors are counted towards +y; an agent that ends where it began
    is in sector 0.
    """

    sectors: int = 8
    """Number of equal sectors."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.sectors

    def resolve(self, demonstrations: Demonstrations, group: str) -> Direction:
        """Nothing depends on the demonstrations."""
        return self

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track; `rate` plays no part."""
        xp, alive = namespace(track), tracks.everywhere(track, alive)
        first, last = tracks.ends(track, alive)
        angle = xp.arctan2(last[..., 1] - first[..., 1], last[..., 0] - first[..., 0])
        turns = xp.floor(angle * (self.sectors / (2 * np.pi)) + 0.5).astype(np.int32)
        return tracks.spread(turns % self.sectors, alive)


@hyperparameters
class NearestNeighbour:
    """1 for a group that keeps together, 0 for one that keeps apart; one bit shared by all agents.

    The bit is 1 if the mean distance of an agent from its nearest live neighbour, over all agents
    in the last `seconds`, is below `threshold`. Without any neighbour it is 0. The defaults tell
    friendly Boids from unfriendly ones.
    """

    threshold: float = 0.91
    """Distance, in the unit of the positions."""
    seconds: float = 2.5
    """How much of the end of the episode is looked at, rounded to rows, at least one."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return 2

    def resolve(self, demonstrations: Demonstrations, group: str) -> NearestNeighbour:
        """Nothing depends on the demonstrations."""
        return self

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track."""
        xp, alive = namespace(track), tracks.everywhere(track, alive)
        between = tracks.length(track[..., :, None, :] - track[..., None, :, :])
        apart = xp.broadcast_to(~xp.eye(track.shape[-2], dtype=bool), between.shape)
        others = alive[..., None, :] & alive[..., None] & apart
        nearest = xp.where(others, between, np.float32(np.inf)).min(-1)  # *batch time agents
        counted = others.any(-1)
        last = xp.where(counted, tracks.rows(alive), np.int32(-1)).max((-2, -1), keepdims=True)
        counted &= tracks.rows(alive) > last - _whole_rows(self.seconds, rate, track)
        total = xp.where(counted, nearest, np.float32(0)).sum((-2, -1), keepdims=True)
        count = counted.sum((-2, -1), keepdims=True)
        mean = total / xp.maximum(count, 1).astype(total.dtype)
        bit = (count > 0) & (mean < self.threshold)
        return (alive & bit).astype(np.int32)


def _whole_rows(seconds: float | Array, rate: Rate, track: Track) -> Array | np.int32:
    xp = namespace(track)
    return xp.maximum(xp.round(xp.asarray(seconds * rate)), 1).astype(np.int32)
