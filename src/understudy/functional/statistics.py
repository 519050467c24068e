"""What a handful of runs can and cannot say: means, interquartile means, and their intervals.

Scores are ``[runs, tasks]``; a plain sample of numbers is one task. Intervals are percentile
bootstraps: resample the runs of each task apart (stratified), because tasks are chosen and runs
are drawn. NumPy in float64, seeded: the same scores give the same interval.

Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
NeurIPS 2021 (arXiv 2108.13264).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from understudy.types import require

Statistic: TypeAlias = Callable[[np.ndarray], Any]
"""From scores ``[..., runs, tasks]`` to one number each, ``[...]``."""
RESAMPLES = 2_000


class Interval(NamedTuple):
    """An estimate and where a resampled one lies with the confidence asked for."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


def mean(scores: Float[np.ndarray, "*batch runs tasks"]) -> Any:
    """Mean over runs and tasks."""
    return scores.mean((-2, -1))


def interquartile_mean(scores: Float[np.ndarray, "*batch runs tasks"]) -> Any:
    """Mean of the middle half of all scores (IQM): as robust as a median, less wasteful.

    A quarter of the scores, rounded down, is dropped at either end.
    """
    flat = scores.reshape(*scores.shape[:-2], -1)
    return stats.trim_mean(flat, 0.25, axis=-1)


