"""Sessions: transitions (s, a, s') that a log holds in any order, put together again."""

from __future__ import annotations

import bisect
from collections import defaultdict

import numpy as np
from jaxtyping import Float, Int


def link(
    state: Float[np.ndarray, "rows obs"], following: Float[np.ndarray, "rows obs"]
) -> list[Int[np.ndarray, " steps"]]:
    """Numbers of the rows of each session, in order; sessions in order of their first row.

    A transition follows another if its state is, number for number, what the other led to. Each
    follows one at most and is followed by one at most, so sessions are chains; none closes on
    itself. Where several rows continue one, the nearest after it in the file is taken, or else the
    first of all.

    Args:
        state: s of every row.
        following: s' of every row.
    """
    rows = len(state)
    waiting: dict[bytes, list[int]] = defaultdict(list)
    for row, key in enumerate(_keys(state)):
        waiting[key].append(row)
    after = np.full(rows, -1)
    first, last = np.arange(rows), np.arange(rows)  # of the chain that ends, or begins, with a row
    for row, key in enumerate(_keys(following)):
        found = _take(waiting.get(key, []), row, int(first[row]))
        if found is not None:
            after[row] = found
            first[last[found]], last[first[row]] = first[row], last[found]
    begins = np.setdiff1d(np.arange(rows), after)
    return [_chain(after, row) for row in begins.tolist()]


def _take(candidates: list[int], row: int, start: int) -> int | None:
    """Remove the row that continues `row`, but not the start of its own chain."""
    at = bisect.bisect_right(candidates, row)
    for position in (*range(at, min(at + 2, len(candidates))), *range(min(at, 2))):
        if candidates[position] != start:
            return candidates.pop(position)
    return None


def _chain(after: Int[np.ndarray, " rows"], row: int) -> Int[np.ndarray, " steps"]:
    chain = [row]
    while after[chain[-1]] >= 0:
        chain.append(int(after[chain[-1]]))
    return np.asarray(chain)


def _keys(values: np.ndarray) -> list[bytes]:
    """Bytes that are equal where numbers are: -0 is 0."""
    return [row.tobytes() for row in np.ascontiguousarray(values) + 0.0]
