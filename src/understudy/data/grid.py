"""A rectangle cut into equal cells: what intents of place are made of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from understudy.data.padding import padded
from understudy.types import UserError, hyperparameters, require

if TYPE_CHECKING:
    from understudy.data.demonstrations import Demonstrations

Points: TypeAlias = Float[Array, "*batch 2"] | Float[np.ndarray, "*batch 2"]
Cells: TypeAlias = Int[Array, "*batch"] | Int[np.ndarray, "*batch"]


@hyperparameters
class Grid:
    """Equal cells numbered ``column · rows + row``; points outside belong to the nearest cell."""

    columns: int = 9
    """Cells along x."""
    rows: int = 10
    """Cells along y."""
    low: tuple[float, float] | None = None
    """Lower corner, unit of the positions; None is filled in by `resolve`."""
    high: tuple[float, float] | None = None
    """Upper corner."""

    def __post_init__(self) -> None:
        require(
            self.columns >= 1 and self.rows >= 1,
            f"expected at least 1 column and 1 row, found {self.columns} x {self.rows}",
        )
        require(
            (self.low is None) == (self.high is None),
            f"expected both corners of a grid or none, found low {self.low}, high {self.high}",
        )
        if self.low is not None and self.high is not None:
            require(
                self.low[0] < self.high[0] and self.low[1] < self.high[1],
                f"expected the low corner below the high one, found {self.low} and {self.high}",
            )

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.columns * self.rows

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a cell.

        Raises:
            UserError: the corners are not known yet.
        """
        low, high = self.corners
        return (high[0] - low[0]) / self.columns, (high[1] - low[1]) / self.rows

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lower and upper corner.

        Raises:
            UserError: they are not known yet.
        """
        if self.low is None or self.high is None:
            raise UserError("expected the corners of the grid, found None; give them or resolve")
        return self.low, self.high

    def cell(self, points: Points) -> Cells:
        """Number of the cell of each point; jittable.

        Args:
            points: any leading axes, unit and frame of the corners.

        Raises:
            UserError: the corners are not known yet.
        """
        xp = np if isinstance(points, np.ndarray) else jnp
        (low_x, low_y), (width, height) = self.corners[0], self.size
        column = xp.clip(xp.floor((points[..., 0] - low_x) / width), 0, self.columns - 1)
        row = xp.clip(xp.floor((points[..., 1] - low_y) / height), 0, self.rows - 1)
        return column.astype(np.int32) * self.rows + row.astype(np.int32)

    def centre(self, cells: Cells) -> Float[np.ndarray, "*batch 2"]:
        """Middle of each cell.

        Raises:
            UserError: the corners are not known yet.
        """
        cells = np.asarray(cells)
        (low_x, low_y), (width, height) = self.corners[0], self.size
        x = low_x + (cells // self.rows + 0.5) * width
        y = low_y + (cells % self.rows + 0.5) * height
        return np.stack([x, y], axis=-1)

    def apart(self, one: Cells, other: Cells) -> Int[np.ndarray, "*batch"]:
        """King's moves between two cells: 0 the same, 1 touching (corners included)."""
        one, other = np.asarray(one), np.asarray(other)
        columns = np.abs(one // self.rows - other // self.rows)
        return np.maximum(columns, np.abs(one % self.rows - other % self.rows))

    def resolve(self, demonstrations: Demonstrations, group: str) -> Grid:
        """Fill in unknown corners: the common ``bounds`` of the episodes, else what is visited.

        A direction in which nobody ever moved is made one unit wide.

        Args:
            demonstrations: the training split; context ``bounds`` is ``[episodes, 2, 2]``, low
                and high corner.
            group: whose positions count.
        """
        if self.low is not None:
            return self
        bounds = demonstrations.context.get("bounds")
        if bounds is not None and np.all(bounds == bounds[:1]):
            low, high = np.asarray(bounds[0], np.float64)
        else:
            ends = [
                (visited.min(0), visited.max(0))
                for batch in padded(demonstrations, group)
                if len(visited := batch.track[batch.alive])
            ]
            require(ends, f"expected group {group!r} somewhere, found nobody; give the corners")
            low = np.min([e[0] for e in ends], axis=0).astype(np.float64)
            high = np.max([e[1] for e in ends], axis=0).astype(np.float64)
            flat = high <= low
            low, high = low - 0.5 * flat, high + 0.5 * flat
        return dataclasses.replace(
            self,
            low=(float(low[0]), float(low[1])),
            high=(float(high[0]), float(high[1])),
        )
