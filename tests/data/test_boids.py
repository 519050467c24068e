"""Boids: the rules, agent by agent, and the published statistics."""

import numpy as np
import pytest

from understudy.data.boids import START, _legacy_accelerations, boids
from understudy.types import UserError


def tracks(demonstrations):
    length = int(demonstrations.starts[1])
    positions = np.asarray(demonstrations.features["agents"], np.float64)
    return positions.reshape(-1, length, 8, 2), demonstrations.labels["behaviour"] == "friendly"


@pytest.fixture(scope="module")
def clean():
    return tracks(boids(8192))


@pytest.fixture(scope="module")
def legacy():
    return tracks(boids(4096, legacy_first_step=True))


def clip(vector):
    return vector / max(1.0, np.linalg.norm(vector))


def step_oracle(x, v, sign):
    """One velocity update, one agent and one rule at a time."""
    new = []
    for i in range(8):
        distance = np.linalg.norm(x - x[i], axis=1)
        a = np.zeros(2)
        near = [j for j in range(8) if 0 < distance[j] <= 0.9]
        if near:
            a += sign * clip(np.mean([x[j] for j in near], 0) - x[i])
            a += 0.2 * clip(np.mean([v[j] for j in near], 0))
        close = [j for j in range(8) if 0 < distance[j] <= 0.2]
        if close:
            a += 0.1 * clip(x[i] - np.mean([x[j] for j in close], 0))
        if np.linalg.norm(x[i]) > 2:
            a += clip(-x[i])
        new.append(clip(v[i] + 0.5 * clip(a)))
    return np.array(new)


def test_rows_follow_the_rules_agent_by_agent():
    x, friendly = tracks(boids(40, seed=7, length=10))  # before the boost is drawn: 0.1 a step
    for episode, sign in zip(x, np.where(friendly, 1.0, -1.0)):
        v = (episode[1] - episode[0]) / 0.1
        for t in range(1, 9):
            v = step_oracle(episode[t], v, sign)
            np.testing.assert_allclose(episode[t + 1], episode[t] + 0.1 * v, atol=2e-5)


def test_the_boost_is_drawn_again_at_rows_10_20_30_40():
    x, friendly = tracks(boids(20, seed=3))
    factors = []
    for episode, sign in zip(x, np.where(friendly, 1.0, -1.0)):
        v, boost = (episode[9] - episode[8]) / 0.1, np.ones(8)
        for t in range(9, 49):
            v = step_oracle(episode[t], v, sign)
            step = episode[t + 1] - episode[t]
            measured = np.linalg.norm(step, axis=1) / (0.1 * np.linalg.norm(v, axis=1))
            if (t + 1) % 10 == 0:
                boost = measured
                factors.append(boost)
            np.testing.assert_allclose(measured, boost, atol=2e-3)
    factors = np.array(factors)
    assert 0.799 < factors.min() < 0.81
    assert 1.39 < factors.max() < 1.401
    assert len(np.unique(factors.round(4))) > 500  # per agent and per draw


def test_the_start_and_the_length():
    x, friendly = tracks(boids(30, seed=1, length=1))
    np.testing.assert_array_equal(x, np.broadcast_to(START, (30, 1, 8, 2)))
    assert 5 < friendly.sum() < 25


def test_published_statistics(clean):
    x, friendly = clean
    i, j = np.triu_indices(8, 1)
    steps = np.linalg.norm(np.diff(x, axis=1), axis=-1)
    pairs = np.linalg.norm(x[:, :, i] - x[:, :, j], axis=-1).mean(-1)
    assert pairs[:, 0].mean() == pytest.approx(1.406, abs=0.001)
    assert pairs[friendly, -1].mean() == pytest.approx(0.523, abs=0.02)
    assert pairs[~friendly, -1].mean() == pytest.approx(2.162, abs=0.03)
    assert steps[friendly].mean() == pytest.approx(0.0843, abs=0.001)
    assert steps[~friendly].mean() == pytest.approx(0.0751, abs=0.001)
    assert steps.max() == pytest.approx(0.140, abs=0.0005)
    radius = np.linalg.norm(x, axis=-1).mean((1, 2))
    assert radius[friendly].mean() == pytest.approx(1.030, abs=0.01)
    assert radius[~friendly].mean() == pytest.approx(1.389, abs=0.01)
    assert friendly.mean() == pytest.approx(0.5, abs=0.03)


def first_polarisation(x):
    headings = x[:, 1] - x[:, 0]
    headings /= np.linalg.norm(headings, axis=-1, keepdims=True)
    return np.linalg.norm(headings.mean(1), axis=-1).mean()


def test_the_legacy_first_step_is_more_polarised(clean, legacy):
    assert first_polarisation(clean[0]) == pytest.approx(0.325, abs=0.02)
    assert first_polarisation(legacy[0]) == pytest.approx(0.454, abs=0.02)


def test_the_legacy_acceleration_is_shared_and_leaks_into_the_next_episode():
    # By symmetry cohesion sums to 0 on the start points; alignment is 8 * 0.2 * (1, 0) = (1.6, 0),
    # clipped to (1, 0). The next episode adds (0, 1.6): (1, 1.6) / 1.88680 = (0.53, 0.848).
    velocities = np.zeros((2, 2, 8), np.float32)
    velocities[0, 0] = 1
    velocities[1, 1] = 1
    shared = _legacy_accelerations(velocities, np.ones(2, np.float32))
    np.testing.assert_allclose(shared, [[1, 0], [0.5300, 0.8480]], atol=1e-4)


def test_equal_seeds_are_equal_bits_and_more_episodes_change_nothing():
    few, many = boids(3, seed=5, length=25), boids(700, seed=5, length=25)
    np.testing.assert_array_equal(few.features["agents"], many.features["agents"][:75])
    other = boids(3, seed=6, length=25)
    assert np.abs(other.features["agents"] - few.features["agents"]).max() > 0.01


def test_the_intent_is_the_behaviour_of_every_agent_and_row():
    demonstrations = boids(50, seed=2, length=4)
    assert demonstrations.intents is not None
    intents = demonstrations.intents["agents"].reshape(50, 4, 8)
    friendly = demonstrations.labels["behaviour"] == "friendly"
    np.testing.assert_array_equal(
        intents, np.broadcast_to(friendly[:, None, None], intents.shape).astype(int)
    )
    assert demonstrations.intent_classes == 2
    assert len(set(demonstrations.labels["episode"])) == 50


@pytest.mark.parametrize(("episodes", "length"), [(0, 50), (5, 0)])
def test_nothing_asked_for_is_refused(episodes, length):
    with pytest.raises(UserError, match="at least 1"):
        boids(episodes, length=length)
