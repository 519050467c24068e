"""Paths through rows that are known."""

import jax.numpy as jnp
import numpy as np

from understudy.functional.bridges import bridge, on_top

KNOWN = np.array([[0, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0], [0] * 6], bool).T
"""Known in the middle, known at the beginning, never known."""


def test_bridges_are_straight_between_known_rows_and_rest_beyond_them():
    path = jnp.asarray([0.0, 2.0, 9.0, 9.0, 8.0, 9.0])
    found = bridge(jnp.asarray(KNOWN)) @ path
    np.testing.assert_allclose(found[0], [2, 2, 4, 6, 8, 8], rtol=1e-6)
    np.testing.assert_allclose(found[1], [0, 2, 2, 2, 2, 2], rtol=1e-6)
    np.testing.assert_array_equal(found[2], 0.0)


def test_moves_leave_known_rows_where_they_are_and_add_up_behind_them():
    straight = bridge(jnp.asarray(KNOWN))
    moves = jnp.asarray([1.0, 1.0, 1.0, 2.0, 1.0, 3.0])
    added = on_top(straight) @ moves
    # rows 1 to 4 would be 2 3 5 6 on their own; the line from 2 to 6 over three rows is taken off
    np.testing.assert_allclose(added[0], [-1, 0, 1 - 4 / 3, 3 - 8 / 3, 0, 3], atol=1e-6)
    np.testing.assert_allclose(added[1], [0, 0, 1, 3, 4, 7], atol=1e-6)
    np.testing.assert_allclose(added[2], np.cumsum(moves), atol=1e-6)
