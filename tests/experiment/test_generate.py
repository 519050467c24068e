"""Plays: which rows are shown, who is held, in which slots samples come back, and from disk."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.data.demonstrations import Demonstrations
from understudy.experiment import generate as module
from understudy.experiment.generate import Plays, generate, head
from understudy.types import Given, Group, Samples, Spec, UserError


class Echo(eqx.Module):
    """Stays at the last row plus noise; held agents where they are said to be; echoes intents."""

    scale: jax.Array
    deterministic: ClassVar[bool] = False

    def sample(self, context, key, *, samples, horizon, given=None, intents=None):
        last = context.features["agents"][-1]
        path = jnp.broadcast_to(last, (samples, horizon, *last.shape))
        path = path + self.scale * jax.random.normal(key, path.shape)
        if given is not None:
            path = jnp.where(
                given.held["agents"][None, ..., None], given.values["agents"][None], path
            )
        drawn = jnp.zeros(path.shape[:-1], jnp.int32)
        if intents is not None:
            drawn = jnp.where(intents.held["agents"], intents.values["agents"], 7)[None] + drawn
        return Samples({"agents": path}, {"agents": drawn})


def scenes(count=3, length=12, absent=True):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count * length, 4, 2)).astype(np.float32)
    alive = np.ones(features.shape[:2], bool)
    if absent:  # scene s lacks slot s, so every scene has 3 agents in other slots
        for scene in range(count):
            alive[scene * length : (scene + 1) * length, scene] = False
    features[~alive] = 0
    return Demonstrations(
        spec=Spec((Group("agents", 4, 2, features=("x", "y")),)),
        starts=np.arange(count + 1) * length,
        features={"agents": features},
        alive={"agents": alive},
        rate=5.0,
        unit="m",
        labels={
            "episode": np.array([str(i) for i in range(count)]),
            "source": np.array([""] * count),
        },
    )


ECHO = Echo(jnp.asarray(0.1))


def test_samples_come_back_in_the_slots_of_the_truth():
    context = scenes()
    plays = generate(Echo(jnp.zeros(())), context=context, observed=4, samples=2, horizon=5)
    assert plays.samples["agents"].shape == (3, 2, 5, 4, 2)
    for scene in range(3):
        shown = context.features["agents"][scene * 12 + 3]
        np.testing.assert_array_equal(plays.samples["agents"][scene][1, 4], shown)
    assert plays.truth.lengths.tolist() == [9, 9, 9]


def test_nothing_after_the_observed_rows_changes_a_sample():
    context = scenes()
    features = context.features["agents"].copy()
    late = np.arange(36) % 12 >= 4
    features[late] = np.where(context.alive["agents"][late][..., None], 99.0, 0.0)
    other = context.replace(features={"agents": features})
    one, two = (
        generate(ECHO, context=c, observed=4, samples=2, horizon=5) for c in (context, other)
    )
    np.testing.assert_array_equal(one.samples["agents"], two.samples["agents"])


def test_samples_do_not_depend_on_how_many_scenes_are_sampled_at_a_time(monkeypatch):
    context = scenes(count=4)
    whole = generate(ECHO, context=context, observed=4, samples=2, horizon=5)
    monkeypatch.setattr(module, "SCENES", 3)
    parts = generate(ECHO, context=context, observed=4, samples=2, horizon=5)
    np.testing.assert_array_equal(whole.samples["agents"], parts.samples["agents"])


def test_held_agents_follow_the_truth():
    context = scenes()
    plays = generate(ECHO, context=context, observed=4, samples=2, horizon=5, given={"agents": [3]})
    for scene in range(3):
        future = context.features["agents"][scene * 12 + 4 : scene * 12 + 9]
        for sample in plays.samples["agents"][scene]:
            np.testing.assert_array_equal(sample[:, 3], future[:, 3])
            assert not np.array_equal(sample[:, (scene + 1) % 3], future[:, (scene + 1) % 3])


def test_given_rows_lead_with_scenes():
    context = scenes()
    values = np.arange(3 * 5 * 4 * 2, dtype=np.float32).reshape(3, 5, 4, 2)
    held = np.ones((3, 5, 4), bool)
    plays = generate(
        ECHO, context=context, observed=4, samples=1, horizon=5,
        given=Given({"agents": values}, {"agents": held}),
    )  # fmt: skip
    alive = context.alive["agents"][::12]
    expected = np.where(alive[:, None, :, None], values, 0)
    np.testing.assert_array_equal(plays.samples["agents"][:, 0], expected)


def test_intents_are_commanded_where_they_are_not_minus_one():
    plays = generate(
        ECHO, context=scenes(absent=False), observed=4, samples=1, horizon=5,
        intents={"agents": np.array([1, -1, 2, -1])},
    )  # fmt: skip
    assert plays.intents is not None
    np.testing.assert_array_equal(plays.intents["agents"][0, 0, 0], [1, 7, 2, 7])


def test_a_short_episode_is_named():
    with pytest.raises(UserError, match=r"at least 20 rows, found 3 shorter, \['0', '1', '2'\]"):
        generate(ECHO, context=scenes(), observed=20)


def test_plays_are_kept_whole(tmp_path):
    plays = generate(ECHO, context=scenes(), observed=4, samples=2, horizon=5)
    plays.save(tmp_path / "plays")
    again = Plays.load(tmp_path / "plays")
    np.testing.assert_array_equal(again.samples["agents"], plays.samples["agents"])
    assert again.intents is not None
    assert plays.intents is not None
    np.testing.assert_array_equal(again.intents["agents"], plays.intents["agents"])
    np.testing.assert_array_equal(again.truth.features["agents"], plays.truth.features["agents"])
    assert again.observed == 4
    with pytest.raises(UserError, match="already exists"):
        plays.save(tmp_path / "plays")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plays"]


def test_the_head_of_short_episodes_is_all_they_have():
    context = scenes()
    cut = head(dataclasses.replace(context), 100)
    np.testing.assert_array_equal(cut.features["agents"], context.features["agents"])


def test_a_generator_without_a_temperature_says_so():
    with pytest.raises(UserError, match="Echo has no temperature; leave it at 1"):
        generate(ECHO, context=scenes(), observed=5, horizon=2, samples=1, temperature=0.5)
