"""CartPole agrees with gymnasium's CartPole-v1 step by step, and its expert balances the pole."""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.envs import conformance, experts
from understudy.envs.cartpole import CartPole
from understudy.experiment.collect import collect

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def step():
    return jax.jit(CartPole().step)


def test_every_step_is_that_of_gymnasium(step):
    """Three games of random pushes to the fall, and the same state at every step, to 1e-5."""
    other: Any = gymnasium.make("CartPole-v1").unwrapped
    rng = np.random.default_rng(0)
    for seed in range(3):
        state, observation = CartPole().reset(jax.random.key(seed))
        assert np.abs(observation.features["agents"]).max() <= 0.05
        other.reset(seed=seed)
        other.state = np.asarray(state.values, np.float64)
        fallen, length = False, 0
        while not fallen:
            push = int(rng.integers(2))
            state, found = step(state, {"agents": jnp.full((1, 1), float(push))}, KEY)
            seen, paid, fallen, _, _ = other.step(push)
            np.testing.assert_allclose(found.observation.features["agents"][0], seen, atol=1e-5)
            assert float(found.reward["agents"][0]) == paid == 1.0
            assert bool(found.terminated) == fallen
            length += 1
        assert 8 < length < 100


def test_one_step_by_hand(step):
    """From rest and upright, pushed right: accelerations 10 / 1.1 - 0.05 t'' / 1.1 = 9.7561 and
    t'' = -(10 / 1.1) / (0.5 (4/3 - 0.1/1.1)) = -14.6341; a step of 0.02 s."""
    state, _ = CartPole().reset(KEY)
    still = type(state)(jnp.zeros(4), state.time, state.fallen)
    after, found = step(still, {"agents": jnp.ones((1, 1))}, KEY)
    np.testing.assert_allclose(after.values, [0, 0.195122, 0, -0.292683], rtol=1e-5)
    assert not bool(found.terminated)


def test_a_pole_that_fell_stays_and_earns_nothing(step):
    state, _ = CartPole().reset(KEY)
    state = type(state)(jnp.array([0.0, 0.0, 0.209, 3.0]), state.time, state.fallen)
    state, found = step(state, {"agents": jnp.zeros((1, 1))}, KEY)
    assert bool(found.terminated)
    later, found = step(state, {"agents": jnp.zeros((1, 1))}, KEY)
    np.testing.assert_array_equal(later.values, state.values)
    assert float(found.reward["agents"][0]) == 0.0


def test_the_expert_balances():
    env = CartPole()
    found = collect(env, experts.cartpole(env), episodes=32)
    np.testing.assert_array_equal(found.lengths, 501)
    assert found.provenance["success_rate"] == 1.0
    assert np.abs(found.features["agents"][..., 0]).max() < 1.5
    assert found.rate == pytest.approx(50.0)


def test_it_keeps_the_contract():
    conformance.check(CartPole(horizon=40), steps=8)


def test_the_picture_shows_the_pole_leaning():
    state, _ = CartPole().reset(KEY)
    state = type(state)(jnp.array([1.0, 0.0, np.pi / 2, 0.0]), state.time, state.fallen)
    scene = CartPole().scene(state)
    np.testing.assert_allclose(scene.centres, [[1, 0], [2, 0]], atol=1e-6)
    np.testing.assert_allclose(scene.lines[0], scene.centres)
