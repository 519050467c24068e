"""The multi-agent transformer: taught and acting agree, and nobody knows what comes later."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import MOVE
from understudy.networks.mlp import orthogonal
from understudy.networks.policy import ActedRows
from understudy.networks.transformer import Transformer
from understudy.types import ActionSpec, Group, Observation, Spec, UserError

SPEC = Spec((Group("wolves", 3, 4, ActionSpec((3,), (-1.0,), (1.0,))), Group("sheep", 2, 5, MOVE)))


def scene(key, alive=True):
    keys = jax.random.split(key, 2)
    features = {
        g.name: jax.random.normal(k, (g.agents, g.observation)) for g, k in zip(SPEC.groups, keys)
    }
    here = {g.name: jnp.ones(g.agents, bool) for g in SPEC.groups}
    if not alive:
        here["wolves"] = jnp.array([True, False, True])
    legal = {"wolves": jnp.ones((3, 3), bool).at[0, 1].set(False), "sheep": jnp.ones((2, 0), bool)}
    return Observation(features, here, legal)


def values(team, seen):
    return team.values_next(ActedRows(seen, {}, jnp.zeros(1, bool), ()), seen)


@pytest.fixture(scope="module")
def team():
    made = Transformer(width=16, blocks=2, heads=2).init(SPEC, jax.random.key(0))
    # weights are drawn small at the beginning: actions would hardly depend on each other
    return orthogonal(made, jax.random.key(1), gain=1.0)


@pytest.fixture(scope="module")
def taught(team):
    def log_probs(seen, actions):
        seen, actions = jax.tree.map(lambda leaf: leaf[None, None], (seen, actions))
        found = team.evaluate(ActedRows(seen, actions, jnp.zeros((1, 1), bool), ()))
        return {name: found.log_probs[name][0, 0] for name in SPEC.names}

    return jax.jit(log_probs)


@pytest.fixture(scope="module")
def decode(team):
    return jax.jit(lambda seen, key: team.decode(seen, key, "sample"))


@pytest.mark.parametrize("alive", [True, False])
def test_all_at_once_is_as_likely_as_one_after_the_other(taught, decode, alive):
    for number in range(5):
        seen = scene(jax.random.key(number), alive)
        actions, log_probs = decode(seen, jax.random.key(100 + number))
        found = taught(seen, actions)
        for name in SPEC.names:
            np.testing.assert_allclose(found[name], log_probs[name], atol=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_normalisation_hides_how_large_observations_are(normalise):
    made = Transformer(width=8, normalise=normalise).init(SPEC, jax.random.key(0))
    network = orthogonal(made, jax.random.key(1), gain=1.0)
    seen = jax.tree.map(lambda leaf: leaf[None], scene(jax.random.key(2)))
    features = jax.tree.map(lambda leaf: 5 * leaf, seen.features)
    plain, larger = (
        values(network, seen),
        values(network, dataclasses.replace(seen, features=features)),
    )
    assert np.allclose(plain["wolves"], larger["wolves"], atol=1e-3) == normalise


def test_an_agent_knows_the_actions_before_its_own_and_no_other(taught, decode):
    seen = scene(jax.random.key(1))
    actions, _ = decode(seen, jax.random.key(2))
    plain = taught(seen, actions)
    changed = {**actions, "wolves": actions["wolves"].at[1, 1].set(-0.9)}
    found = taught(seen, changed)
    np.testing.assert_array_equal(found["wolves"][0], plain["wolves"][0])
    assert (np.abs(found["wolves"][2] - plain["wolves"][2]) > 1e-6).any()
    assert (np.abs(found["sheep"] - plain["sheep"]) > 1e-6).all()


def test_an_illegal_choice_is_never_made_in_turn(decode):
    seen = scene(jax.random.key(1))
    drawn = [decode(seen, jax.random.key(n))[0]["wolves"][0, 0] for n in range(200)]
    assert {float(choice) for choice in drawn} == {0.0, 2.0}


def test_the_dead_are_not_attended_to(team):
    seen = scene(jax.random.key(1), alive=False)
    other = scene(jax.random.key(1), alive=False)
    other.features["wolves"] = other.features["wolves"].at[1].set(9.0)
    one, two = (values(team, o)["wolves"][jnp.array([0, 2])] for o in (seen, other))
    np.testing.assert_array_equal(one, two)


def test_agents_of_mat_dec_act_on_their_own(key):
    team = Transformer(width=16, decoder="independent").init(SPEC, key)
    seen, other = scene(jax.random.key(1)), scene(jax.random.key(1))
    other.features["wolves"] = other.features["wolves"].at[1].set(9.0)
    first, second = (team.act(o, (), key, "mode")[0] for o in (seen, other))
    np.testing.assert_array_equal(first["wolves"][0], second["wolves"][0])
    np.testing.assert_array_equal(first["sheep"], second["sheep"])
    assert team.decentralised
    assert team.transfers


def test_without_identities_any_number_of_agents_is_served(key):
    """And the order of agents does not matter to their values."""
    spec = Spec((Group("wolves", 3, 4, ActionSpec((3,))),))
    team = Transformer(width=16, identity=False).init(spec, key)
    features = jax.random.normal(key, (5, 4))
    seen = Observation({"wolves": features}, {"wolves": jnp.ones(5, bool)})
    action, _ = team.act(seen, (), key, "sample")
    assert action["wolves"].shape == (5, 1)
    turned = Observation({"wolves": features[::-1]}, {"wolves": jnp.ones(5, bool)})
    one, two = (values(team, o)["wolves"] for o in (seen, turned))
    np.testing.assert_allclose(one, two[::-1], atol=1e-5)
    fixed = Transformer(width=16).init(spec, key)
    with pytest.raises(UserError, match="identity=False"):
        fixed.act(seen, (), key, "sample")


def test_heads_share_the_width():
    with pytest.raises(UserError, match="share a width of 64"):
        Transformer(heads=5)
