"""Box bumper: a large disc wants to get past another through one of two narrow gaps.

The runner's goal lies below the middle of a wall that crosses the box near its bottom and leaves a
gap at each end. A gap takes one disc and no two, so a blocker that stands in one and pushes back
closes it. The runner is paid minus its distance to the goal and 10 when it gets there, which ends
the episode; the blocker is paid the negative of that.

A plan in which the blocker only answers to the runner goes through the nearer gap, blocked or not.

The box is the square ``[-1, 1]²``. Its walls are hard: a disc stops at them. The wall inside and
the discs push softly, and both agents are equally strong.

Source: Krupnik, Mordatch and Tamar, Multi-Agent Reinforcement Learning with Multi-Step Generative
Models (arXiv 1901.10251), appendix. The rules are theirs; sizes, forces, starts and rewards, which
are not published, are ours.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

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
"""Of the box."""
RADIUS = 0.2
"""Of both agents."""
FORCE = 2.5
"""Of a full action along an axis: kept up, it leads to a speed of 1 per second."""
GAP = 0.5
"""Width of each gap: 0.1 more than a disc."""
THICK = 0.02
"""Half the wall's thickness; its ends are round."""
WALL_Y = -0.4
WALL_END = HALF_SIZE - GAP - THICK
"""The wall's middle line goes from ``-WALL_END`` to ``WALL_END``."""
GOAL = (0.0, -0.7)
GOAL_RADIUS = 0.15
"""The runner is there when its centre is nearer to the goal than this."""
BONUS = 10.0
BANDS = ((0.45, 0.8), (-0.15, 0.02), (-0.8, -0.65))
"""Heights at which agents start: the upper two above the wall, the last below it. Discs in two of
them never touch."""
NAMES = (
    "x", "y", "speed x", "speed y", "other x", "other y", "other speed x", "other speed y",
)  # fmt: skip
STARTS = ("any", "blocked")

LIMIT = np.full(2, HALF_SIZE - RADIUS)
APART = np.where(np.eye(2, dtype=bool), -np.inf, 2 * RADIUS)


