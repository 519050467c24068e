"""What a log never breaks, found in its training split: knobs, and columns that say the same.

A knob is a continuous value of the state whose change is a straight line of one continuous value of
the action, ``s'_j - s_j = k a_i + c``, up to a hundredth of its variance. Two columns are copies
where they are equal in every row. A simulator that draws each value apart breaks both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from understudy.diagnostics.simulation_log import LogColumns, Transitions

LEAST_R2 = 0.99
SAME = 1e-5
"""Largest difference of copies, in standard deviations."""


class Knob(NamedTuple):
    """``s'_value - s_value = slope · a_act + offset``."""

    value: int
    """Number of the continuous value of the state."""
    act: int
    """Number of the continuous value of the action."""
    slope: float
    offset: float
    r2: float
    """Share of the variance of the change that the line says, on the training split."""


class Copy(NamedTuple):
    """Two continuous values of the state that are equal."""

    value: int
    other: int


class Rules(NamedTuple):
    """What a log never breaks."""

    knobs: tuple[Knob, ...]
    copies: tuple[Copy, ...]
    change: Float[np.ndarray, " values"]
    """Standard deviation of the change of every value; 1 for one that never changes."""
    spread: Float[np.ndarray, " values"]
    """Standard deviation of every value; 1 for a constant one."""

    def words(self, columns: LogColumns) -> list[str]:
        """One line for every rule."""
        values, acts = columns.values, columns.acts[len(columns.action.sections) :]
        knobs = [
            f"change of {values[k.value]} = {k.slope:.4g} · {acts[k.act]} {k.offset:+.4g} "
            f"(R² {k.r2:.4f})"
            for k in self.knobs
        ]
        return [*knobs, *(f"{values[c.value]} = {values[c.other]}" for c in self.copies)]

    def broken(
        self, log: Transitions, after: Float[np.ndarray, "rows obs"]
    ) -> Float[np.ndarray, "rows rules"]:
        """Squared distance from every rule: of knobs in standard deviations of the change, of
        copies in standard deviations of the value.

        Args:
            log: states and actions that were answered.
            after: the answers.
        """
        first, section = log.columns.answer.choices, len(log.columns.action.sections)
        now = log.now[:, first:].astype(np.float64)
        then, acts = after[:, first:].astype(np.float64), log.done[:, section:]
        found = [
            (then[:, k.value] - now[:, k.value] - k.slope * acts[:, k.act] - k.offset)
            / self.change[k.value]
            for k in self.knobs
        ]
        found += [(then[:, c.value] - then[:, c.other]) / self.spread[c.value] for c in self.copies]
        return np.square(np.stack(found, 1)) if found else np.zeros((len(log), 0))


def rules(train: Transitions) -> Rules:
    """Find knobs by least squares, and copies.

    Args:
        train: the training split.
    """
    section, first = len(train.columns.action.sections), train.columns.answer.choices
    change = train.change.astype(np.float64)
    acts = train.done[:, section:].astype(np.float64)
    values = train.after[:, first:].astype(np.float64)
    spread = values.std(0)
    moved, knobs = change.std(0), []
    varies = moved > SAME * np.maximum(spread, SAME)
    turned, centred = acts - acts.mean(0), change - change.mean(0)
    power = np.square(turned).sum(0)
    for j in np.flatnonzero(varies) if acts.shape[1] else ():
        slopes = np.divide(turned.T @ centred[:, j], power, out=np.zeros_like(power),
                           where=power > 0)  # fmt: skip
        r2 = slopes**2 * power / np.square(centred[:, j]).sum()
        i = int(np.argmax(r2))
        if r2[i] > LEAST_R2:
            offset = float(change[:, j].mean() - slopes[i] * acts[:, i].mean())
            knobs.append(Knob(int(j), i, float(slopes[i]), offset, float(r2[i])))
    copies, count = [], values.shape[1]
    for j in range(count):
        for other in range(j + 1, count):
            apart = np.abs(values[:, j] - values[:, other]).max()
            if spread[j] > 0 and apart <= SAME * spread[j]:
                copies.append(Copy(j, other))
    return Rules(tuple(knobs), tuple(copies), np.where(varies, moved, 1.0),
                 np.where(spread > 0, spread, 1.0))  # fmt: skip
