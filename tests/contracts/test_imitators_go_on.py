"""Adversarial imitation goes on after a stop as if there had been none, warm start included."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from contracts.envs import Home, HomeSimulator
from contracts.harness import OPTIONS
from contracts.test_reward_injection import expert_log
from understudy.algorithms import presets
from understudy.algorithms.stages import Stages
from understudy.envs.host import Batched
from understudy.experiment.train import train
from understudy.networks.discriminators import MLPDiscriminator, TransformerDiscriminator

TINY = {"envs": 2, "rollout": 4, "minibatches": 2, "epochs": 1}
PPO = presets.IPPO(hidden=(4,), **TINY)
FEW: dict[str, Any] = {"passes": 2, "minibatch": 4}
PERCEPTRON: dict[str, Any] = {
    "optimiser": PPO, "discriminator": MLPDiscriminator(hidden=(4,), dropout=0.2),
    "objective": "bce+gp", "noise": 0.1, "remembered": 2, "smoothing": 0.1, **FEW,
}  # fmt: skip


def test_magail_trains_and_resumes_in_either_stage(goes_on):
    made = presets.MAGAIL(cloning=2, **PERCEPTRON)
    assert isinstance(made, Stages)
    clone, imitate = (algorithm for algorithm, _ in made.stages)
    stages = dataclasses.replace(
        made, stages=((dataclasses.replace(clone, batch=4), 2), (imitate, 8 * 6))
    )
    run = goes_on(stages, steps=2 + 8 * 6, make_env=Home, demonstrations=expert_log())
    assert [row["stage"] for row in run.metrics] == [0, 1, 1, 1]
    assert np.shape(run.metrics[-1]["reward_quantiles/agents"]) == (run.seeds, 2, 5)


def test_mild2_trains_and_resumes(goes_on):
    parts: dict[str, Any] = {
        "optimiser": presets.MAT(width=4, **TINY),
        "discriminator": TransformerDiscriminator(width=4),
        "warm_up": 3,
        **FEW,
    }
    made = presets.MILD2(cloning=0, **parts)
    run = goes_on(made, steps=8 * 8, make_env=Home, demonstrations=expert_log())
    assert run.algorithm == made


def test_it_imitates_in_a_simulator(goes_on):
    make = functools.partial(Batched, HomeSimulator, envs=4)
    parts = {
        **PERCEPTRON,
        "discriminator": MLPDiscriminator(reads="team", outputs="one", hidden=(4,)),
        "objective": "bce",
    }
    made = presets.GAIL(cloning=0, **parts)
    goes_on(made, steps=8 * 8, make_env=make, demonstrations=expert_log())


def test_a_discriminator_that_diverges_freezes_its_seed_and_keeps_the_last_good_weights(tmp_path):
    wild = presets.MAGAIL(
        cloning=0, optimiser=PPO, learning_rate=3e38, gradient_clip=1e38, reward="logit", **FEW
    )
    run = train(
        wild, env=Home(), demonstrations=expert_log(), steps=8 * 6, seeds=2, out=tmp_path / "run",
        options=OPTIONS,
    )  # fmt: skip
    assert set(run.diverged) == {0, 1}
    for leaf in jax.tree.leaves(run.policy().network.actors):
        assert np.all(np.isfinite(leaf))
