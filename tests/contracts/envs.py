"""Small games for the contracts, the same in JAX and as a host simulator."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from understudy.envs.actions import executed
from understudy.types import ActionSpec, Group, Observation, Spec, Step, hyperparameters

MOVE = ActionSpec(low=(-1.0,), high=(1.0,))


@hyperparameters
class Home:
    """Agents on a line are paid for being near 0; each sees its own place."""

    agents: int = 2
    capacity: int = 0
    horizon: int = 5

    @property
    def spec(self):
        return Spec((Group("agents", self.capacity or self.agents, 1, MOVE),), horizon=self.horizon)

    def observe(self, place):
        alive = jnp.arange(len(place)) < self.agents
        return Observation({"agents": jnp.where(alive, place, 0.0)[:, None]}, {"agents": alive})

    def reset(self, key):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(
            jnp.arange(self.spec.groups[0].agents)
        )
        place = jax.vmap(lambda k: jax.random.uniform(k, (), minval=-2.0, maxval=2.0))(keys)
        return (place, jnp.zeros((), jnp.int32)), self.observe(place)

    def step(self, state, action, key):
        place, time = state
        action = executed(self.spec, action)
        place, time = place + action["agents"][:, 0], time + 1
        seen = self.observe(place)
        reward = {"agents": jnp.where(seen.alive["agents"], -jnp.abs(place), 0.0)}
        ended = jnp.asarray(False), time >= self.horizon
        return (place, time), Step(seen, action, reward, *ended)


@dataclasses.dataclass
class HomeSimulator:
    """`Home` for one game at a time, in numpy."""

    agents: int = 2
    horizon: int = 5

    @property
    def spec(self):
        return Home(self.agents, horizon=self.horizon).spec

    def observe(self):
        return Observation(
            {"agents": self.place[:, None].copy()}, {"agents": np.ones(self.agents, bool)}
        )

    def reset(self, seed):
        self.place = np.random.default_rng(seed).uniform(-2, 2, self.agents).astype(np.float32)
        self.time = 0
        return self.observe()

    def step(self, actions):
        move = np.clip(actions["agents"], -1, 1)
        self.place, self.time = self.place + move[:, 0], self.time + 1
        reward = {"agents": -np.abs(self.place)}
        ended = np.asarray(False), np.asarray(self.time >= self.horizon)
        return Step(self.observe(), {"agents": move}, reward, *ended)

    def close(self):
        pass


@hyperparameters
class Whisper:
    """The speaker sees a number, the listener hears the speaker and is paid for repeating it."""

    horizon: int = 2

    @property
    def spec(self):
        speaker = Group("speaker", 1, 1, MOVE)
        listener = Group("listener", 1, 1, MOVE, sees=("speaker",))
        return Spec((speaker, listener), horizon=self.horizon)

    def observe(self, number):
        alive = jnp.ones(1, bool)
        features = {"speaker": number[None, None], "listener": jnp.ones((1, 1))}
        return Observation(features, {"speaker": alive, "listener": alive})

    def reset(self, key):
        number = jax.random.uniform(key, (), minval=-1.0, maxval=1.0)
        return (number, jnp.zeros((), jnp.int32)), self.observe(number)

    def step(self, state, action, key):
        number, time = state
        action = executed(self.spec, action)
        paid = -jnp.abs(action["listener"][:, 0] - number)
        reward = {"speaker": jnp.zeros(1), "listener": paid}
        fresh = jax.random.uniform(key, (), minval=-1.0, maxval=1.0)
        ended = jnp.asarray(False), time + 1 >= self.horizon
        return (fresh, time + 1), Step(self.observe(fresh), action, reward, *ended)
