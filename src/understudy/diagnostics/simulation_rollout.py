"""What was logged step by step from where sessions begin, to run simulators beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from understudy.diagnostics.simulation_log import Transitions

STEPS = 10
COPIES = 4
"""Simulated sessions for every logged one."""
SESSIONS = 500
"""At most, to begin in."""
FEWEST = 5
"""Logged sessions that a step has to have."""


class Logged(NamedTuple):
    """States of sessions at their first steps."""

    starts: Float[np.ndarray, "sessions obs"]
    states: tuple[Float[np.ndarray, "some obs"], ...]
    """After 1, 2, ... steps, of the sessions that are so long."""
    members: tuple[Int[np.ndarray, " some"], ...]
    """Numbers of these sessions, in order of `starts`."""
    ids: Int[np.ndarray, " sessions"]
    """Of the log."""


def logged(log: Transitions, seed: int) -> Logged:
    """States to begin in, and what was logged after them.

    Steps that fewer than five sessions reach are left out; where none is left there is no step.
    """
    ids = log.session[log.step == 0]
    if len(ids) > SESSIONS:
        ids = np.sort(np.random.default_rng(seed).choice(ids, SESSIONS, replace=False))
    begun = np.flatnonzero((log.step == 0) & np.isin(log.session, ids))
    starts, ids = log.now[begun], log.session[begun]
    states, members, alive = [], [], np.ones(len(ids), bool)
    for step in range(STEPS):
        rows = {int(log.session[row]): row for row in np.flatnonzero(log.step == step)}
        alive &= np.asarray([int(i) in rows for i in ids], bool)  # a gap ends a session
        some = np.flatnonzero(alive)
        if len(some) < FEWEST:
            break
        states.append(log.after[[rows[int(i)] for i in ids[some]]])
        members.append(some)
    return Logged(starts, tuple(states), tuple(members), ids)
