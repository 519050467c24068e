"""Longer episodes: what was seen first and last, held.

Windows that look back some rows can then begin where an episode does, and those that look ahead
can go on where it ended for good.
"""

from __future__ import annotations

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.scratch import take
from understudy.types import require


def extended(demonstrations: Demonstrations, *, before: int, after: int) -> Demonstrations:
    """Repeat the first row of every episode, and the last one where the game was over.

    Nobody acts in the rows that are added, and in the last row before them.

    Args:
        demonstrations: the set.
        before: rows put before every episode.
        after: rows put behind episodes that terminated; one that was cut goes on unseen.

    Raises:
        UserError: for fewer than 0 rows.
    """
    require(
        before >= 0 and after >= 0, f"expected rows of 0 or more, found {before} and {after}"
    )  # fmt: skip
    d = demonstrations
    if not len(d) or not (before or after):
        return d
    over = np.zeros(d.episodes, bool)
    if d.terminated is not None:
        over = np.logical_or.reduceat(np.asarray(d.terminated), d.starts[:-1])
    rows, known = [], []
    for first, end, ended in zip(d.starts[:-1], d.starts[1:], over, strict=True):
        behind = after if ended else 0
        rows.append(np.clip(np.arange(first - before, end + behind), first, end - 1))
        known.append(np.arange(-before, end - first + behind) >= 0)
        known[-1][before + end - first - 1 :] = False
    index, inside = np.concatenate(rows), np.concatenate(known)
    longer = d.map_rows(
        lambda array: take(array, index),
        starts=np.concatenate([[0], np.cumsum([len(r) for r in rows])]),
    )
    recorded = d.known_actions()
    return longer.replace(
        action_known=None if d.actions is None else {
            name: recorded[name][index] & inside[:, None] for name in d.spec.names
        },
        rewards=None if longer.rewards is None else {
            name: np.where(inside[:, None], values, 0.0).astype(np.float32)
            for name, values in longer.rewards.items()
        },
        terminated=None if longer.terminated is None else longer.terminated & inside,
        truncated=None if longer.truncated is None else longer.truncated & inside,
    )  # fmt: skip
