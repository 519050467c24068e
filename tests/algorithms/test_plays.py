"""Joint plays: agents in any number and order, what is given is kept, coordination is learned."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from algorithms.little_plays import AHEAD, PAST, fit, together
from understudy.algorithms.plays import HEADS, PlayTransformer
from understudy.data.statistics import statistics
from understudy.networks.scene import SceneNetwork, rows_of
from understudy.networks.scene_views import Scene, turned
from understudy.types import Given, Group, Observation, Spec, Statistics, UserError

SMALL = SceneNetwork(width=16, heads=2, reading=1, writing=1, ways=(12, 2))


def tiny(head="noise", **changes):
    given = {"network": SMALL, "observed": PAST, "horizon": AHEAD, "head": head, "futures": 8,
             "shared": 4, "own": 2, "batch": 8, "bounds": ((-2.0, -2.0), (2.0, 2.0))}  # fmt: skip
    return PlayTransformer(**{**given, **changes})


PLAYS = together()


def generator(head="noise", **changes):
    algorithm = tiny(head, **changes)
    state = algorithm.init(PLAYS.spec, statistics(PLAYS), jax.random.key(0))
    return algorithm.generator(state)


@functools.partial(jax.jit, static_argnames=("samples", "horizon"))
def sample(made, scene, key=None, *, samples, horizon, given=None):
    key = jax.random.key(0) if key is None else key
    return made.sample(scene, key, samples=samples, horizon=horizon, given=given).features


def past(agents=3, seed=1, rows=PAST):
    x = jax.random.normal(jax.random.key(seed), (rows, agents, 2)).cumsum(0) * 0.1
    return Observation({"agents": x}, {"agents": jnp.ones((rows, agents), bool)})


@pytest.mark.parametrize("head", HEADS)
def test_futures_are_chained_as_far_as_asked_for(head):
    found = sample(generator(head), past(rows=1), samples=5, horizon=2 * AHEAD + 1)["agents"]
    assert found.shape == (5, 2 * AHEAD + 1, 3, 2)
    assert bool(jnp.isfinite(found).all())


def test_agents_in_another_order_do_the_same_in_that_order():
    made, order = generator(), jnp.asarray([2, 0, 1])
    model, scene = made.model, past()
    x = jnp.pad(scene.features["agents"], ((0, AHEAD), (0, 0), (0, 0)))
    known = jnp.arange(PAST + AHEAD)[:, None] < PAST
    known = jnp.broadcast_to(known, x.shape[:-1])
    shared, own = jnp.ones((1, 5, 4)), jax.random.normal(jax.random.key(3), (3, 5, 2))
    kind = model.of_group({"agents": 3})

    def written(x, own):
        read = model.read(x, known, kind)
        return rows_of(model.put(read, model.head.written(read, shared, own)))

    np.testing.assert_allclose(
        written(x[:, order], own[order]), written(x, own)[:, :, order], atol=1e-5
    )


def test_who_is_not_there_changes_nothing():
    made, scene = generator("best", placed=False), past()
    more = Observation(
        {"agents": jnp.pad(scene.features["agents"], ((0, 0), (0, 2), (0, 0)), constant_values=7)},
        {"agents": jnp.pad(scene.alive["agents"], ((0, 0), (0, 2)))},
    )
    exact = sample(made, scene, samples=8, horizon=AHEAD)["agents"]
    padded = sample(made, more, samples=8, horizon=AHEAD)["agents"]
    np.testing.assert_allclose(padded[:, :, :3], exact, atol=1e-6)
    np.testing.assert_array_equal(padded[:, :, 3:], 0.0)


def test_a_flock_of_any_size_can_be_sampled():
    assert sample(generator(), past(40), samples=2, horizon=AHEAD)["agents"].shape[2] == 40


@pytest.mark.parametrize("head", HEADS)
def test_what_is_given_is_kept(head):
    rows = 2 * AHEAD
    values = jax.random.normal(jax.random.key(5), (rows, 3, 2))
    held = jnp.zeros((rows, 3), bool).at[:, 0].set(True).at[-1, 1].set(True)
    given = Given({"agents": values}, {"agents": held})
    found = sample(generator(head), past(), samples=6, horizon=rows, given=given)["agents"]
    np.testing.assert_allclose(found[:, :, 0], jnp.broadcast_to(values[:, 0], (6, rows, 2)))
    np.testing.assert_allclose(found[:, -1, 1], jnp.broadcast_to(values[-1, 1], (6, 2)))


def test_groups_that_are_only_seen_are_read_and_not_written():
    spec = Spec((Group("player", 2, 2), Group("ball", 1, 2)))
    one = np.ones(2, np.float32)
    both = {"player": one, "ball": one}
    moments = Statistics(both, both, both, both, both, both, np.asarray(10, np.float32))
    algorithm = tiny(seen=("ball",))
    made = algorithm.generator(algorithm.init(spec, moments, jax.random.key(0)))

    def sampled(ball, rows):
        x = past(3)
        seen = Observation(
            {"player": x.features["agents"][:, :2], "ball": jnp.full((PAST, 1, 2), ball)},
            {"player": x.alive["agents"][:, :2], "ball": jnp.ones((PAST, 1), bool)},
        )
        return sample(made, seen, samples=3, horizon=rows)

    near, far = sampled(0.1, 2 * AHEAD), sampled(1.5, 2 * AHEAD)
    assert set(near) == {"player"}
    assert float(jnp.abs(near["player"] - far["player"]).max()) > 1e-4
    assert near["player"].shape == (3, 2 * AHEAD, 2, 2)
    with pytest.raises(UserError, match="leave at least one to write"):
        tiny(seen=("player", "ball")).init(spec, moments, jax.random.key(0))


def turns(algorithm, state, scenes=32, samples=8):
    """Where agents turned, in units of how far a turn leads: [scenes, samples, agents]."""
    made, held_out = algorithm.generator(state), together(scenes, seed=9)
    x = jnp.asarray(held_out.features["agents"].reshape(scenes, PAST + AHEAD, 3, 2))
    alive = jnp.ones((PAST, 3), bool)

    @jax.jit
    @jax.vmap
    def sampled(x, key):
        seen = Observation({"agents": x[:PAST]}, {"agents": alive})
        drawn = made.sample(seen, key, samples=samples, horizon=AHEAD).features["agents"]
        return (drawn[:, -1, :, 1] - x[PAST - 1, :, 1][None]) / (0.1 * AHEAD)

    return np.asarray(sampled(x, jax.random.split(jax.random.key(2), scenes)))


@pytest.mark.slow
@pytest.mark.parametrize(("head", "seed"), [("noise", 0), ("noise", 1), ("flow", 0), ("best", 0)])
def test_agents_learn_to_turn_together(head, seed):
    """Agents that turn each by a coin of its own agree in a quarter of the futures."""
    algorithm = tiny(head, learning_rate=5e-3, decay=400, controls=0.0, motion=0.0, agent=0.0)
    state, _ = fit(algorithm, PLAYS, jax.random.key(seed), 400, batch=48)
    found = turns(algorithm, state)
    nearest = min(np.abs(found - side).max(-1).min(1).mean() for side in (-1, 1))
    assert nearest < 0.2
    if head != "best":  # futures that were never nearest may be anything
        side = np.sign(found)
        assert (side == side[..., :1]).all(-1).mean() > 0.9
        assert 0.3 < (side > 0).mean() < 0.7


@pytest.mark.slow
def test_destinations_decide_where_others_turn():
    algorithm = tiny(learning_rate=5e-3, decay=800, controls=0.9)
    state, _ = fit(algorithm, PLAYS, jax.random.key(0), 800, batch=48)
    made, scene = algorithm.generator(state), together(1, seed=4)
    x = jnp.asarray(scene.features["agents"])
    seen = Observation({"agents": x[:PAST]}, {"agents": jnp.ones((PAST, 3), bool)})
    for side in (-1.0, 1.0):
        goal = x[PAST - 1, 0] + AHEAD * jnp.asarray([0.1, 0.1 * side])
        values = jnp.zeros((AHEAD, 3, 2)).at[-1, 0].set(goal)
        held = jnp.zeros((AHEAD, 3), bool).at[-1, 0].set(True)
        given = Given({"agents": values}, {"agents": held})
        drawn = sample(made, seen, samples=32, horizon=AHEAD, given=given)["agents"]
        went = drawn[:, -1, 1:, 1] - x[PAST - 1, 1:, 1][None]
        assert float((jnp.sign(went) == side).mean()) > 0.9


def test_the_field_comes_from_the_demonstrations():
    model = generator(bounds=None).model
    every = PLAYS.features["agents"].reshape(-1, 2)
    np.testing.assert_allclose(model.middle, (every.min(0) + every.max(0)) / 2, atol=1e-6)
    np.testing.assert_allclose(model.half, (every.max(0) - every.min(0)) / 2, rtol=1e-5)
    named = dataclasses.replace(
        PLAYS, context={"bounds": np.broadcast_to([[-3.0, -3], [5, 3]], (len(PLAYS), 2, 2))}
    )
    assert tiny(bounds=None).resolve(named).bounds == ((-3.0, -3.0), (5.0, 3.0))


def test_the_first_step_that_is_written_counts_with_its_change():
    known = jnp.arange(6).reshape(1, 6, 1) < 3
    scene = Scene(jnp.zeros((1, 6, 1, 2)), known, ~known)
    rows = [[float(x) for x in y[0, 0, ::2]] for y in (scene.weight, scene.moved, scene.changed)]
    assert rows == [[0, 0, 0, 1, 1, 1]] * 3
    alone = Scene(scene.positions, known & (jnp.arange(6).reshape(1, 6, 1) == 2), ~known)
    assert alone.changed[0, 0, ::2].tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("turn", ["flip", "rotate"])
def test_turned_windows_keep_distances(turn):
    x = jax.random.normal(jax.random.key(0), (6, 5, 3, 2))
    middle = jnp.asarray([0.5, -1.0])
    found = turned(x, jax.random.key(1), how=turn, middle=middle)

    def apart(x):
        return jnp.square(x[:, :, :, None] - x[:, :, None]).sum(-1)

    np.testing.assert_allclose(apart(found), apart(x), rtol=1e-4, atol=1e-5)
    about = middle.reshape(1, 1, 1, 2)
    np.testing.assert_allclose(
        jnp.square(found - about).sum(-1), jnp.square(x - about).sum(-1), rtol=1e-4
    )
    assert float(jnp.abs(found - x).max()) > 0.1


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"futures": 1}, "at least 2 futures"), ({"observed": 0}, "expected observed above 0")],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(changes, says):
    with pytest.raises(UserError, match=says):
        PlayTransformer(**changes)


def test_more_futures_than_were_learned_are_refused():
    with pytest.raises(UserError, match="expected at most the 8 futures"):
        sample(generator("best"), past(), samples=9, horizon=2)


def test_an_update_says_how_it_went():
    algorithm = tiny(best=0.5)
    _, metrics = fit(algorithm, PLAYS[:16], jax.random.key(0), 2)
    assert set(metrics) == {"scene", "agent", "motion", "nearest", "loss", "gradient_norm"}
