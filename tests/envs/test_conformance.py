"""The conformance suite passes sound envs and names what is wrong with the others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, Whisper
from understudy import envs
from understudy.envs import conformance
from understudy.envs.actions import clip
from understudy.types import ActionSpec, UserError


@pytest.mark.parametrize("env", [Home(), Home(agents=2, capacity=4), Whisper()], ids=repr)
def test_sound_envs_pass(env):
    conformance.check(env, steps=6)


class Unbounded(Home):
    def step(self, state, action, key):
        state, step = super().step(state, action, key)
        return state, dataclasses.replace(step, action={"agents": action["agents"] + 5})


class Forgetful(Home):
    def reset(self, key):
        return super().reset(jax.random.key(np.random.randint(1 << 30)))


class Endless(Home):
    def step(self, state, action, key):
        state, step = super().step(state, action, key)
        return state, dataclasses.replace(step, truncated=jnp.asarray(False))


class Infinite(Home):
    def observe(self, place):
        seen = super().observe(place)
        return dataclasses.replace(seen, features={"agents": seen.features["agents"] / 0})


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (Unbounded(), "as the env executed them, inside their bounds"),
        (Forgetful(), "reset with the same key gives another state"),
        (Endless(), "expected episodes of at most 5 steps, found one of 6"),
        (Infinite(), "expected finite features"),
    ],
    ids=["actions", "reset", "horizon", "finite"],
)
def test_what_is_wrong_is_named(env, sentence):
    with pytest.raises(UserError, match=sentence):
        conformance.check(env, steps=8)


def test_actions_are_clipped_section_by_section():
    spec = ActionSpec(sections=(3, 2), low=(-1.0,), high=(float("inf"),))
    asked = jnp.array([[-2.0, 1.4, -3.0], [2.6, 0.6, 9.0]])
    np.testing.assert_array_equal(clip(spec, asked), [[0.0, 1.0, -1.0], [2.0, 1.0, 9.0]])


def test_an_unknown_game_is_named():
    with pytest.raises(UserError, match="expected one of the games"):
        envs.make("chess")
    assert envs.Batched is not None
    with pytest.raises(AttributeError, match="no attribute 'chess'"):
        _ = envs.chess
