"""Moments of the training split, gathered in pieces with float64 sums.

A change counts only between rows of the same episode in which the agent is alive; a change of
change needs three such rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from understudy.data import scratch
from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, Statistics, require

_FIELDS = ("mean", "std", "low", "high", "step_std", "turn_std")


def statistics(demonstrations: Demonstrations) -> Statistics:
    """Measure mean, spread, range and typical changes of every feature of every group.

    A constant feature has spread 1, so that dividing by it is safe; so has one that never moves.
    A group nobody was ever alive in has mean 0 and range 0.

    Args:
        demonstrations: the training split and nothing else.

    Raises:
        UserError: if a feature is not finite.
    """
    firsts = np.zeros(demonstrations.frames + 1, bool)
    firsts[demonstrations.starts] = True
    moments = {g.name: _moments(demonstrations, g, firsts) for g in demonstrations.spec.groups}
    return Statistics(
        **{
            field: {
                name: jnp.asarray(values[field], jnp.float32) for name, values in moments.items()
            }
            for field in _FIELDS
        },
        rate=jnp.asarray(demonstrations.rate, jnp.float32),
    )


def to_json(statistics: Statistics) -> dict[str, Any]:
    """Return `statistics` as plain lists and numbers."""
    fields = {
        field: {
            name: np.asarray(values).astype(float).tolist()
            for name, values in getattr(statistics, field).items()
        }
        for field in _FIELDS
    }
    return {**fields, "rate": float(statistics.rate)}


def from_json(values: Mapping[str, Any]) -> Statistics:
    """Undo `to_json`, exactly.

    Raises:
        UserError: if a field is missing.
    """
    missing = [name for name in (*_FIELDS, "rate") if name not in values]
    require(not missing, f"expected statistics with {missing}, found {list(values)}")
    return Statistics(
        **{
            field: {name: jnp.asarray(v, jnp.float32) for name, v in values[field].items()}
            for field in _FIELDS
        },
        rate=jnp.asarray(values["rate"], jnp.float32),
    )


def _moments(d: Demonstrations, group: Group, firsts: np.ndarray) -> dict[str, np.ndarray]:
    features, alive = d.features[group.name], d.alive[group.name]
    size = group.observation
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    count, mean, squares = 0, np.zeros(size), np.zeros(size)
    steps, turns = _Squares(size), _Squares(size)
    for piece in scratch.pieces(d.frames, features):
        begin = max(0, piece.start - 2)
        x = np.asarray(features[begin : piece.stop], np.float64)
        live = np.asarray(alive[begin : piece.stop])
        new = x[piece.start - begin :][live[piece.start - begin :]]
        require(
            np.isfinite(new).all(),
            f"expected finite features of group {group.name!r}, found others; run "
            "`understudy data check` to see which episodes",
        )
        if len(new):
            low, high = np.minimum(low, new.min(0)), np.maximum(high, new.max(0))
            total = count + len(new)
            shift = new.mean(0) - mean
            squares += ((new - new.mean(0)) ** 2).sum(0) + shift**2 * count * len(new) / total
            mean += shift * len(new) / total
            count = total
        # joined[t]: the agent is alive in rows t and t + 1 of one episode
        joined = live[1:] & live[:-1] & ~firsts[begin + 1 : piece.stop, None]
        change = np.diff(x, axis=0)
        steps.add(change, joined, piece.start - 1 - begin)
        turns.add(np.diff(change, axis=0), joined[1:] & joined[:-1], piece.start - 2 - begin)
    if count == 0:
        low, high = np.zeros(size), np.zeros(size)
    std = np.sqrt(squares / max(count, 1))
    return {
        "mean": mean,
        "std": np.where(high > low, std, 1.0),
        "low": low,
        "high": high,
        "step_std": steps.root(),
        "turn_std": turns.root(),
    }


class _Squares:
    """Root mean square of values that come in pieces."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.sum = np.zeros(size)

    def add(self, values: np.ndarray, valid: np.ndarray, skip: int) -> None:
        """Add the valid ones; the first `skip` rows were in the piece before."""
        chosen = values[max(0, skip) :][valid[max(0, skip) :]]
        self.count += len(chosen)
        self.sum += (chosen**2).sum(0)

    def root(self) -> np.ndarray:
        root = np.sqrt(self.sum / max(self.count, 1))
        return np.where(root > 0, root, 1.0)
