import numpy as np
import pytest

from understudy.experiment.tally import Tally, intervals, join, mean


def test_an_average_counts_every_agent_once():
    """(1 + 2 + 3 + 10) / 4, not the mean of the two windows' means."""
    assert Tally(np.array([6.0, 10.0]), np.array([3.0, 1.0])).value == 4.0


def test_nothing_counted_has_no_average():
    assert np.isnan(Tally(np.zeros(2), np.zeros(2)).value)


def test_joining_is_independent_of_the_parts():
    sums, weights = np.arange(10.0), np.arange(1.0, 11.0)
    whole = {"x": Tally(sums, weights)}
    for cut in (1, 4, 9):
        parts = [{"x": Tally(sums[a], weights[a])} for a in (slice(0, cut), slice(cut, 10))]
        assert join(parts)["x"].value == whole["x"].value


def test_the_mean_over_seeds_is_taken_scene_by_scene():
    parts = [{"x": Tally(np.array([value, value]), np.ones(2))} for value in (1.0, 3.0)]
    assert mean(parts)["x"].value == 2.0


def test_the_interval_has_the_width_of_the_standard_error():
    """Normal with unit variance and 400 clusters: the 95 % interval is 2 * 1.96 / 20 wide."""
    values = np.random.default_rng(0).normal(5, 1, 400)
    found = intervals({"x": Tally(values, np.ones(400))}, np.arange(400), seed=1)["x"]
    assert found is not None
    low, high = found
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.12)


def test_windows_of_one_game_stay_together():
    """100 copies of each of 20 games say no more than the 20 games do."""
    values = np.random.default_rng(0).normal(0, 1, 20)
    games = np.repeat(np.arange(20), 100)
    copies = intervals({"x": Tally(values[games], np.ones(2000))}, games, seed=1)["x"]
    once = intervals({"x": Tally(values, np.ones(20))}, np.arange(20), seed=1)["x"]
    assert copies is not None
    assert once is not None
    np.testing.assert_allclose(copies, once, rtol=1e-9)


def test_one_game_has_no_interval():
    assert intervals({"x": Tally(np.ones(5), np.ones(5))}, np.zeros(5, int), seed=0)["x"] is None
