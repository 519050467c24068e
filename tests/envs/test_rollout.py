"""Rollouts: rows, resets, memory at starts, and the observation before a reset."""

import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import Home
from understudy.envs import rollout


class Counter:
    """Remembers how many steps it has played; acts by it."""

    decentralised = True
    transfers = True

    def memory(self, agents):
        return jnp.zeros((agents["agents"], 1))

    def act(self, observation, memory, key):
        return {"agents": 0.1 * (memory + 1)}, memory + 1

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError


def test_rows_are_kept_with_what_followed_before_the_reset():
    env, policy = Home(horizon=3), Counter()
    actor = rollout.begin(env, policy, jax.random.key(0), envs=2)
    actor, rows = rollout.collect(env, policy, actor, jax.random.key(1), steps=5)
    np.testing.assert_array_equal(rows.starts[:, 0], [True, False, False, True, False])
    np.testing.assert_array_equal(rows.truncated[:, 0], [False, False, True, False, False])
    # memory begins anew with the episode: actions are 0.1, 0.2, 0.3, 0.1, 0.2
    np.testing.assert_allclose(
        rows.action["agents"][:, 0, 0, 0], [0.1, 0.2, 0.3, 0.1, 0.2], rtol=1e-6
    )
    np.testing.assert_allclose(
        rows.observation_next.features["agents"],
        rows.observation.features["agents"] + rows.action["agents"],
        rtol=1e-6,
    )
    seen = rows.observation.features["agents"]
    np.testing.assert_array_equal(seen[1], rows.observation_next.features["agents"][0])
    assert not np.allclose(seen[3], rows.observation_next.features["agents"][2])
    np.testing.assert_array_equal(rows.memory, np.zeros((2, 2, 1)))
    # the next rollout goes on: its memory is that of the middle of an episode
    _, more = rollout.collect(env, policy, actor, jax.random.key(2), steps=1)
    np.testing.assert_array_equal(more.memory, np.full((2, 2, 1), 2.0))
    np.testing.assert_array_equal(more.starts[0], [False, False])


def test_actions_are_kept_as_they_were_executed():
    env = Home(horizon=20)
    actor = rollout.begin(env, Counter(), jax.random.key(0), envs=1)
    _, rows = rollout.collect(env, Counter(), actor, jax.random.key(1), steps=15)
    np.testing.assert_allclose(rows.action["agents"][-1], 1.0)
