"""Every policy optimiser on a game with known actions and values, and its parts by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import AIM, DISCOUNT, Probe, learn, play
from understudy.algorithms import happo, presets
from understudy.functional import moments
from understudy.networks.experience import look_back

SMALL = {
    "envs": 32, "rollout": 4, "epochs": 4, "learning_rate": 5e-3, "discount": DISCOUNT,
    "entropy": 0.0, "value_keep": 0.9, "gradient_clip": 5.0,
}  # fmt: skip
GENTLE = {**SMALL, "learning_rate": 2e-3}
OPTIMISERS = {
    "ippo": presets.IPPO(hidden=(32,), minibatches=2, **SMALL),
    "mappo with memory": presets.MAPPO(
        hidden=(32,), recurrent=16, sharing="independent", minibatches=2, **SMALL
    ),
    "happo": presets.HAPPO(hidden=(32,), squash=True, **SMALL),
    "mat": presets.MAT(width=32, minibatches=2, **GENTLE),
    "mat-dec": presets.MATDec(width=32, minibatches=2, **GENTLE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_best_actions_are_found_and_their_values(name):
    algorithm = OPTIMISERS[name]
    state, metrics, rows = learn(algorithm, Probe(), updates=150)
    seen = rows.observation.features["agents"]
    policy = algorithm.policy(state, "mode")
    start = policy.memory({"agents": 2})
    observation = jax.tree.map(lambda leaf: leaf[0, :16], rows.observation)
    actions = jax.vmap(lambda o: policy.act(o, start, jax.random.key(0))[0])(observation)["agents"]
    actions = np.asarray(actions)
    wanted = np.asarray(observation.features["agents"][..., 3])  # shown 1 or not
    np.testing.assert_array_equal(actions[..., 0], wanted)
    np.testing.assert_allclose(actions[..., 1], AIM, atol=0.12)
    assert not (rows.action["agents"][..., 0] == 2).any(), "an illegal choice was made"
    mean, std = moments.scale(state.seen["agents"])
    value = state.params.evaluate(rows).value["agents"] * std + mean
    earned = float(metrics["reward"][-20:].mean())
    for ends, time, worth in ((1.0, 0.0, 1.5), (1.0, 1.0, 1.0), (0.0, 0.0, 2.0)):
        here = (seen[..., 0] == ends) & (seen[..., 1] == time)
        if name == "mappo with memory" and not ends:
            continue  # memory tells the steps of a game that is cut apart; checked by its mean
        assert float(value[here].mean()) == pytest.approx(worth * earned, abs=0.15)


@pytest.fixture(scope="module")
def sequential():
    """One update of HAPPO on rows of its own policy."""
    algorithm = presets.HAPPO(hidden=(8,), **{**SMALL, "epochs": 2})
    fresh, rows = play(algorithm, Probe(agents=3))
    experience, _, _ = look_back(
        fresh.params, fresh.seen, rows, fresh.params.spec,
        discount=DISCOUNT, trace=0.9, keep=0.9, advantage="individual",
    )  # fmt: skip
    return algorithm, fresh, rows, experience


def test_the_factor_of_happo_is_the_product_of_all_ratios(sequential):
    """``Π_k π_new(a_k) / π_old(a_k)``, with both policies evaluated apart from the update."""
    algorithm, fresh, rows, experience = sequential
    run = jax.jit(lambda e: algorithm._actors(fresh, e, jnp.int32(5), jnp.float32(1e-2)))
    params, _, metrics = run(experience)
    new, _ = params.log_prob(rows)
    old, _ = fresh.params.log_prob(rows)
    change = (new["agents"] - old["agents"]).sum(-1)
    assert float(jnp.abs(change).max()) > 0.01, "nothing was learned, nothing is tested"
    assert float(metrics["factor"]) == pytest.approx(float(jnp.exp(change).mean()), rel=1e-5)


def test_an_agent_of_happo_is_paid_by_what_others_changed(sequential):
    """A factor of 2 doubles the gradient of the surrogate."""
    algorithm, fresh, _, experience = sequential
    group = fresh.params.spec.groups[0]
    actor = jax.tree.map(lambda leaf: leaf[1], happo._actor(fresh.params, "agents"))

    def slope(factor):
        rows = happo.rows_of(
            experience,
            fresh.params.spec,
            group.name,
            jnp.int32(1),
            jnp.full((4, 32), factor),
            recurrent=False,
        )
        loss = dataclasses.replace(algorithm, entropy=0.0).actor_loss
        return jax.grad(lambda a: loss(a, fresh.params, group, rows)[0])(actor)

    one, two = slope(1.0), slope(2.0)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(2 * a, b, rtol=1e-4, atol=1e-7)


def test_old_probabilities_are_those_of_the_policy_that_acted(sequential):
    """Before the first step every ratio is 1."""
    _, fresh, rows, experience = sequential
    policy = happo.HAPPO().policy(fresh, "sample")
    of_game = jax.vmap(policy.log_prob, in_axes=(1, 1, 1, None), out_axes=1)
    found, _ = of_game(rows.observation, rows.action, rows.starts, ())
    np.testing.assert_allclose(
        experience.log_probs["agents"].sum(-1), found["agents"], rtol=1e-5, atol=1e-6
    )


def test_agents_that_are_not_alive_teach_nothing():
    """Actions of dead agents change no gradient, memory or not."""
    algorithm = presets.IPPO(hidden=(8,), recurrent=8, **{**SMALL, "minibatches": 1})
    fresh, rows = play(algorithm, Probe())
    dead = jnp.broadcast_to(jnp.array([True, False]), rows.observation.alive["agents"].shape)

    def gradient(actions):
        observation = dataclasses.replace(rows.observation, alive={"agents": dead})
        lived = dataclasses.replace(rows, observation=observation, action={"agents": actions})
        experience, _, _ = look_back(
            fresh.params, fresh.seen, lived, fresh.params.spec,
            discount=DISCOUNT, trace=0.9, keep=0.9, advantage="individual",
        )  # fmt: skip
        return jax.grad(lambda p: algorithm.loss(p, experience)[0])(fresh.params)

    gradient = jax.jit(gradient)
    plain = gradient(rows.action["agents"])
    other = gradient(rows.action["agents"].at[:, :, 1].set(0.0))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(plain))
