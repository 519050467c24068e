"""Learned beside true rewards, and quantiles pooled over agents."""

import numpy as np
import pytest
from scipy import stats

from understudy.diagnostics.adversarial import correlation, pooled_quantiles
from understudy.functional.rewards import QUANTILES


def test_rewards_that_agree_agent_by_agent():
    """Agent 0: learned = 2 true + 1; agent 1: learned = -true³, ranks reversed; agent 2: constant.

    Pearson of (1, 2, 3) and (-1, -8, -27) is -26 / sqrt(2 · 362) = -0.96628.
    """
    true = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    learned = np.stack([2 * true[:, 0] + 1, -(true[:, 1] ** 3), np.ones(3)], 1)
    found = correlation(learned, true)
    np.testing.assert_allclose(found.pearson, [1.0, -0.96628, np.nan], atol=1e-5)
    np.testing.assert_allclose(found.spearman, [1.0, -1.0, np.nan], atol=1e-12)
    np.testing.assert_array_equal(found.rows, [3, 3, 3])


def test_correlations_are_those_of_scipy_with_ties_and_axes():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, (7, 9, 2)).astype(np.float32)
    learned = (true + rng.normal(size=true.shape)).astype(np.float32)
    found = correlation(learned, true)
    for k in range(2):
        x, y = learned[..., k].ravel(), true[..., k].ravel()
        assert found.pearson[k] == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-6)
        assert found.spearman[k] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-6)


def test_rows_of_the_dead_do_not_count():
    rng = np.random.default_rng(1)
    learned, true = rng.normal(size=(2, 20, 2))
    alive = np.ones((20, 2), bool)
    alive[10:, 1] = False
    before = correlation(learned, true, alive)
    learned[10:, 1] += 100
    after = correlation(learned, true, alive)
    np.testing.assert_array_equal(before.pearson, after.pearson)
    np.testing.assert_array_equal(before.spearman, after.spearman)
    np.testing.assert_array_equal(after.rows, [20, 10])


def test_one_agent_pooled_is_itself_and_alike_ones_are_too():
    own = np.array([0.0, 1.0, 3.0, 3.5, 9.0])
    np.testing.assert_allclose(pooled_quantiles(own[None]), own)
    np.testing.assert_allclose(pooled_quantiles(np.stack([own] * 4)), own)


def test_two_agents_at_two_places():
    """Rewards 0 and 1, always: half of all rewards are 0, so 5 % and 25 % lie there."""
    pooled = pooled_quantiles(np.array([[0.0] * 5, [1.0] * 5]))
    np.testing.assert_allclose(pooled[[0, 1, 3, 4]], [0, 0, 1, 1], atol=1e-12)


def test_pooling_is_near_what_pooling_the_rows_gives():
    """Uniform on [0, 1] and on [2, 4]: the pooled quartile is ½, the median between 1 and 2."""
    shares = np.array(QUANTILES)
    pooled = pooled_quantiles(np.stack([shares, 2 + 2 * shares]))
    np.testing.assert_allclose(pooled[[0, 1, 3, 4]], [0.1, 0.5, 3.0, 3.8], atol=1e-9)
    assert 1 <= pooled[2] <= 2


def test_points_and_seeds_are_kept_and_unknown_agents_left_out():
    table = np.zeros((3, 2, 2, 5)) + np.arange(5.0)
    table[1, 0, 0] = np.nan
    table[2, 1] = np.nan
    pooled = pooled_quantiles(table)
    assert pooled.shape == (3, 2, 5)
    np.testing.assert_allclose(pooled[1, 0], np.arange(5.0))
    assert np.isnan(pooled[2, 1]).all()
    assert pooled_quantiles(np.zeros((0, 2, 5))).shape == (0, 5)
