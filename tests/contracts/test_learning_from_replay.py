"""Off-policy learning from a replay buffer that lives in the algorithm's state."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from contracts.envs import Home
from contracts.policies import Recall
from understudy.data import replay
from understudy.experiment import loops
from understudy.types import hyperparameters, record


@record
class State:
    params: Any
    buffer: replay.Replay


@hyperparameters
class Imitate:
    """Remembers (observation, action) of everything played, and regresses towards going home."""

    rate: float = 0.1
    capacity: int = 64
    envs: int = 3
    rollout: int = 4
    needs: ClassVar[frozenset[str]] = frozenset({"env"})

    def init(self, spec, statistics, key):
        group = spec.groups[0]
        weights = {group.name: 0.1 * jax.random.normal(key, (2, 1))}
        example = jnp.zeros((group.agents, 1))
        policy = Recall(weights, jnp.asarray(0.3), spec)
        return State(policy, replay.create(example, self.capacity))

    def policy(self, state, mode="sample"):
        return state.params

    def update(self, state, batch, step, key):
        seen = batch.rollout.observation.features["agents"]
        buffer = replay.add(state.buffer, seen.reshape(-1, *seen.shape[2:]))
        x = replay.sample(buffer, key, batch=16)[..., 0]
        weight = state.params.weights["agents"]
        loss, slope = jax.value_and_grad(lambda w: jnp.mean((x * w[0, 0] + x) ** 2))(weight)
        new = Recall({"agents": weight - self.rate * slope}, state.params.scale, state.params.spec)
        return State(new, buffer), {"loss": loss, "filled": buffer.size.astype(jnp.float32)}


def test_replay_is_part_of_the_state_and_of_the_checkpoint(goes_on):
    run = goes_on(Imitate(), steps=8 * 12, make_env=Home)
    assert run.metrics[-1]["filled"] == [64.0, 64.0]
    np.testing.assert_array_less(run.policy().weights["agents"][0, 0], 0.0)


def test_a_frozen_seed_keeps_its_weights_and_its_buffer_passes():
    buffer = jax.vmap(lambda x: replay.create(x, 4))(jnp.zeros(2))
    full = jax.vmap(replay.add)(buffer, jnp.ones((2, 4)))
    old, new = State(jnp.zeros(2), buffer), State(jnp.ones(2), full)
    kept = loops._keep(jnp.array([True, False]), old, new)
    np.testing.assert_array_equal(kept.params, [0.0, 1.0])
    np.testing.assert_array_equal(kept.buffer.entries, jnp.ones((2, 4)))
