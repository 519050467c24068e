"""Predator and prey: a hunter and its prey on the two sides of a wall, a game for planners.

The predator is paid minus its distance to the prey and the prey the negative of that, so what one
gains the other loses. A wall, a vertical line of discs, stands in the middle; whoever plans the way
round it has to look further ahead than the wall is long. With ``safe_zone`` no distance counts
while the prey is in the box at the bottom right.

The arena is the square ``[-1, 1]²``. Its walls are hard: a disc stops at them. All discs push each
other softly, and both agents are equally strong.

Source: Krupnik, Mordatch and Tamar, Multi-Agent Reinforcement Learning with Multi-Step Generative
Models (arXiv 1901.10251). The rules are theirs; sizes, forces, starts and the prey's reward, which
are not published, are ours.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from understudy.envs import particles
from understudy.envs.particles import Pair
from understudy.envs.scenes import THING, Scene, box, discs
from understudy.types import (
    Actions,
    Features,
    Group,
    Observation,
    Rewards,
    Spec,
    Step,
    hyperparameters,
    require,
)

HALF_SIZE = 1.0
"""Of the arena."""
RADII = (0.075, 0.05)
"""Of predator and prey."""
FORCE = 2.0
"""Of a full action along an axis."""
TOP_SPEED = 0.8
"""Per second; slow enough that nobody is ever pushed through the wall."""
BRICK = 0.125
"""Radius of the wall's discs."""
WALL = np.stack([np.zeros(7), np.linspace(-0.45, 0.45, 7)], 1).astype(np.float32)
"""Centres of the wall's discs. They overlap, so nobody slips through; 0.425 are left at an end."""
CENTRE = (0.0, 0.0)
"""Of the wall."""
NEAREST, FURTHEST = 0.25, 0.9
"""How far from the middle agents start: along x between the two, along y up to the second."""
SAFE_LEFT, SAFE_TOP = 0.4, -0.4
"""Prey is safe right of the one and below the other."""
NAMES = ("x", "y", "speed x", "speed y", "to wall x", "to wall y")
STARTS = ("any", "same", "different")

LIMIT = HALF_SIZE - np.array(RADII)
FASTEST = np.full(2, TOP_SPEED)
APART = np.where(np.eye(2, dtype=bool), -np.inf, sum(RADII))
TOUCH_WALL = np.repeat(np.array(RADII)[:, None] + BRICK, len(WALL), 1)


