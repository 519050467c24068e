"""A pole on a cart: the classic of one agent, for checking what should work anywhere.

With the cart's place x, the pole's angle t from upright, force F = ±10 N, masses 1.0 kg (cart) and
0.1 kg (pole), half length l = 0.5 m, g = 9.8 m/s² and the total mass M::

    a   = (F + 0.1 l t'² sin t) / M
    t'' = (g sin t - a cos t) / (l (4/3 - 0.1 cos² t / M))
    x'' = a - 0.1 l t'' cos t / M

moved by Euler's rule every 0.02 s, positions first. It ends where |x| > 2.4 m or |t| > 12 degrees,
and is a success if it lasts to the horizon. Every step earns 1.

Source: Barto, Sutton and Anderson, Neuronlike adaptive elements (1983); the rules and numbers of
CartPole-v1 in gymnasium, with which it agrees.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.envs.actions import executed
from understudy.envs.scenes import Scene
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
    require,
)

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, DT = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
EDGE, LEAN = 2.4, 12 * math.pi / 180
START = 0.05
"""Everything begins evenly between minus this and this."""


@record
class CartPoleState:
    """What moves: place (m), speed (m/s), angle from upright (rad) and its speed (rad/s)."""

    values: Float[Array, " 4"]
    time: Int[Array, ""]
    fallen: Bool[Array, ""]


@hyperparameters
class CartPole:
    """The game of the pole; see the top of the file."""

    horizon: int = 500
    """Steps."""

    rate = 1 / DT

    def __post_init__(self) -> None:
        require(self.horizon >= 1, f"expected at least one step, found {self.horizon}")

    @property
    def spec(self) -> Spec:
        """One agent that pushes left (0) or right (1)."""
        names = ("place", "speed", "angle", "turning")
        group = Group("agents", 1, 4, ActionSpec(sections=(2,)), features=names)
        return Spec((group,), state=4, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[CartPoleState, Observation]:
        """Begin nearly upright."""
        values = jax.random.uniform(key, (4,), minval=-START, maxval=START)
        state = CartPoleState(values, jnp.zeros((), jnp.int32), jnp.asarray(False))
        return state, _observe(state)

    def step(
        self, state: CartPoleState, action: Actions, key: Key[Array, ""]
    ) -> tuple[CartPoleState, Step]:
        """Push once; a pole that has fallen stays where it is and earns nothing."""
        played = executed(self.spec, action)
        moved = _move(state.values, jnp.where(played["agents"][0, 0] > 0, FORCE, -FORCE))
        moved = jnp.where(state.fallen, state.values, moved)
        fallen = (jnp.abs(moved[0]) > EDGE) | (jnp.abs(moved[2]) > LEAN)
        after = CartPoleState(moved, state.time + 1, fallen)
        lasted = (after.time >= self.horizon) & ~fallen
        step = Step(
            observation=_observe(after),
            action=played,
            reward={"agents": jnp.where(state.fallen, 0.0, 1.0)[None]},
            terminated=fallen,
            truncated=lasted,
            info={"success": lasted},
        )
        return after, step

    def scene(self, state: CartPoleState) -> Scene:
        """The cart and the pole's tip as discs, the pole and the track as lines; metres."""
        cart = jnp.stack([state.values[0], jnp.zeros(())])
        lean = jnp.stack([jnp.sin(state.values[2]), jnp.cos(state.values[2])])
        tip = cart + 2 * HALF_LENGTH * lean
        track = jnp.array([[-EDGE, 0.0], [EDGE, 0.0]])
        return Scene(
            centres=jnp.stack([cart, tip]),
            radii=jnp.array([0.15, 0.05]),
            teams=jnp.zeros(2, jnp.int32),
            strength=jnp.ones(2),
            lines=jnp.stack([jnp.stack([cart, tip]), track]),
            half_size=jnp.asarray(EDGE + 0.2),
        )


def _move(values: Float[Array, " 4"], force: Float[Array, ""]) -> Float[Array, " 4"]:
    """Place, speed, angle and its speed one step later."""
    place, speed, angle, turning = values
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    mass = CART + POLE
    push = (force + POLE * HALF_LENGTH * turning**2 * sine) / mass
    inertia = HALF_LENGTH * (4.0 / 3.0 - POLE * cosine**2 / mass)
    turn = (GRAVITY * sine - push * cosine) / inertia
    pull = push - POLE * HALF_LENGTH * turn * cosine / mass
    return jnp.stack(
        [place + DT * speed, speed + DT * pull, angle + DT * turning, turning + DT * turn]
    )


def _observe(state: CartPoleState) -> Observation:
    return Observation(
        {"agents": state.values[None]}, {"agents": jnp.ones(1, bool)}, state=state.values
    )
