"""Baselines: futures and likelihoods worked by hand, agents that come and go, the Boids anchors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms.baselines import ConstantVelocity, RandomWalk, StayPut
from understudy.data.boids import boids
from understudy.data.statistics import statistics
from understudy.types import (
    Generator,
    Given,
    Group,
    Observation,
    Spec,
    Statistics,
    UserError,
    Window,
)

SPEC = Spec((Group("player", 2, 2), Group("ball", 1, 2)))
KEY = jax.random.key(0)
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def moments(step, turn):
    both = {"player": jnp.ones(2), "ball": jnp.ones(2)}
    scaled = lambda s: {name: one * s for name, one in both.items()}  # noqa: E731
    return Statistics(both, both, both, both, scaled(step), scaled(turn), jnp.ones(()))


def observation(player, ball, alive=None):
    player, ball = jnp.asarray(player, jnp.float32), jnp.asarray(ball, jnp.float32)
    live = jnp.ones(player.shape[:2], bool) if alive is None else jnp.asarray(alive)
    features = {"player": player, "ball": ball}
    return Observation(features, {"player": live, "ball": jnp.ones(ball.shape[:2], bool)})


def window(seen):
    time = len(seen.features["ball"])
    no = jnp.zeros(time, bool)
    return Window(seen, no, no, jax.tree.map(jnp.zeros_like, seen.alive))


# Player 0 moves (1, 2) a row, player 1 stands; the ball moves (−3, 0).
PAST = observation([[[0, 0], [5, 5]], [[1, 2], [5, 5]]], [[[9, 9]], [[6, 9]]])


def test_constant_velocity_repeats_the_last_step():
    found = ConstantVelocity(SPEC, moments(1.0, 1.0)).sample(PAST, KEY, samples=3, horizon=2)
    expected = [[[2, 4], [5, 5]], [[3, 6], [5, 5]]]
    np.testing.assert_array_equal(found.features["player"], [expected] * 3)
    np.testing.assert_array_equal(found.features["ball"], [[[[3, 9]], [[0, 9]]]] * 3)


def test_stay_put_stays():
    found = StayPut(SPEC, moments(1.0, 1.0)).sample(PAST, KEY, samples=2, horizon=3)
    np.testing.assert_array_equal(found.features["player"], [[[[1, 2], [5, 5]]] * 3] * 2)


def test_one_row_of_context_has_no_velocity():
    one = jax.tree.map(lambda a: a[-1:], PAST)
    found = ConstantVelocity(SPEC, moments(1.0, 1.0)).sample(one, KEY, samples=1, horizon=2)
    np.testing.assert_array_equal(found.features["player"], [[[[1, 2], [5, 5]]] * 2])


def test_who_just_came_has_no_velocity_and_who_left_stays_zero():
    seen = observation(
        [[[0, 0], [3, 3]], [[4, 4], [0, 0]]], [[[0, 0]], [[0, 0]]], [[False, True], [True, False]]
    )
    found = ConstantVelocity(SPEC, moments(1.0, 1.0)).sample(seen, KEY, samples=1, horizon=2)
    np.testing.assert_array_equal(found.features["player"], [[[[4, 4], [0, 0]]] * 2])


def test_held_rows_are_reproduced_and_motion_goes_on_from_them():
    values = {"player": jnp.full((3, 2, 2), 7.0), "ball": jnp.zeros((3, 1, 2))}
    held = {
        "player": jnp.array([[False, False], [True, False], [False, False]]),
        "ball": jnp.zeros((3, 1), bool),
    }
    found = ConstantVelocity(SPEC, moments(1.0, 1.0)).sample(
        PAST, KEY, samples=1, horizon=3, given=Given(values, held)
    )
    # (2, 4), then held at (7, 7): the last step is (5, 3), so (12, 10) follows.
    np.testing.assert_array_equal(found.features["player"][0, :, 0], [[2, 4], [7, 7], [12, 10]])


@pytest.mark.parametrize(
    ("generator", "spread"),
    [
        (RandomWalk(SPEC, moments(0.5, 9.0)), (0.5, 0.5 * 2**0.5)),
        # The velocity walks: row 1 has one draw, row 2 twice the first and once the second.
        (ConstantVelocity(SPEC, moments(9.0, 0.5), noise=True), (0.5, 0.5 * 5**0.5)),
    ],
)
def test_the_spread_of_samples(generator, spread):
    sample = jax.jit(lambda g: g.sample(PAST, KEY, samples=40_000, horizon=2).features)
    player, ball = (np.asarray(sample(generator)[name]) for name in ("player", "ball"))
    np.testing.assert_allclose(player.std(0)[0], np.full((2, 2), spread[0]), rtol=0.02)
    np.testing.assert_allclose(player.std(0)[1], np.full((2, 2), spread[1]), rtol=0.02)
    correlation = np.corrcoef(player[:, 0, 0, 0], ball[:, 0, 0, 0])[0, 1]
    assert abs(correlation) < 0.02


def test_the_first_step_without_a_past_is_as_wide_as_steps_are():
    one = jax.tree.map(lambda a: a[-1:], PAST)
    generator = ConstantVelocity(SPEC, moments(2.0, 0.1), noise=True)
    found = generator.sample(one, KEY, samples=20_000, horizon=1).features["player"]
    np.testing.assert_allclose(found.std(0), np.full((1, 2, 2), 2.0), rtol=0.03)


def test_the_likelihood_of_a_random_walk_by_hand():
    # Steps: player 0 (1, 2), player 1 (0, 0), ball (−3, 0); std 2; six dimensions.
    # −½ (1 + 4 + 9)/4 − 6 (log 2 + ½ log 2π)
    found = RandomWalk(SPEC, moments(2.0, 1.0)).bound(window(PAST), KEY)
    expected = -14 / 8 - 6 * (math.log(2) + HALF_LOG_2PI)
    for name in ("reconstruction", "elbo_given_intents", "elbo", "iwae"):
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    assert (float(found["kl"]), float(found["intents"]), float(found["frames"])) == (0, 0, 1)


def test_the_likelihood_of_constant_velocity_by_hand():
    # x: 0, 1, 3, 2. First step 1 under std 2; then turns 1 and −3 under std 0.5; y never moves.
    # −½ (1/4 + 1/0.25 + 9/0.25) − 2 (log 2 + 2 log ½) − 6 · ½ log 2π
    spec = Spec((Group("player", 1, 2),))
    x = jnp.array([[[0.0, 0]], [[1, 0]], [[3, 0]], [[2, 0]]])
    alive = {"player": jnp.ones((4, 1), bool)}
    no = jnp.zeros(4, bool)
    seen = Window(Observation({"player": x}, alive), no, no, alive)
    found = ConstantVelocity(spec, moments(2.0, 0.5)).bound(seen, KEY)
    expected = -0.5 * (0.25 + 4 + 36) - 2 * (math.log(2) + 2 * math.log(0.5)) - 6 * HALF_LOG_2PI
    np.testing.assert_allclose(found["elbo"], expected, rtol=1e-6)
    # Absent in row 1: the steps into and out of it do not count, and the last one has no past.
    gone = {"player": jnp.array([[True], [False], [True], [True]])}
    found = ConstantVelocity(spec, moments(2.0, 0.5)).bound(
        Window(Observation({"player": x}, gone), no, no, gone), KEY
    )
    expected = -0.5 * (1 / 4) - 2 * math.log(2) - 2 * HALF_LOG_2PI
    np.testing.assert_allclose(found["elbo"], expected, rtol=1e-6)


def test_row_zero_is_never_counted():
    moved = observation(PAST.features["player"] + 100, PAST.features["ball"] - 100)
    for build in (RandomWalk, ConstantVelocity):
        generator = build(SPEC, moments(1.0, 1.0))
        here, there = (generator.bound(window(seen), KEY)["elbo"] for seen in (PAST, moved))
        np.testing.assert_allclose(here, there, rtol=1e-5)


def test_the_std_floor_keeps_the_likelihood_finite():
    found = RandomWalk(SPEC, moments(0.0, 0.0)).bound(window(jax.tree.map(jnp.copy, PAST)), KEY)
    assert math.isfinite(float(found["elbo"]))
    assert not hasattr(StayPut(SPEC, moments(1.0, 1.0)), "bound")


def test_boids_anchors():
    # Closed forms for 32,768 training and 8,192 test sequences of the published data: random walk
    # 1087 nats; constant velocity 2053 for 48 steps and 21.6 for the first.
    train, test = boids(8192, seed=0), boids(2048, seed=1)
    found = statistics(train)
    positions = jnp.asarray(test.features["agents"]).reshape(2048, 50, 8, 2)
    alive, no = jnp.ones(positions.shape[:3], bool), jnp.zeros(positions.shape[:2], bool)
    seen = Window(Observation({"agents": positions}, {"agents": alive}), no, no, {"agents": alive})
    for build, anchor in ((RandomWalk, 1087), (ConstantVelocity, 2053 + 21.6)):
        generator = build(train.spec, found)
        bounds = jax.jit(jax.vmap(generator.bound, (0, None)))(seen, KEY)
        np.testing.assert_allclose(bounds["elbo"].mean(), anchor, atol=8)


def test_leaves_are_arrays_and_jit_changes_nothing():
    for build in (ConstantVelocity, StayPut, RandomWalk):
        generator = build(SPEC, moments(1.0, 1.0))
        assert isinstance(generator, Generator)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(generator))
    generator = ConstantVelocity(SPEC, moments(1.0, 1.0), noise=True)
    sample = jax.jit(lambda g, c, k: g.sample(c, k, samples=2, horizon=3).features)
    eager = generator.sample(PAST, KEY, samples=2, horizon=3).features
    compiled = sample(generator, PAST, KEY)
    for name in SPEC.names:
        np.testing.assert_allclose(compiled[name], eager[name], rtol=1e-5)


def test_intents_and_empty_contexts_are_refused():
    generator = StayPut(SPEC, moments(1.0, 1.0))
    fixed = Given({"player": jnp.zeros((1, 2), jnp.int32)}, {"player": jnp.ones((1, 2), bool)})
    with pytest.raises(UserError, match="no intents"):
        generator.sample(PAST, KEY, samples=1, horizon=1, intents=fixed)
    with pytest.raises(UserError, match="at least one row"):
        generator.sample(jax.tree.map(lambda a: a[:0], PAST), KEY, samples=1, horizon=1)