def mean_interval(
    values: Float[np.ndarray, " sample"],
    *,
    weights: Float[np.ndarray, " sample"] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of independent values and its bootstrap interval.

    Args:
        values: one per unit that was drawn independently: a scene, an episode, a game.
        weights: how much each counts, ``Σ w v / Σ w``: agents of a scene. 1 if None.
        confidence: within 0 and 1.
        resamples: draws with replacement.
        seed: of the draws.

    Raises:
        UserError: no values, or weights of another size or without any above 0.
    """
    values = np.asarray(values, np.float64)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
    require(
        values.size > 0 and values.shape == weights.shape and weights.sum() > 0,
        f"expected values with as many weights, one of them above 0, found {values.size} values "
        f"and {weights.size} weights",
    )
    rng, sums = np.random.default_rng(seed), np.stack([values * weights, weights])
    drawn = np.empty(resamples)
    for i in range(resamples):
        total, weight = sums[:, rng.integers(values.size, size=values.size)].sum(1)
        drawn[i] = total / weight if weight > 0 else np.nan
    return _interval(sums[0].sum() / weights.sum(), drawn, confidence)


def stratified_bootstrap(
    scores: Float[np.ndarray, "runs tasks"],
    statistic: Statistic = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic of runs on tasks and its interval, runs resampled within each task.

    Args:
        scores: one per run and task, on a scale that tasks share.
        statistic: `mean`, `interquartile_mean`, or any other of that form.
        confidence: within 0 and 1.
        resamples: draws with replacement.
        seed: of the draws.

    Raises:
        UserError: no scores.
    """
    scores = _scores(scores)
    drawn = statistic(_resampled(scores, np.random.default_rng(seed), resamples))
    return _interval(float(statistic(scores)), drawn, confidence)


def normalised_interval(
    values: Float[np.ndarray, " episodes"],
    low: Float[np.ndarray, " low_episodes"],
    high: Float[np.ndarray, " high_episodes"],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean return on the scale where one reference is 0 and another 1, and its interval.

    ``(mean v - mean low) / (mean high - mean low)``. All three played the same episodes, which are
    drawn together, so what is uncertain about the references is part of the interval.

    Args:
        values: return of each episode.
        low: of the reference that scores 0, in the same episodes.
        high: of the reference that scores 1.
        confidence: within 0 and 1.
        resamples: draws with replacement.
        seed: of the draws.

    Raises:
        UserError: unless there are equally many episodes and `high` earns more than `low`.
    """
    rows = [np.asarray(row, np.float64) for row in (values, low, high)]
    require(
        rows[0].size > 0 and all(row.shape == rows[0].shape for row in rows),
        f"expected as many episodes of both references, found {[row.size for row in rows]}",
    )
    sums = np.stack(rows)
    middle = sums.mean(1)
    require(
        middle[2] > middle[1],
        f"expected a reference that earns more than the other, found {middle[2]:.4g} against "
        f"{middle[1]:.4g}",
    )
    rng, size = np.random.default_rng(seed), rows[0].size
    drawn = np.stack([sums[:, rng.integers(size, size=size)].mean(1) for _ in range(resamples)])
    width = drawn[:, 2] - drawn[:, 1]
    scores = np.where(
        width > 0, (drawn[:, 0] - drawn[:, 1]) / np.where(width > 0, width, 1), np.nan
    )
    return _interval((middle[0] - middle[1]) / (middle[2] - middle[1]), scores, confidence)


class Profile(NamedTuple):
    """Share of runs above each threshold, and where a resampled share lies."""

    thresholds: Float[np.ndarray, " thresholds"]
    share: Float[np.ndarray, " thresholds"]
    low: Float[np.ndarray, " thresholds"]
    high: Float[np.ndarray, " thresholds"]


def performance_profile(
    scores: Float[np.ndarray, "runs tasks"],
    thresholds: Float[np.ndarray, " thresholds"],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Profile:
    """Share of runs, over all tasks, that score above each threshold, with pointwise intervals.

    ``mean_{runs, tasks} [x > threshold]``: a profile that lies above another everywhere belongs to
    the better algorithm; its height at 0.9 says how often training comes near the expert.

    Args:
        scores: one per run and task, on a scale that tasks share; runs are resampled within tasks.
        thresholds: scores to draw the profile at.
        confidence: within 0 and 1.
        resamples: draws with replacement.
        seed: of the draws.

    Raises:
        UserError: no scores.
    """
    scores, thresholds = _scores(scores), np.asarray(thresholds, np.float64)
    drawn = _resampled(scores, np.random.default_rng(seed), resamples)
    shares = np.stack([(drawn > at).mean((-2, -1)) for at in thresholds], 1)
    low, high = np.quantile(shares, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Profile(thresholds, (scores[..., None] > thresholds).mean((0, 1)), low, high)


def probability_of_improvement(
    scores: Float[np.ndarray, "runs tasks"],
    others: Float[np.ndarray, "other_runs other_tasks"],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """How likely a run of one beats a run of the other on a task drawn at random.

    ``mean_tasks mean_{i,j} [x_i > y_j] + ½ [x_i = y_j]``; above ½ with an interval that leaves out
    ½ is an improvement.

    Args:
        scores: higher is better.
        others: the same tasks in the same order, as many runs as there are.
        confidence: within 0 and 1.
        resamples: draws with replacement, of both sides.
        seed: of the draws.

    Raises:
        UserError: no scores, or other tasks.
    """
    scores, others = _scores(scores), _scores(others)
    require(
        scores.shape[1] == others.shape[1],
        f"expected scores on the same tasks, found {scores.shape[1]} and {others.shape[1]} tasks",
    )
    rng = np.random.default_rng(seed)
    drawn = _wins(_resampled(scores, rng, resamples), _resampled(others, rng, resamples))
    return _interval(float(_wins(scores, others)), drawn, confidence)


def _wins(scores: np.ndarray, others: np.ndarray) -> Any:
    difference = scores[..., :, None, :] - others[..., None, :, :]
    return ((np.sign(difference) + 1) / 2).mean((-3, -2, -1))


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    require(
        scores.ndim == 2 and scores.size > 0,
        f"expected scores of shape [runs, tasks], found shape {scores.shape}",
    )
    return scores


def _resampled(scores: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """``[resamples, runs, tasks]``, runs drawn with replacement for each task apart."""
    chosen: Int[np.ndarray, "resamples runs tasks"]
    chosen = rng.integers(scores.shape[0], size=(resamples, *scores.shape))
    return np.take_along_axis(scores[None], chosen, axis=1)


def _interval(estimate: float, drawn: np.ndarray, confidence: float) -> Interval:
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(estimate), float(low), float(high))
