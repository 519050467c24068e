"""Wrappers: what they add, what they leave alone, and a config that holds them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from understudy.data.statistics import statistics
from understudy.envs import conformance, experts
from understudy.envs.cartpole import CartPole
from understudy.envs.roles import Roles
from understudy.envs.wrappers import (
    AgentId,
    EpisodeStatistics,
    ObservationNormalisation,
    TimeLimit,
    bare,
)
from understudy.experiment import config
from understudy.experiment.collect import collect
from understudy.types import UserError

KEY = jax.random.key(0)
SCALED = ObservationNormalisation(Home(agents=2, capacity=3), mean=((1.0,),), std=((2.0,),))


def play(env, steps, move=0.5):
    state, observation = env.reset(KEY)
    agents = len(observation.alive["agents"])
    found = []
    for _ in range(steps):
        state, step = env.step(state, {"agents": jnp.full((agents, 1), move)}, KEY)
        found.append(step)
    return state, found


def test_a_time_limit_truncates():
    env = TimeLimit(Home(horizon=9), steps=3)
    assert env.spec.horizon == 3
    assert TimeLimit(Home(horizon=2), steps=3).spec.horizon == 2
    _, steps = play(env, 4)
    assert [bool(s.truncated) for s in steps] == [False, False, True, True]
    with pytest.raises(UserError, match="a limit of at least one step, found 0"):
        TimeLimit(Home(), steps=0)


def test_a_time_limit_leaves_a_termination_alone():
    env = TimeLimit(CartPole(), steps=30)
    _, steps = play(env, 30, move=1.0)  # pushed one way, the pole falls after about ten steps
    assert bool(steps[-1].terminated)
    assert not bool(steps[-1].truncated)


def test_statistics_tell_the_return_and_length_so_far():
    _, steps = play(EpisodeStatistics(Home()), 3)
    rewards = np.array([s.reward["agents"] for s in steps])
    np.testing.assert_allclose(steps[2].info["return"]["agents"], rewards.sum(0), rtol=1e-6)
    assert [int(s.info["length"]) for s in steps] == [1, 2, 3]


def test_features_are_scaled_where_an_agent_is():
    _, seen = SCALED.env.reset(KEY)
    _, scaled = SCALED.reset(KEY)
    plain = np.asarray(seen.features["agents"])
    expected = np.where([[True], [True], [False]], (plain - 1.0) / 2.0, 0.0)
    np.testing.assert_allclose(scaled.features["agents"], expected, rtol=1e-6)
    _, narrow = dataclasses.replace(SCALED, clip=0.1).reset(KEY)
    assert np.abs(narrow.features["agents"]).max() == pytest.approx(0.1)


def test_statistics_of_demonstrations_scale_to_mean_0_and_deviation_1():
    plain = collect(CartPole(horizon=40), experts.cartpole(CartPole()), episodes=20)
    env = ObservationNormalisation.of(CartPole(horizon=40), statistics(plain))
    scaled = collect(env, experts.cartpole(env), episodes=20).features["agents"]
    np.testing.assert_allclose(scaled.mean((0, 1)), 0.0, atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1)), 1.0, atol=1e-4)


def test_statistics_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"of \[1\] features per group, found \[\[2\], \[1\]\]"):
        ObservationNormalisation(Home(), mean=((0.0, 0.0),), std=((1.0,),))
    with pytest.raises(UserError, match="deviations above 0"):
        ObservationNormalisation(Home(), mean=((0.0,),), std=((0.0,),))


def test_agents_see_their_number():
    env = AgentId(Home(agents=2, capacity=3))
    assert env.spec["agents"].observation == 4
    _, seen = env.reset(KEY)
    np.testing.assert_array_equal(seen.features["agents"][:, 1:], [[1, 0, 0], [0, 1, 0], [0, 0, 0]])
    names = AgentId(Roles(agents=2)).spec["agents"].features
    assert names[-2:] == ("agent 0", "agent 1")


def test_what_the_inner_game_can_do_is_still_there():
    env = EpisodeStatistics(TimeLimit(AgentId(CartPole(horizon=9)), steps=5))
    state, steps = play(env, 2)
    np.testing.assert_allclose(env.scene(state).centres[0, 0], state.state.state.values[0])
    assert (env.rate, env.horizon, env.lanes) == (50.0, 9, False)
    assert bare(env) == CartPole(horizon=9)
    assert bool(steps[0].info["success"]) is False
    assert not hasattr(TimeLimit(Home(), steps=3), "scene")


@pytest.mark.parametrize(
    "env",
    [SCALED, AgentId(TimeLimit(EpisodeStatistics(CartPole()), steps=7))],
    ids=["one", "three"],
)
def test_a_config_holds_all_of_them(env):
    kept = json.loads(json.dumps(config.to_json(env)))
    assert config.from_json(kept) == env
    leaves, structure = jax.tree.flatten(env)
    assert jax.tree.unflatten(structure, leaves) == env


@pytest.mark.parametrize(
    "env",
    [SCALED, AgentId(TimeLimit(EpisodeStatistics(Home(agents=2, capacity=3)), steps=4))],
    ids=["one", "three"],
)
def test_they_keep_the_contract(env):
    conformance.check(env, steps=6)
