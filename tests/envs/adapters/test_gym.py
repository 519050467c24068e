"""Ours for others: games of one agent as envs of Gymnasium, those of a run by name."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator
from understudy.algorithms.world_model import WorldModel
from understudy.data import store
from understudy.data.readers import transitions
from understudy.envs import to_pettingzoo
from understudy.envs.adapters import foreign
from understudy.envs.adapters.gym import to_gymnasium
from understudy.envs.answered import Answered
from understudy.envs.cartpole import CartPole
from understudy.envs.host import Batched
from understudy.experiment import answering
from understudy.experiment.train import train
from understudy.types import ActionSpec, Group, Spec, UserError

gymnasium = foreign.package("gymnasium")
checker = foreign.package("gymnasium.utils.env_checker")
theirs = foreign.package("pettingzoo.test")
NAME = f"understudy.experiment.answering:{answering.ID}"


class Adds(eqx.Module):
    """A clock goes on, and all that was done is added up, with chance."""

    def __call__(self, now, done, key):
        return now + jnp.stack([jnp.ones(()), done.sum() + 0.01 * jax.random.normal(key)])


def added(now, done, after):
    return after[1] - now[1]


def doubt(now, done):
    return jnp.abs(done).sum()


def game(action) -> Any:
    spec = Spec((Group("agent", 1, 2, action),), horizon=4)
    return Answered(spec, jnp.array([[0.0, 1.0], [0.0, -1.0]]), Adds(), added, doubt, 0.5)


ACTIONS = {
    "values": ActionSpec(low=(-1.0, -2.0), high=(1.0, 2.0)),
    "choices": ActionSpec((3, 2)),
    "one choice": ActionSpec((3,)),
    "both": ActionSpec((3, 2), low=(-1.0,), high=(1.0,)),
}


@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")
@pytest.mark.parametrize("env", [*map(game, ACTIONS.values()), CartPole()], ids=[*ACTIONS, "pole"])
def test_exported_games_pass_the_checker_of_gymnasium(env):
    checker.check_env(to_gymnasium(env), skip_render_check=True)


@pytest.mark.filterwarnings("ignore::UserWarning:pettingzoo")
def test_the_same_games_pass_the_tests_of_pettingzoo(capsys):
    theirs.parallel_api_test(to_pettingzoo(game(ACTIONS["values"])), num_cycles=10)
    assert "Passed Parallel API test" in capsys.readouterr().out


def test_steps_are_those_of_the_game():
    env = to_gymnasium(game(ACTIONS["both"]))
    seen, told = env.reset(seed=5)
    assert told == {}
    assert seen[0] == 0
    action = {"choices": np.array([2, 1]), "values": np.array([-0.5], np.float32)}
    for t in range(4):
        after, reward, terminated, truncated, told = env.step(action)
        assert after[0] == t + 1
        assert after[1] - seen[1] == pytest.approx(2.5, abs=0.05)
        assert told["uncertainty"] == pytest.approx(3.5)
        assert told["earned"] == pytest.approx(after[1] - seen[1], abs=1e-4)
        assert reward == pytest.approx(told["earned"] - 1.75, abs=1e-4)
        assert (terminated, truncated) == (False, t == 3)
        seen = after
    again = to_gymnasium(game(ACTIONS["both"]))
    np.testing.assert_array_equal(again.reset(seed=5)[0], env.reset(seed=5)[0])
    assert not np.array_equal(env.step(action)[0][1], env.reset()[0][1])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A world learned, for a moment, from a log on disk."""
    folder = tmp_path_factory.mktemp("run")
    rows = [f"{t % 2},{(t + 1) % 2},{t / 10},0.5,{(t + 1) % 2},{t % 2},{(t + 1) / 10}"
            for t in range(20)]  # fmt: skip
    (folder / "log.csv").write_text("\n".join(rows) + "\n")
    schema = {"state": {"sections": {"parity": 2}, "continuous": ["clock"]},
              "action": {"continuous": 1}}  # fmt: skip
    log = transitions.read(
        folder / "log.csv", rate=None, unit=None, say=lambda _: None, schema=schema
    )
    store.save(log, folder / "demos")
    algorithm = WorldModel(**WorldModel.TINY)
    train(algorithm, demonstrations=folder / "demos", steps=2, out=folder / "run")
    return folder / "run"


def clock(now, done, after):
    return after[2] - now[2]


@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")
def test_gymnasium_makes_an_env_of_a_run(run):
    env = gymnasium.make(NAME, run=run, reward=f"{__name__}:clock", horizon=3, starts="any")
    checker.check_env(env.unwrapped, skip_render_check=True)
    seen, _ = env.reset(seed=0)
    assert seen[:2].sum() == 1
    ended = [env.step(np.array([0.5], np.float32))[3] for _ in range(3)]
    assert ended == [False, False, True]
    exported = run / "policy" / "seed_0"
    env = gymnasium.make(NAME, run=exported, reward=clock, demos=run.parent / "demos")
    assert env.unwrapped.env.spec.horizon == 10


def test_mistakes_are_one_sentence(run):
    with pytest.raises(UserError, match="expected an env of one agent that acts"):
        to_gymnasium(Home())
    with pytest.raises(UserError, match="expected a JAX env of understudy, found Batched"):
        to_gymnasium(cast(Any, Batched(HomeSimulator, envs=1)))
    env = to_gymnasium(game(ACTIONS["values"]))
    with pytest.raises(UserError, match=r"expected reset\(\) before step"):
        env.step(np.zeros(2))
    env.reset()
    with pytest.raises(UserError, match="an action of 2 numbers, found 3"):
        env.step(np.zeros(3))
    with pytest.raises(UserError, match="expected demos= with states to begin in"):
        answering.answered(run / "policy" / "seed_0", reward=clock)
    with pytest.raises(UserError, match="'module:function', found 'clock'"):
        answering.answered(run, reward="clock")
    with pytest.raises(UserError, match="expected a function 'clock' in the module"):
        answering.answered(run, reward="understudy.types:clock")
