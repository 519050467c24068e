"""Domain statistics: hand-made court cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional import domain

everything = jax.jit(domain.domain_statistics)
BOTH = jnp.array([True, True])
LOW, HIGH = jnp.array([0.0, 0.0]), jnp.array([94.0, 50.0])
# Agent 0 runs 3-4-5 steps from a corner: 5 ft, then 10 ft. Agent 1 moves 1 ft, then stands.
PLAY = jnp.array(
    [[[0.0, 0.0], [10.0, 10.0]], [[3.0, 4.0], [10.0, 11.0]], [[9.0, 12.0], [10.0, 11.0]]]
)


def test_speed_and_distance_by_hand():
    # Steps 5, 10 and 1, 0: mean 16/4 = 4 ft per row; paths 15 and 1, mean 8 ft.
    assert float(domain.speed(PLAY, BOTH)) == 4
    assert float(domain.distance(PLAY, BOTH)) == 8


def test_distance_is_speed_times_steps():
    positions = jax.random.normal(jax.random.key(0), (50, 5, 2))
    alive = jnp.array([True, True, False, True, True])
    np.testing.assert_allclose(
        domain.distance(positions, alive), domain.speed(positions, alive) * 49, rtol=1e-5
    )


def test_step_change_path_difference_and_pair_distance_by_hand():
    assert float(domain.step_change(PLAY, BOTH)) == 3  # |10 - 5| and |0 - 1|
    assert float(domain.path_difference(PLAY, BOTH)) == 14  # 15 - 1
    np.testing.assert_allclose(
        domain.pair_distance(PLAY, BOTH), [200**0.5, 98**0.5, 2**0.5], rtol=1e-6
    )
    radii = [200**0.5 / 2, (5 + 221**0.5) / 2, (15 + 221**0.5) / 2]
    np.testing.assert_allclose(domain.radius(PLAY, BOTH), radii, rtol=1e-6)


def test_polarisation_by_hand():
    # Step 1: headings (0.6, 0.8) and (0, 1): mean (0.3, 0.9), length sqrt(0.9).
    # Step 2: agent 1 stands and counts as zero: length 0.5.
    np.testing.assert_allclose(domain.polarisation(PLAY, BOTH), [0.9**0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("position", "outside"),
    [
        ((0.0, 0.0), False),  # corners and lines are in
        ((94.0, 50.0), False),
        ((94.01, 25.0), True),
        ((-0.01, 25.0), True),  # below a lower bound, which a check of upper bounds misses
        ((47.0, -0.01), True),
        ((47.0, 50.01), True),
    ],
)
def test_every_edge_of_the_court(position, outside):
    play = jnp.full((4, 2, 2), 20.0).at[1, 0].set(jnp.array(position))
    any_agent, per_agent = domain.out_of_bounds(play, BOTH, LOW, HIGH)
    assert float(any_agent) == (0.25 if outside else 0)  # 1 of 4 rows
    assert float(per_agent) == (0.125 if outside else 0)  # 1 of 8 agent-rows


def test_any_agent_grows_with_agents_and_per_agent_does_not():
    play = jnp.full((4, 2, 2), 20.0).at[0, 0].set(-1.0).at[1, 1].set(-1.0).at[0, 1].set(-1.0)
    any_agent, per_agent = domain.out_of_bounds(play, BOTH, LOW, HIGH)
    assert (float(any_agent), float(per_agent)) == (0.5, 0.375)
    first, alone = domain.out_of_bounds(play, jnp.array([True, False]), LOW, HIGH)
    assert (float(first), float(alone)) == (0.25, 0.25)


def test_an_agent_that_is_not_alive_changes_nothing():
    spoiled = jnp.concatenate([PLAY, jnp.full((3, 1, 2), jnp.nan)], axis=1)
    found = everything(spoiled, jnp.array([True, True, False]), LOW, HIGH)
    for name, value in everything(PLAY, BOTH, LOW, HIGH).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_the_order_of_agents_changes_nothing():
    positions = 30 * jax.random.normal(jax.random.key(1), (20, 4, 2))
    alive, order = jnp.array([True, False, True, True]), jnp.array([3, 1, 0, 2])
    there = everything(positions[:, order], alive[order], LOW, HIGH)
    for name, value in everything(positions, alive, LOW, HIGH).items():
        np.testing.assert_allclose(there[name], value, rtol=1e-5, err_msg=name)


def test_one_agent_has_no_pairs_and_no_path_difference():
    alone = jnp.array([True, False])
    np.testing.assert_array_equal(domain.pair_distance(PLAY, alone), [0, 0, 0])
    assert float(domain.path_difference(PLAY, alone)) == 0
    assert float(domain.path_difference(PLAY, jnp.array([False, False]))) == 0
