"""Any statistic of rows that come in sessions, and its interval: sessions are drawn, never rows.

Rows of one session depend on each other, so a bootstrap that draws rows is too sure of itself. Here
every statistic is computed for many weightings of the sessions at once: first for the log as it is,
then for sessions drawn with replacement. Statistics of the same weightings may be subtracted, and
the interval of the difference is that of paired draws. NumPy in float64, seeded.

Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from understudy.functional.statistics import Interval
from understudy.types import require

CONFIDENCE = 0.95
CHUNK = 25
"""Draws whose products are in memory at once."""


class Sessions(NamedTuple):
    """Which rows are drawn together, and how often."""

    block: Int[np.ndarray, " rows"]
    """Number of the session of each row; of several sessions where there are very many."""
    weights: Float[np.ndarray, "draws blocks"]
    """How often each is drawn; the first row is 1 everywhere, the log as it is."""

    @property
    def rows(self) -> Float[np.ndarray, "draws rows"]:
        """How often each row is drawn."""
        return self.weights[:, self.block]

    def sums(self, values: Float[np.ndarray, "rows *shape"]) -> Float[np.ndarray, "draws *shape"]:
        """Weighted sums of rows."""
        flat = values.reshape(len(values), -1).astype(np.float64)
        own = np.zeros((self.weights.shape[1], flat.shape[1]))
        np.add.at(own, self.block, flat)
        return (self.weights @ own).reshape(len(self.weights), *values.shape[1:])

    def products(
        self,
        values: Float[np.ndarray, "samples rows columns"],
        reduce: Callable[[np.ndarray], np.ndarray],
    ) -> Float[np.ndarray, "draws *shape"]:
        """A statistic of weighted ``XᵀX`` of rows X, of all samples together.

        Args:
            values: weighted alike in every sample.
            reduce: from products ``[some draws, columns, columns]`` to a statistic of each draw.
        """
        own = []
        for block in range(self.weights.shape[1]):
            x = values[:, self.block == block].reshape(-1, values.shape[-1]).astype(np.float64)
            own.append(x.T @ x)
        table, found = np.stack(own), []
        for weights in np.array_split(self.weights, -(-len(self.weights) // CHUNK)):
            found.append(reduce(np.tensordot(weights, table, 1)))
        return np.concatenate(found)

    def means(
        self,
        values: Float[np.ndarray, "rows columns"],
        counted: Float[np.ndarray, "rows columns"] | None = None,
    ) -> Float[np.ndarray, "draws columns"]:
        """Weighted means of rows; NaN where no row of a draw counts.

        Args:
            values: minus infinity is allowed, and stays so in every draw it is part of.
            counted: how much each value counts, 0 to leave it out; all alike if None.
        """
        counted = np.ones_like(values, np.float64) if counted is None else counted
        endless = np.isneginf(values) & (counted > 0)
        total = self.sums(np.where(endless | (counted == 0), 0.0, values) * counted)
        count = self.sums(counted)
        found = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        return np.where(self.sums(endless.astype(np.float64)) > 0, -np.inf, found)


def sessions(
    ids: Int[np.ndarray, " rows"], *, draws: int = 200, seed: int = 0, at_most: int = 256
) -> Sessions:
    """Draw sessions.

    Args:
        ids: session of each row, any numbers.
        draws: with replacement, besides the log as it is.
        seed: of the draws.
        at_most: blocks; where there are more sessions, some are drawn together.

    Raises:
        UserError: for fewer than two sessions.
    """
    _, block = np.unique(ids, return_inverse=True)
    count = int(block.max(initial=-1)) + 1
    require(count > 1, f"expected two or more sessions for an interval, found {count}")
    rng = np.random.default_rng(seed)
    if count > at_most:
        block, count = (rng.permutation(count) % at_most)[block], at_most
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return Sessions(block, np.concatenate([np.ones((1, count)), drawn.astype(np.float64)]))


def intervals(drawn: Float[np.ndarray, "draws columns"]) -> list[Interval]:
    """Estimate and percentile interval of every column.

    Args:
        drawn: a statistic for all weightings of `Sessions`; draws in which it is NaN do not count.
    """
    tail = (1 - CONFIDENCE) / 2
    found = []
    for column in np.asarray(drawn, np.float64).T:
        known = column[1:][~np.isnan(column[1:])]
        if not len(known):
            found.append(Interval(float(column[0]), float("nan"), float("nan")))
            continue
        low, high = np.quantile(known, [tail, 1 - tail], method="inverted_cdf")
        found.append(Interval(float(column[0]), float(low), float(high)))
    return found
