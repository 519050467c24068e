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
from understudy.types import Spec, Statistics, require

_PIECE_BYTES = 2**20
"""Pieces that fit in a processor's cache with what is computed from them."""
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
    sums = Accumulator(demonstrations.spec)
    sums.add(demonstrations)
    return sums.result(demonstrations.rate)


class Accumulator:
    """Statistics of episodes that come in parts."""

    def __init__(self, spec: Spec) -> None:
        self._moments = {group.name: _Moments(group.observation) for group in spec.groups}

    def add(self, demonstrations: Demonstrations) -> None:
        """Add whole episodes.

        Raises:
            UserError: if a feature is not finite.
        """
        firsts = np.zeros(demonstrations.frames + 1, bool)
        firsts[demonstrations.starts] = True
        for name, moments in self._moments.items():
            features, alive = demonstrations.features[name], demonstrations.alive[name]
            for piece in scratch.pieces(demonstrations.frames, features, _PIECE_BYTES):
                begin = max(0, piece.start - 2)
                # features first: sums then run along contiguous memory
                x = np.moveaxis(features[begin : piece.stop], -1, 0).astype(np.float64, order="C")
                live = np.asarray(alive[begin : piece.stop])
                new = _chosen(x, live, piece.start - begin)
                require(
                    np.isfinite(new).all(),
                    f"expected finite features of group {name!r}, found others; run "
                    "`understudy data check` to see which episodes",
                )
                moments.add(new)
                # joined[t]: the agent is alive in rows t and t + 1 of one episode
                joined = live[1:] & live[:-1] & ~firsts[begin + 1 : piece.stop, None]
                change = np.diff(x, axis=1)
                moments.steps.add(change, joined, piece.start - 1 - begin)
                turn = np.diff(change, axis=1)
                moments.turns.add(turn, joined[1:] & joined[:-1], piece.start - 2 - begin)

    def result(self, rate: float) -> Statistics:
        """Return the statistics of all that was added."""
        found = {name: moments.result() for name, moments in self._moments.items()}
        return Statistics(
            **{
                field: {n: jnp.asarray(v[field], jnp.float32) for n, v in found.items()}
                for field in _FIELDS
            },
            rate=jnp.asarray(rate, jnp.float32),
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


class _Moments:
    """Moments of one group."""

    def __init__(self, size: int) -> None:
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)
        self.count, self.mean, self.squares = 0, np.zeros(size), np.zeros(size)
        self.steps, self.turns = _Squares(size), _Squares(size)

    def add(self, values: np.ndarray) -> None:
        """Merge ``[obs, values]`` into count, mean, squares and range (Chan's update)."""
        new = values.shape[1]
        if new == 0:
            return
        self.low = np.minimum(self.low, values.min(1))
        self.high = np.maximum(self.high, values.max(1))
        mean, total = values.mean(1), self.count + new
        shift = mean - self.mean
        self.squares += _squared(values - mean[:, None])
        self.squares += shift**2 * self.count * new / total
        self.mean = self.mean + shift * new / total
        self.count = total

    def result(self) -> dict[str, np.ndarray]:
        varies = self.high > self.low
        std = np.sqrt(self.squares / max(self.count, 1))
        return {
            "mean": self.mean,
            "std": np.where(varies, std, 1.0),
            "low": self.low if self.count else np.zeros_like(self.low),
            "high": self.high if self.count else np.zeros_like(self.high),
            "step_std": self.steps.root(),
            "turn_std": self.turns.root(),
        }


class _Squares:
    """Root mean square of values that come in pieces."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.sum = np.zeros(size)

    def add(self, values: np.ndarray, valid: np.ndarray, skip: int) -> None:
        """Add ``[obs, time, agents]``; the first `skip` rows were in the piece before."""
        chosen = _chosen(values, valid, max(0, skip))
        self.count += chosen.shape[1]
        self.sum += _squared(chosen)

    def root(self) -> np.ndarray:
        root = np.sqrt(self.sum / max(self.count, 1))
        return np.where(root > 0, root, 1.0)


def _chosen(values: np.ndarray, valid: np.ndarray, skip: int) -> np.ndarray:
    """``[obs, chosen]`` of ``[obs, time, agents]``, without the first `skip` rows."""
    values, valid = values[:, skip:], valid[skip:]
    if valid.all():
        return values.reshape(len(values), -1)
    return values[:, valid]


def _squared(values: np.ndarray) -> np.ndarray:
    return np.einsum("on,on->o", values, values)
