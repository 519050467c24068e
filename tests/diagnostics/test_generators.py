import numpy as np
import pytest

from understudy.diagnostics.generators import coverage, intents_agreement, spread
from understudy.types import UserError


@pytest.fixture
def drawn():
    """Truth and 20 samples from one law: 300 scenes, 4 rows, 2 agents."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 20, 4, 2, 2)), rng.normal(size=(300, 4, 2, 2))


ALIVE = np.ones((300, 2), bool)


def test_samples_of_the_true_law_are_calibrated(drawn):
    """Error and spread are both sqrt(1 + 1/20) with unit variance."""
    samples, truth = drawn
    found = spread(samples, truth, ALIVE)
    np.testing.assert_allclose(found.error, np.sqrt(1.05), rtol=0.05)
    np.testing.assert_allclose(found.spread, np.sqrt(1.05), rtol=0.02)
    ranks = coverage(samples, truth, ALIVE)
    assert ranks.shape == (21,)
    assert ranks.sum() == pytest.approx(1)
    np.testing.assert_allclose(ranks, 1 / 21, rtol=0.3)


def test_too_narrow_samples_are_seen_as_such(drawn):
    samples, truth = drawn
    found = spread(0.5 * samples, truth, ALIVE)
    assert (found.error > 1.5 * found.spread).all()
    ranks = coverage(0.5 * samples, truth, ALIVE)
    assert ranks[0] + ranks[-1] > 3 * 2 / 21


def test_literal_ranks_and_spread():
    """Samples 0 and 2, truth 1: rank 1; mean 1, error 0, variance 2, times 3/2."""
    samples = np.array([0.0, 2.0]).reshape(1, 2, 1, 1, 1).repeat(2, -1)
    truth = np.ones((1, 1, 1, 2))
    alive = np.ones((1, 1), bool)
    np.testing.assert_array_equal(coverage(samples, truth, alive), [0, 1, 0])
    found = spread(samples, truth, alive)
    assert found.error[0] == 0
    assert found.spread[0] == pytest.approx(np.sqrt(3))


def test_absent_agents_do_not_count(drawn):
    samples, truth = (x.copy() for x in drawn)
    alone = ALIVE.copy()
    alone[:, 1] = False
    before = spread(samples, truth, alone), coverage(samples, truth, alone)
    samples[..., 1, :] += 100
    after = spread(samples, truth, alone), coverage(samples, truth, alone)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    with pytest.raises(UserError, match="present throughout"):
        coverage(samples, truth, np.zeros_like(alone))


def test_one_sample_has_no_spread(drawn):
    with pytest.raises(UserError, match="two or more"):
        spread(drawn[0][:, :1], drawn[1], ALIVE)


def test_intents_by_hand():
    """Two samples, three rows, one agent; label 1, 1, 0; sampled 1,0,0 and 1,1,1."""
    sampled = np.array([[1, 0, 0], [1, 1, 1]]).reshape(1, 2, 3, 1)
    labels = np.array([1, 1, 0]).reshape(1, 3, 1)
    found = intents_agreement(sampled, labels, np.ones((1, 1), bool), classes=3)
    np.testing.assert_allclose(found.accuracy, [1, 0.5, 0.5])
    np.testing.assert_allclose(found.confusion, [[0.5, 0.5, 0], [0.25, 0.75, 0], [0, 0, 0]])
    assert found.chance == pytest.approx(2 / 3)
