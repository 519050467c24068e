"""A learned world as an env: a policy is trained inside it, stopped and resumed."""

import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import Home
from contracts.policies import Reinforce
from contracts.test_planner import Line
from understudy.envs import conformance
from understudy.envs.learned import Learned
from understudy.experiment.returns import episode_returns
from understudy.types import Observation


def near_home(observation, action, after):
    return {name: -jnp.abs(x[..., 0]) for name, x in after.features.items()}


def make():
    places = jax.random.uniform(jax.random.key(0), (6, 3, 2, 1), minval=-2.0, maxval=2.0)
    starts = Observation({"agents": places}, {"agents": jnp.ones((6, 3, 2), bool)})
    return Learned(Line(jnp.zeros(())), near_home, Home().spec, starts)


def test_training_inside_a_learned_world_resumes(goes_on):
    run = goes_on(Reinforce(), steps=8 * 12, make_env=make)
    returns = episode_returns(run.policy(mode="mode"), make(), episodes=4, seed=0)["agents"]
    assert returns.shape == (4, 2)


def test_a_learned_world_is_an_env_like_any_other():
    conformance.check(make(), steps=8)


def test_a_learned_world_that_is_right_pays_what_the_game_pays():
    policy = Reinforce().policy(Reinforce().init(Home().spec, None, jax.random.key(0)), "mode")
    world, game = make(), Home()
    state, _ = world.reset(jax.random.key(3))
    place = state.past.features["agents"][-1, :, 0]
    step = world.step(state, {"agents": jnp.full((2, 1), 3.0)}, jax.random.key(0))[1]
    real = game.step((place, jnp.zeros((), jnp.int32)), step.action, jax.random.key(0))[1]
    np.testing.assert_allclose(step.action["agents"], 1.0)
    np.testing.assert_allclose(step.reward["agents"], real.reward["agents"], rtol=1e-6)
    assert policy.transfers
