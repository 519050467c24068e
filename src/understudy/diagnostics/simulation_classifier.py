"""Whether a classifier can tell logged rows (state, action, next state) from drawn ones.

A logistic regression looks at which sections were chosen and which switched, and at numbers x,
each as ``asinh x`` and ``log(1 + x²)``: values of the next state, their change, the action, and
what a ridge regression misses of the next state and of the action. The last says how state, action
and next state go together, which columns one by one do not; it is turned to its principal axes on
the training split, so that values which go together there have to do so in what was drawn.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from understudy.diagnostics.simulation_figures import Figure
from understudy.diagnostics.simulation_log import Transitions, features
from understudy.diagnostics.simulation_study import Study
from understudy.functional import two_sample
from understudy.types import ActionSpec

FOLDS = 5
FLOOR = 1e-2
"""Least variance of an axis, as a share of the largest; what is narrower is a rule with its own
figure."""


def told_apart(
    study: Study, done: Float[np.ndarray, "rows act"], after: Float[np.ndarray, "rows obs"]
) -> Figure:
    """Chance that a logged row looks more like the log than a drawn one to a classifier that was
    fitted to other sessions; 0.5 is ideal.

    Args:
        study: with the log.
        done: logged or drawn actions.
        after: drawn next states.
    """
    log, weights = study.log, study.sessions.rows
    blocks = study.sessions.weights.shape[1]
    fold = np.random.default_rng(study.seed).permutation(blocks) % FOLDS
    rows = np.concatenate([_seen(study, log.done, log.after), _seen(study, done, after)])
    logged = np.arange(len(rows)) < len(log)
    folds = np.tile(fold[study.sessions.block], 2)
    scores = two_sample.classifier_scores(rows, logged, folds)
    area = two_sample.area_under_curve(scores[logged], scores[~logged], weights, weights)
    return Figure(("auc",), area[:, None])


def _seen(study: Study, done: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What the classifier looks at, ``[rows, columns]``."""
    log, columns = study.log, study.log.columns
    first, section = columns.answer.choices, len(columns.action.sections)
    pairs = zip(columns.answer.split(after), columns.answer.split(log.now), strict=True)
    switched = [(later != now).any(1)[:, None] for later, now in pairs]
    values = [
        done[:, section:] / study.act_spread,
        (after[:, first:] - study.train.after[:, first:].mean(0)) / study.spread,
        (after[:, first:] - log.now[:, first:]) / study.rules.change,
        _missed(study, done, after),
    ]
    acts = features(done[:, :section], ActionSpec(columns.action.sections))
    parts = [after[:, :first], acts, *switched]
    for value in values:
        parts += [np.arcsinh(value), np.log1p(np.square(value))]
    return np.concatenate(parts, 1, dtype=np.float64)


def _missed(study: Study, done: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What the ridge regression misses, in standard deviations along its own axes."""
    usual = _left(study, study.train, study.train.done, study.train.after)
    if not usual.shape[1]:
        return usual[:0].reshape(len(done), 0)
    power, axes = np.linalg.eigh(usual.T @ usual / len(usual))
    scale = np.sqrt(np.maximum(power, FLOOR * power.max()))
    return (_left(study, study.log, done, after) - usual.mean(0)) @ axes / scale


def _left(study: Study, log: Transitions, done: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What is left of values of the next state and of the action, ``[rows, columns]``."""
    columns, ridge, parts = log.columns, study.ridge, []
    first, section = columns.answer.choices, len(columns.action.sections)
    known = np.concatenate([log.now, features(done, columns.action)], 1)
    for line, x, y in (
        (ridge.answering, known, after[:, first:]),
        (ridge.acting, log.now, done[:, section:]),
    ):
        weights, bias, std = (np.asarray(part, np.float64) for part in (line.weights, line.bias,
                                                                        line.std))  # fmt: skip
        parts.append((y - x @ weights - bias) / std)
    return np.concatenate(parts, 1)
