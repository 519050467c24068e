"""Scripts of the particle games: where each disc should go, and how it gets there.

They read the global state, yet an agent of a script that is called decentralised uses nothing of it
that it does not observe itself.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from understudy.envs.scripted import Scripted
from understudy.envs.steering import PD, Steering
from understudy.types import Actions, Memory, Observation

LEAD = 0.2
"""Seconds by which prey is seen ahead, by its hunters and by itself."""
HOME = 0.5
"""Prey is drawn back to the middle beyond this along an axis."""


MANY = 32
"""From so many agents or landmarks on, they are assigned on the host: 80 in 1.4 instead of 9 ms."""


def assigned(
    costs: Float[Array, "agents places"],
) -> tuple[Int[Array, " pairs"], Int[Array, " pairs"]]:
    """Agents and the places they are assigned to, of the least total cost."""
    costs = jnp.nan_to_num(costs)  # what is not finite would keep the search going for ever
    if max(costs.shape) < MANY:
        return optax.assignment.hungarian_algorithm(costs)

    def solve(many: Any) -> tuple[np.ndarray, np.ndarray]:
        from scipy.optimize import linear_sum_assignment  # takes a while to import

        flat = np.asarray(many).reshape(-1, *costs.shape)
        pairs = np.array([linear_sum_assignment(one) for one in flat], np.int32)
        shape = (*np.shape(many)[:-2], min(costs.shape))
        return pairs[:, 0].reshape(shape), pairs[:, 1].reshape(shape)

    pair = jax.ShapeDtypeStruct((min(costs.shape),), jnp.int32)
    return jax.pure_callback(solve, (pair, pair), costs, vmap_method="expand_dims")


class Hungarian(Scripted):
    """Sends each agent to the landmark of the assignment with the least total distance."""

    steering: Steering | PD

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Assign, then steer; an agent too many stays where it is."""
        count = observation.alive["agents"].shape[0]
        positions, velocities, landmarks = split(jnp.asarray(observation.state), count)
        apart = jnp.linalg.norm(positions[:, None] - landmarks[None], axis=-1)
        agents, chosen = assigned(apart)
        goals = positions.at[agents].set(landmarks[chosen])
        return {"agents": self.steering.to(goals, positions, velocities)}, memory


class Local(Scripted):
    """Goes to the nearest landmark that no agent near it is nearer to; if there is none, to the
    nearest of all.

    It looks at the nearest `agents` and `landmarks`, as an agent of `Spread.goodai` does; without
    agents it is whoever runs to the nearest landmark.
    """

    steering: Steering | PD
    agents: int = eqx.field(static=True)
    landmarks: int = eqx.field(static=True)

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Choose, then steer."""
        count = observation.alive["agents"].shape[0]
        positions, velocities, places = split(jnp.asarray(observation.state), count)
        apart = jnp.linalg.norm(positions[:, None] - places[None], axis=-1)
        near = jnp.argsort(apart, 1)[:, : self.landmarks]
        own = jnp.take_along_axis(apart, near, 1)
        between = jnp.linalg.norm(positions[:, None] - positions[None], axis=-1)
        between = jnp.where(np.eye(count, dtype=bool), jnp.inf, between)
        peers = jnp.argsort(between, 1)[:, : min(self.agents, count - 1)]
        theirs = apart[peers[:, :, None], near[:, None, :]]
        free = (own[:, None] < theirs).all(1)
        chosen = jnp.take_along_axis(near, jnp.argmax(free, 1)[:, None], 1)[:, 0]
        return {"agents": self.steering.to(places[chosen], positions, velocities)}, memory


class Messenger(Scripted):
    """Says which landmark is meant; the listener goes to the one named, or waits between them."""

    steering: Steering

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The listener hears the word of the last step, and knows no more."""
        state = jnp.asarray(observation.state)
        places, (meant, heard) = state[:-6], state[-6:].reshape(2, 3)
        position, velocity, landmarks = split(places, 1)
        word = jnp.argmax(heard)
        goal = jnp.where(jnp.any(heard > 0), landmarks[word], jnp.mean(landmarks, 0))
        said = jnp.argmax(meant).astype(jnp.float32)[None, None]
        if not self.steering.action.sections:
            said = meant[None]
        walk = self.steering.to(goal[None], position, velocity)
        return {"speaker": said, "listener": walk}, memory


class Duel(Scripted):
    """The agent goes to its goal, the adversary to the landmark that the agent is nearest to."""

    steering: Steering

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The adversary does not know the goal."""
        state = jnp.asarray(observation.state)
        places, meant = state[:-2], state[-2:]
        positions, velocities, landmarks = split(places, 2)
        guess = jnp.argmin(jnp.sum(jnp.square(landmarks - positions[1][None]), -1))
        goals = jnp.stack([landmarks[guess], landmarks[jnp.argmax(meant)]])
        moves = self.steering.to(goals, positions, velocities)
        return {"adversary": moves[:1], "agent": moves[1:]}, memory


class Hunt(Scripted):
    """Adversaries run to where the nearest prey is about to be; prey runs from who is near."""

    hunting: Steering
    fleeing: Steering

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Each adversary by itself, and each prey."""
        hunters, prey = (observation.alive[name].shape[0] for name in ("adversary", "good"))
        positions, velocities, _ = split(jnp.asarray(observation.state), hunters + prey)
        here, hunted = positions[:hunters], positions[hunters:]
        apart = hunted[None] - here[:, None]  # [hunters, prey, 2]
        squared = jnp.sum(jnp.square(apart), -1)
        ahead = hunted + LEAD * velocities[hunters:]
        hunt = self.hunting.to(ahead[jnp.argmin(squared, 1)], here, velocities[:hunters])
        away = jnp.sum(apart / (squared[..., None] + 1e-3), 0)
        home = -10.0 * jnp.sign(ahead) * jnp.maximum(jnp.abs(ahead) - HOME, 0.0)
        return {"adversary": hunt, "good": self.fleeing.push(away + home)}, memory


def split(
    state: Float[Array, " state"], agents: int
) -> tuple[Float[Array, "agents 2"], Float[Array, "agents 2"], Float[Array, "things 2"]]:
    """Positions and velocities of `agents` agents, and the places of things."""
    positions, velocities, things = jnp.split(state, (2 * agents, 4 * agents))
    return positions.reshape(-1, 2), velocities.reshape(-1, 2), things.reshape(-1, 2)
