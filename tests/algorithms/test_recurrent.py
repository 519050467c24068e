"""Recurrent generators: gradients, accounting, sampling, and a set with a known answer."""

import dataclasses

import jax
import jax.numpy as jnp
import little_plays as little
import numpy as np
import pytest

from understudy.algorithms.recurrent import RecurrentGenerator
from understudy.types import Batch, Given, UserError

KINDS = [
    ("none", "joint"),
    ("step", "joint"),
    ("step", "independent"),
    ("step", "mixed"),
    ("sequence", "mixed"),
]


def tiny(latent, sharing, **arguments):
    return RecurrentGenerator(
        **{**RecurrentGenerator.TINY, "latent": latent, "sharing": sharing, **arguments}
    )


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def started(request):
    algorithm = tiny(*request.param, information=request.param[0] == "sequence")
    plays = little.straight()
    return algorithm, plays, little.start(algorithm, plays, jax.random.key(0))


def test_every_weight_gets_a_finite_gradient_and_every_leaf_is_an_array(started, key):
    algorithm, plays, state = started
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    gradient = jax.jit(jax.grad(lambda p: algorithm.loss(p, state.frames, window, key)[0]))
    window = little.windows(plays)
    for path, leaf in jax.tree.leaves_with_path(gradient(state.params)):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


def test_bounds_add_up(started, key):
    algorithm, plays, state = started
    window = little.one(little.windows(plays))
    found = little.bound(algorithm.generator(state), window, key, particles=64)
    assert found["frames"] == little.ROWS - 1
    assert found["intents"] == 0
    np.testing.assert_allclose(found["elbo"], found["reconstruction"] - found["kl"], rtol=1e-5)
    assert found["elbo"] == found["elbo_given_intents"]
    if algorithm.latent == "none":
        np.testing.assert_allclose(found["iwae"], found["elbo"], rtol=1e-5)
    else:
        assert found["kl"] > 0
        assert found["iwae"] > found["elbo"]


def test_samples_have_their_shape_and_held_agents_are_exact(started, key):
    algorithm, plays, state = started
    window = little.one(little.windows(plays))
    context = jax.tree.map(lambda leaf: leaf[:2], window.observation)
    truth = window.observation.features["agents"][2:]
    held = jnp.zeros(truth.shape[:2], bool).at[:, 1].set(True)
    generator = algorithm.generator(state)

    @jax.jit
    def draw(context, key, held):
        given = Given({"agents": truth}, {"agents": held})
        return generator.sample(context, key, samples=3, horizon=4, given=given)

    features = draw(context, key, held).features["agents"]
    assert features.shape == (3, 4, 2, 2)
    np.testing.assert_array_equal(features[:, :, 1], np.broadcast_to(truth[:, 1], (3, 4, 2)))
    assert np.ptp(np.asarray(features[:, 0, 0]), axis=0).min() > 0
    everything = draw(context, key, jnp.ones_like(held)).features["agents"]
    np.testing.assert_array_equal(everything, np.broadcast_to(truth, (3, 4, 2, 2)))


def test_at_temperature_zero_only_the_latents_are_drawn(started, key):
    algorithm, plays, state = started
    context = jax.tree.map(lambda leaf: leaf[:2], little.one(little.windows(plays)).observation)
    generator = algorithm.generator(state)

    @jax.jit
    def spread(generator):
        drawn = generator.sample(context, key, samples=8, horizon=1).features["agents"]
        return jnp.ptp(drawn, axis=0).max()

    warm, cold, colder = (spread(generator.tempered(t)) for t in (1.0, 0.25, 0.0))
    assert colder < cold < warm
    assert (colder == 0) == (algorithm.latent == "none")
    with pytest.raises(UserError, match="temperature of 0 or above, found"):
        generator.tempered(-1.0)


