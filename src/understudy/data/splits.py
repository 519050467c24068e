"""Splitting by an id, so that no window of a game is learned from and tested on."""

from __future__ import annotations

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import require


def split(
    demonstrations: Demonstrations,
    *,
    by: str,
    fractions: tuple[float, float, float],
    seed: int,
) -> list[Demonstrations]:
    """Split into three parts; every value of the label `by` is in one of them only.

    The ids are shuffled and cut where the share of episodes comes nearest to `fractions`; a part
    whose fraction is above 0 gets one id at least.

    Args:
        demonstrations: the whole set.
        by: a label per episode: ``game``, ``source``, ``episode``.
        fractions: shares of training, validation and test; they sum to 1.
        seed: of the shuffle.

    Raises:
        UserError: for an unknown label, wrong fractions, or fewer ids than parts.
    """
    require(
        len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) < 1e-6,
        f"expected three fractions that sum to 1, found {fractions}",
    )
    ids, codes = np.unique(demonstrations.label(by), return_inverse=True)
    parts = [i for i, fraction in enumerate(fractions) if fraction > 0]
    require(
        len(ids) >= len(parts),
        f"expected at least {len(parts)} values of the label {by!r}, one per part, found "
        f"{len(ids)}; split by another label of {list(demonstrations.labels)}",
    )
    order = np.random.default_rng(seed).permutation(len(ids))
    share = np.cumsum(np.bincount(codes, minlength=len(ids))[order]) / max(1, len(codes))
    part_of = np.empty(len(ids), np.int64)
    begin, target = 0, 0.0
    for rank, part in enumerate(parts):
        target += fractions[part]
        latest = len(ids) - (len(parts) - rank - 1)
        near = int(np.argmin(np.abs(share - target))) + 1
        end = latest if rank == len(parts) - 1 else min(max(near, begin + 1), latest)
        part_of[order[begin:end]] = part
        begin = end
    return [demonstrations[np.flatnonzero(part_of[codes] == part)] for part in range(3)]
