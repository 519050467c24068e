"""A variable number of agents: read from the input; padding is not alive and changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from contracts.policies import Reinforce
from understudy.envs import conformance
from understudy.experiment.returns import episode_returns
from understudy.types import UserError


@pytest.fixture
def policy():
    algorithm = Reinforce()
    return algorithm.policy(algorithm.init(Home().spec, None, jax.random.key(0)))


def test_a_policy_plays_with_more_agents_than_it_was_trained_on(goes_on):
    run = goes_on(Reinforce(), steps=8 * 12, make_env=Home)
    for agents in (1, 2, 5):
        returns = episode_returns(run.policy(), Home(agents=agents), episodes=3, seed=0)
        assert returns["agents"].shape == (3, agents)


def test_doubling_the_padding_changes_no_live_agent(policy):
    exact = episode_returns(policy, Home(agents=3), episodes=4, seed=0)["agents"]
    padded = episode_returns(policy, Home(agents=3, capacity=8), episodes=4, seed=0)["agents"]
    np.testing.assert_allclose(padded[:, :3], exact, rtol=1e-6)
    np.testing.assert_array_equal(padded[:, 3:], 0.0)
    _, observation = Home(agents=3, capacity=4).reset(jax.random.key(1))
    conformance.check_padding(policy, observation)


def test_a_policy_that_looks_at_padding_is_found_out(policy):
    class Peeks:
        decentralised, transfers = False, True
        memory = staticmethod(policy.memory)

        def act(self, observation, memory, key):
            actions, memory = policy.act(observation, memory, key)
            count = jnp.float32(observation.alive["agents"].shape[0])
            return {"agents": actions["agents"] + count}, memory

        log_prob = staticmethod(policy.log_prob)

    _, observation = Home(agents=3, capacity=4).reset(jax.random.key(1))
    with pytest.raises(UserError, match="padding"):
        conformance.check_padding(Peeks(), observation)
