"""Collecting: exact numbers, whole episodes, the same set for the same seed, on disk and back."""

import dataclasses
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator
from data.small_sets import assert_same
from understudy.data import quality, store
from understudy.data.regroup import concatenate
from understudy.envs.actions import executed
from understudy.envs.host import Batched
from understudy.experiment.collect import collect
from understudy.types import (
    ActionSpec,
    Group,
    Observation,
    Spec,
    Step,
    UserError,
    hyperparameters,
)


class Homing(eqx.Module):
    """Steps half of the way home, plus a little chance."""

    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return ()

    def act(self, observation, memory, key):
        place = observation.features["agents"]
        return {"agents": -0.5 * place + 0.1 * jax.random.normal(key, place.shape)}, memory

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError


@hyperparameters
class Coin:
    """An episode lasts 2 or 12 steps, whichever a coin said at its start; won if it lasts 12."""

    rate = 4.0
    unit = "m"

    @property
    def spec(self):
        group = Group("agents", 2, 1, ActionSpec(sections=(3,)))
        return Spec((group,), state=1, horizon=12)

    def observe(self, state):
        alive = jnp.array([True, False])
        legal = jnp.array([[True, True, False]] * 2)
        features = jnp.stack([state.astype(jnp.float32)] * 2)
        return Observation({"agents": features}, {"agents": alive}, {"agents": legal}, features[0])

    def reset(self, key):
        left = jnp.where(jax.random.bernoulli(key), 2, 12)[None]
        return left, self.observe(left)

    def step(self, state, action, key):
        left = state - 1
        reward = {"agents": jnp.array([1.0, 0.0])}
        won = jnp.squeeze(state) == 11
        over = jnp.squeeze(left) == 0
        step = Step(
            self.observe(left), executed(self.spec, action), reward, over, ~over & False,
            info={"success": won},
        )  # fmt: skip
        return left, step


class Still(Homing):
    def act(self, observation, memory, key):
        return {"agents": jnp.zeros((2, 1))}, memory


def record(*arguments, **options) -> Any:
    return collect(*arguments, **options)


@pytest.fixture(scope="module")
def home():
    return record(Home(), Homing(), episodes=10, envs=4, seed=3)


def test_episodes_are_whole_and_rows_are_where_they_belong(home):
    assert home.episodes == 10
    np.testing.assert_array_equal(home.lengths, 6)  # horizon 5, and what it led to
    rows = home[4]
    place, action = rows.features["agents"][:, :, 0], rows.actions["agents"][:, :, 0]
    np.testing.assert_allclose(place[1:], place[:-1] + action[:-1], rtol=1e-5)
    np.testing.assert_allclose(rows.rewards["agents"][:-1], -np.abs(place[1:]), rtol=1e-5)
    for last in (action[-1], rows.rewards["agents"][-1], rows.terminated[-1], rows.truncated[-1]):
        assert not np.any(last)
    np.testing.assert_array_equal(rows.truncated, [0, 0, 0, 0, 1, 0])
    assert not rows.terminated.any()
    assert not quality.check(home)


def test_the_set_says_how_it_was_made(home):
    returns = home.rewards["agents"].sum(1).reshape(10, 6).sum(1) / 2
    assert home.provenance["mean_return"] == pytest.approx(returns.mean(), rel=1e-5)
    assert home.provenance["env"] == {
        "type": "contracts.envs:Home", "agents": 2, "capacity": 0, "horizon": 5,
    }  # fmt: skip
    assert [home.provenance[n] for n in ("policy", "seed", "envs", "episodes", "transitions")] == [
        "homing", 3, 4, 10, 50,
    ]  # fmt: skip
    assert home.labels["episode"][2] == "homing-3-000002"
    assert home.labels["source"][0] == "Home played by homing, seed 3"
    assert home[2:4].provenance == home.provenance


def test_the_same_seed_gives_the_same_set(home, tmp_path):
    again = record(Home(), Homing(), episodes=10, envs=4, seed=3, out=tmp_path / "set")
    assert_same(again, home)
    assert again.provenance == home.provenance
    assert_same(store.load(tmp_path / "set"), home)
    other = record(Home(), Homing(), episodes=10, envs=4, seed=4)
    assert not np.allclose(other.features["agents"], home.features["agents"])


def test_short_episodes_are_no_more_frequent_than_they_are():
    """The mean length of a coin's episodes is 7; of the first 200 that *end* it would be 4."""
    found = record(Coin(), Still(), episodes=200, envs=64)
    assert found.episodes == 200
    assert set(found.lengths - 1) == {2, 12}
    assert np.mean(found.lengths - 1) == pytest.approx(7.0, abs=1.0)  # standard error 0.35
    won = found.labels["success"] == "yes"
    np.testing.assert_array_equal(won, found.lengths == 13)
    assert found.provenance["success_rate"] == pytest.approx(won.mean())
    assert (found.rate, found.unit) == (4.0, "m")


