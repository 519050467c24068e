"""Whole episodes of one group in padded batches of about equal length, for work on the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int

from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import xy

CELLS = 2**16
"""Agent-rows of a batch: small enough for the processor's cache, large enough to vectorise."""


class Padded(NamedTuple):
    """Some episodes, padded behind their last row; padding is not alive."""

    episodes: Int[np.ndarray, " batch"]
    rows: Int[np.ndarray, "batch time"]
    """Where each row lies in the demonstrations; a row of padding repeats the last one."""
    inside: Bool[np.ndarray, "batch time"]
    """False in padding."""
    track: Float32[np.ndarray, "batch time agents 2"]
    alive: Bool[np.ndarray, "batch time agents"]


def padded(demonstrations: Demonstrations, group: str, *, cells: int = CELLS) -> Iterator[Padded]:
    """Go through all episodes, shortest first, each exactly once.

    Args:
        demonstrations: with positions, see `understudy.data.positions.xy`.
        group: whose.
        cells: most agent-rows of a batch, though at least one episode.

    Raises:
        UserError: the group has no positions.
    """
    lengths, starts = demonstrations.lengths, demonstrations.starts[:-1]
    features, alive = demonstrations.features[group], demonstrations.alive[group]
    columns = list(xy(demonstrations.spec[group]))
    order = np.argsort(lengths, kind="stable")
    begin, slots = 0, alive.shape[1]
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * lengths[order[end]] * slots <= cells:
            end += 1
        episodes = order[begin:end]
        time = np.arange(int(lengths[order[end - 1]]))
        inside = time < lengths[episodes, None]
        rows = starts[episodes, None] + np.minimum(time, lengths[episodes, None] - 1)
        yield Padded(
            episodes=episodes,
            rows=rows,
            inside=inside,
            track=np.asarray(features[rows][..., columns]),
            alive=np.asarray(alive[rows]) & inside[..., None],
        )
        begin = end
