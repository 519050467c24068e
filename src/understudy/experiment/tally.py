"""Averages that do not depend on how they were batched, with bootstrap intervals over scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Tally:
    """A weighted average kept in parts: one sum and one weight per scene."""

    sums: Float[np.ndarray, " scenes"]
    weights: Float[np.ndarray, " scenes"]
    """Agents, frames or pairs counted; 0 where a scene has none."""

    @property
    def value(self) -> float:
        """The average, NaN where nothing was counted."""
        weight = self.weights.sum(dtype=np.float64)
        return float(self.sums.sum(dtype=np.float64) / weight) if weight > 0 else float("nan")


def join(parts: Sequence[dict[str, Tally]]) -> dict[str, Tally]:
    """Put tallies of consecutive scenes together."""
    return {
        name: Tally(
            np.concatenate([part[name].sums for part in parts]),
            np.concatenate([part[name].weights for part in parts]),
        )
        for name in parts[0]
    }


def mean(parts: Sequence[dict[str, Tally]]) -> dict[str, Tally]:
    """Average tallies of the same scenes: the mean over the seeds of a run."""
    return {
        name: Tally(
            np.mean([part[name].sums for part in parts], axis=0),
            np.mean([part[name].weights for part in parts], axis=0),
        )
        for name in parts[0]
    }


def intervals(
    tallies: dict[str, Tally], clusters: Int[np.ndarray, " scenes"], seed: int, level: float = 0.95
) -> dict[str, tuple[float, float] | None]:
    """Bootstrap intervals of every average; whole clusters are drawn with replacement.

    Windows of one game are not independent, so games (or episodes) are what is drawn.

    Args:
        tallies: averages over the same scenes.
        clusters: game or episode of each scene, numbered from 0.
        seed: of the bootstrap.
        level: coverage.

    Returns:
        Low and high end by name; None with fewer than two clusters.

    Source: Efron and Tibshirani (1993), chapters 8 and 13: cluster and percentile bootstrap.
    """
    count = int(clusters.max(initial=-1)) + 1
    if count < 2:
        return dict.fromkeys(tallies)
    parts = np.stack(
        [[np.bincount(clusters, a, count) for a in (t.sums, t.weights)] for t in tallies.values()],
        axis=-1,
    )  # [2, clusters, names]
    generator = np.random.default_rng(seed)
    piece = max(1, 2**22 // count)
    drawn = []
    for first in range(0, RESAMPLES, piece):
        size = min(piece, RESAMPLES - first)
        draws = generator.multinomial(count, np.full(count, 1 / count), size).astype(float)
        drawn.append(draws @ parts)
    sums, weights = np.concatenate(drawn, axis=1)
    averages = np.where(weights > 0, sums / np.where(weights > 0, weights, 1.0), np.nan)
    result: dict[str, tuple[float, float] | None] = {}
    for column, name in enumerate(tallies):
        known = averages[~np.isnan(averages[:, column]), column]
        ends = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)) if len(known) else None
        result[name] = None if ends is None else (float(ends[0]), float(ends[1]))
    return result
