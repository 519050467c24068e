"""A planner: a policy that tries actions out in a world before it acts; it needs no training."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import Home
from contracts.policies import Reinforce
from understudy.envs.policies import assign
from understudy.experiment.returns import episode_returns
from understudy.types import Observation


class Line(eqx.Module):
    """The world of `Home`: places move by the action."""

    drift: jax.Array

    def step(self, past, action, key):
        now = jax.tree.map(lambda leaf: leaf[-1], past)
        features = {n: x + action[n] + self.drift for n, x in now.features.items()}
        after = Observation(features, now.alive)
        moved = jax.tree.map(lambda old, new: jnp.concatenate([old[1:], new[None]]), past, after)
        return moved, after, jnp.zeros(())


class Shooting(eqx.Module):
    """Draws joint actions, asks the world, takes the one that ends nearest to home."""

    world: Any
    candidates: int = eqx.field(static=True, default=64)
    decentralised: bool = eqx.field(static=True, default=False)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        shapes = {n: jnp.zeros((2, k, 1)) for n, k in agents.items()}  # the past: two rows
        return Observation(shapes, {n: jnp.ones((2, k), bool) for n, k in agents.items()})

    def act(self, observation, memory, key):
        past = jax.tree.map(lambda m, o: jnp.concatenate([m[1:], o[None]]), memory, observation)
        count = observation.alive["agents"].shape[0]
        tries = jax.random.uniform(key, (self.candidates, count, 1), minval=-1.0, maxval=1.0)
        ends = jax.vmap(lambda a: self.world.step(past, {"agents": a}, key)[1].features)(tries)
        cost = jnp.abs(ends["agents"])[..., 0]  # [candidates, agents]
        best = jnp.argmin(cost, 0)
        return {"agents": jnp.take_along_axis(tries, best[None, :, None], 0)[0]}, past

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError("a planner here is only run")


def test_a_planner_acts_like_any_policy():
    env, planner = Home(), Shooting(Line(jnp.zeros(())))
    planned = episode_returns(planner, env, episodes=10, seed=0)["agents"]
    state = Reinforce().init(env.spec, None, jax.random.key(0))
    fresh = Reinforce().policy(state, "mode")
    assert planned.mean() > episode_returns(fresh, env, episodes=10, seed=0)["agents"].mean() + 1
    mixed = assign(env.spec, {("agents", 0): planner, ("agents", 1): fresh})
    both = episode_returns(mixed, env, episodes=10, seed=0)["agents"]
    alone = episode_returns(fresh, env, episodes=10, seed=0)["agents"]
    np.testing.assert_allclose(both[:, 1], alone[:, 1], rtol=1e-6)  # the same initial states
    assert both[:, 0].mean() > alone[:, 0].mean()