def test_jit_changes_nothing(key):
    algorithm = tiny("none", "joint", window=2, layers=1)
    plays = little.straight(episodes=1, agents=1, rows=2)
    state, batch = little.start(algorithm, plays, key), Batch(None, little.windows(plays, 2))
    compiled = jax.jit(algorithm.update)(state, batch, jnp.asarray(0), key)
    with jax.disable_jit():
        plain = algorithm.update(state, batch, jnp.asarray(0), key)
    for a, b in zip(jax.tree.leaves(compiled), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_recurrent_network_learns_constant_velocity():
    """Targets are the noise alone: 5 steps, 2 agents, 2 coordinates of N(0, 0.002²).

    The entropy says 5·2·2·-(½ log 2πe + log 0.002) = 95.9 nats at best and an unknown first step
    costs 4 coordinates of N(0, 0.1²) instead, 80.3 in all.
    """
    sizes = {"width": 16, "rnn": 16, "learning_rate": 1e-2, "batch": 64}
    algorithm = tiny("none", "joint", output="change", **sizes)
    plays = little.straight(episodes=256)
    state, _ = little.fit(algorithm, plays, jax.random.key(0), 400)
    held_out = little.windows(little.straight(episodes=64, seed=1))
    generator = algorithm.generator(state)
    bounds = jax.jit(jax.vmap(lambda w: generator.bound(w, jax.random.key(1))["elbo"]))
    elbo = bounds(held_out).mean()
    assert 70 < elbo < 82


@pytest.mark.parametrize("output", ["position", "displacement", "change"])
def test_frame_zero_is_never_counted(output, key):
    """A constant model gives T - 1 equal terms: twice the steps, twice the nats."""
    algorithm = tiny("none", "joint", output=output, velocity=False)
    plays = little.demonstrations(np.zeros((2, 7, 2, 2)))
    state = little.start(algorithm, plays, key)
    state = dataclasses.replace(state, params=jax.tree.map(jnp.zeros_like, state.params))
    generator = algorithm.generator(state)
    window = little.one(little.windows(plays, 7))
    short = jax.tree.map(lambda leaf: leaf[:4], window)
    long, half = (float(little.bound(generator, w, key)["elbo"]) for w in (window, short))
    np.testing.assert_allclose(long, 2 * half, rtol=1e-5)


def test_a_burn_in_of_one_row_and_one_sample(key):
    algorithm = tiny("sequence", "mixed", burn_in="prior")
    plays = little.straight(episodes=1)
    state = little.start(algorithm, plays, key)
    context = jax.tree.map(lambda leaf: leaf[:1], little.one(little.windows(plays)).observation)
    generator = algorithm.generator(state)
    draw = jax.jit(lambda key: generator.sample(context, key, samples=1, horizon=1))
    samples = draw(key)
    assert samples.features["agents"].shape == (1, 1, 2, 2)
    assert samples.intents is None


def test_what_does_not_fit_is_said_in_a_sentence(key):
    algorithm = tiny("none", "joint")
    plays = little.straight()
    generator = algorithm.generator(little.start(algorithm, plays, key))
    window = little.one(little.windows(little.straight(agents=3)))
    with pytest.raises(UserError, match="expected 2 agents"):
        generator.bound(window, key)
    context = little.one(little.windows(plays)).observation
    wrong = Given({"agents": jnp.zeros((1, 2, 2))}, {"agents": jnp.ones((1, 2), bool)})
    with pytest.raises(UserError, match="one row per row of the horizon"):
        generator.sample(context, key, samples=1, horizon=3, given=wrong)
    with pytest.raises(UserError, match="train IntentVRNN"):
        generator.sample(context, key, samples=1, horizon=3, intents=wrong)
    with pytest.raises(UserError, match="statistics"):
        algorithm.init(plays.spec, None, key)
    with pytest.raises(UserError, match="at least 2 rows"):
        tiny("none", "joint", window=1)
    with pytest.raises(UserError, match="sequence"):
        tiny("step", "joint", information=True)
