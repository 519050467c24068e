"""Diagnostics of generators, from samples and what happened: errors over time, spread, intents."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.types import require


class Spread(NamedTuple):
    """How wrong the mean of the samples is, beside how unsure the samples are."""

    error: Float[np.ndarray, " time"]
    """Root mean square distance of the sample mean from the truth, per coordinate, in units."""
    spread: Float[np.ndarray, " time"]
    """What that error would be if the truth were one more sample, in units."""


def spread(
    samples: Float[np.ndarray, "scenes samples time agents 2"],
    truth: Float[np.ndarray, "scenes time agents 2"],
    alive: Bool[np.ndarray, "scenes agents"],
) -> Spread:
    """Calibration of the samples' standard deviation at each row after the observed ones.

    With K samples of variance s² about their mean, a truth drawn like them lies
    ``sqrt((K + 1) / K) · s`` (root mean square) from that mean: samples are calibrated where the
    two curves meet, overconfident where the error is larger.

    Source: Fortin et al., "Why should ensemble spread match the RMSE of the ensemble mean?",
    Journal of Hydrometeorology 15 (2014), equation 15.

    Raises:
        UserError: with fewer than two samples or no agent.
    """
    count = samples.shape[1]
    require(count > 1, f"expected two or more samples per scene, found {count}; draw more")
    require(alive.any(), "expected an agent that is present throughout, found none")
    drawn, true = samples.astype(np.float64), truth.astype(np.float64)
    weights = np.broadcast_to(alive[:, None, :, None], true.shape).astype(float)
    total = weights.sum((0, 2, 3))
    middle = drawn.mean(1)
    error = (weights * np.square(middle - true)).sum((0, 2, 3)) / total
    variance = (weights * drawn.var(1, ddof=1)).sum((0, 2, 3)) / total
    return Spread(np.sqrt(error), np.sqrt(variance * (count + 1) / count))


def coverage(
    samples: Float[np.ndarray, "scenes samples time agents 2"],
    truth: Float[np.ndarray, "scenes time agents 2"],
    alive: Bool[np.ndarray, "scenes agents"],
) -> Float[np.ndarray, " ranks"]:
    """Rank histogram: how often the truth is above 0, 1, ... K of the K samples.

    Flat (each ``1 / (K + 1)``) where truth and samples are alike, a bowl where the samples are too
    narrow, a hill where they are too wide. Coordinates count one by one.

    Source: Hamill, Monthly Weather Review 129 (2001).

    Returns:
        Shares of the ``K + 1`` ranks; they sum to 1.

    Raises:
        UserError: no agent is present throughout.
    """
    require(alive.any(), "expected an agent that is present throughout, found none")
    below = (samples < truth[:, None]).sum(1)
    ranks = below[np.broadcast_to(alive[:, None, :, None], below.shape)]
    counts = np.bincount(ranks, minlength=samples.shape[1] + 1)
    return counts / counts.sum()


class IntentsAgreement(NamedTuple):
    """Sampled intents against the labels of what happened."""

    accuracy: Float[np.ndarray, " time"]
    """Share of samples whose intent is the label, at each row after the observed ones."""
    confusion: Float[np.ndarray, "classes classes"]
    """Row: label; column: sampled; over the first `rows` rows; rows sum to 1, or 0 if unseen."""
    chance: float
    """Accuracy of always naming the most frequent label."""


def intents_agreement(
    sampled: Int[np.ndarray, "scenes samples time agents"],
    labels: Int[np.ndarray, "scenes time agents"],
    alive: Bool[np.ndarray, "scenes agents"],
    *,
    classes: int,
    rows: int = 5,
) -> IntentsAgreement:
    """Compare sampled intents with labels; agents not present throughout do not count.

    Raises:
        UserError: no agent is present throughout.
    """
    require(alive.any(), "expected an agent that is present throughout, found none")
    true = np.broadcast_to(labels[:, None], sampled.shape)
    counted = np.broadcast_to(alive[:, None, None], sampled.shape)
    right = np.where(counted, sampled == true, False).sum((0, 1, 3))
    pairs = (true * classes + sampled)[:, :, :rows][counted[:, :, :rows]]
    confusion = np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(float)
    total = confusion.sum(1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros_like(confusion), where=total > 0)
    frequent = np.bincount(true[counted], minlength=classes)
    return IntentsAgreement(
        right / counted.sum((0, 1, 3)), share, float(frequent.max() / frequent.sum())
    )
