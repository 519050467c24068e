"""Evaluations while training: what they say, when they take place, and that they change nothing."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from contracts.envs import Home, HomeSimulator, Whisper
from contracts.harness import Stopped, contents, stop_at, walks
from contracts.policies import Reinforce
from contracts.toys import DriftState, LearnDrift
from understudy import cli
from understudy.algorithms.stages import Stages
from understudy.envs.host import Batched
from understudy.envs.xor import Xor
from understudy.experiment import folder, practice
from understudy.experiment.collect import collect
from understudy.experiment.plan import Stage
from understudy.experiment.train import TrainOptions, resume, train
from understudy.types import (
    ActionSpec,
    Group,
    Observation,
    Spec,
    Step,
    UserError,
    hyperparameters,
)

OPTIONS = TrainOptions(log_every=2, checkpoint_every=4, evaluate_every=5, evaluate_episodes=6)
NAMES = {f"evaluation/{n}" for n in ("return", "return_mode", "success", "success_mode")}


@hyperparameters
class Toll:
    """Three steps that pay an agent what it plays; the second agent is not there."""

    @property
    def spec(self):
        any_number = ActionSpec(low=(-float("inf"),), high=(float("inf"),))
        return Spec((Group("agents", 2, 1, any_number),), horizon=3)

    def seen(self):
        return Observation({"agents": jnp.zeros((2, 1))}, {"agents": jnp.array([True, False])})

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.seen()

    def step(self, state, action, key):
        ended = jnp.asarray(False), state + 1 >= 3
        return state + 1, Step(self.seen(), action, {"agents": action["agents"][:, 0]}, *ended)


class Says(eqx.Module):
    """Plays one number whatever it sees."""

    number: jax.Array
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return ()

    def act(self, observation, memory, key):
        return {"agents": jnp.full((2, 1), self.number)}, memory

    def log_prob(self, observations, actions, starts, memory):
        raise UserError("expected probabilities, a number has none")


@hyperparameters
class Counts:
    """Its policy plays the number of updates; 100 more when it samples."""

    envs: int = 1
    rollout: int = 3
    acts: bool = True
    window: int = 4
    batch: int = 2
    needs: ClassVar[frozenset[str]] = frozenset({"env"})

    def init(self, spec, statistics, key):
        return DriftState(jnp.zeros(()))

    def update(self, state, batch, step, key):
        return DriftState(state.params + 1), {"count": state.params}

    def policy(self, state, mode="sample"):
        return Says(state.params + (100.0 if mode == "sample" else 0.0))


@hyperparameters
class Counted(Counts):
    """The same, learning from demonstrations alone."""

    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "every"


@hyperparameters
class Doomed(Counts):
    """About half of its seeds turn to NaN at update 1."""

    def update(self, state, batch, step, key):
        state, metrics = super().update(state, batch, step, key)
        lost = (step == 1) & (jax.random.uniform(key) < 0.5)
        return DriftState(jnp.where(lost, jnp.nan, state.params)), metrics


def evaluated(run):
    return [row["step"] for row in run.metrics if "evaluation/return" in row]


def test_a_policy_earns_what_it_earns_now_in_both_modes(tmp_path):
    """One episode of 3 steps per update; after n updates it plays n, and 3 n is its return.

    The agent that is not there does not count.
    """
    options = TrainOptions(log_every=2, evaluate_every=4, evaluate_episodes=2)
    run = train(Counts(), env=Toll(), steps=27, seeds=2, out=tmp_path / "run", options=options)
    found = {
        row["step"]: (row["evaluation/return_mode"], row["evaluation/return"])
        for row in run.metrics
        if "evaluation/return" in row
    }
    assert found == {
        4: ([12.0] * 2, [312.0] * 2),
        8: ([24.0] * 2, [324.0] * 2),
        9: ([27.0] * 2, [327.0] * 2),
    }
    assert not any("success" in name for row in run.metrics for name in row)


def test_a_run_learns_the_same_with_and_without(tmp_path):
    kept = {}
    for name, options in (
        ("with", OPTIONS),
        ("without", TrainOptions(log_every=2, checkpoint_every=4)),
    ):
        run = train(
            Reinforce(), env=Xor(), steps=8 * 12, seeds=2, out=tmp_path / name, options=options
        )
        files = contents(run.folder)
        kept[name] = {n: b for n, b in files.items() if n not in (folder.CONFIG, folder.METRICS)}
        rows = run.metrics
        assert {n for row in rows for n in row if "/" in n} == (NAMES if name == "with" else set())
        kept[name]["metrics"] = [
            {n: v for n, v in row.items() if "evaluation" not in n} for row in rows
        ]
    assert kept["with"] == kept["without"]


def test_a_resumed_run_evaluates_the_same(tmp_path):
    given = {"env": Xor(), "steps": 8 * 12, "seeds": 2, "options": OPTIONS}
    whole = train(Reinforce(), out=tmp_path / "whole", **given)
    with pytest.raises(Stopped):
        train(Reinforce(), out=tmp_path / "cut", progress=stop_at(4), **given)
    resume(tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    last = whole.metrics[-1]
    assert last["evaluation/return"] == last["evaluation/success"]  # Xor pays 1 for success
    earned = {tuple(row["evaluation/return"]) for row in whole.metrics}
    assert len(earned) > 1  # other episodes every time


def test_evaluations_fall_where_episodes_are_full():
    """12 rows per update, episodes of 5: ten of them are full after updates 5, 9, 13, 17."""
    stage = Stage(Reinforce(), 18, 0, 1, 10)
    options = TrainOptions(evaluate_every=10)
    found = [n for n in range(1, 19) if practice.due(stage, n - 1, n, options, Home())]
    assert found == [5, 9, 13, 17, 18]  # and at the end
    assert practice.due(stage, 4, 8, options, Home())  # anywhere in a chunk
    assert not practice.due(stage, 4, 5, TrainOptions(), Home())
    published = practice.TWENTY_EVERY_FIFTY
    assert (published.evaluate_every, published.evaluate_episodes) == (50, 20)


def test_a_stage_that_does_not_act_is_evaluated_at_its_end(tmp_path):
    stages = Stages(((Counted(), 4), (Counts(), 12)), handover="copy_weights")
    options = TrainOptions(log_every=1, evaluate_every=2, evaluate_episodes=1)
    played = collect(Toll(), Says(jnp.ones(())), episodes=4, envs=4)
    run = train(
        stages, env=Toll(), demonstrations=played, steps=16, out=tmp_path / "run", options=options
    )
    assert evaluated(run) == [4, 6, 8]


def test_groups_that_earn_differently_are_told_apart(tmp_path):
    options = TrainOptions(log_every=2, evaluate_every=100, evaluate_episodes=3)
    run = train(Reinforce(), env=Whisper(), steps=24, out=tmp_path / "run", options=options)
    (last,) = (row for row in run.metrics if "evaluation/return" in row)
    assert last["evaluation/return/speaker"] == [0.0]
    assert last["evaluation/return"][0] == pytest.approx(last["evaluation/return/listener"][0] / 2)


def test_a_diverged_seed_earns_nothing_known(tmp_path):
    options = TrainOptions(log_every=2, evaluate_every=1, evaluate_episodes=1)
    run = train(Doomed(), env=Toll(), steps=12, seeds=6, out=tmp_path / "run", options=options)
    assert 0 < len(run.diverged) < 6
    unknown = [s for s, value in enumerate(run.metrics[-1]["evaluation/return"]) if value is None]
    assert unknown == sorted(run.diverged)


@hyperparameters
class Endless(Home):
    @property
    def spec(self):
        return Spec(super().spec.groups)


@pytest.mark.parametrize(
    ("algorithm", "given", "sentence"),
    [
        (LearnDrift(), {"demonstrations": walks()}, "makes a policy to evaluate while training"),
        (Counted(), {"demonstrations": walks()}, "an env in JAX .* found none; leave"),
        (Reinforce(), {"env": Endless()}, "Endless has none; wrap it in a time limit"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(tmp_path, algorithm, given, sentence):
    with pytest.raises(UserError, match=sentence):
        train(algorithm, steps=24, out=tmp_path / "run", options=OPTIONS, **given)
    assert not (tmp_path / "run").exists()


def test_a_simulator_is_refused(tmp_path):
    env = Batched(HomeSimulator, envs=3)
    with pytest.raises(UserError, match="found Batched; leave evaluate_every out"):
        train(Reinforce(), env=env, steps=24, out=tmp_path / "run", options=OPTIONS)
    env.close()


def test_options_and_flags():
    with pytest.raises(UserError, match="expected evaluate_every above 0, found 0"):
        TrainOptions(evaluate_every=0)
    words = "train ippo --env xor --out RUN --evaluate-every 50 --evaluate-episodes 30"
    options = cli.parse(words.split()).options
    assert (options.evaluate_every, options.evaluate_episodes) == (50, 30)
    assert cli.parse(words.split(" --eval")[0].split()).options == TrainOptions()
