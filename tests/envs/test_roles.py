"""Roles: payoffs by hand, what is seen, and an expert who is told by no observation."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2_contingency

from understudy.data import quality
from understudy.envs import experts
from understudy.envs.roles import Roles
from understudy.experiment.collect import collect
from understudy.types import UserError

KEY = jax.random.key(0)


def play(env, rounds):
    """Every step of a game in which agents take the roles of `rounds`."""
    state, seen = env.reset(KEY)
    steps = []
    for roles in rounds:
        state, step = env.step(state, {"agents": jnp.array(roles, jnp.float32)[:, None]}, KEY)
        steps.append(step)
    return seen, steps, state


def test_a_step_is_paid_if_every_role_is_taken():
    _, steps, _ = play(Roles(horizon=3), [[0, 1, 2], [2, 0, 1], [1, 1, 2]])
    assert [float(s.reward["agents"][1]) for s in steps] == [1.0, 1.0, 0.0]
    assert [bool(s.truncated) for s in steps] == [False, False, True]
    _, steps, _ = play(Roles(horizon=3, graded=True), [[0, 1, 2], [0, 0, 1], [1, 1, 1]])
    assert [float(s.reward["agents"][0]) for s in steps] == [1.0, 0.5, 0.0]


def test_a_game_is_won_if_every_step_was():
    _, steps, _ = play(Roles(horizon=2), [[0, 1, 2], [2, 0, 1]])
    assert [bool(s.info["success"]) for s in steps] == [False, True]
    _, steps, _ = play(Roles(horizon=2), [[0, 0, 2], [2, 0, 1]])
    assert not bool(steps[-1].info["success"])


def test_everybody_sees_the_time_and_what_was_taken_itself_first():
    seen, steps, state = play(Roles(agents=2, horizon=4), [[1, 0]])
    np.testing.assert_array_equal(seen.features["agents"], np.zeros((2, 5)))
    after = steps[0].observation
    # time 1 of 4; agent 0 took role 1 and agent 1 role 0, each sees its own first
    np.testing.assert_array_equal(
        after.features["agents"], [[0.25, 0, 1, 1, 0], [0.25, 1, 0, 0, 1]]
    )
    np.testing.assert_array_equal(after.state, [0.25, 0, 1, 1, 0])
    scene = Roles(agents=2, horizon=4).scene(state)
    np.testing.assert_allclose(scene.centres[2:, 0], [0.25, -0.25])
    np.testing.assert_array_equal(scene.strength, [0.5, 0.5, 1, 1])


def test_asked_to_each_sees_only_what_it_took_itself():
    env = Roles(agents=2, horizon=4, shows="own")
    seen, steps, _ = play(env, [[1, 0]])
    assert env.spec.groups[0].observation == seen.features["agents"].shape[1] == 3
    np.testing.assert_array_equal(
        steps[0].observation.features["agents"], [[0.25, 0, 1], [0.25, 1, 0]]
    )


def independent(table):
    """Rows and columns of counts show no dependence that is rarer than one in ten thousand."""
    result: Any = chi2_contingency(table)
    return result.pvalue > 1e-4


@pytest.mark.parametrize("agents", [3, 4])
def test_no_observation_tells_what_an_expert_will_take(agents):
    """Action and own last action, of 4000 steps: no dependence that a chi-square test finds."""
    env = Roles(agents=agents)
    found: Any = collect(env, experts.roles(env), episodes=400, envs=400)
    taken = found.actions["agents"][found.known_actions()["agents"][:, 0], :, 0].astype(int)
    taken = taken.reshape(400, 10, agents)
    np.testing.assert_array_equal(np.sort(taken, -1) - np.arange(agents), 0)
    orders, counts = np.unique(taken.reshape(-1, agents), axis=0, return_counts=True)
    assert len(orders) == len(list(itertools.permutations(range(agents))))
    np.testing.assert_allclose(counts / 4000, 1 / len(orders), atol=0.03)
    for agent, other in itertools.product(range(agents), repeat=2):
        table = np.zeros((agents, agents))
        np.add.at(table, (taken[:, :-1, other].ravel(), taken[:, 1:, agent].ravel()), 1)
        assert independent(table)
        time = np.zeros((10, agents))
        np.add.at(time, (np.tile(np.arange(10), 400), taken[..., agent].ravel()), 1)
        assert independent(time)
    assert found.provenance["mean_return"] == 10.0
    assert found.provenance["success_rate"] == 1.0
    assert not quality.check(found)


def test_what_makes_no_game_is_refused():
    with pytest.raises(UserError, match="at least 2 agents, found 1"):
        Roles(agents=1)
    with pytest.raises(UserError, match="at least one step, found 0"):
        Roles(horizon=0)
