"""Losses of policy optimisation on numbers small enough to check by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional import moments
from understudy.functional.losses import (
    clipped_surrogate,
    clipped_value_loss,
    huber,
    mean_where,
    standardise,
)


def test_a_ratio_is_not_rewarded_for_leaving_the_clip():
    ratio = jnp.array([0.5, 0.9, 1.5, 0.5, 1.5])
    advantage = jnp.array([1.0, 1.0, 1.0, -1.0, -1.0])
    found = clipped_surrogate(ratio, advantage, clip=0.2)
    np.testing.assert_allclose(found, [0.5, 0.9, 1.2, -0.8, -1.5], rtol=1e-6)


def test_huber_is_a_square_and_then_a_line():
    np.testing.assert_allclose(huber(jnp.array([0.0, -1.0, 3.0]), 2.0), [0.0, 0.5, 4.0])


def test_a_value_is_scored_as_if_it_had_moved_little():
    """From 0 to 1 towards 1, clip 0.2: the error counted is that of 0.2."""
    found = clipped_value_loss(jnp.ones(1), jnp.zeros(1), jnp.ones(1), clip=0.2, width=10.0)
    np.testing.assert_allclose(found, [0.5 * 0.8**2], rtol=1e-6)


def test_only_entries_that_count_are_standardised():
    values = jnp.array([1.0, 3.0, 100.0])
    counted = jnp.array([True, True, False])
    np.testing.assert_allclose(standardise(values, counted)[:2], [-1.0, 1.0], rtol=1e-5)
    assert mean_where(values, counted) == 2.0
    assert mean_where(values, jnp.zeros(3, bool)) == 0.0


def test_running_moments_forget_their_beginning():
    """Values 0 and 2 have mean 1 and deviation 1, whatever share of the past stays."""
    seen = moments.start()
    assert [float(x) for x in moments.scale(seen)] == [0.0, 1.0]
    for _ in range(3):
        seen = moments.follow(seen, jnp.array([0.0, 2.0, 50.0]), jnp.arange(3) < 2, keep=0.99)
    mean, std = moments.scale(seen)
    assert float(mean) == pytest.approx(1.0, abs=1e-4)
    assert float(std) == pytest.approx(1.0, abs=1e-3)
