"""Xor: the payoff by hand, and an expert whose agents, one by one, are coins."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.data import quality
from understudy.envs import experts
from understudy.envs.xor import Xor
from understudy.experiment.collect import collect
from understudy.types import UserError

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("actions", "paid"),
    [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([1, 1], 0), ([1, 1, 1], 1), ([0, 1, 1], 0)],
)
def test_the_team_is_paid_for_an_odd_number_of_ones(actions, paid):
    env = Xor(agents=len(actions))
    state, _ = env.reset(KEY)
    state, step = env.step(state, {"agents": jnp.array(actions, jnp.float32)[:, None]}, KEY)
    np.testing.assert_array_equal(step.reward["agents"], paid)
    assert bool(step.info["success"]) == (paid == 1)
    assert bool(step.terminated)
    _, late = env.step(state, {"agents": jnp.array(actions, jnp.float32)[:, None]}, KEY)
    np.testing.assert_array_equal(late.reward["agents"], 0.0)


@pytest.mark.parametrize("agents", [2, 3])
def test_only_all_agents_together_tell_an_expert_from_coins(agents):
    """Of 4000 draws, the share of a thing that happens p of the time has a deviation < 0.008."""
    env = Xor(agents=agents)
    found: Any = collect(env, experts.xor(env), episodes=4000, envs=4000)
    played = found.actions["agents"][::2, :, 0]
    assert found.provenance["success_rate"] == 1.0
    assert [f.level for f in quality.check(found)] == ["warning"]  # a small game repeats itself
    codes, counts = np.unique(played @ 2 ** np.arange(agents), return_counts=True)
    assert len(codes) == 2 ** (agents - 1)  # the winning joint actions, all alike
    np.testing.assert_allclose(counts / 4000, 1 / len(codes), atol=0.03)
    np.testing.assert_allclose(played.mean(0), 0.5, atol=0.03)
    others, counts = np.unique(played[:, 1:], axis=0, return_counts=True)
    np.testing.assert_allclose(counts / 4000, 1 / len(others), atol=0.03)


def test_an_agent_alone_cannot_play():
    with pytest.raises(UserError, match="at least 2 agents, found 1"):
        Xor(agents=1)