def test_what_the_game_says_is_kept():
    found = record(Coin(), Still(), episodes=3, envs=2)
    length = found.lengths[0] - 1
    rows = found[0]
    np.testing.assert_array_equal(rows.state[:, 0], np.arange(length, -1, -1))
    np.testing.assert_array_equal(rows.features["agents"][:, 0], rows.state)
    np.testing.assert_array_equal(rows.features["agents"][:, 1], 0)  # not alive
    assert not rows.legal["agents"][..., 2].any()
    np.testing.assert_array_equal(np.flatnonzero(rows.terminated), [length - 1])
    assert found.known_actions()["agents"].sum() == sum(found.lengths - 1)


@pytest.mark.parametrize(("count", "envs"), [(1, 8), (23, 8), (40, 3), (60, 64)])
def test_transitions_are_exact_and_the_last_episode_is_cut(count, envs):
    found = record(Coin(), Still(), transitions=count, envs=envs)
    assert (found.lengths - 1).sum() == count == found.provenance["transitions"]
    ends = found.starts[1:] - 2
    np.testing.assert_array_equal(found.terminated[ends] | found.truncated[ends], True)
    np.testing.assert_array_equal(found.truncated[ends[:-1]], False)
    assert found.truncated.sum() + found.terminated.sum() == found.episodes
    assert len(found.labels["success"]) == found.episodes
    left = found.state[found.starts[:-1], 0] - (found.lengths - 1)
    np.testing.assert_array_equal(left == 0, found.terminated[ends])


def test_a_host_env_is_recorded_alike(tmp_path):
    env = Batched(HomeSimulator, envs=3)
    one = record(env, Homing(), episodes=7, seed=1, out=tmp_path / "set")
    assert_same(record(env, Homing(), episodes=7, seed=1), one)
    assert one.episodes == 7
    place, action = one.features["agents"][..., 0], one.actions["agents"][..., 0]
    inner = one.known_actions()["agents"][:, 0]
    np.testing.assert_allclose(place[1:][inner[:-1]], (place + action)[inner], rtol=1e-4, atol=1e-6)
    assert len({float(p) for p in place[one.starts[:-1], 0]}) == 7
    assert one.provenance["env"] == {"type": "understudy.envs.host:Batched"}
    cut = record(env, Homing(), transitions=12, seed=1)
    np.testing.assert_array_equal(cut.lengths, [6, 6, 3])
    np.testing.assert_array_equal(np.flatnonzero(cut.truncated), [4, 10, 13])


def test_large_sets_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.experiment.collect.CHUNK_BYTES", 200)
    pieces = record(Home(horizon=40), Homing(), episodes=5, envs=2, out=tmp_path / "set")
    np.testing.assert_array_equal(pieces.lengths, 41)
    place, action = pieces.features["agents"][..., 0], pieces.actions["agents"][..., 0]
    inner = pieces.known_actions()["agents"][:, 0]
    np.testing.assert_allclose(place[1:][inner[:-1]], (place + action)[inner], rtol=1e-4, atol=1e-6)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="either episodes or transitions, found episodes=None"):
        record(Home(), Homing())
    with pytest.raises(UserError, match="either episodes or transitions, found episodes=1"):
        record(Home(), Homing(), episodes=1, transitions=1)
    with pytest.raises(UserError, match="expected episodes above 0, found 0"):
        record(Home(), Homing(), episodes=0)
    with pytest.raises(UserError, match="a seed of 0 or above, found -1"):
        collect(Home(), Homing(), episodes=1, seed=-1)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x").touch()
    with pytest.raises(UserError, match="expected a new folder"):
        record(Home(), Homing(), episodes=1, out=tmp_path / "set")


def test_a_game_that_never_ends_is_named(monkeypatch):
    monkeypatch.setattr("understudy.experiment.recording.LONGEST", 500)

    class Endless(Home):
        @property
        def spec(self):
            return dataclasses.replace(super().spec, horizon=None)

        def step(self, state, action, key):
            state, step = super().step(state, action, key)
            return state, dataclasses.replace(step, truncated=jnp.asarray(False))

    jax.tree_util.register_static(Endless)
    with pytest.raises(UserError, match="went on for 500 steps; wrap the env"):
        record(Endless(), Homing(), episodes=1)
    assert record(Endless(), Homing(), transitions=150).lengths.tolist() == [151]


def test_sets_that_are_joined_keep_what_they_share(home):
    other = record(Home(), Homing(), episodes=2, envs=4, seed=8)
    both = concatenate([home, other]).provenance
    assert both["policy"] == "homing"
    assert "seed" not in both
    with pytest.raises(UserError, match="expected numbers, strings and lists"):
        home.replace(provenance={"x": object()})


def test_a_name_is_no_policy():
    """In a process of its own: the tests' type checker would speak first."""
    code = "import understudy as us; us.collect(us.envs.make('xor'), 'hungarian', episodes=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UserError: expected a policy to record, found 'hungarian'; give one" in done.stderr
