"""Intents of degree: a measure of each agent's whole track, cut at edges into classes.

See `understudy.data.rules` for what a rule is. A measure below the first edge is class 0, one on or
above the last edge the highest class. Edges that are not given are quantiles of the training split.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.data import tracks
from understudy.data.padding import padded
from understudy.data.tracks import Alive, PerAgent, Rate, Rows, Track, namespace
from understudy.types import hyperparameters, require

if TYPE_CHECKING:
    from understudy.data.demonstrations import Demonstrations


class _Graded:
    """A rule with `edges`, `levels` and a `measure` of each agent's track."""

    edges: tuple[float, ...] | None
    levels: int

    def __post_init__(self) -> None:
        require(self.levels >= 2, f"expected at least 2 levels, found {self.levels}")
        require(
            self.edges is None or list(self.edges) == sorted(set(self.edges)),
            f"expected edges that grow, found {self.edges}",
        )

    @property
    def classes(self) -> int:
        """Number of classes: one more than edges."""
        return self.levels if self.edges is None else len(self.edges) + 1

    def measure(self, track: Track, rate: Rate, alive: Alive) -> PerAgent:
        """One number per agent."""
        raise NotImplementedError

    def resolve(self, demonstrations: Demonstrations, group: str) -> _Graded:
        """Fill in the edges: the quantiles that cut the training split into equal `levels`.

        Raises:
            UserError: the agents differ too little for that many levels.
        """
        if self.edges is not None:
            return self
        measures = np.concatenate(
            [
                np.asarray(self.measure(batch.track, demonstrations.rate, batch.alive))[
                    batch.alive.any(1)
                ]
                for batch in padded(demonstrations, group)
            ]
        )
        edges = np.quantile(measures.astype(np.float64), np.arange(1, self.levels) / self.levels)
        name = type(self).__name__
        require(
            len(set(edges.tolist())) == len(edges),
            f"expected tracks that differ enough for {self.levels} levels of {name}, "
            f"found the quantiles {edges.tolist()}; give edges, or fewer levels",
        )
        changes: Any = {"edges": tuple(edges.tolist())}
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track.

        Raises:
            UserError: the rule is not resolved.
        """
        xp, name = namespace(track), type(self).__name__
        require(
            self.edges is not None, f"expected {name} with edges, found None; call resolve first"
        )
        alive = tracks.everywhere(track, alive)
        measure = self.measure(track, rate, alive)
        grade = xp.zeros(measure.shape, np.int32)
        for edge in self.edges or ():
            grade = grade + (measure >= edge).astype(np.int32)
        return tracks.spread(grade, alive)


@hyperparameters
class Speed(_Graded):
    """How fast the agent is on average, in units per second."""

    edges: tuple[float, ...] | None = None
    """Units per second, growing; None for quantiles of the training split."""
    levels: int = 3
    """Number of classes where edges are to be found."""

    def measure(self, track: Track, rate: Rate, alive: Alive) -> PerAgent:
        """Mean speed over the agent's steps."""
        return tracks.mean_where(tracks.length(tracks.steps(track)), tracks.goes_on(alive)) * rate


@hyperparameters
class Displacement(_Graded):
    """How far the agent's last row is from its first."""

    edges: tuple[float, ...] | None = None
    """In the unit of the positions, growing; None for quantiles of the training split."""
    levels: int = 3
    """Number of classes where edges are to be found."""

    def measure(self, track: Track, rate: Rate, alive: Alive) -> PerAgent:
        """Distance from first to last live row."""
        first, last = tracks.ends(track, alive)
        return tracks.length(last - first)


@hyperparameters
class Curvature(_Graded):
    """How much the agent turns: mean absolute change of heading, in radians per second.

    Only pairs of consecutive steps that both have a length count; without any the measure is 0.
    """

    edges: tuple[float, ...] | None = None
    """Radians per second, growing; None for quantiles of the training split."""
    levels: int = 3
    """Number of classes where edges are to be found."""

    def measure(self, track: Track, rate: Rate, alive: Alive) -> PerAgent:
        """Mean absolute angle between consecutive steps, times the rate."""
        xp, step = namespace(track), tracks.steps(track)
        ahead = xp.concatenate([step[..., 1:, :, :], xp.zeros_like(step[..., :1, :, :])], axis=-3)
        cross = step[..., 0] * ahead[..., 1] - step[..., 1] * ahead[..., 0]
        dot = step[..., 0] * ahead[..., 0] + step[..., 1] * ahead[..., 1]
        moving = tracks.goes_on(alive) & (tracks.length(step) > 0)
        both = moving & tracks.later(moving)
        return tracks.mean_where(xp.abs(xp.arctan2(cross, dot)), both) * rate
