"""Rollouts: rows, resets, memory at starts, the observation before a reset, and layouts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from understudy.envs import rollout
from understudy.envs.spread import Spread
from understudy.types import Observation, Step


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


class Leading(Spread):
    """Spread without its fast layout."""

    lanes = False


def play(env, key, *, envs=3, steps=7):
    """Features of the states acted on, rewards, and where episodes ended."""

    def row(carry, key):
        state, seen = carry
        shape = (envs, env.agents, 1)
        action = {"agents": jax.random.randint(key, shape, 0, 5).astype(jnp.float32)}
        state, after, step = rollout.advance(env, state, action, key)
        ended = step.terminated | step.truncated
        return (state, after), (seen.features["agents"], step.reward["agents"], ended)

    start = rollout.reset(env, key, envs=envs)
    return jax.lax.scan(row, start, jax.random.split(key, steps))[1]


def test_the_layout_of_a_game_changes_no_number():
    key = jax.random.key(3)
    fast = jax.jit(lambda: play(Spread(agents=2, horizon=3), key))()
    plain = jax.jit(lambda: play(Leading(agents=2, horizon=3), key))()
    for found, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert fast[0].shape == (7, 3, 2, 12)
    np.testing.assert_array_equal(np.flatnonzero(fast[2].all(1)), [2, 5])


@dataclasses.dataclass(frozen=True)
class Uneven:
    """Ends when its number, drawn anew at every reset, is used up; counts resets."""

    counted: list

    @property
    def spec(self):
        return Home().spec

    def observe(self, left):
        place = jnp.asarray(left, jnp.float32)[None, None]
        return Observation({"agents": place}, {"agents": jnp.ones(1, bool)})

    def reset(self, key):
        jax.debug.callback(lambda: self.counted.append(1))
        left = jax.random.randint(key, (), 2, 5)
        return left, self.observe(left)

    def step(self, state, action, key):
        left = state - 1
        ended = left == 0, jnp.asarray(False)
        return left, Step(self.observe(left), action, {"agents": jnp.zeros(1)}, *ended)


def test_only_games_that_ended_begin_again():
    env = Uneven([])
    state, action = jnp.array([3, 1, 2]), {"agents": jnp.zeros((3, 1, 1))}
    state, seen, step = rollout.advance(env, state, action, jax.random.key(0))
    np.testing.assert_array_equal(step.terminated, [False, True, False])
    np.testing.assert_array_equal(step.observation.features["agents"][:, 0, 0], [2, 0, 1])
    np.testing.assert_array_equal(state[jnp.array([0, 2])], [2, 1])
    assert int(state[1]) >= 2
    np.testing.assert_array_equal(seen.features["agents"][:, 0, 0], state)


@pytest.mark.parametrize(("left", "drawn"), [([[3, 2], [2, 4]], False), ([[3, 2], [1, 4]], True)])
def test_seeds_side_by_side_draw_new_games_only_when_one_ended(left, drawn):
    env = Uneven([])
    action = {"agents": jnp.zeros((2, 1, 1))}
    step = jax.jit(jax.vmap(lambda state, key: rollout.advance(env, state, action, key)[0]))
    jax.block_until_ready(step(jnp.array(left), jax.random.split(jax.random.key(0))))
    jax.effects_barrier()
    assert bool(env.counted) == drawn


def test_rewards_have_gradients_through_a_rollout():
    env = Spread(agents=2, action="plane", horizon=5)

    def earned(action):
        state, _ = rollout.reset(env, jax.random.key(0), envs=2)
        state, _, _ = rollout.advance(env, state, {"agents": action}, jax.random.key(0))
        _, _, step = rollout.advance(env, state, {"agents": action}, jax.random.key(1))
        return jnp.sum(step.reward["agents"])

    slope = jax.jit(jax.grad(earned))(jnp.zeros((2, 2, 2)))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0
