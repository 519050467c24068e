"""Energy scores to learn from are those that evaluations report, with masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional.energy import squares
from understudy.functional.scores import agent_energy_score, energy_score

FUTURES = jax.random.normal(jax.random.key(0), (5, 4, 3, 2))
TRUTH = jax.random.normal(jax.random.key(1), (4, 3, 2))
EVERYBODY = jnp.ones(3, bool)


def numbers(x):
    """Agents first, then rows and axes in one."""
    x = jnp.moveaxis(x, -2, 0)
    return x.reshape(*x.shape[:-2], -1)


def test_scores_are_those_of_evaluations():
    # a norm there counts pairs of numbers, here numbers
    found = squares(numbers(FUTURES), numbers(TRUTH), jnp.ones((3, 8)))
    each = agent_energy_score(FUTURES, TRUTH, EVERYBODY) / np.sqrt(2.0)
    np.testing.assert_allclose(found.energy(), each, atol=1e-3)
    whole = energy_score(FUTURES, TRUTH, EVERYBODY) / np.sqrt(2.0)
    assert found.together().energy() == pytest.approx(float(whole), abs=1e-3)


def test_what_weighs_nothing_changes_nothing():
    weight = jnp.ones((3, 8)).at[:, 4:].set(0.0)
    spoilt = numbers(FUTURES).at[..., 4:].set(1e6)
    found = squares(spoilt, numbers(TRUTH), weight).energy()
    half = squares(numbers(FUTURES)[..., :4], numbers(TRUTH)[:, :4], jnp.ones((3, 4))).energy()
    np.testing.assert_allclose(found, half, rtol=1e-5)
    assert float(squares(spoilt, numbers(TRUTH), 0.0 * weight).energy().sum()) == 0.0


def test_slopes_are_finite_where_futures_are_one():
    one = jnp.broadcast_to(TRUTH, FUTURES.shape)
    slope = jax.grad(
        lambda x: squares(numbers(x), numbers(TRUTH), jnp.ones((3, 8))).energy().sum()
    )(one)
    assert bool(jnp.isfinite(slope).all())
