"""Networks that read sets: in any order, any number, padding left out."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import understudy as us
from understudy.experiment.returns import play
from understudy.networks.actor_critic import ActorCritic
from understudy.networks.deterministic import ActorQ
from understudy.networks.policy import NetworkPolicy
from understudy.networks.sets import SetEncoder
from understudy.types import Entities, Group, UserError

LAYOUT = (Entities("others", 2, 3, 4), Entities("landmarks", 14, 4, 2))


def encoder(layout=LAYOUT):
    group = Group("agents", 4, 24, sets=layout)
    made = SetEncoder.of(group, 24, 8, "tanh")
    keys = iter(jax.random.split(jax.random.key(0), 100))
    return jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), made)


def test_order_does_not_count_and_columns_behind_are_the_agents_own():
    net, x = encoder(), jax.random.normal(jax.random.key(1), (5, 24))
    found = net(x)
    assert found.shape == (5, net.outputs) == (5, 4 + 8)
    np.testing.assert_array_equal(found[:, :4], x[:, [0, 1, 22, 23]])
    others = x[:, 2:14].reshape(5, 3, 4)[:, [2, 0, 1]].reshape(5, 12)
    landmarks = x[:, 14:22].reshape(5, 4, 2)[:, ::-1].reshape(5, 8)
    turned = jnp.concatenate([x[:, :2], others, landmarks, x[:, 22:]], 1)
    np.testing.assert_allclose(net(turned), found, atol=1e-5)
    swapped = jnp.concatenate([x[:, :2], x[:, 2:14], x[:, 14:22] * 2, x[:, 22:]], 1)
    assert np.abs(net(swapped) - found).max() > 1e-3


def test_what_is_not_there_does_not_count():
    wider = (Entities("others", 2, 5, 4), Entities("landmarks", 22, 4, 2))
    net, x = encoder(), jax.random.normal(jax.random.key(1), (24,))
    padded = jnp.concatenate([x[:14], jnp.zeros(8), x[14:]])
    many = dataclasses.replace(net, layout=wider)
    np.testing.assert_allclose(many(padded), net(x), atol=1e-5)
    alone = x.at[2:22].set(0.0)
    nobody = tuple(dataclasses.replace(part, count=0) for part in LAYOUT)
    by_itself = dataclasses.replace(net, layout=nobody)
    np.testing.assert_allclose(net(alone), by_itself(alone[jnp.array([0, 1, 22, 23])]), atol=1e-5)
    gradient = jax.grad(lambda row: net(row).sum())(alone)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("network", [ActorCritic(sets=8, hidden=(8,)), ActorQ(sets=8, hidden=(8,))])
def test_a_policy_plays_where_more_or_less_is_seen(network):
    small = us.envs.make("spread-goodai")
    params = network.init(small.spec, jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    policy = NetworkPolicy.of(params, "mode")
    for words in ("near_agents=1,near_landmarks=2", "agents=12,near_agents=6,near_landmarks=9"):
        env = us.envs.make(f"spread-goodai:{words}")
        assert np.isfinite(play(policy, env, episodes=2, seed=0).team()).all()
    with pytest.raises(UserError, match=r"sets of .*moving_others.* found .*others"):
        play(policy, us.envs.make("spread-goodai:velocities=false"), episodes=1, seed=0)
    with pytest.raises(UserError, match=r"2 features of an agent's own, found .* and 4"):
        play(
            policy,
            dataclasses.replace(small, observes=("position", *small.observes)),
            episodes=1,
            seed=0,
        )


def test_a_policy_that_reads_features_as_they_come_plays_where_it_sees_as_many():
    small = us.envs.make("spread-goodai")
    policy = NetworkPolicy.of(ActorCritic(hidden=(8,)).init(small.spec, jax.random.key(0)), "mode")
    assert np.isfinite(
        play(policy, us.envs.make("spread-goodai:agents=9"), episodes=1, seed=0).team()
    )
    for words in ("near_landmarks=2", "action=discrete"):
        with pytest.raises(
            UserError, match="expected a game in which agents of group 'agents' see"
        ):
            play(policy, us.envs.make(f"spread-goodai:{words}"), episodes=1, seed=0)


def test_sets_are_refused_where_there_are_none():
    xor = us.envs.Xor()
    with pytest.raises(UserError, match="that 4 heads can share, found 6; try 8"):
        ActorCritic(sets=6).init(us.envs.make("spread-goodai").spec, jax.random.key(0))
    with pytest.raises(UserError, match=r"which of its .* features are sets"):
        ActorCritic(sets=4).init(xor.spec, jax.random.key(0))
    with pytest.raises(UserError, match="expected a network of single agents"):
        ActorCritic(sets=4, sharing="joint")
    with pytest.raises(UserError, match="expected a network of single agents"):
        ActorQ(sets=4, critic="central")


def test_the_game_says_where_its_sets_are():
    group = us.envs.make("spread-goodai:agents=5,ids=true").spec.groups[0]
    assert group.observation == 25
    assert group.sets == (Entities("moving_others", 2, 3, 4), Entities("landmarks", 14, 4, 2))
    assert us.envs.Spread().spec.groups[0].sets == (
        Entities("landmarks", 4, 3, 2), Entities("others", 10, 2, 2),
    )  # fmt: skip
