"""Changing the rate of tracks: 25, 12.5, 10, 8.33, 5 and 2.5 Hz all occur."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from understudy.data import scratch
from understudy.data.demonstrations import Demonstrations
from understudy.types import require

_NEAR = 1e-6


def resample(
    demonstrations: Demonstrations, rate: float, *, causal: bool = False
) -> Demonstrations:
    """Return the same tracks at another rate; every episode keeps its first row.

    Features and state are interpolated linearly between the two rows around the new time, where
    the agent has to be alive in both; or, if `causal`, taken from the last row at or before it,
    so that no row depends on a later one. Intents come from the last row in both cases. An
    episode ends with the last new time that it covers; its end is marked where it was.

    Args:
        demonstrations: tracks; nothing in them may belong to a step.
        rate: new rows per second (Hz).
        causal: use only rows at or before the new time.

    Raises:
        UserError: if there are actions, rewards or legal masks (they describe steps of the old
            length), or the rate is not above 0.
    """
    d = demonstrations
    require(math.isfinite(rate) and rate > 0, f"expected a rate in Hz above 0, found {rate}")
    steps = [n for n in ("actions", "rewards", "legal") if getattr(d, n) is not None]
    require(
        not steps,
        f"expected tracks to resample, found {steps}, which describe steps at {d.rate:g} Hz; drop "
        "them with .replace(actions=None, rewards=None, legal=None)",
    )
    if rate == d.rate:
        return d
    times = _times(d, rate)
    changes: dict[str, Any] = {"features": {}, "alive": {}}
    for name in d.spec.names:
        features, alive = d.features[name], d.alive[name]
        changes["features"][name], changes["alive"][name] = _move(features, alive, times, causal)
    if d.state is not None:
        always = np.broadcast_to(np.True_, (d.frames, 1))
        changes["state"] = _move(d.state[:, None], always, times, causal)[0][:, 0]
    if d.intents is not None:
        changes["intents"] = {n: scratch.take(a, times.left) for n, a in d.intents.items()}
    for name in ("terminated", "truncated"):
        marks = getattr(d, name)
        if marks is not None:
            changes[name] = _marks(d, marks, times.starts, rate)
    horizon = d.spec.horizon
    if horizon is not None:
        horizon = max(1, math.floor(horizon * rate / d.rate + _NEAR))
    return d.replace(
        spec=dataclasses.replace(d.spec, horizon=horizon),
        rate=float(rate),
        starts=times.starts,
        action_known=None,
        **changes,
    )


class _Times(NamedTuple):
    """Where the new rows lie between the old ones."""

    starts: np.ndarray
    left: np.ndarray
    right: np.ndarray
    fraction: np.ndarray


def _times(d: Demonstrations, rate: float) -> _Times:
    lengths = np.floor((d.lengths - 1) * (rate / d.rate) + _NEAR).astype(np.int64) + 1
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    number = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    position = number * (d.rate / rate)
    whole = np.floor(position + _NEAR)
    fraction = np.where(position - whole < _NEAR, 0.0, position - whole)
    left = np.repeat(d.starts[:-1], lengths) + whole.astype(np.int64)
    right = np.minimum(left + (fraction > 0), np.repeat(d.starts[1:] - 1, lengths))
    return _Times(starts, left, right, fraction.astype(np.float32))


def _move(
    features: np.ndarray, alive: np.ndarray, times: _Times, causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    rows = len(times.left)
    mapped = scratch.is_mapped(features)
    moved = scratch.empty((rows, *features.shape[1:]), features.dtype, mapped=mapped)
    living = scratch.empty((rows, *alive.shape[1:]), alive.dtype, mapped=mapped)
    for piece in scratch.pieces(rows, features):
        left, right = times.left[piece], times.right[piece]
        value, here = features[left], alive[left]
        if not causal:
            value = value + (features[right] - value) * times.fraction[piece, None, None]
            here = here & alive[right]
        moved[piece] = np.where(here[..., None], value, np.float32(0))
        living[piece] = here
    return moved, living


def _marks(d: Demonstrations, marks: np.ndarray, starts: np.ndarray, rate: float) -> np.ndarray:
    """Put each mark on the new row whose step holds the time of the old one."""
    rows = np.flatnonzero(marks)
    episode = np.searchsorted(d.starts, rows, side="right") - 1
    number = np.floor((rows - d.starts[episode]) * (rate / d.rate) + _NEAR).astype(np.int64)
    moved = np.zeros(starts[-1], bool)
    moved[np.minimum(starts[episode] + number, starts[episode + 1] - 1)] = True
    return moved
