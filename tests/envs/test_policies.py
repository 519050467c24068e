"""Policies made of others: each agent its own player, and logs played back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, Whisper
from contracts.harness import walks
from contracts.policies import Recall
from contracts.test_reward_injection import expert_log
from understudy.envs.policies import assign, replay
from understudy.experiment.returns import episode_returns
from understudy.types import UserError


def player(spec, weight):
    weights = {g.name: jnp.full((spec.inputs(g.name) + 1, 1), weight) for g in spec.groups}
    return Recall(weights, jnp.asarray(0.0), spec)


def test_every_agent_is_played_by_its_policy():
    env = Home()
    one, two = player(env.spec, -0.5), player(env.spec, 0.1)
    mixed = assign(env.spec, {("agents", 0): one, ("agents", 1): two})
    assert len(mixed.policies) == 2
    assert mixed.decentralised
    returns = {
        name: episode_returns(p, env, episodes=4, seed=0)["agents"]
        for name, p in {"one": one, "two": two, "mixed": mixed}.items()
    }
    np.testing.assert_allclose(returns["mixed"][:, 0], returns["one"][:, 0], rtol=1e-6)
    np.testing.assert_allclose(returns["mixed"][:, 1], returns["two"][:, 1], rtol=1e-6)


def test_probabilities_are_those_of_the_player():
    env = Home()
    one, two = player(env.spec, -0.5), player(env.spec, 0.1)
    mixed = assign(env.spec, {("agents", 0): one, ("agents", 1): two})
    _, observation = env.reset(jax.random.key(0))
    rows = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), observation)
    actions = {"agents": jnp.full((2, 2, 1), 0.3)}
    starts = jnp.array([True, False])
    agents = {"agents": 2}
    logs, _ = mixed.log_prob(rows, actions, starts, mixed.memory(agents))
    for agent, policy in enumerate((one, two)):
        own, _ = policy.log_prob(rows, actions, starts, policy.memory(agents))
        np.testing.assert_allclose(logs["agents"][:, agent], own["agents"][:, agent], rtol=1e-6)


def test_a_policy_given_twice_is_asked_once():
    spec = Whisper().spec
    same = player(spec, 0.1)
    assert len(assign(spec, {("speaker", 0): same, ("listener", 0): same}).policies) == 1
    with pytest.raises(UserError, match=r"found none for \[\('listener', 0\)\]"):
        assign(spec, {("speaker", 0): same})


def test_a_log_is_played_back():
    log = expert_log(episodes=3, length=6)
    actions = log.actions
    assert actions is not None
    policy = replay(log, episode=1)
    memory = policy.memory({"agents": 2})
    _, observation = Home().reset(jax.random.key(0))
    for t in range(7):
        action, memory = policy.act(observation, memory, jax.random.key(t))
        np.testing.assert_array_equal(action["agents"], actions["agents"][6 + min(t, 4)])


def test_an_episode_is_drawn_where_none_is_named():
    log = expert_log(episodes=3, length=6)
    policy = replay(log)
    _, observation = Home().reset(jax.random.key(0))
    memory = policy.memory({"agents": 2})
    drawn = {int(policy.act(observation, memory, jax.random.key(i))[1][0]) for i in range(20)}
    assert drawn == {0, 1, 2}
    assert episode_returns(policy, Home(), episodes=2, seed=0)["agents"].shape == (2, 2)


def test_what_cannot_be_replayed_is_refused():
    with pytest.raises(UserError, match="with actions to replay, found tracks"):
        replay(walks())
    log = expert_log()
    with pytest.raises(UserError, match="expected an episode below 4, found 9"):
        replay(log, episode=9)
    known = {"agents": np.zeros((log.frames, 2), bool)}
    with pytest.raises(UserError, match="found 40 gaps"):
        replay(log.replace(action_known=known))
    policy = replay(log)
    _, seen = Home().reset(jax.random.key(0))
    rows = jax.tree.map(lambda leaf: leaf[None], seen)
    memory = policy.memory({"agents": 2})
    with pytest.raises(UserError, match="which has none"):
        policy.log_prob(rows, {"agents": jnp.zeros((1, 2, 1))}, jnp.array([True]), memory)
