"""Scales: inverses, literals, and what an absent agent contributes."""

import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional.latent import STD_FLOOR
from understudy.networks.frames import Frames, Output, moves
from understudy.types import Statistics


def scales(output: Output = "change", velocity=True):
    def of(*values):
        return {"agents": jnp.asarray(values, jnp.float32)}

    statistics = Statistics(
        of(10.0, 20.0), of(5.0, 4.0), of(0, 0), of(1, 1), of(0.5, 0.25), of(0.1, 0.2), jnp.ones(())
    )
    return Frames.of(statistics, "agents", velocity=velocity, output=output)


NOW = jnp.asarray([[15.0, 16.0]])
MOVE = jnp.asarray([[1.0, -0.5]])
AFTER = jnp.asarray([[16.2, 15.1]])
PRESENT = jnp.asarray([True])


@pytest.mark.parametrize(
    ("output", "target"),
    [
        ("position", [(16.2 - 10) / 5, (15.1 - 20) / 4]),
        ("displacement", [1.2 / 0.5, -0.9 / 0.25]),
        ("change", [0.2 / 0.1, -0.4 / 0.2]),
    ],
)
def test_target_and_place_are_inverse(output, target):
    frames = scales(output)
    got = frames.target(NOW, MOVE, AFTER, PRESENT)
    np.testing.assert_allclose(got, [target], rtol=1e-4)
    np.testing.assert_allclose(frames.place(NOW, MOVE, got), AFTER, rtol=1e-6)


def test_the_scene_is_position_then_move_and_zero_where_absent():
    now, move = jnp.repeat(NOW, 2, 0), jnp.repeat(MOVE, 2, 0)
    seen = scales().seen(now, move, jnp.asarray([True, False]))
    np.testing.assert_allclose(seen, [1.0, -1.0, 2.0, -2.0, 0, 0, 0, 0], rtol=1e-5)
    assert scales(velocity=False).seen(now, move, jnp.asarray([True, True])).shape == (4,)


def test_the_floor_is_the_same_in_data_units_whatever_the_output():
    for output in ("position", "displacement", "change"):
        frames = scales(output)
        np.testing.assert_allclose(frames.floor * frames.scale, STD_FLOOR, rtol=1e-6)


def test_moves_start_at_zero_and_skip_an_agent_that_just_appeared():
    positions = jnp.asarray([[[0.0], [5.0]], [[1.0], [7.0]], [[3.0], [8.0]]])
    alive = jnp.asarray([[True, False], [True, True], [True, True]])
    np.testing.assert_array_equal(
        moves(positions, alive)[..., 0], [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]]
    )
