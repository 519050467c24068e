"""How far two sets of rows are apart: marginals, dependence, joint distribution.

Everything but the classifier is computed for many weightings of the rows at once, ``draws`` first,
so that `functional.resampling` can say how sure a figure is. NumPy in float64.

Sources: energy score: Gneiting and Raftery, JASA 2007, section 4.2; V: Cramér, "Mathematical
Methods of Statistics", 1946; classifier as a test: Lopez-Paz and Oquab, "Revisiting Classifier
Two-Sample Tests", ICLR 2017 (arXiv 1610.06545).
Deviation: the area under the ROC curve instead of the accuracy, which needs no threshold.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize, special, stats

from understudy.types import require


def total_variation(
    counts: Float[np.ndarray, "*draws choices"],
    others: Float[np.ndarray, "*draws choices"],
    sections: tuple[int, ...],
) -> Float[np.ndarray, "*draws sections"]:
    """``½ Σ_c |p(c) - q(c)|`` of every section, 0 to 1; NaN where nothing is counted.

    Args:
        counts: of the choices of all sections, one after the other.
        others: those of the other set; the totals may differ.
        sections: number of choices of each.
    """
    first = np.concatenate([[0], np.cumsum(sections)[:-1]]).astype(int)
    shares = []
    for table in (counts, others):
        total = np.repeat(np.add.reduceat(table, first, axis=-1), sections, axis=-1)
        shares.append(np.divide(table, total, out=np.full_like(total, np.nan), where=total > 0))
    return 0.5 * np.add.reduceat(np.abs(shares[0] - shares[1]), first, axis=-1)


def wasserstein(
    values: Float[np.ndarray, " rows"],
    others: Float[np.ndarray, " other_rows"],
    weights: Float[np.ndarray, "draws rows"],
    other_weights: Float[np.ndarray, "#draws other_rows"],
) -> Float[np.ndarray, " draws"]:
    """Wasserstein-1 distance of two samples of one value, ``∫ |F(x) - G(x)| dx``, in its unit.

    NaN where no row of a draw weighs anything.
    """
    both = np.concatenate([values, others]).astype(np.float64)
    order = np.argsort(both, kind="stable")
    total, other_total = (table.sum(1, keepdims=True) for table in (weights, other_weights))
    own = weights / np.where(total > 0, total, np.nan)
    other = other_weights / np.where(other_total > 0, other_total, np.nan)
    other = np.broadcast_to(other, (len(own), other.shape[1]))
    signed = np.concatenate([own, -other], 1)[:, order]
    return np.abs(np.cumsum(signed, 1)[:, :-1]) @ np.diff(both[order])


def area_under_curve(
    scores: Float[np.ndarray, " rows"],
    others: Float[np.ndarray, " other_rows"],
    weights: Float[np.ndarray, "draws rows"],
    other_weights: Float[np.ndarray, "draws other_rows"],
) -> Float[np.ndarray, " draws"]:
    """Chance that a row scores above a row of the other set, ties counting half."""
    both = np.concatenate([scores, others])
    _, group = np.unique(both, return_inverse=True)
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    nothing = [np.zeros_like(table) for table in (other_weights, weights)]
    own = np.add.reduceat(np.concatenate([weights, nothing[0]], 1)[:, order], first, axis=1)
    other = np.add.reduceat(np.concatenate([nothing[1], other_weights], 1)[:, order], first, axis=1)
    below = np.cumsum(other, 1) - 0.5 * other
    return (own * below).sum(1) / (own.sum(1) * other.sum(1))


def correlations(
    products: Float[np.ndarray, "*draws columns columns"],
) -> Float[np.ndarray, "*draws others others"]:
    """Correlation matrices of all columns but the last; 0 beside a column that does not vary.

    Args:
        products: ``XᵀX`` of rows X with a column of ones at the end; best about a common centre.
    """
    count = products[..., -1, -1]
    mean = products[..., -1, :-1] / count[..., None]
    square = products[..., :-1, :-1] / count[..., None, None]
    covariance = square - mean[..., :, None] * mean[..., None, :]
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    varies = variance > 1e-10 * np.maximum(np.square(mean), 1.0)
    std = np.sqrt(np.where(varies, variance, 1.0))
    scaled = covariance / (std[..., :, None] * std[..., None, :])
    return np.where(varies[..., :, None] & varies[..., None, :], scaled, 0.0)


def association(
    counts: Float[np.ndarray, "*draws choices choices"], sections: tuple[int, ...]
) -> Float[np.ndarray, "*draws sections sections"]:
    """Cramér's V of all pairs of sections, 0 (independent) to 1; 0 beside one that never varies.

    ``V² = (Σ_{cd} n_cd² / (n_c n_d) - 1) / (min(C, D) - 1)``

    Args:
        counts: how often two choices go together: ``XᵀX`` of one-hot rows X.
        sections: number of choices of each.
    """
    first = np.concatenate([[0], np.cumsum(sections)[:-1]]).astype(int)
    own = np.diagonal(counts, axis1=-2, axis2=-1)
    scale = own[..., :, None] * own[..., None, :]
    share = np.divide(np.square(counts), scale, out=np.zeros_like(scale), where=scale > 0)
    chi = np.add.reduceat(np.add.reduceat(share, first, axis=-1), first, axis=-2) - 1.0
    least = np.minimum.outer(np.asarray(sections), np.asarray(sections)) - 1
    found = np.where(least > 0, chi, 0.0) / np.maximum(least, 1)
    return np.sqrt(np.clip(found, 0.0, 1.0))


def energy_scores(
    samples: Float[np.ndarray, "samples rows columns"], truth: Float[np.ndarray, "rows columns"]
) -> Float[np.ndarray, " rows"]:
    """Energy score of what was drawn for every row; lower is better, and proper.

    ``1/K Σ_s |X_s - y| - 1/(2K(K-1)) Σ_{s≠s'} |X_s - X_s'|`` with Euclidean norms; bring columns to
    one scale first. Identical samples leave the plain distance.
    """
    count, near = len(samples), np.zeros(len(truth))
    for i in range(count):
        apart = np.linalg.norm(samples[i + 1 :] - samples[i], axis=-1).sum(0)
        near += apart / max(count * (count - 1), 1)
    return np.linalg.norm(samples - truth, axis=-1).mean(0) - near


def ranks(
    samples: Float[np.ndarray, "samples rows columns"],
    truth: Float[np.ndarray, "rows columns"],
    seed: int,
) -> Float[np.ndarray, "rows ranks"]:
    """Share of each row's columns in which the truth is above 0, 1, ... K samples.

    Flat on average where truth and samples are alike. Ties are broken at random.

    Source: Hamill, Monthly Weather Review 129 (2001).
    """
    below, level = (samples < truth).sum(0), (samples == truth).sum(0)
    rank = below + np.random.default_rng(seed).integers(0, level + 1)
    return np.stack([(rank == i).mean(1) for i in range(len(samples) + 1)], 1)


def classifier_scores(
    rows: Float[np.ndarray, "rows columns"],
    logged: Bool[np.ndarray, " rows"],
    folds: Int[np.ndarray, " rows"],
    *,
    penalty: float = 1.0,
) -> Float[np.ndarray, " rows"]:
    """How much each row looks logged to a classifier that has not seen its fold, in logits.

    A logistic regression, ``min Σ_i log(1 + exp(-y_i (w · x_i + b))) + ½ penalty |w|²``, on columns
    standardised by the rows it learns from. Scores are ranks within a fold, -1 to 1, since two
    classifiers do not share a scale.

    Args:
        rows: of both sets.
        logged: which set a row is of.
        folds: of each row; a session in one fold only.
        penalty: above 0.

    Raises:
        UserError: for fewer than two folds, or a fold without rows of both sets.
    """
    numbers = np.unique(folds)
    both = all(0 < logged[folds == n].mean() < 1 for n in numbers)
    require(
        len(numbers) > 1 and both,
        f"expected two or more folds with rows of both sets, found {len(numbers)} folds",
    )
    scores = np.zeros(len(rows))
    for number in numbers:
        held = folds == number
        mean, std = rows[~held].mean(0), rows[~held].std(0)
        x = (rows - mean) / np.where(std > 1e-9, std, np.inf)
        weights = _logistic(x[~held], np.where(logged[~held], 1.0, -1.0), penalty)
        order = stats.rankdata(x[held] @ weights[:-1])
        scores[held] = 2 * (order - 0.5) / held.sum() - 1
    return scores


def _logistic(
    x: Float[np.ndarray, "rows columns"], labels: Float[np.ndarray, " rows"], penalty: float
) -> Float[np.ndarray, " weights"]:
    """Weights, then the intercept."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = labels * (x @ weights[:-1] + weights[-1])
        slope = -labels * special.expit(-margin)
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * penalty * (weights[:-1] @ weights[:-1])
        return value, np.append(x.T @ slope + penalty * weights[:-1], slope.sum())

    start = np.zeros(x.shape[1] + 1)
    options = {"maxiter": 200, "gtol": 1e-3 * np.sqrt(len(x))}
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
