"""Sharing: who reads and predicts what, and that nothing absent counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.networks.frames import Frames, Output
from understudy.networks.mlp import drawn
from understudy.networks.team import Team
from understudy.networks.vrnn import Sizes

AGENTS = 3
SHARINGS = ("joint", "independent", "mixed")


def team(sharing, key, agents=AGENTS, **sizes):
    sizes = Sizes(seen=4 * agents, target=2, latent=2, width=4, rnn=3, **sizes)
    return drawn(Team(sizes, sharing=sharing, agents=agents, features=2), key)


@jax.jit
def teach(some, frames, positions, alive, key):
    return some.teach(frames, positions, alive, None, key)


def frames(output: Output = "change"):
    one = jnp.ones(2)
    return Frames(0 * one, one, 0.2 * one, 0.1 * one, "agents", True, output)


def tracks(key, agents=AGENTS):
    positions = jnp.cumsum(0.1 * jax.random.normal(key, (5, 2, agents, 2)), 0)
    return positions, jnp.ones(positions.shape[:-1], bool)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_restore_undoes_arrange(sharing, key):
    x = jnp.arange(2 * AGENTS * 2.0).reshape(2, AGENTS, 2)
    some = team(sharing, key)
    arranged = some.arrange(x)
    assert arranged.shape[0] == some.networks
    assert arranged.shape[1] == some.sizes.heads
    np.testing.assert_array_equal(some.restore(arranged), x)


def test_the_sharing_says_how_many_networks_latents_and_heads(key):
    found = {s: (team(s, key).networks, team(s, key).sizes.heads) for s in SHARINGS}
    assert found == {"joint": (1, 1), "independent": (3, 1), "mixed": (1, 3)}


def test_independent_agents_have_weights_of_their_own(key):
    weights = team("independent", key).nets.gru.layers[0].hidden_weight
    assert not np.allclose(weights[0], weights[1])


def test_a_likelihood_in_data_units_does_not_depend_on_the_units_of_the_network(key):
    """RNN-gauss predicting N(0, 1) targets has the density of N(base, scale²) in the data."""
    some = jax.tree.map(jnp.zeros_like, team("joint", key, kind="none"))
    positions, alive = tracks(key)
    for output in ("position", "displacement", "change"):
        scale = frames(output)
        got = teach(some, scale, positions, alive, key).reconstruction
        moved = np.diff(np.asarray(positions), axis=0)
        before = np.concatenate([0 * moved[:1], moved[:-1]])
        base = {"position": 0, "displacement": positions[:-1], "change": positions[:-1] + before}
        std = (np.log(2) + np.asarray(scale.floor / 1.0)) * np.asarray(scale.scale)
        error = (np.asarray(positions[1:]) - np.asarray(base[output])) / std
        expected = (-0.5 * error**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=(0, 2, 3))
        np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_an_absent_agent_contributes_nothing_wherever_it_is(sharing, key):
    some = team(sharing, key)
    positions, alive = tracks(key)
    alive = alive.at[:, :, 2].set(False)
    moved = positions.at[:, :, 2].add(7.0)
    a, b = (teach(some, frames(), x, alive, key) for x in (positions, moved))
    np.testing.assert_array_equal(a.reconstruction, b.reconstruction)
    np.testing.assert_array_equal(a.kl, b.kl)


def test_an_agent_that_leaves_is_counted_while_it_is_there(key):
    """With constant densities the reconstruction counts coordinates."""
    some = jax.tree.map(jnp.zeros_like, team("independent", key, kind="none"))
    positions, alive = 0.0 * tracks(key)[0], tracks(key)[1]
    whole = teach(some, frames(), positions, alive, key).reconstruction
    part = teach(some, frames(), positions, alive.at[3:, :, 0].set(False), key).reconstruction
    np.testing.assert_allclose(part / whole, [10 / 12] * 2, rtol=1e-5)


def test_one_agent_alone(key):
    positions, alive = tracks(key, agents=1)
    for sharing in SHARINGS:
        terms = teach(team(sharing, key, agents=1), frames(), positions, alive, key)
        assert np.isfinite(terms.reconstruction).all()


def test_batching_changes_nothing(key):
    some = team("mixed", key, kind="none")
    positions, alive = tracks(key)
    together = teach(some, frames(), positions, alive, key).reconstruction
    for i in range(2):
        one = teach(some, frames(), positions[:, i : i + 1], alive[:, i : i + 1], key)
        np.testing.assert_allclose(one.reconstruction[0], together[i], rtol=1e-4)
