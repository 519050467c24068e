"""Displacement errors: worked by hand, independent of agent order and of how scenes are batched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.functional.metrics import (
    average_agents,
    displacement_errors,
    miss_rate,
    summarise,
)
from understudy.types import UserError

# Two agents stand at the origin for two rows. Sample 0 puts agent 0 at distances 1 then 3 and
# agent 1 at 4 then 0; sample 1 puts agent 0 at 5 then 1 (a 3-4-5 triangle) and agent 1 at 2 then 2.
TRUTH = jnp.zeros((2, 2, 2))
SAMPLES = jnp.array(
    [
        [[[1.0, 0.0], [0.0, 4.0]], [[0.0, -3.0], [0.0, 0.0]]],
        [[[3.0, 4.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]],
    ]
)
BOTH = jnp.array([True, True])

errors = jax.jit(displacement_errors, static_argnames="horizons")


def test_both_rows_by_hand():
    # ADE: sample 0 (1 + 3)/2 = 2 and (4 + 0)/2 = 2; sample 1 (5 + 1)/2 = 3 and (2 + 2)/2 = 2.
    # FDE: sample 0 3 and 0; sample 1 1 and 2.
    found = errors(SAMPLES, TRUTH, BOTH)
    np.testing.assert_allclose(found.min_ade, [[2, 2]])
    np.testing.assert_allclose(found.min_fde, [[1, 0]])  # samples 1 and 0: no sample shows both
    np.testing.assert_allclose(found.mean_ade, [[2.5, 2]])
    np.testing.assert_allclose(found.mean_fde, [[2, 1]])
    np.testing.assert_allclose(found.scene_min_ade, [2])  # min((2 + 2)/2, (3 + 2)/2)
    np.testing.assert_allclose(found.scene_min_fde, [1.5])  # min((3 + 0)/2, (1 + 2)/2)
    np.testing.assert_allclose(found.scene_mean_ade, [2.25])
    np.testing.assert_allclose(found.scene_mean_fde, [1.5])


def test_each_horizon_averages_up_to_its_row_and_ends_on_it():
    found = errors(SAMPLES, TRUTH, BOTH, horizons=(1, 2))
    np.testing.assert_allclose(found.min_ade, [[1, 2], [2, 2]])
    np.testing.assert_allclose(found.min_fde, [[1, 2], [1, 0]])
    np.testing.assert_allclose(found.scene_min_ade, [2.5, 2])  # row 1: min((1 + 4)/2, (5 + 2)/2)
    np.testing.assert_allclose(found.scene_min_fde, [2.5, 1.5])


def test_the_best_sample_is_chosen_apart_for_ade_and_fde():
    # One agent. Sample 0 is at 0, 0, 3: ADE 1, FDE 3. Sample 1 is at 2, 2, 2: ADE 2, FDE 2.
    distances = ((0.0, 0.0, 3.0), (2.0, 2.0, 2.0))
    samples = jnp.array([[[[x, 0.0]] for x in sample] for sample in distances])
    found = errors(samples, jnp.zeros((3, 1, 2)), jnp.array([True]))
    assert float(found.min_ade[0, 0]) == 1
    assert float(found.min_fde[0, 0]) == 2


def test_an_agent_that_is_not_alive_changes_nothing():
    alone = errors(SAMPLES[:, :, :1], TRUTH[:, :1], BOTH[:1])
    noisy = SAMPLES.at[:, :, 1].set(jnp.nan)
    found = errors(noisy, TRUTH, jnp.array([True, False]))
    for name in ("scene_min_ade", "scene_min_fde", "scene_mean_ade", "scene_mean_fde"):
        np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    np.testing.assert_array_equal(found.min_ade, [[2, 0]])


def test_a_horizon_beyond_the_rows_is_refused():
    with pytest.raises(UserError, match="within 1 and 2"):
        displacement_errors(SAMPLES, TRUTH, BOTH, horizons=(1, 3))


def test_misses_by_hand():
    # Last distances: agent 0 at 3 and 1, agent 1 at 0 and 2. Best 1 and 0; on the threshold hits.
    np.testing.assert_array_equal(miss_rate(SAMPLES, TRUTH, BOTH, threshold=0.5), [1, 0])
    np.testing.assert_array_equal(miss_rate(SAMPLES, TRUTH, BOTH, threshold=1.0), [0, 0])


def test_summary_weights_agents_once_and_scenes_once():
    # Scene 0 has agents with ADE 1 and 3, scene 1 a single agent with ADE 8.
    # Agents: (1 + 3 + 8)/3 = 4. Scenes: ((1 + 3)/2 + 8)/2 = 5.
    distances = ((1.0, 3.0), (8.0, 100.0))
    samples = jnp.array([[[[[0.6 * d, 0.8 * d] for d in scene]]] for scene in distances])
    alive = jnp.array([[True, True], [True, False]])
    found = summarise(jax.vmap(displacement_errors)(samples, jnp.zeros((2, 1, 2, 2)), alive), alive)
    np.testing.assert_allclose(found["min_ade"], [4], rtol=1e-6)
    np.testing.assert_allclose(found["scene_min_ade"], [5], rtol=1e-6)


def test_nobody_alive_is_refused():
    with pytest.raises(UserError, match="live agent"):
        average_agents(np.zeros((2, 1, 3)), np.zeros((2, 3), bool))


def scenes(seed, scenes=6, samples=4, time=5, agents=3):
    a, b, c = np.random.default_rng(seed).spawn(3)
    alive = c.random((scenes, agents)) < 0.7
    alive[0, 0] = True
    return (
        jnp.asarray(a.normal(size=(scenes, samples, time, agents, 2)), jnp.float32),
        jnp.asarray(b.normal(size=(scenes, time, agents, 2)), jnp.float32),
        jnp.asarray(alive),
    )


many = jax.jit(jax.vmap(displacement_errors))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(3)))
def test_the_order_of_agents_changes_nothing(seed, order):
    samples, truth, alive = scenes(seed)
    order = np.array(order)
    here = many(samples, truth, alive)
    there = many(samples[..., order, :], truth[..., order, :], alive[:, order])
    np.testing.assert_array_equal(here.min_ade[..., order], there.min_ade)
    np.testing.assert_allclose(here.scene_min_ade, there.scene_min_ade, rtol=1e-6)
    np.testing.assert_allclose(here.scene_min_fde, there.scene_min_fde, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 5))
def test_splitting_the_scenes_into_batches_changes_nothing(seed, cut):
    samples, truth, alive = scenes(seed)
    whole = summarise(many(samples, truth, alive), alive)
    parts = [
        many(samples[part], truth[part], alive[part]) for part in (slice(0, cut), slice(cut, None))
    ]
    joined = summarise(jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts), alive)
    for name, value in whole.items():
        np.testing.assert_allclose(value, joined[name], rtol=1e-6, err_msg=name)


def test_more_samples_never_raise_a_minimum():
    samples, truth, alive = scenes(0, samples=8)
    few, all_of_them = many(samples[:, :3], truth, alive), many(samples, truth, alive)
    for name in ("min_ade", "min_fde", "scene_min_ade", "scene_min_fde"):
        assert bool(jnp.all(getattr(all_of_them, name) <= getattr(few, name))), name
    assert bool(jnp.all(all_of_them.scene_min_ade >= all_of_them.min_ade.min(-1) - 1e-6))
