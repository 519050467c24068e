"""Diagnostics of adversarial imitation: does the learned reward agree with the true one?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from understudy.functional.rewards import QUANTILES
from understudy.types import require


class Correlation(NamedTuple):
    """How the learned reward of each agent goes with its true one, over rows in which it lives."""

    pearson: Float[np.ndarray, " agents"]
    """Of the values; NaN where either reward never changes."""
    spearman: Float[np.ndarray, " agents"]
    """Of the ranks: 1 if the learned reward rises whenever the true one does."""
    rows: Float[np.ndarray, " agents"]
    """Rows counted."""


def correlation(
    learned: Float[np.ndarray, "*rows agents"],
    true: Float[np.ndarray, "*rows agents"],
    alive: Bool[np.ndarray, "*rows agents"] | None = None,
) -> Correlation:
    """Correlate learned and true rewards of given rollouts, agent by agent.

    Rows of an episode depend on each other, so no p-value is given. Where the true reward is paid
    once per episode, sum both over episodes first.

    Args:
        learned: reward of a discriminator.
        true: reward of the env, row by row the same.
        alive: which entries count; all if None.

    Raises:
        UserError: for rewards of different shapes.
    """
    require(
        np.shape(learned) == np.shape(true),
        f"expected rewards of the same rows, found shapes {np.shape(learned)} and {np.shape(true)}",
    )
    learned, true = np.asarray(learned, np.float64), np.asarray(true, np.float64)
    there = np.ones(learned.shape, bool) if alive is None else np.asarray(alive)
    agents = learned.shape[-1]
    columns = [a.reshape(-1, agents).T for a in (learned, true, there)]
    pairs = [(x[counts], y[counts]) for x, y, counts in zip(*columns, strict=True)]
    return Correlation(
        np.array([_pearson(x, y) for x, y in pairs]),
        np.array([_pearson(stats.rankdata(x), stats.rankdata(y)) for x, y in pairs]),
        np.array([float(len(x)) for x, _ in pairs]),
    )


def _pearson(x: Float[np.ndarray, " rows"], y: Float[np.ndarray, " rows"]) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / np.sqrt(np.square(x).sum() * np.square(y).sum()))


def pooled_quantiles(
    quantiles: Float[np.ndarray, "*points agents 5"],
) -> Float[np.ndarray, "*points 5"]:
    """Quantiles of all agents' rewards together, from those of each agent.

    Each agent weighs the same and is taken to be spread evenly between its quantiles, and beyond
    the outermost ones as densely as between them and the next.

    Args:
        quantiles: at `QUANTILES`; an agent with a NaN is left out.

    Returns:
        At `QUANTILES`; NaN where no agent is left.
    """
    quantiles = np.asarray(quantiles, np.float64)
    flat = quantiles.reshape(-1, *quantiles.shape[-2:])
    pooled = np.array([_pool(agents) for agents in flat])
    return pooled.reshape(*quantiles.shape[:-2], len(QUANTILES))


def _pool(agents: Float[np.ndarray, "agents 5"]) -> Float[np.ndarray, "5"]:
    """Quantiles of one mixture; found exactly, as its distribution is a line between its knots."""
    known = agents[np.isfinite(agents).all(1)]
    if not len(known):
        return np.full(len(QUANTILES), np.nan)
    ends = 0.25 * (known[:, [1, 4]] - known[:, [0, 3]])  # 5 % of mass at the slope of the next 20 %
    knots = np.concatenate([known[:, :1] - ends[:, :1], known, known[:, -1:] + ends[:, 1:]], 1)
    shares = np.array([0.0, *QUANTILES, 1.0])
    at = np.unique([knots, np.nextafter(knots, -np.inf)])  # either side of a jump
    below = np.mean([np.interp(at, own, shares) for own in knots], axis=0)
    return np.interp(QUANTILES, below, at)
