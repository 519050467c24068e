"""Cells: what they find is what measuring everybody against everybody finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.envs import cells, rollout
from understudy.envs.cells import Everyone
from understudy.envs.spread import Spread

TOUCH, HALF = 0.3, 6.0
KEY = jax.random.key(0)


def scattered(rng, count):
    return rng.uniform(-HALF, HALF, (count, 2))


def crowded(rng, count):
    """Most in one place, ten of them exactly."""
    places = rng.normal(2.0, 0.2, (count, 2))
    places[:20], places[20:30] = scattered(rng, 20), places[30]
    return places


def cornered(rng, count):
    """In two corners that are far from each other, and one in the middle."""
    corner = HALF * rng.choice([-1.0, 1.0], (count, 1))
    places = corner * (1 - rng.exponential(0.1, (count, 2)))
    places[0] = 0.0
    return places


def outside(rng, count):
    """Beyond every edge, some of them very far."""
    return scattered(rng, count) * rng.choice([1.0, 1.5, 5.0, 1e4], (count, 1))


def even(rng, count):
    """On a lattice, where many are as near as others."""
    places = np.stack(np.meshgrid(*2 * [np.arange(-6.0, 6.5)]), -1).reshape(-1, 2)
    return rng.permutation(places)[:count]


def placed(scatter, count, envs=(), seed=0):
    rng = np.random.default_rng(seed)
    places = np.stack([scatter(rng, count) for _ in range(int(np.prod(envs)))], -1)
    return jnp.asarray(places.reshape(count, 2, *envs), jnp.float32)


def answers(finder, here):
    """Everything that can be asked."""
    return {
        "contact": finder.contact(),
        "overlaps": finder.overlaps(),
        "others": finder.nearest(finder.places, 3, itself=True),
        "here": finder.nearest(here, 4, itself=False),
        "distance": finder.distance(here),
    }


def both(places, here):
    found = answers(cells.fill(places, HALF, touch=TOUCH), here)
    return found, answers(Everyone(places, TOUCH), here)


def same(found, wanted):
    for name in ("others", "here"):
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    np.testing.assert_array_equal(found["overlaps"][0], wanted["overlaps"][0])
    for name in ("contact", "overlaps", "distance"):
        for one, other in zip(*map(jax.tree.leaves, (found[name], wanted[name])), strict=True):
            # sums of up to 130 pushes of up to 30 each, in another order
            scale = 1e-4 if name == "contact" else 1e-5
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=scale, err_msg=name)


SCATTERS = {f.__name__: f for f in (scattered, crowded, cornered, outside, even)}


@pytest.mark.parametrize("scatter", SCATTERS.values(), ids=SCATTERS)
def test_they_find_what_the_full_search_finds(scatter):
    places, here = placed(scatter, 150, (3,)), placed(scattered, 140, (3,), seed=1)
    same(*jax.jit(both)(places, here))


def test_they_work_without_an_axis_of_envs_and_with_any_batch():
    places, here = placed(outside, 150, (2, 3)), placed(scattered, 140, (2, 3), seed=1)
    wanted = jax.jit(both)(places, here)[1]

    def ask(places, here):
        return answers(cells.fill(places, HALF, touch=TOUCH), here)

    rows = jax.vmap(ask, in_axes=-1, out_axes=-1)  # one axis of envs, in a batch
    ones = jax.vmap(rows, in_axes=-2, out_axes=-2)  # none
    same(jax.jit(rows)(places, here), wanted)
    same(jax.jit(ones)(places, here), wanted)


def test_a_world_smaller_than_a_push_reaches_is_one_cell_after_another():
    """130 agents in a square of side 0.2: all touch all."""
    places = placed(scattered, 130) * (0.1 / HALF)
    found = jax.jit(lambda p: cells.fill(p, 0.1, touch=TOUCH).overlaps()[0])(places)
    np.testing.assert_array_equal(found, 129)


def test_places_that_are_no_numbers_harm_no_other_env():
    places = placed(scattered, 150, (2,)).at[7, :, 0].set(jnp.nan)
    found, wanted = jax.jit(both)(places, placed(scattered, 140, (2,), seed=1))
    same(*jax.tree.map(lambda leaf: leaf[..., 1], (found, wanted)))


def test_distances_and_forces_have_the_same_gradients():
    places, here = placed(crowded, 130), placed(scattered, 130, seed=1)
    weights = placed(scattered, 130, seed=2)

    def total(places, here, fill):
        finder = fill(places)
        pushed = jnp.sum(weights * finder.contact())
        return pushed + jnp.sum(weights[:, 0] * (finder.distance(here) + finder.overlaps()[1]))

    slopes = [
        jax.jit(jax.grad(total, (0, 1)), static_argnums=2)(places, here, fill)
        for fill in (
            lambda p: cells.fill(p, HALF, touch=TOUCH),
            lambda p: Everyone(p, TOUCH),
        )
    ]
    for one, other in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-2)


def test_few_places_and_worlds_of_no_known_size_are_measured_in_full():
    few, many = placed(scattered, cells.CROWD - 1), placed(scattered, cells.CROWD)
    assert isinstance(cells.among(few, HALF), Everyone)
    assert isinstance(cells.among(many, None), Everyone)
    assert isinstance(cells.among(many, HALF), cells.Cells)


# --- the game ---


def play(env, steps, envs):
    """Random play: states and what every step brought, ``[time, ...]``."""

    def step(state, key):
        action = jax.random.uniform(key, (env.agents, 2, envs), minval=-1.0, maxval=1.0)
        state, after = env.step(state, {"agents": action}, key)
        return state, (state, after)

    state, _ = rollout.reset(env, KEY, envs=envs)
    return jax.jit(lambda state: jax.lax.scan(step, state, jax.random.split(KEY, steps)))(state)[1]


@pytest.mark.parametrize(("precise", "steps"), [(False, 10), (True, 100)])
def test_an_episode_of_a_large_team_is_the_same(monkeypatch, precise, steps):
    """All of it in float64: collisions make much of the last digit of float32."""
    env = Spread.goodai(agents=300, ids=True)
    with jax.enable_x64(precise):
        states, found = play(env, steps, 2)
        monkeypatch.setattr(cells, "CROWD", 10**6)
        full_states, wanted = play(env, steps, 2)
    assert found.reward["agents"].shape == (steps, 300, 2)
    for one, other in zip(
        *map(jax.tree.leaves, ((states, found), (full_states, wanted))), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
