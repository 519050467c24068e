"""The generator under intents: two parts, no label leaks into a sample, intents that command."""

import dataclasses

import jax
import jax.numpy as jnp
import little_plays as little
import numpy as np
import pytest

from understudy.algorithms.intents import IntentVRNN
from understudy.data import labels
from understudy.types import Batch, Given, UserError


def tiny(**arguments):
    return IntentVRNN(**{**IntentVRNN.TINY, "rule": None, "classes": 2, **arguments})


def updated(algorithm, plays, state, key):
    batch = Batch(None, little.windows(plays, algorithm.window))
    return jax.jit(algorithm.update)(state, batch, jnp.asarray(0), key)


@pytest.fixture(scope="module")
def plays():
    return little.straight()


@pytest.fixture(scope="module")
def trained(plays):
    """Trained long enough for the intent to mean something: the sign of the velocity in x."""
    algorithm = tiny(width=16, rnn=16, intent_rnn=8, learning_rate=1e-2, output="displacement")
    many = little.straight(episodes=256, noise=0.05)
    state, metrics = little.fit(algorithm, many, jax.random.key(0), 300)
    assert metrics["elbo"][-1] > metrics["elbo"][0]
    return algorithm, state


@pytest.mark.parametrize("part", ["intents", "plays", "all"])
def test_a_part_trains_its_weights_and_leaves_the_others_bit_identical(part, plays, key):
    algorithm = tiny(part=part)
    before = little.start(algorithm, plays, key)
    after, metrics = updated(algorithm, plays, before, key)
    for name in ("plays", "intents"):
        same = jax.tree.map(
            lambda a, b: bool((a == b).all()),
            getattr(before.params, name),
            getattr(after.params, name),
        )
        assert all(jax.tree.leaves(same)) == (part not in ("all", name))
    terms = {"intents": {"intents"}, "plays": {"reconstruction", "kl", "elbo_given_intents"}}
    terms["all"] = {*terms["intents"], *terms["plays"], "elbo"}
    assert set(metrics) == {"loss", "gradient_norm", *terms[part]}
    assert bool(after.params.trained) == (part != "plays")
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(after))


def test_every_weight_gets_a_finite_gradient(plays, key):
    algorithm = tiny(scope="shared", aware=False)
    state, window = little.start(algorithm, plays, key), little.windows(plays)
    parts = algorithm.trainable(state.params)
    gradient = jax.jit(jax.grad(lambda p: algorithm.loss(p, state.frames, window, key)[0]))(parts)
    for path, leaf in jax.tree.leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


def test_an_untrained_policy_over_intents_is_not_ready(plays, key):
    state = little.start(tiny(), plays, key)
    reason = tiny().generator(state).ready()
    assert reason is not None
    assert "untrained" in reason
    params = dataclasses.replace(state.params, trained=jnp.asarray(True))
    assert tiny().generator(dataclasses.replace(state, params=params)).ready() is None


@pytest.mark.parametrize("scope", ["agent", "shared"])
def test_bounds_count_the_intents_once(scope, plays, key):
    """An untrained policy without weights gives each class ½: 5 rows of 2 agents, or of one."""
    algorithm = tiny(scope=scope)
    state = little.start(algorithm, plays, key)
    blank = jax.tree.map(jnp.zeros_like, state.params.intents)
    params = dataclasses.replace(state.params, intents=blank)
    generator = algorithm.generator(dataclasses.replace(state, params=params))
    window = little.one(little.windows(plays))
    found = little.bound(generator, window, key, particles=64)
    rows = (little.ROWS - 1) * (2 if scope == "agent" else 1)
    np.testing.assert_allclose(found["intents"], -rows * np.log(2), rtol=1e-5)
    given = found["elbo_given_intents"]
    np.testing.assert_allclose(given, found["reconstruction"] - found["kl"], rtol=1e-5)
    np.testing.assert_allclose(found["elbo"], given + found["intents"], rtol=1e-5)
    assert found["iwae"] > found["elbo"]


