import numpy as np
import pytest

from understudy.functional.resampling import intervals, sessions
from understudy.types import UserError


def test_the_first_weighting_is_the_log_and_sessions_are_drawn_whole():
    drawn = sessions(np.array([7, 7, 2, 9]), draws=50)
    np.testing.assert_array_equal(drawn.rows[0], 1.0)
    np.testing.assert_array_equal(drawn.weights.sum(1), 3.0)
    np.testing.assert_array_equal(drawn.rows[:, 0], drawn.rows[:, 1])
    values = np.array([[1.0], [2.0], [4.0], [9.0]])
    np.testing.assert_allclose(drawn.sums(values), drawn.rows @ values)
    np.testing.assert_allclose(drawn.means(values)[0], [4.0])
    found = drawn.products(np.stack([values, 2 * values]), lambda x: x)
    np.testing.assert_allclose(found, (drawn.rows @ (5 * values**2))[..., None])


def test_rows_of_a_session_count_as_one_draw():
    rng = np.random.default_rng(0)
    level = rng.normal(size=200)
    ids = np.repeat(np.arange(200), 10)
    mean = sessions(ids, draws=2_000).means(level[ids][:, None])
    assert mean[1:].std() == pytest.approx(1 / np.sqrt(200), rel=0.15)  # not 1 / sqrt(2000)


def test_rows_left_out_and_rows_without_likelihood():
    drawn = sessions(np.arange(3), draws=100)
    values, counted = np.array([[1.0], [5.0], [9.0]]), np.array([[1.0], [0.0], [0.0]])
    found = drawn.means(values, counted)[:, 0]
    assert set(found[~np.isnan(found)]) == {1.0}
    assert np.isnan(found[drawn.weights[:, 0] == 0]).all()
    values[0] = -np.inf
    found = drawn.means(values)[:, 0]
    np.testing.assert_array_equal(np.isneginf(found), drawn.weights[:, 0] > 0)
    interval = intervals(drawn.means(values))[0]
    assert interval.estimate == interval.low == -np.inf


def test_intervals_are_of_the_draws_that_know():
    drawn = np.concatenate([[5.0], np.arange(100.0), [np.nan]])[:, None]
    interval = intervals(drawn)[0]
    assert (interval.estimate, interval.low, interval.high) == (5.0, 2.0, 97.0)


def test_many_sessions_are_drawn_in_blocks():
    drawn = sessions(np.arange(1_000), at_most=10)
    assert drawn.weights.shape == (201, 10)
    np.testing.assert_array_equal(np.bincount(drawn.block), 100)


def test_one_session_has_no_interval():
    with pytest.raises(UserError, match="two or more sessions for an interval, found 1"):
        sessions(np.zeros(4, int))
