"""A host simulator: restarted at every checkpoint, so that a resumed run is the same."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import HomeSimulator
from contracts.policies import Reinforce
from understudy.envs.host import Batched
from understudy.experiment.returns import episode_returns, play


def make():
    return Batched(HomeSimulator, envs=4)


def test_a_host_env_trains_resumes_and_evaluates(goes_on):
    # 2 seeds share 4 games: 2 games x 4 rows = 8 steps per update
    run = goes_on(Reinforce(), steps=8 * 8, make_env=make)
    assert [row["step"] for row in run.metrics] == [2, 4, 6, 8]
    one = episode_returns(run.policy(mode="mode"), make(), episodes=6, seed=3)["agents"]
    assert one.shape == (6, 2)
    few = episode_returns(run.policy(mode="mode"), make(), episodes=3, seed=3)["agents"]
    np.testing.assert_allclose(few, one[:3], rtol=1e-6)


class Growing(eqx.Module):
    """Moves at random, by more in every step."""

    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return jnp.zeros(())

    def act(self, observation, memory, key):
        size = observation.features["agents"].shape
        return {"agents": 0.1 * memory * jax.random.normal(key, size)}, memory + 1.0

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError


class Lasting(HomeSimulator):
    """`HomeSimulator` whose games last as long as their seed says, and are never late."""

    def reset(self, seed):
        self.lasts = 1 + seed % 13
        return super().reset(seed)

    def step(self, actions):
        step = super().step(actions)
        return dataclasses.replace(
            step, terminated=np.asarray(self.time >= self.lasts), truncated=np.asarray(False)
        )


def test_games_end_one_after_the_other_and_the_rest_are_played_as_ever():
    """Policies with chance and memory: fewer and fewer games are asked, none plays differently."""
    make = functools.partial(Lasting, horizon=20)
    policy = Growing()
    found = [
        play(policy, Batched(make, envs=envs), episodes=40, seed=3) for envs in (40, 1)
    ]  # fmt: skip
    assert len(set(found[0].lengths.tolist())) > 5
    np.testing.assert_array_equal(found[0].lengths, found[1].lengths)
    np.testing.assert_allclose(found[0].returns["agents"], found[1].returns["agents"], rtol=1e-6)
