"""Sessions: transitions (s, a, s') in any order put together again, and where they begin."""

from __future__ import annotations

import bisect
from collections import defaultdict
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from understudy.data.demonstrations import Demonstrations
from understudy.types import require


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


def beginnings(
    demonstrations: Demonstrations, starts: Literal["first", "any"]
) -> Int[np.ndarray, " rows"]:
    """Numbers of rows to begin in: the first of each session, or all that somebody acted in.

    Raises:
        UserError: for other starts, without a group that decides the next state, or where no such
            row is alive.
    """
    world = demonstrations.spec.world.name
    require(starts in ("first", "any"), f"expected starts 'first' or 'any', found {starts!r}")
    if starts == "first":
        rows = demonstrations.starts[:-1]
        rows = rows[demonstrations.alive[world][rows, 0]]
    else:
        rows = np.flatnonzero(demonstrations.known_actions()[world][:, 0])
    require(
        len(rows) > 0,
        f"expected rows of {world!r} to begin in (starts={starts!r}), found none; give a log with "
        "sessions, and for starts='any' with actions",
    )
    return rows


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
