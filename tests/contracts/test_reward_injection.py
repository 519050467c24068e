"""Composition by injection: a discriminator writes the reward and hands on to an optimiser."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import MOVE, Home
from contracts.policies import Reinforce
from understudy.data.demonstrations import Demonstrations
from understudy.types import Batch, hyperparameters, record


@record
class State:
    optimiser: Any
    discriminator: jax.Array


@hyperparameters
class Adversarial:
    """Logistic discriminator on (place, action); its expert score is the reward."""

    optimiser: Any = dataclasses.field(default_factory=Reinforce)
    rate: float = 0.1
    envs: int = 3
    rollout: int = 4
    window: int = 4
    batch: int = 3
    needs: ClassVar[frozenset[str]] = frozenset({"env", "demonstrations"})

    def init(self, spec, statistics, key):
        return State(self.optimiser.init(spec, statistics, key), jnp.zeros(3))

    def policy(self, state, mode="sample"):
        return self.optimiser.policy(state.optimiser, mode)

    def scores(self, weights, observation, action):
        x, a = observation.features["agents"][..., 0], action["agents"][..., 0]
        return jnp.stack([jnp.ones_like(x), jnp.abs(x + a), jnp.abs(a)], -1) @ weights

    def update(self, state, batch, step, key):
        fake, real = batch.rollout, batch.demonstrations

        def loss(w):
            expert = jax.nn.softplus(-self.scores(w, real.observation, real.action))
            known = real.action_known["agents"]
            real_rows = known.sum().astype(jnp.float32)
            ours = jax.nn.softplus(self.scores(w, fake.observation, fake.action))
            return jnp.sum(jnp.where(known, expert, 0.0)) / real_rows + ours.mean()

        value, slope = jax.value_and_grad(loss)(state.discriminator)
        weights = state.discriminator - self.rate * slope
        reward = {"agents": self.scores(weights, fake.observation, fake.action)}
        rollout = dataclasses.replace(fake, reward=reward)
        optimiser, metrics = self.optimiser.update(state.optimiser, Batch(rollout), step, key)
        return State(optimiser, weights), {**metrics, "discriminator": value}


def expert_log(episodes=4, length=6):
    """Two agents that step straight home, with actions; the last row of an episode has none."""
    place = np.random.default_rng(0).uniform(-2, 2, (episodes, 2)).astype(np.float32)
    seen, acted = [], []
    for _ in range(length):
        move = np.clip(-place, -1, 1)
        seen.append(place)
        acted.append(move)
        place = place + move
    spec = dataclasses.replace(Home().spec, horizon=None)
    assert spec.groups[0].action == MOVE
    names = np.array([f"e{i}" for i in range(episodes)])
    return Demonstrations(
        spec=spec,
        starts=np.arange(episodes + 1) * length,
        features={"agents": np.stack(seen, 1).reshape(-1, 2, 1)},
        actions={"agents": np.stack(acted, 1).reshape(-1, 2, 1)},
        alive={"agents": np.ones((episodes * length, 2), bool)},
        rate=1.0,
        unit="",
        labels={"episode": names, "source": names},
    )


def test_an_injected_reward_trains_and_resumes(goes_on):
    run = goes_on(
        Adversarial(Reinforce(rate=0.02)),
        steps=8 * 12,
        make_env=Home,
        demonstrations=expert_log(),
    )
    assert set(run.metrics[0]) == {"stage", "step", "loss", "reward", "discriminator"}
    assert run.algorithm == Adversarial(Reinforce(rate=0.02))
    assert run.policy().weights["agents"].shape == (2, 1)