def test_a_sample_depends_on_the_rows_seen_and_not_on_labels_or_later_rows(trained):
    algorithm, state = trained
    generator, key = algorithm.generator(state), jax.random.key(1)
    tracks = little.straight(episodes=1).features["agents"][None]
    drawn = []
    for later in (0.0, 50.0):
        changed = tracks.copy()
        changed[:, 3:] += later
        labelled = algorithm.prepare(
            little.demonstrations(changed, np.full((1, 6, 2), int(later > 0)), 2)
        )
        context = little.one(little.windows(labelled)).observation
        context = jax.tree.map(lambda leaf: leaf[:3], context)
        drawn.append(generator.sample(context, key, samples=2, horizon=3))
    for a, b in zip(jax.tree.leaves(drawn[0]), jax.tree.leaves(drawn[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("burn_in", ["posterior", "prior"])
def test_a_commanded_intent_is_obeyed(trained, burn_in):
    algorithm, state = trained
    generator = dataclasses.replace(algorithm, burn_in=burn_in).generator(state)
    start = jnp.zeros((1, 2, 2))
    context = little.one(little.windows(little.straight())).observation
    context = dataclasses.replace(
        jax.tree.map(lambda leaf: leaf[:1], context), features={"agents": start}
    )
    command = jnp.asarray([[1, 0]] * 5)
    held = jnp.ones((5, 2), bool)

    @jax.jit
    def draw(key, held):
        intents = Given({"agents": command}, {"agents": held})
        return generator.sample(context, key, samples=50, horizon=5, intents=intents)

    samples = draw(jax.random.key(2), held)
    np.testing.assert_array_equal(samples.intents["agents"], np.broadcast_to(command, (50, 5, 2)))
    right = np.asarray(samples.features["agents"][:, -1, :, 0] > 0)
    assert right[:, 0].mean() > 0.8
    assert right[:, 1].mean() < 0.2
    free = draw(jax.random.key(2), held.at[:, 1].set(False))
    assert (free.intents["agents"][..., 0] == 1).all()
    assert 0 < (free.intents["agents"][:, 0, 1]).mean() < 1


def test_an_intent_is_kept_for_as_long_as_asked(plays, key):
    algorithm = tiny(hold=3)
    state = little.start(algorithm, plays, key)
    context = little.one(little.windows(plays)).observation
    context = jax.tree.map(lambda leaf: leaf[:1], context)
    generator = algorithm.generator(state)
    draw = jax.jit(lambda key: generator.sample(context, key, samples=20, horizon=9))
    intents = np.asarray(draw(key).intents["agents"]).reshape(20, 3, 3, 2)
    assert (intents == intents[:, :, :1]).all()
    assert len(np.unique(intents[:, :, 0])) == 2


def test_a_shared_intent_is_one_for_all(plays, key):
    algorithm = tiny(scope="shared")
    state = little.start(algorithm, plays, key)
    context = little.one(little.windows(plays)).observation
    generator = algorithm.generator(state)
    draw = jax.jit(lambda key: generator.sample(context, key, samples=20, horizon=2))
    intents = np.asarray(draw(key).intents["agents"])
    assert (intents[..., 0] == intents[..., 1]).all()
    assert len(np.unique(intents)) == 2


def test_a_rule_is_resolved_on_the_training_split_and_labels_by_itself():
    plays = little.straight()
    algorithm = IntentVRNN(rule=labels.Direction(sectors=4), **IntentVRNN.TINY).resolve(plays)
    assert algorithm.classes == algorithm.rule.classes
    labelled = algorithm.prepare(plays)
    assert labelled.intent_classes == algorithm.classes
    assert plays.intent_classes == 2
    assert tiny(classes=0).resolve(plays).classes == 2


def test_what_is_missing_is_said_in_a_sentence(plays, key):
    with pytest.raises(UserError, match="number of intent classes"):
        little.start(tiny(classes=0), plays, key)
    with pytest.raises(UserError, match="statistics"):
        tiny().init(plays.spec, None, key)
    state = little.start(tiny(), plays, key)
    unlabelled = dataclasses.replace(little.windows(plays), intents=None)
    with pytest.raises(UserError, match="expected intents of group 'agents'"):
        tiny().update(state, Batch(None, unlabelled), jnp.asarray(0), key)