@hyperparameters
class BoxBumper:
    """One wants to pass, one may block; groups ``"runner"`` and ``"blocker"`` act at once."""

    start: Literal["any", "blocked"] = "any"
    """The runner begins above the wall and the blocker anywhere else; or the blocker stands in a
    gap and the runner above the wall, nearer to that gap than to the other."""
    action: Literal["discrete", "plane", "boxes"] = "discrete"
    """One of five choices (nothing, left, right, down, up), a direction in [-1, 1]², or an amount
    in [0, 1] of each choice."""
    horizon: int = 75
    """Steps of an episode that does not end at the goal; the longer way there takes about 40."""

    figures: ClassVar[dict[str, str]] = {"distance": "last"}
    """Of `info`, what evaluations report: the last of an episode."""
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
        """The state is both positions, then both velocities, the runner's first."""
        moves = particles.ACTIONS[self.action]
        runner = Group("runner", 1, len(NAMES), moves, features=NAMES)
        blocker = Group("blocker", 1, len(NAMES), moves, features=NAMES)
        return Spec((runner, blocker), state=8, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[Pair, Observation]:
        """Put both at rest where they do not touch."""
        places = (_blocked if self.start == "blocked" else _anywhere)(key)
        state = Pair(places, jnp.zeros_like(places), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, state: Pair, action: Actions, key: Key[Array, ""]) -> tuple[Pair, Step]:
        """Push, move, pay; nothing is left to chance."""
        spec = particles.ACTIONS[self.action]
        done = particles.executed(spec, jnp.concatenate([action["runner"], action["blocker"]]))
        here = state.positions
        force = FORCE * particles.direction(spec, done)
        force = force + particles.contact(here, here, APART) + _wall(here)
        positions, velocities = particles.walled(
            *particles.move(here, state.velocities, force, velocity_first=True), LIMIT
        )
        after = Pair(positions, velocities, state.time + 1)
        goal = particles.along(np.array(GOAL, np.float32)[None], here.ndim)
        distance = particles.length(positions[:1] - goal, 1)
        there = distance < GOAL_RADIUS
        reward = BONUS * there.astype(distance.dtype) - distance
        success = there[0]
        return after, Step(
            observation=self.observe(after),
            action={"runner": done[:1], "blocker": done[1:]},
            reward={"runner": reward, "blocker": -reward},
            terminated=success,
            truncated=(after.time >= self.horizon) & ~success,
            info={"success": success, "distance": distance[0]},
        )

    def observe(self, state: Pair) -> Observation:
        """Own place and velocity, then the other's."""
        own = jnp.concatenate([state.positions, state.velocities], 1)
        seen = jnp.concatenate([own, own[::-1]], 1)
        alive = jnp.ones((1, *state.time.shape), bool)
        return Observation(
            {"runner": seen[:1], "blocker": seen[1:]},
            {"runner": alive, "blocker": alive},
            None,
            particles.joined(state.positions, state.velocities),
        )

    def places(self, features: Features) -> Float[Array, "time things=2 2"]:
        """Where runner and blocker are, of what they observe, ``{group: [time, agents=1, 8]}``."""
        return jnp.concatenate([features["runner"][..., :2], features["blocker"][..., :2]], -2)

    def scene(self, state: Pair) -> Scene:
        """Runner and blocker as two teams, the goal as a thing, the wall as a box."""
        scene = discs(
            jnp.concatenate([state.positions, jnp.array([GOAL])]),
            jnp.array([RADIUS, RADIUS, GOAL_RADIUS]),
            jnp.array([0, 1, THING], jnp.int32),
            half_size=jnp.asarray(HALF_SIZE),
        )
        end = WALL_END + THICK
        wall = box((-end, WALL_Y - THICK), (end, WALL_Y + THICK))
        return dataclasses.replace(scene, lines=wall)


def reach(features: Features, *, softness: float | int = 0.05) -> Rewards:
    """What `BoxBumper` pays for a state, as a smooth function of what the runner observes in it.

    With s the softness and d the runner's distance to the goal, the runner is paid::

        10 sigmoid((radius - d') / s) - d'        d' = sqrt(d² + s²) - s

    and the blocker the negative. As s shrinks this becomes the reward of the game. A prediction
    that goes on at the goal is paid there at every step, so early arrivals are worth more.

    Args:
        features: observed after the step that is paid for, ``{group: [..., agents=1, 8]}``,
            predicted or true.
        softness: over how much of the plane the edge of the goal is smoothed, above 0, in the
            game's units.

    Returns:
        ``{group: [..., agents=1]}``.

    Raises:
        UserError: for a softness that is not above 0.
    """
    require(softness > 0, f"expected a softness above 0, found {softness}")
    runner = jnp.asarray(features["runner"])[..., :2]
    goal = jnp.array(GOAL).reshape((1,) * (runner.ndim - 1) + (2,))
    distance = particles.soft_length(runner - goal, softness)
    reward = BONUS * jax.nn.sigmoid((GOAL_RADIUS - distance) / softness) - distance
    return {"runner": reward, "blocker": -reward}


def _wall(here: Float[Array, "2 2 *envs"]) -> Float[Array, "2 2 *envs"]:
    """Force of the wall inside: from its nearest point, as of a disc as thick as the wall."""
    away_x = here[:, 0] - jnp.clip(here[:, 0], -WALL_END, WALL_END)
    away_y = here[:, 1] - WALL_Y
    squared = jnp.square(away_x) + jnp.square(away_y)
    strength = particles.repulsion(squared, RADIUS + THICK, squared > 0.0)
    return jnp.stack([strength * away_x, strength * away_y], 1)


def _anywhere(key: Key[Array, ""]) -> Float[Array, "2 2"]:
    """The runner in one of the bands above the wall, the blocker in another band."""
    x_key, y_key, runner_key, blocker_key = jax.random.split(key, 4)
    runner = jax.random.randint(runner_key, (), 0, 2, jnp.int32)
    below = jax.random.bernoulli(blocker_key)
    bands = jnp.array(BANDS)[jnp.stack([runner, jnp.where(below, 2, 1 - runner)])]
    x = jax.random.uniform(x_key, (2,), minval=-LIMIT[0], maxval=LIMIT[0])
    share = jax.random.uniform(y_key, (2,))
    return jnp.stack([x, bands[:, 0] + share * (bands[:, 1] - bands[:, 0])], 1)


def _blocked(key: Key[Array, ""]) -> Float[Array, "2 2"]:
    """The blocker in the middle of a gap, the runner above the wall's half next to it."""
    side_key, x_key, y_key = jax.random.split(key, 3)
    side = jnp.where(jax.random.bernoulli(side_key), 1.0, -1.0)
    x = side * jax.random.uniform(x_key, (), minval=RADIUS, maxval=LIMIT[0])
    y = jax.random.uniform(y_key, (), minval=RADIUS, maxval=LIMIT[0])
    blocker = jnp.stack([side * (HALF_SIZE - GAP / 2), jnp.asarray(WALL_Y)])
    return jnp.stack([jnp.stack([x, y]), blocker])
