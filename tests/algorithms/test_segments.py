"""Segment models: what they are made of, what they keep apart, and that they learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import understudy as us
from understudy.algorithms.segments import MAKING, SegmentVAE
from understudy.data.demonstrations import Demonstrations
from understudy.data.extend import extended
from understudy.data.sampling import gather, rows, windows
from understudy.diagnostics.leakage import leakage, pasts_of
from understudy.networks.segment_bodies import SegmentNetwork
from understudy.types import ActionSpec, Batch, Given, Group, Observation, Spec, UserError

PLANE = ActionSpec(low=(-1.0,), high=(1.0,))
SPEC = Spec((Group("left", 1, 2, PLANE), Group("right", 2, 1, PLANE)))
SMALL = {"length": 4, "past": 2, "own": 2, "free": 1, "network": SegmentNetwork(hidden=(16,))}


def log(episodes=40, rows=12, seed=0):
    """Three agents pushed along lines; the first also sees the second."""
    rng = np.random.default_rng(seed)
    push = np.repeat(rng.uniform(-1, 1, (episodes, rows // 4, 3)), 4, 1).astype(np.float32)
    place = np.cumsum(np.concatenate([rng.normal(size=(episodes, 1, 3)), 0.3 * push[:, :-1]], 1), 1)
    place = place.astype(np.float32).reshape(-1, 3)
    left = np.stack([place[:, 0], place[:, 1]], 1)[:, None]
    actions = push.reshape(-1, 3)
    return Demonstrations(
        spec=SPEC,
        starts=np.arange(episodes + 1) * rows,
        features={"left": left, "right": place[:, 1:, None]},
        alive={"left": np.ones((len(place), 1), bool), "right": np.ones((len(place), 2), bool)},
        actions={"left": actions[:, :1, None], "right": actions[:, 1:, None]},
        rate=1.0, unit="", labels={"episode": np.asarray([f"e{i}" for i in range(episodes)]),
                                   "source": np.full(episodes, "law")},
        terminated=np.arange(len(place)) % rows == rows - 2,
    )  # fmt: skip


LOG = log()


def fresh(kind, **changes):
    algorithm = SegmentVAE(factorisation=kind, **{**SMALL, **changes})
    statistics = us.data.statistics(LOG)
    return algorithm, algorithm.init(SPEC, statistics, jax.random.key(0))


def test_longer_episodes_hold_what_was_first_and_last():
    longer = extended(LOG[:2], before=1, after=3)
    assert longer.lengths.tolist() == [16, 16]
    place = longer.features["left"][:16, 0, 0]
    assert place[0] == place[1] == LOG.features["left"][0, 0, 0]
    assert (place[12:] == LOG.features["left"][11, 0, 0]).all()
    known = longer.known_actions()["right"][:16, 0]
    assert known.tolist() == [False, *[True] * 11, *[False] * 4]
    cut = dataclasses.replace(LOG[:2], terminated=None)
    assert extended(cut, before=0, after=3).lengths.tolist() == [12, 12]


@pytest.mark.parametrize("kind", MAKING)
def test_segments_have_the_shape_of_the_game(kind):
    algorithm, state = fresh(kind)
    model = algorithm.model(state)
    z = jnp.ones(model.sizes.latent)
    done, after = model.decode(jnp.ones((2, 4)), z)
    assert done.shape == (4, 3)
    assert after.shape == (4, 4)
    assert bool((jnp.abs(done) <= 1.0).all())
    assert sum(model.sizes.own) + model.sizes.free == {"single_step": 12, "conditional": 6}.get(
        kind, 7)  # fmt: skip
    groups = model.layout.features(after)
    assert {name: x.shape for name, x in groups.items()} == {"left": (4, 1, 2), "right": (4, 2, 1)}
    np.testing.assert_array_equal(model.layout.flat(groups), after)


def test_an_agent_of_a_factored_model_follows_its_own_latent_alone():
    pasts = np.random.default_rng(0).normal(size=(8, 2, 4)).astype(np.float32)
    for kind, apart in (("factored", True), ("joint", False)):
        algorithm, state = fresh(kind)
        found = leakage(algorithm.model(state), pasts, jax.random.key(1))
        assert (found.worst == 0.0) is apart
        np.testing.assert_allclose(np.diag(found.jacobian), 1.0)
        np.testing.assert_allclose(np.diag(found.swap), 1.0)


def test_agents_of_a_conditional_model_react_to_those_before_them_only():
    algorithm, state = fresh("conditional")
    found = leakage(algorithm.model(state), pasts_of(algorithm.model(state), LOG, 8),
                    jax.random.key(1))  # fmt: skip
    assert (found.jacobian[np.triu_indices(3, 1)] == 0).all()
    assert (found.jacobian[np.tril_indices(3, -1)] > 0).all()


def test_convolutions_look_back_and_never_ahead():
    network = SegmentNetwork(kind="convolution", channels=4, last=8, dilations=(1, 3))
    algorithm, state = fresh("factored", network=network, length=6, past=6)
    model = algorithm.model(state)
    assert network.field == 17
    past, z = jnp.zeros((6, 4)), jnp.ones(model.sizes.latent)
    for row in (0, 5):
        moved = model.decode(past.at[row, 0].add(1.0), z)[1] - model.decode(past, z)[1]
        assert float(jnp.abs(moved[0, 1:]).max()) > 0
    # F reads actions: what is done in row 3 shows from row 3 on
    done = jnp.zeros((6, 3))
    calm = model.write(past, z, (done, jnp.zeros((6, 4))))[1]
    pushed = model.write(past, z, (done.at[3].set(1.0), jnp.zeros((6, 4))))[1]
    moved = jnp.abs(pushed - calm).max(1)
    assert (np.asarray(moved) > 0).tolist() == [False, False, False, True, True, True]
    with pytest.raises(UserError, match="expected convolutions that look back 24 rows, found 17"):
        fresh("factored", network=network, length=12, past=12)


@pytest.mark.slow
def test_a_model_learns_what_follows_what(tmp_path):
    algorithm = SegmentVAE(
        decay=1_500, learning_rate=3e-3, **{**SMALL, "own": 4, "batch": 64}
    )  # fmt: skip
    run = us.train(algorithm, demonstrations=LOG, steps=1_500, out=tmp_path / "run")
    model = run.policy().model
    past = jnp.asarray(pasts_of(model, LOG, 64))
    done = jnp.broadcast_to(jnp.asarray([0.5, -0.5, 0.0]), (64, 4, 3))
    z, none = jnp.zeros((64, model.sizes.latent)), jnp.zeros((64, 4, 4))
    after = jax.vmap(lambda p, z, u, x: model.write(p, z, (u, x))[1])(past, z, done, none)
    # 0.15 a step; the first agent sees the second, which goes the other way
    steps = 0.15 * jnp.arange(1.0, 5.0)[None]
    assert float(jnp.abs(after[..., 0] - past[:, -1, :1] - steps).mean()) < 0.1
    assert float(jnp.abs(after[..., 1] - past[:, -1, 1:2] + steps).mean()) < 0.1
    drawn, _ = jax.vmap(model.decode)(past, jax.random.normal(jax.random.key(2), z.shape))
    # what agents do is spread like what they did, 0.58, and kept up like it
    assert 0.35 < float(drawn.std()) < 0.75
    assert float(jnp.abs(drawn[:, 1:] - drawn[:, :-1]).mean()) < 0.4


@pytest.mark.parametrize("kind", ["mutual_information", "gradient", "conditional", "single_step"])
def test_every_kind_lowers_its_loss(kind):
    algorithm, state = fresh(kind, learning_rate=1e-2)
    log = algorithm.prepare(LOG)
    found = windows(log, algorithm.window, agents="every")
    window = gather(rows(log), found, jnp.arange(32))
    batch, update = Batch(demonstrations=window), jax.jit(algorithm.update)
    losses = []
    for step in range(60):
        key = jax.random.fold_in(jax.random.key(0), step)
        state, metrics = update(state, batch, jnp.int32(step), key)
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_futures_are_chains_of_segments():
    algorithm, state = fresh("factored")
    generator = algorithm.generator(state)
    context = Observation(
        {"left": jnp.ones((1, 1, 2)), "right": jnp.ones((1, 2, 1))},
        {"left": jnp.ones((1, 1), bool), "right": jnp.ones((1, 2), bool)},
    )
    drawn = generator.sample(context, jax.random.key(0), samples=3, horizon=7)
    assert drawn.features["right"].shape == (3, 7, 2, 1)
    with pytest.raises(UserError, match="expected nothing given"):
        generator.sample(context, jax.random.key(0), samples=1, horizon=1, given=Given({}, {}))


def test_choices_are_refused():
    spec = Spec((Group("a", 1, 2, ActionSpec((3,))),))
    with pytest.raises(UserError, match="expected continuous actions within bounds"):
        SegmentVAE(**SMALL).init(spec, None, jax.random.key(0))


def test_errors_are_measured_in_spread_or_in_what_a_segment_changes():
    (_, state), (changes, _) = fresh("factored"), fresh("factored", unit="change")
    alone, scales = fresh("factored")[0], state.params.model.scales
    row = (jnp.ones((2, 4)), jnp.zeros((4, 3)), jnp.ones((4, 4)), jnp.ones((4, 3), bool))
    found = [
        float(a.loss(state.params, *row, jax.random.key(0))[1]["observation_error"])
        for a in (alone, changes)
    ]
    # same weights and draws: predictions are the same, only the unit differs, and every
    # observation of this game has a spread well above what four of its steps make
    ratio = np.asarray(scales.std) / (np.asarray(scales.change) * 2.0)
    assert (ratio > 1).all()
    assert ratio.min() ** 2 <= found[1] / found[0] <= ratio.max() ** 2
