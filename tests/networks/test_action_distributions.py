"""Distributions of actions: they sum to one, and their figures are those of many draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from understudy.networks.actions import ActionDistribution
from understudy.types import ActionSpec, UserError

MIXED = ActionSpec((2, 3), (-1.0, 0.0), (1.0, 4.0))


def made(spec, logits=(), mean=(), std=(), *, legal=None, squash=False):
    head = jnp.asarray([*logits, *mean], jnp.float32)
    return ActionDistribution.from_head(
        head, jnp.asarray(std, jnp.float32), spec, legal=legal, squash=squash
    )


def line(squash, mean=0.4, std=0.7):
    return made(ActionSpec((), (-1.0,), (3.0,)), (), [mean], [std], squash=squash)


def test_probabilities_of_sections_sum_to_one():
    found = made(MIXED, [0.3, -1.0, 2.0, 0.0, 0.5], [0.0, 0.0], [1.0, 1.0])
    every = jnp.array([[a, b, 0.0, 1.0] for a in range(2) for b in range(3)], jnp.float32)
    logs = jax.vmap(found.log_probs)(every)
    assert float(jnp.exp(logs[:, 0] + logs[:, 1]).sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("squash", [False, True])
def test_a_density_and_its_masses_sum_to_one(squash):
    """Clipped at -1 and 3 a Gaussian has a mass at both; squashed it has none."""
    found = line(squash)
    score = jax.jit(lambda x: jnp.exp(found.log_prob(x[None])))
    inside = integrate.quad(lambda x: float(score(jnp.float32(x))), -0.9999, 2.9999, limit=200)[0]
    ends = 0.0 if squash else sum(float(score(jnp.float32(x))) for x in (-1.0, 3.0))
    assert inside + ends == pytest.approx(1.0, abs=2e-3)


def test_squashed_actions_at_a_bound_have_a_finite_likelihood():
    ends = jnp.array([[-1.0], [3.0]])
    value, slope = jax.vmap(jax.value_and_grad(lambda x: line(True).log_prob(x)))(ends)
    assert jnp.isfinite(value).all()
    assert jnp.isfinite(slope).all()
    with pytest.raises(UserError, match="finite bounds"):
        made(ActionSpec((), (-jnp.inf,), (1.0,)), (), [0.0], [1.0], squash=True)


@pytest.mark.parametrize("squash", [False, True])
def test_draws_agree_with_likelihoods(squash):
    """The share of draws below x is the integral of the density, and the mode lies in bounds."""
    found = line(squash)
    drawn = jax.vmap(found.sample)(jax.random.split(jax.random.key(0), 20_000))[:, 0]
    grid = np.linspace(-0.999, 1.0, 400, dtype=np.float32)
    density = np.exp(jax.vmap(lambda x: found.log_prob(x[None]))(jnp.asarray(grid)))
    mass = 0.0 if squash else float(jnp.exp(found.log_prob(jnp.array([-1.0]))))
    assert float((drawn <= 1.0).mean()) == pytest.approx(
        mass + np.trapezoid(density, grid), abs=0.015
    )
    assert drawn.min() >= -1.0
    assert drawn.max() <= 3.0
    middle = 1.0 + 2.0 * (np.tanh(0.4) if squash else 0.4)
    assert float(found.mode()[0]) == pytest.approx(middle, rel=1e-5)


def test_entropy_of_a_squashed_action_is_that_of_many_draws():
    found = line(True)
    drawn = jax.vmap(found.sample)(jax.random.split(jax.random.key(1), 50_000))
    expected = -float(jax.vmap(found.log_prob)(drawn).mean())
    assert float(found.entropy()) == pytest.approx(expected, abs=0.01)


def test_divergence_of_mixed_actions_is_that_of_many_draws():
    spec = ActionSpec((3,), (-jnp.inf,), (jnp.inf,))
    one = made(spec, [0.0, 1.0, -1.0], [0.5], [0.8])
    other = made(spec, [0.5, 0.0, 0.0], [0.0], [1.1])
    drawn = jax.vmap(one.sample)(jax.random.split(jax.random.key(2), 100_000))
    expected = float((jax.vmap(one.log_prob)(drawn) - jax.vmap(other.log_prob)(drawn)).mean())
    assert float(one.kl(other)) == pytest.approx(expected, abs=0.01)
    assert float(one.kl(one)) == pytest.approx(0.0, abs=1e-6)
    # ln of 2πe σ² / 2 and -Σ p ln p, by hand
    p = np.exp([0.0, 1.0, -1.0]) / np.exp([0.0, 1.0, -1.0]).sum()
    expected = -(p * np.log(p)).sum() + 0.5 * np.log(2 * np.pi * np.e * 0.64)
    assert float(one.entropy()) == pytest.approx(expected, rel=1e-5)


def test_an_illegal_choice_is_never_made():
    spec = ActionSpec((4,))
    legal = jnp.array([False, True, False, True])
    found = made(spec, [50.0, 0.0, 40.0, 1.0], legal=legal)
    drawn = jax.vmap(found.sample)(jax.random.split(jax.random.key(3), 10_000))
    assert set(np.unique(drawn).tolist()) == {1.0, 3.0}
    assert float(found.mode()[0]) == 3.0
    assert float(jnp.exp(found.log_prob(jnp.array([0.0])))) < 1e-8
    p = 1 / (1 + np.e)
    assert float(found.entropy()) == pytest.approx(
        -p * np.log(p) - (1 - p) * np.log(1 - p), rel=1e-4
    )


def test_a_draw_does_not_depend_on_the_agents_after_it():
    spec = ActionSpec((5,), (-1.0,), (1.0,))
    few = ActionDistribution.from_head(jnp.zeros((2, 6)), jnp.ones((1, 1)), spec)
    many = ActionDistribution.from_head(jnp.zeros((7, 6)), jnp.ones((1, 1)), spec)
    key = jax.random.key(4)
    np.testing.assert_array_equal(few.sample(key), many.sample(key)[:2])
