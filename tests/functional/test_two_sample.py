import numpy as np
import pytest
from scipy import stats

from understudy.functional import two_sample
from understudy.types import UserError


def test_total_variation_by_hand():
    counts, others = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0, 5.0])
    found = two_sample.total_variation(counts, others, (2, 2))
    np.testing.assert_allclose(found, [0.25, 1.0])  # |3/4 - 1/2|, and nothing in common


def test_wasserstein_is_that_of_scipy_whatever_the_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(1.0, 2.0, size=70)
    weights, other = rng.integers(0, 3, (4, 50)).astype(float), rng.random((4, 70))
    found = two_sample.wasserstein(x, y, weights, other)
    wanted = [stats.wasserstein_distance(x, y, w, v) for w, v in zip(weights, other, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert np.isnan(two_sample.wasserstein(x, y, 0 * weights[:1], other[:1])).all()


def test_area_counts_pairs_and_half_of_ties():
    one = np.ones((1, 2)), np.ones((1, 3))
    found = two_sample.area_under_curve(np.array([1.0, 3.0]), np.array([0.0, 1.0, 5.0]), *one)
    np.testing.assert_allclose(found, (1 + 0.5 + 2) / 6)
    twice = np.array([[1.0, 2.0]]), np.array([[0.0, 1.0, 1.0]])
    found = two_sample.area_under_curve(np.array([1.0, 3.0]), np.array([0.0, 1.0, 5.0]), *twice)
    np.testing.assert_allclose(found, (0.5 + 2) / 6)


def test_correlations_are_those_of_numpy_and_zero_for_a_constant():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 3))
    x[:, 2] = 4.0
    table = np.concatenate([x, np.ones((100, 1))], 1)
    found = two_sample.correlations(table.T @ table)
    np.testing.assert_allclose(found[:2, :2], np.corrcoef(x[:, :2].T), rtol=1e-9)
    np.testing.assert_array_equal(found[2], 0.0)


def test_association_is_that_of_scipy():
    rng = np.random.default_rng(0)
    first = rng.integers(3, size=200)
    second = np.where(rng.random(200) < 0.6, first % 2, rng.integers(2, size=200))
    x = np.concatenate([np.eye(3)[first], np.eye(2)[second], np.ones((200, 1))], 1)
    found = two_sample.association(x.T @ x, (3, 2, 1))
    table = np.zeros((3, 2), int)
    np.add.at(table, (first, second), 1)
    assert found[0, 1] == pytest.approx(stats.contingency.association(table), rel=1e-9)
    np.testing.assert_allclose(np.diag(found), [1.0, 1.0, 0.0])
    np.testing.assert_array_equal(found[2], 0.0)


def test_the_energy_score_is_proper():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2_000, 2))
    scores = {
        (middle, width): two_sample.energy_scores(
            middle + width * rng.normal(size=(8, 2_000, 2)), truth
        ).mean()
        for middle, width in ((0.0, 1.0), (0.0, 0.5), (0.0, 2.0), (0.7, 1.0))
    }
    assert min(scores, key=lambda k: scores[k]) == (0.0, 1.0)
    by_hand = two_sample.energy_scores(np.array([[[0.0]], [[3.0]]]), np.array([[1.0]]))
    np.testing.assert_allclose(by_hand, (1 + 2) / 2 - 3 / 2)


def test_ranks_are_flat_where_alike_and_a_bowl_where_too_narrow():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5_000, 2))
    alike = two_sample.ranks(rng.normal(size=(4, 5_000, 2)), truth, 0).mean(0)
    np.testing.assert_allclose(alike, 0.2, atol=0.02)
    narrow = two_sample.ranks(0.2 * rng.normal(size=(4, 5_000, 2)), truth, 0).mean(0)
    assert narrow[[0, -1]].min() > 0.3
    same = two_sample.ranks(np.broadcast_to(truth, (4, 5_000, 2)), truth, 0).mean(0)
    np.testing.assert_allclose(same, 0.2, atol=0.02)


def area(rows, others):
    logged = np.arange(len(rows) + len(others)) < len(rows)
    folds = np.arange(len(logged)) % 5
    scores = two_sample.classifier_scores(np.concatenate([rows, others]), logged, folds)
    weights = np.ones((1, len(rows))), np.ones((1, len(others)))
    return two_sample.area_under_curve(scores[logged], scores[~logged], *weights)[0]


def test_a_classifier_guesses_where_two_sets_are_alike_and_tells_where_they_are_not():
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(2, 1_000, 10))
    assert abs(area(rows, others) - 0.5) < 0.05
    shifted = area(rows[:, :1], others[:, :1] + 1.0)
    assert shifted == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)  # the best there is
    assert area(rows, others + 8.0) > 0.999
    assert abs(area(0 * rows, 0 * others) - 0.5) < 1e-9


def test_a_fold_needs_rows_of_both_sets():
    with pytest.raises(UserError, match="two or more folds with rows of both sets"):
        two_sample.classifier_scores(np.ones((4, 1)), np.arange(4) < 2, np.array([0, 0, 1, 1]))
