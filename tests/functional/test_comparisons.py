"""Intervals and comparisons: by hand, by coverage, and by scipy."""

import numpy as np
import pytest
from scipy import stats

from understudy.functional.statistics import (
    interquartile_mean,
    mean,
    mean_interval,
    normalised_interval,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)
from understudy.types import UserError


def test_the_interquartile_mean_by_hand():
    # 1 .. 8: two dropped at either end, (3 + 4 + 5 + 6)/4; an outlier changes nothing.
    scores = np.array([[1.0, 8, 2, 7], [3, 6, 4, 5]])
    assert interquartile_mean(scores) == 4.5
    scores[0, 1] = 1e9
    assert interquartile_mean(scores) == 4.5
    assert mean(np.array([[1.0, 2], [3, 6]])) == 3


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=60)
    found = mean_interval(values, resamples=5000)
    other = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.estimate == pytest.approx(values.mean())
    np.testing.assert_allclose([found.low, found.high], other, rtol=0.03)
    one_task = stratified_bootstrap(values[:, None], mean, resamples=5000)
    np.testing.assert_allclose(one_task, found, rtol=0.03)


def test_weights_count_as_repeated_values():
    # (1·10 + 3·2)/4 = 4
    found = mean_interval(np.array([10.0, 2.0]), weights=np.array([1.0, 3.0]))
    assert found.estimate == 4
    assert (found.low, found.high) == (2, 10)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = 0
    for seed in range(200):
        found = mean_interval(rng.normal(3.0, 1.0, 50), confidence=0.9, resamples=400, seed=seed)
        inside += found.low <= 3.0 <= found.high
    assert 0.82 <= inside / 200 <= 0.96


def test_runs_are_resampled_within_their_task():
    # Runs of a task agree: whatever is drawn, the mean over tasks stays the same.
    scores = np.tile(np.array([[0.0, 10.0, 50.0]]), (5, 1))
    assert tuple(stratified_bootstrap(scores, mean)) == (20, 20, 20)


def test_the_same_scores_give_the_same_interval():
    scores = np.random.default_rng(3).normal(size=(5, 4))
    assert stratified_bootstrap(scores) == stratified_bootstrap(scores)
    assert stratified_bootstrap(scores) != stratified_bootstrap(scores, seed=1)


def test_the_probability_of_improvement_by_hand():
    # Task 0: 1 and 3 against 2 and 2: two wins of four. Task 1: 5 and 5 against 5 and 0: two ties
    # and two wins, 3/4. Mean 5/8.
    ours, theirs = np.array([[1.0, 5], [3, 5]]), np.array([[2.0, 5], [2, 0]])
    assert probability_of_improvement(ours, theirs).estimate == 5 / 8
    assert probability_of_improvement(theirs, ours).estimate == 3 / 8
    certain = probability_of_improvement(ours + 100, theirs)
    assert tuple(certain) == (1, 1, 1)
    same = probability_of_improvement(ours, ours)
    assert same.low <= 0.5 <= same.high
    assert same.estimate == 0.5


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="same tasks"):
        probability_of_improvement(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(UserError, match=r"\[runs, tasks\]"):
        stratified_bootstrap(np.zeros((0, 4)))
    with pytest.raises(UserError, match="expected values"):
        mean_interval(np.zeros(3), weights=np.zeros(3))


def test_an_interval_prints_short():
    assert str(mean_interval(np.array([2.0, 2.0]))) == "2 [2, 2]"


def test_a_performance_profile_by_hand():
    # 0.2, 0.5 | 0.9, 1.1: four, three, one and none of four are above; at 0.5 itself two are.
    scores = np.array([[0.2, 0.9], [0.5, 1.1]])
    found = performance_profile(scores, np.array([0.0, 0.3, 0.5, 1.0, 1.1]))
    assert found.share.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert (found.low <= found.share).all()
    assert (found.high >= found.share).all()
    # Both runs of a task are alike: nothing is left to chance.
    same = performance_profile(np.array([[0.2, 0.9], [0.2, 0.9]]), np.array([0.5]))
    assert (same.share, same.low, same.high) == (0.5, 0.5, 0.5)


def test_a_normalised_return_by_hand():
    # (6 - 2) / (10 - 2), whatever episodes are drawn: all are alike.
    low, high = np.full(4, 2.0), np.full(4, 10.0)
    assert tuple(normalised_interval(np.full(4, 6.0), low, high)) == (0.5, 0.5, 0.5)
    # Episodes differ, but in each the same share is earned: they are drawn together.
    hard = np.array([0.0, 5, 50])
    found = normalised_interval(hard + 3, hard, hard + 4)
    assert tuple(found) == pytest.approx((0.75, 0.75, 0.75))
    with pytest.raises(UserError, match="earns more"):
        normalised_interval(low, high, low)
    with pytest.raises(UserError, match="as many episodes"):
        normalised_interval(low, low[:3], high)
