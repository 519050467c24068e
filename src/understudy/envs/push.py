"""Push: an agent wants to be at a landmark, an adversary wants to keep it away.

The agent is paid minus its distance to the goal; the adversary is paid the agent's distance minus
its own, and has to guess which of the two landmarks is the goal.

Source: Lowe et al., Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments
(arXiv 1706.02275), by the rules of mpe2 1.1.1 (simple_push).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.envs import particles
from understudy.envs.scenes import THING, Scene, discs
from understudy.types import Actions, Group, Observation, Spec, Step, hyperparameters, record

LANDMARKS = 2
RADIUS = 0.05
"""Of agents and landmarks."""
FORCE = 5.0
TOUCH = np.where(np.eye(2, dtype=bool), -np.inf, 2 * RADIUS)
COLOURS = np.array([[0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
"""Of the landmarks."""
BRIGHT, DARK = 0.75, 0.25
"""The agent's colour is bright in the channel of its goal."""


@record
class PushState:
    """Where everything is, the adversary before the agent; axes of envs may follow."""

    positions: Float[Array, "2 2 *envs"]
    velocities: Float[Array, "2 2 *envs"]
    landmarks: Float[Array, "landmarks 2 *envs"]
    goal: Int[Array, "*envs"]
    time: Int[Array, "*envs"]


@hyperparameters
class Push:
    """One against one; groups ``"adversary"`` and ``"agent"`` act at once."""

    action: Literal["discrete", "boxes"] = "discrete"
    """One of five choices (nothing, left, right, down, up), or an amount in [0, 1] of each."""
    horizon: int = 25
    """Steps of an episode."""

    lanes: ClassVar[bool] = True
    """Arrays may carry an axis of envs after all others; see `rollout.advance`."""
    rate: ClassVar[float] = 1 / particles.DT
    """Steps per second (Hz)."""

    @property
    def spec(self) -> Spec:
        """The state is positions, velocities, landmarks, goal (one-hot)."""
        moves = particles.ACTIONS[self.action]
        adversary = Group("adversary", 1, 2 + 2 * LANDMARKS + 2, moves)
        agent = Group("agent", 1, 2 + 2 + 3 + 2 * LANDMARKS + 3 * LANDMARKS + 2, moves)
        return Spec((adversary, agent), state=8 + 3 * LANDMARKS, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[PushState, Observation]:
        """Scatter both, at rest, and the landmarks; draw the goal."""
        place_key, goal_key = jax.random.split(key)
        places = particles.scatter(place_key, 2 + LANDMARKS)
        state = PushState(
            places[:2],
            jnp.zeros_like(places[:2]),
            places[2:],
            jax.random.randint(goal_key, (), 0, LANDMARKS, jnp.int32),
            jnp.zeros((), jnp.int32),
        )
        return state, self.observe(state)

    def step(
        self, state: PushState, action: Actions, key: Key[Array, ""]
    ) -> tuple[PushState, Step]:
        """Push, move, pay; nothing is left to chance."""
        spec = particles.ACTIONS[self.action]
        asked = jnp.concatenate([action["adversary"], action["agent"]])
        done = particles.executed(spec, asked)
        force = FORCE * particles.direction(spec, done)
        force = force + particles.contact(state.positions, state.positions, TOUCH)
        positions, velocities = particles.move(state.positions, state.velocities, force)
        after = PushState(positions, velocities, state.landmarks, state.goal, state.time + 1)
        goal = particles.chosen(state.landmarks, state.goal)
        distance = particles.length(positions - goal, 1)
        truncated = after.time >= self.horizon
        return after, Step(
            observation=self.observe(after),
            action={"adversary": done[:1], "agent": done[1:]},
            reward={"adversary": distance[1:] - distance[:1], "agent": -distance[1:]},
            terminated=jnp.zeros_like(truncated),
            truncated=truncated,
        )

    def observe(self, state: PushState) -> Observation:
        """Velocity, landmarks and the other for both; goal and colours for the agent."""
        meant = particles.one_hot(state.goal, LANDMARKS, 0)
        dtype, envs = state.positions.dtype, state.time.shape
        landmarks = particles.flat(particles.between(state.positions, state.landmarks))
        other = particles.between(state.positions, state.positions)
        other = particles.flat(particles.without_self(other))
        goal = particles.chosen(state.landmarks, state.goal) - state.positions
        own = jnp.where(meant, BRIGHT, DARK).astype(dtype)
        own = jnp.concatenate([jnp.full((1, *envs), DARK, dtype), own])
        colours = particles.along(COLOURS.reshape(-1), 1 + len(envs)).astype(dtype)
        colours = jnp.broadcast_to(colours, (colours.shape[0], *envs))
        adversary = [state.velocities[:1], landmarks[:1], other[:1]]
        agent = [
            state.velocities[1:], goal[1:], own[None], landmarks[1:], colours[None], other[1:],
        ]  # fmt: skip
        alive = jnp.ones((1, *envs), bool)
        places = particles.joined(state.positions, state.velocities, state.landmarks)
        return Observation(
            {"adversary": jnp.concatenate(adversary, 1), "agent": jnp.concatenate(agent, 1)},
            {"adversary": alive, "agent": alive},
            None,
            jnp.concatenate([places, meant.astype(dtype)]),
        )

    def scene(self, state: PushState) -> Scene:
        """The adversary, the agent, and landmarks of which only the goal is drawn fully."""
        scene = discs(
            jnp.concatenate([state.positions, state.landmarks]),
            jnp.full(2 + LANDMARKS, RADIUS),
            jnp.array([0, 1] + [THING] * LANDMARKS, jnp.int32),
            half_size=jnp.asarray(1.2),
        )
        strength = jnp.where(particles.one_hot(state.goal, LANDMARKS, 0), 1.0, 0.3)
        return dataclasses.replace(scene, strength=jnp.concatenate([jnp.ones(2), strength]))
