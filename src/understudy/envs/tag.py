"""Tag: slow adversaries hunt faster prey between obstacles.

Every adversary is paid 10 for each pair of a prey and an adversary that touch; a prey pays 10 for
each adversary that touches it, and for leaving the square: with x its distance from the middle
along an axis, 0 below 0.9, ``10 (x - 0.9)`` below 1, then ``min(exp(2x - 2), 10)``.

Source: Lowe et al., Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments
(arXiv 1706.02275), by the rules of mpe2 1.1.1 (simple_tag).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.envs import particles
from understudy.envs.scenes import THING, Scene, discs
from understudy.types import (
    Actions,
    Group,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
    require,
)

RADII = (0.075, 0.05, 0.2)
"""Of adversaries, prey, obstacles."""
FORCES = (3.0, 4.0)
"""Of adversaries and prey."""
TOP_SPEEDS = (1.0, 1.3)
"""Of adversaries and prey, per second."""
CATCH = 10.0
OBSTACLES_WITHIN = 0.9
"""Obstacles are scattered in ``[-0.9, 0.9]²``, agents in ``[-1, 1]²``."""


@record
class TagState:
    """Where everything is, adversaries before prey; axes of envs may follow."""

    positions: Float[Array, "agents 2 *envs"]
    velocities: Float[Array, "agents 2 *envs"]
    obstacles: Float[Array, "obstacles 2 *envs"]
    time: Int[Array, "*envs"]


@hyperparameters
class Tag:
    """Predators and prey; groups ``"adversary"`` and ``"good"`` act at once."""

    adversaries: int = 3
    good: int = 1
    """Number of prey."""
    obstacles: int = 2
    action: Literal["discrete", "boxes"] = "discrete"
    """One of five choices (nothing, left, right, down, up), or an amount in [0, 1] of each."""
    horizon: int = 25
    """Steps of an episode."""
    ends_when_caught: bool = False
    """The episode terminates when an adversary touches every prey."""

    lanes: ClassVar[bool] = True
    """Arrays may carry an axis of envs after all others; see `rollout.advance`."""
    rate: ClassVar[float] = 1 / particles.DT
    """Steps per second (Hz)."""

    def __post_init__(self) -> None:
        """Raise `UserError` for a game without hunters or prey."""
        require(
            self.adversaries >= 1 and self.good >= 1 and self.obstacles >= 0,
            "expected adversaries, prey and maybe obstacles, found "
            f"{self.adversaries}, {self.good} and {self.obstacles}",
        )

    @property
    def agents(self) -> int:
        """Adversaries and prey."""
        return self.adversaries + self.good

    @property
    def spec(self) -> Spec:
        """The state is positions and velocities, adversaries first, then obstacles."""
        seen = 4 + 2 * self.obstacles + 2 * (self.agents - 1)
        moves = particles.ACTIONS[self.action]
        adversary = Group("adversary", self.adversaries, seen + 2 * self.good, moves)
        good = Group("good", self.good, seen + 2 * (self.good - 1), moves)
        state = 4 * self.agents + 2 * self.obstacles
        return Spec((adversary, good), state=state, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[TagState, Observation]:
        """Scatter agents at rest, and obstacles."""
        agent_key, obstacle_key = jax.random.split(key)
        places = particles.scatter(agent_key, self.agents)
        obstacles = particles.scatter(obstacle_key, self.obstacles, OBSTACLES_WITHIN)
        time = jnp.zeros((), jnp.int32)
        state = TagState(places, jnp.zeros_like(places), obstacles, time)
        return state, self.observe(state)

    def step(self, state: TagState, action: Actions, key: Key[Array, ""]) -> tuple[TagState, Step]:
        """Push, move, pay; nothing is left to chance."""
        spec, first = particles.ACTIONS[self.action], self.adversaries
        asked = jnp.concatenate([action["adversary"], action["good"]])
        done = particles.executed(spec, asked)
        push = particles.direction(spec, done)
        force = particles.along(self._each(FORCES), push.ndim).astype(push.dtype) * push
        solid = jnp.concatenate([state.positions, state.obstacles])
        force = force + particles.contact(state.positions, solid, self._touch())
        positions, velocities = particles.move(
            state.positions, state.velocities, force, top_speed=self._each(TOP_SPEEDS)
        )
        after = TagState(positions, velocities, state.obstacles, state.time + 1)
        apart = particles.length(particles.between(positions[first:], positions[:first]), 2)
        caught = (apart < RADII[0] + RADII[1]).astype(apart.dtype)
        times = particles.add(caught, 1)
        catches = particles.add(times, 0)
        success = particles.least(times, 0) > 0
        truncated = after.time >= self.horizon
        over = success if self.ends_when_caught else jnp.zeros_like(truncated)
        hunt = jnp.broadcast_to(catches[None], (self.adversaries, *catches.shape))
        return after, Step(
            observation=self.observe(after),
            action={"adversary": done[:first], "good": done[first:]},
            reward={
                "adversary": CATCH * hunt,
                "good": -CATCH * times - particles.add(_outside(positions[first:]), 1),
            },
            terminated=over,
            truncated=truncated & ~over,
            info={"success": success, "catches": catches},
        )

    def observe(self, state: TagState) -> Observation:
        """Own velocity and place, obstacles, all others, and the velocities of (other) prey."""
        first, envs = self.adversaries, state.time.shape
        others = particles.between(state.positions, state.positions)
        seen = jnp.concatenate(
            [
                state.velocities,
                state.positions,
                particles.flat(particles.between(state.positions, state.obstacles)),
                particles.flat(particles.without_self(others)),
            ],
            1,
        )
        prey = state.velocities[first:]
        for_hunters = jnp.broadcast_to(prey[None], (first, *prey.shape))
        for_prey = particles.without_self(jnp.broadcast_to(prey[None], (self.good, *prey.shape)))
        hunters = jnp.concatenate([seen[:first], particles.flat(for_hunters)], 1)
        hunted = jnp.concatenate([seen[first:], particles.flat(for_prey)], 1)
        return Observation(
            {"adversary": hunters, "good": hunted},
            {
                "adversary": jnp.ones((first, *envs), bool),
                "good": jnp.ones((self.good, *envs), bool),
            },
            None,
            particles.joined(state.positions, state.velocities, state.obstacles),
        )

    def scene(self, state: TagState) -> Scene:
        """Adversaries and prey as two teams, obstacles as things."""
        counts = [self.adversaries, self.good, self.obstacles]
        return discs(
            jnp.concatenate([state.positions, state.obstacles]),
            jnp.asarray(np.repeat(np.asarray(RADII, np.float32), counts)),
            jnp.asarray(np.repeat(np.asarray([0, 1, THING], np.int32), counts)),
            half_size=jnp.asarray(1.2),
        )

    def _each(self, values: tuple[float, float]) -> np.ndarray:
        """A value for each agent, by its group."""
        return np.repeat(np.asarray(values), [self.adversaries, self.good])

    def _touch(self) -> np.ndarray:
        """Distance at which an agent touches another agent or an obstacle."""
        radii = np.repeat(np.asarray(RADII), [self.adversaries, self.good, self.obstacles])
        touch = radii[: self.agents, None] + radii[None]
        itself = np.eye(self.agents, len(radii), dtype=bool)
        return np.where(itself, -np.inf, touch)


def _outside(positions: Float[Array, "agents 2 *envs"]) -> Float[Array, "agents 2 *envs"]:
    """What leaving the square costs along each axis."""
    far = jnp.abs(positions)
    slope = 10.0 * jnp.maximum(far - 0.9, 0.0)
    # no exponential of more than is used, so that gradients stay finite
    steep = jnp.minimum(jnp.exp(2.0 * jnp.minimum(far, 3.0) - 2.0), 10.0)
    return jnp.where(far < 1.0, slope, steep)
