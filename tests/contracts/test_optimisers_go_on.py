"""Every policy optimiser goes on after a stop as if there had been none, in JAX and host envs."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator
from contracts.harness import OPTIONS
from understudy.algorithms import presets
from understudy.envs.host import Batched
from understudy.envs.spread import Spread
from understudy.experiment import folder
from understudy.experiment.returns import episode_returns
from understudy.experiment.run import load_policy
from understudy.experiment.train import train
from understudy.types import Observation

TINY = {"envs": 2, "rollout": 4, "minibatches": 2, "epochs": 1}
OPTIMISERS = {
    "ippo with memory": presets.IPPO(hidden=(4,), recurrent=4, **TINY),
    "happo": presets.HAPPO(hidden=(4,), **TINY),
    "mat": presets.MAT(width=4, **TINY),
    "ddpg": presets.TD3(
        hidden=(4,),
        critic="central",
        passes=2,
        batch=4,
        remembered=24,
        warm_up=1,
        envs=2,
        rollout=4,
    ),
}
TALKERS = presets.ATOC(
    hidden=(4,), thought=4, after=(4,), critic_hidden=(4,), attention=(4,), period=3,
    passes=2, batch=4, remembered=24, warm_up=1, envs=2, rollout=4,
)  # fmt: skip


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_trains_and_resumes(goes_on, name):
    run = goes_on(OPTIMISERS[name], steps=8 * 8, make_env=Home)
    policy = load_policy(run.folder, seed=1)
    assert episode_returns(policy, Home(), episodes=3, seed=3)["agents"].shape == (3, 2)


def test_agents_that_communicate_go_on_and_run_with_others(goes_on):
    """A stop falls inside a decision's period; then more of them play than were trained."""
    make = functools.partial(Spread.goodai, 4, ids=True, horizon=10)
    run = goes_on(TALKERS, steps=8 * 8, make_env=make)
    metrics = [json.loads(line) for line in (run.folder / folder.METRICS).read_text().splitlines()]
    assert np.isfinite([m["attention_loss"] for m in metrics]).all()
    assert 0 < np.mean(metrics[-1]["initiators"]) < 1
    policy = load_policy(run.folder, seed=1)
    returns = episode_returns(policy, Spread.goodai(7, ids=True, horizon=5), episodes=3, seed=3)
    assert returns["agents"].shape == (3, 7)


class Neighbours(HomeSimulator):
    """Each agent also sees the number of the other."""

    @property
    def spec(self):
        group = dataclasses.replace(
            super().spec.groups[0], observation=2, features=("place", "ids 0")
        )
        return dataclasses.replace(super().spec, groups=(group,))

    def observe(self):
        numbers = np.array([[1.0], [0.0]], np.float32)
        return Observation(
            {"agents": np.concatenate([self.place[:, None], numbers], -1)},
            {"agents": np.ones(2, bool)},
        )


def test_agents_that_communicate_go_on_with_a_simulator(goes_on):
    run = goes_on(TALKERS, steps=8 * 8, make_env=functools.partial(Batched, Neighbours, envs=4))
    last = json.loads((run.folder / folder.METRICS).read_text().splitlines()[-1])
    assert 0 < np.mean(last["initiators"]) < 1


@pytest.mark.parametrize("name", ["ippo with memory", "mat"])
def test_it_does_so_with_a_simulator(goes_on, name):
    make = functools.partial(Batched, HomeSimulator, envs=4)
    goes_on(OPTIMISERS[name], steps=8 * 8, make_env=make)


def test_a_mode_of_an_exported_policy_is_the_one_asked_for(tmp_path):
    run = train(OPTIMISERS["happo"], env=Home(), steps=8 * 2, out=tmp_path / "run", options=OPTIONS)
    _, seen = Home().reset(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 8)

    def actions(mode):
        policy = run.policy(mode=mode)
        acted, _ = jax.vmap(lambda k: policy.act(seen, policy.memory({"agents": 2}), k))(keys)
        return np.asarray(acted["agents"])

    acted = {mode: actions(mode) for mode in ("sample", "mode")}
    assert np.ptp(acted["mode"], axis=0).max() == 0
    assert np.ptp(acted["sample"], axis=0).min() > 0


def test_a_seed_that_diverges_is_frozen_and_named(tmp_path):
    """A step size that throws weights to infinity ends both seeds; the run says where."""
    wild = presets.IPPO(hidden=(4,), learning_rate=3e38, gradient_clip=1e38, **TINY)
    run = train(wild, env=Home(), steps=8 * 6, seeds=2, out=tmp_path / "run", options=OPTIONS)
    assert set(run.diverged) == {0, 1}
    weights = jax.tree.leaves(run.policy().network.actors)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in weights)
