"""Gaussians, divergences and bounds against scipy, quadrature and cases worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate, stats

from understudy.functional import latent

P_AND_Q = ((0.3, 0.7), (-0.5, 1.4))


def test_log_prob_equals_scipy():
    rng = np.random.default_rng(0)
    value, mean = rng.normal(size=(2, 5)).astype(np.float32)
    std = rng.uniform(0.1, 2, 5).astype(np.float32)
    found = latent.gaussian_log_prob(*map(jnp.asarray, (value, mean, std)))
    np.testing.assert_allclose(found, stats.norm.logpdf(value, mean, std), rtol=1e-5)


def test_kl_equals_quadrature_and_vanishes_between_equals():
    log_p, log_q = (lambda x, m=m, s=s: stats.norm.logpdf(x, m, s) for m, s in P_AND_Q)
    expected, _ = integrate.quad(lambda x: np.exp(log_p(x)) * (log_p(x) - log_q(x)), -10, 10)
    here, there = (jnp.array([0.3]), jnp.array([0.7])), (jnp.array([-0.5]), jnp.array([1.4]))
    np.testing.assert_allclose(latent.gaussian_kl(*here, *there), [expected], rtol=1e-5)
    np.testing.assert_allclose(latent.gaussian_kl(*here, *here), [0], atol=1e-7)


def test_entropy_is_of_the_variance():
    found = latent.gaussian_entropy(jnp.array([0.25, 3.0]))
    np.testing.assert_allclose(found, stats.norm(0, [0.25, 3.0]).entropy(), rtol=1e-6)


def test_the_std_never_falls_below_its_floor_and_keeps_a_gradient():
    raw = jnp.array([-60.0, 0.0, 30.0])
    np.testing.assert_allclose(
        latent.positive_std(raw), [1e-3, 1e-3 + np.log(2), 30.001], rtol=1e-6
    )
    assert float(jax.grad(lambda r: latent.positive_std(r).sum())(jnp.array([-5.0]))[0]) > 0


def test_iwae_by_hand():
    # log((e^0 + e^{log 3})/2) = log 2; particles that agree leave their common weight.
    np.testing.assert_allclose(latent.iwae(jnp.array([0.0, np.log(3.0)])), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(latent.iwae(jnp.full((7, 2), -1234.5)), [-1234.5] * 2, rtol=1e-6)


def test_iwae_tightens_from_the_elbo_to_the_likelihood():
    # z ~ N(0, 1), x | z ~ N(z, 1), so x ~ N(0, 2); the posterior N(x/2, 1/2) is replaced by a
    # poor N(0, 1): ELBO = log N(x; z, 1) averaged over the prior = -½ log 2π - ½ (x² + 1).
    x, draws = 1.5, 4000
    z = jnp.asarray(np.random.default_rng(0).normal(size=(64, draws)), jnp.float32)
    weights = latent.gaussian_log_prob(jnp.full_like(z, x), z, jnp.ones_like(z))
    bounds = [float(latent.iwae(weights[:k]).mean()) for k in (1, 4, 64)]
    np.testing.assert_allclose(bounds[0], -0.5 * np.log(2 * np.pi) - 0.5 * (x**2 + 1), atol=0.06)
    truth = float(stats.norm.logpdf(x, 0, 2**0.5))
    assert bounds[0] < bounds[1] < bounds[2] < truth + 0.005
    np.testing.assert_allclose(bounds[2], truth, atol=0.02)
