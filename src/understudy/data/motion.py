"""How tracks move: the measurements behind the checks for noise, teleports and frozen tracks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group

METRES = {"m": 1.0, "ft": 0.3048, "yd": 0.9144}
FROZEN_SECONDS = 2.0
"""A track that stands still for less has not been frozen."""
_ROWS = 2**17


@dataclasses.dataclass(frozen=True)
class Motion:
    """Measurements of one group; arrays are per episode."""

    spread: float
    """Standard deviation of positions over the whole set, all directions pooled."""
    moving_speed: float
    """Median speed of the steps that move at all, units per second; 0 if none does."""
    mean_speed: float
    """Mean speed, units per second."""
    steps: np.ndarray
    """Number of steps between rows in which an agent is alive."""
    step_rms: np.ndarray
    """Root mean square of a step along one direction."""
    autocorrelation: np.ndarray
    """Lag-1 autocorrelation of positions about their mean per track; 1 where nothing moves."""
    fastest: np.ndarray
    """Speed of the fastest step, units per second."""
    frozen: np.ndarray
    """Number of agents whose position never changes in the `FROZEN_SECONDS` or more they are
    there."""
    still: np.ndarray
    """Most steps in a row in which nobody of the group moves although two or more are alive."""


def positions(group: Group) -> list[int]:
    """Columns that hold positions: x and y by name, or both of two nameless features."""
    if group.features:
        return [group.features.index(n) for n in ("x", "y") if n in group.features]
    return [0, 1] if group.observation == 2 else []


def measure(demonstrations: Demonstrations, group: Group) -> Motion:
    """Measure how the agents of a group move; rows that are not finite count as not alive."""
    parts = [_measure(part, group) for part in demonstrations.blocks(_ROWS)]
    sums = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    steps, values = sums["steps"], np.maximum(sums["values"], 1)
    total = max(1.0, sums["values"].sum())
    mean = sums["sum"].sum(0) / total
    spread = math.sqrt(max(0.0, float((sums["squares"].sum(0) / total - mean**2).mean())))
    # the mean of a squared step along one direction, and of a squared distance from the mean
    step, around = sums["step_squares"] / 2 / np.maximum(steps, 1), sums["around"] / 2 / values
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(around > 0, 1 - 0.5 * step / around, 1.0)
    moving = sums["moving"][sums["moving"] > 0]
    return Motion(
        spread=spread,
        moving_speed=float(np.median(moving)) if len(moving) else 0.0,
        mean_speed=float(sums["speed"].sum() / max(1, steps.sum())),
        steps=steps,
        step_rms=np.sqrt(step),
        autocorrelation=correlation,
        fastest=sums["fastest"],
        frozen=sums["frozen"],
        still=sums["still"],
    )


def _measure(d: Demonstrations, group: Group) -> dict[str, np.ndarray]:
    x = np.asarray(d.features[group.name][..., positions(group)], np.float64)
    live = d.alive[group.name] & np.isfinite(x).all(-1)
    x = np.where(live[..., None], x, 0.0)
    begins = d.starts[:-1]

    def total(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, begins, axis=0)

    there = total(live)
    centre = total(x) / np.maximum(there, 1)[..., None]
    around = (x - np.repeat(centre, d.lengths, axis=0)) * live[..., None]
    # one row per row; the step into the first row of an episode does not exist
    change = np.diff(x, axis=0, prepend=x[:1])
    joined = live & np.concatenate([live[:1], live[:-1]])
    joined[begins] = False
    distance = np.where(joined, np.linalg.norm(change, axis=-1), 0.0)
    speed = distance * d.rate
    steps = total(joined.sum(1))
    moved = total(distance).astype(np.float64)
    frozen = (moved == 0) & (total(joined) == there - 1) & (there > FROZEN_SECONDS * d.rate)
    stands = (joined.sum(1) > 1) & (distance.sum(1) == 0)
    sample = max(1, speed.size // 2**14)
    picked = speed.reshape(-1)[:: sample if sample % 2 else sample + 1]
    return {
        "values": total(live.sum(1)),
        "sum": total(x.sum(1)),
        "squares": total((x**2).sum(1)),
        "steps": steps,
        "step_squares": total((distance**2).sum(1)),
        "around": total((around**2).sum((1, 2))),
        "speed": total(speed.sum(1)),
        "moving": picked,
        "fastest": np.maximum.reduceat(speed.max(1), begins),
        "frozen": frozen.sum(1),
        "still": _longest_run(stands, begins),
    }


def _longest_run(marks: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Longest run of True in each episode; the first row of an episode is never marked."""
    number = np.arange(1, len(marks) + 1)
    last_unmarked = np.maximum.accumulate(np.where(marks, 0, number))
    return np.maximum.reduceat(number - last_unmarked, begins)
