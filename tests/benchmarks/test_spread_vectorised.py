"""The numpy program that Spread's speed is measured against plays the same game."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.envs import rollout
from understudy.envs.spread import Spread

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
STEPS, ENVS = 100, 2


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    import spread_vectorised

    yield spread_vectorised.VectorisedSpread
    for name in ("spread_vectorised", "serve"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("agents", [4, 12, 150])
def test_an_episode_is_the_same(peer, agents):
    env = Spread.goodai(agents=agents)
    game = peer(ENVS, agents, dtype=np.float64)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, agents, 2))
    with jax.enable_x64(True):
        key = jax.random.key(0)
        first, _ = rollout.reset(env, key, envs=ENVS)

        def step(state, action):
            state, after = env.step(state, {"agents": jnp.moveaxis(action, 0, -1)}, key)
            return state, (after.observation.features["agents"], after.reward["agents"])

        features, rewards = jax.jit(lambda a: jax.lax.scan(step, first, a)[1])(actions)
    start = (first.positions, first.velocities, first.landmarks)
    game.place(*(np.moveaxis(np.asarray(leaf), -1, 0) for leaf in start))
    for action, seen, reward in zip(actions, features, rewards, strict=True):
        found, paid = game.step(action)
        np.testing.assert_allclose(found, np.moveaxis(seen, -1, 0), atol=1e-6)
        np.testing.assert_allclose(paid, reward[0], rtol=1e-6)