@hyperparameters
class PredatorPrey:
    """One hunter, one hunted; groups ``"predator"`` and ``"prey"`` act at once."""

    start: Literal["any", "same", "different"] = "any"
    """Both begin on the same side of the wall, on different ones, or on any; which is by chance."""
    safe_zone: bool = False
    """The predator is paid 0 while the prey is in the box at the bottom right."""
    action: Literal["plane", "discrete", "boxes"] = "plane"
    """A direction in [-1, 1]², one of five choices (nothing, left, right, down, up), or an amount
    in [0, 1] of each."""
    horizon: int = 50
    """Steps of an episode."""

    figures: ClassVar[dict[str, str]] = {"distance": "mean"}
    """Of `info`, what evaluations report: its mean over the steps of an episode."""
    lanes: ClassVar[bool] = True
    """Arrays may carry an axis of envs after all others; see `rollout.advance`."""
    rate: ClassVar[float] = 1 / particles.DT
    """Steps per second (Hz)."""

    def __post_init__(self) -> None:
        """Raise `UserError` for a start, an action or a horizon that there is not."""
        require(self.start in STARTS, f"expected a start of {STARTS}, found {self.start!r}")
        particles.check(self.action, self.horizon)

    @property
    def spec(self) -> Spec:
        """The state is both positions, then both velocities, the predator's first."""
        moves = particles.ACTIONS[self.action]
        predator = Group("predator", 1, len(NAMES), moves, features=NAMES)
        prey = Group("prey", 1, len(NAMES), moves, features=NAMES)
        return Spec((predator, prey), state=8, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[Pair, Observation]:
        """Put both at rest somewhere on their side of the wall."""
        side_key, x_key, y_key = jax.random.split(key, 3)
        sides = jnp.where(jax.random.bernoulli(side_key, 0.5, (2,)), 1.0, -1.0)
        if self.start != "any":
            other = sides[0] if self.start == "same" else -sides[0]
            sides = jnp.stack([sides[0], other])
        x = sides * jax.random.uniform(x_key, (2,), minval=NEAREST, maxval=FURTHEST)
        y = jax.random.uniform(y_key, (2,), minval=-FURTHEST, maxval=FURTHEST)
        places = jnp.stack([x, y], 1)
        state = Pair(places, jnp.zeros_like(places), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, state: Pair, action: Actions, key: Key[Array, ""]) -> tuple[Pair, Step]:
        """Push, move, pay; nothing is left to chance."""
        spec = particles.ACTIONS[self.action]
        done = particles.executed(spec, jnp.concatenate([action["predator"], action["prey"]]))
        here = state.positions
        force = FORCE * particles.direction(spec, done)
        force = force + particles.contact(here, here, APART)
        wall = jnp.broadcast_to(particles.along(WALL, here.ndim), (*WALL.shape, *here.shape[2:]))
        force = force + particles.contact(here, wall, TOUCH_WALL)
        positions, velocities = particles.walled(
            *particles.move(here, state.velocities, force, top_speed=FASTEST, velocity_first=True),
            LIMIT,
        )
        after = Pair(positions, velocities, state.time + 1)
        distance = particles.length(positions[1:] - positions[:1], 1)
        counted = distance
        if self.safe_zone:
            safe = (positions[1:, 0] > SAFE_LEFT) & (positions[1:, 1] < SAFE_TOP)
            counted = jnp.where(safe, 0.0, distance)
        truncated = after.time >= self.horizon
        return after, Step(
            observation=self.observe(after),
            action={"predator": done[:1], "prey": done[1:]},
            reward={"predator": -counted, "prey": counted},
            terminated=jnp.zeros_like(truncated),
            truncated=truncated,
            info={"distance": distance[0]},
        )

    def observe(self, state: Pair) -> Observation:
        """Own place, own velocity, and the way to the wall's centre; not the other."""
        ndim = state.positions.ndim
        centre = particles.along(np.array(CENTRE, np.float32)[None], ndim)
        seen = jnp.concatenate([state.positions, state.velocities, centre - state.positions], 1)
        alive = jnp.ones((1, *state.time.shape), bool)
        return Observation(
            {"predator": seen[:1], "prey": seen[1:]},
            {"predator": alive, "prey": alive},
            None,
            particles.joined(state.positions, state.velocities),
        )

    def places(self, features: Features) -> Float[Array, "time things=2 2"]:
        """Where predator and prey are, of what they observe, ``{group: [time, agents=1, 6]}``."""
        return jnp.concatenate([features["predator"][..., :2], features["prey"][..., :2]], -2)

    def scene(self, state: Pair) -> Scene:
        """Predator and prey as two teams, the wall as things, the safe zone as a box."""
        scene = discs(
            jnp.concatenate([state.positions, jnp.asarray(WALL)]),
            jnp.array([*RADII, *[BRICK] * len(WALL)]),
            jnp.array([0, 1, *[THING] * len(WALL)], jnp.int32),
            half_size=jnp.asarray(HALF_SIZE),
        )
        if not self.safe_zone:
            return scene
        zone = box((SAFE_LEFT, -HALF_SIZE), (HALF_SIZE, SAFE_TOP))
        return dataclasses.replace(scene, lines=zone)


def chase(features: Features, *, safe_zone: bool = False, softness: float | int = 0.05) -> Rewards:
    """What `PredatorPrey` pays for a state, as a smooth function of what both observe in it.

    With s the softness and d the way from predator to prey, the predator is paid::

        -(sqrt(|d|² + s²) - s) (1 - sigmoid((x - left) / s) sigmoid((top - y) / s))

    where the second factor is there for a safe zone only, and (x, y) is the place of the prey. The
    prey is paid the negative. As s shrinks this becomes the reward of the game.

    Args:
        features: observed after the step that is paid for, ``{group: [..., agents=1, 6]}``,
            predicted or true.
        safe_zone: as the game's.
        softness: over how much of the plane edges are smoothed, above 0, in the game's units.

    Returns:
        ``{group: [..., agents=1]}``.

    Raises:
        UserError: for a softness that is not above 0.
    """
    require(softness > 0, f"expected a softness above 0, found {softness}")
    prey = jnp.asarray(features["prey"])[..., :2]
    counted = particles.soft_length(prey - features["predator"][..., :2], softness)
    if safe_zone:
        right = jax.nn.sigmoid((prey[..., 0] - SAFE_LEFT) / softness)
        below = jax.nn.sigmoid((SAFE_TOP - prey[..., 1]) / softness)
        counted = counted * (1.0 - right * below)
    return {"predator": -counted, "prey": counted}
