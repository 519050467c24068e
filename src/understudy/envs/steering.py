"""Getting a disc to a place quickly: how the scripted experts of the particle games move.

Along each axis a disc keeps c = 3/4 of its speed per step and gains at most g, one way or the
other. From speed v, braking with all its force, it stands after k steps and ``dt (v S_k - g T_k)``
with ``S_k = 1 + c + ... + c^k`` and ``T_k = sum_j<=k (1 - c^j) / (1 - c)``. So the highest speed
from which it still stops at distance d is the least of ``(d / dt + g T_k) / S_k`` over k: where
amounts can be chosen, that is the speed to have next.

Where there are choices, one axis can be served at a time. Then it is the choice whose speed, kept
for `AHEAD` seconds, leads nearest to the goal; searching three choices deep earns 1 % more.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.envs.particles import DAMPING, DT
from understudy.types import ActionSpec

STEPS = 12
"""Steps of braking looked ahead."""
AHEAD = 0.14
"""Seconds; found by trying 0.12 to 0.4 on `Spread`, where 0.12 to 0.15 earn the same."""
CHOICE = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float32)
"""Direction of each choice: nothing, left, right, down, up."""


class Steering(eqx.Module):
    """How discs of a game answer to actions.

    Args:
        action: one of `particles.DISCRETE`, `particles.BOXES`, `particles.PLANE`.
        force: of a full action.
        velocity_first: positions follow the new velocities.
        right_first: choices are read as right, left, up, down.
    """

    action: ActionSpec = eqx.field(static=True)
    force: float = eqx.field(static=True)
    velocity_first: bool = eqx.field(static=True, default=False)
    right_first: bool = eqx.field(static=True, default=False)

    def to(
        self,
        goal: Float[Array, "agents 2"],
        position: Float[Array, "agents 2"],
        velocity: Float[Array, "agents 2"],
    ) -> Float[Array, "agents act"]:
        """Actions that bring each disc to its goal and keep it there."""
        gain = self.force * DT
        kept = (1 - DAMPING) * velocity
        left = goal - position
        if not self.velocity_first:
            left = left - DT * velocity  # what is left when the next speed begins to count
        if self.action.sections:
            speed = kept[:, None] + gain * self._choices[None]
            missed = left[:, None] - AHEAD * speed
            best = jnp.argmin(jnp.sum(jnp.square(missed), -1), 1)
            return best[:, None].astype(jnp.float32)
        wanted = jnp.sign(left) * _fastest(jnp.abs(left), gain)
        return self.push((wanted - kept) / gain)

    def push(self, direction: Float[Array, "agents 2"]) -> Float[Array, "agents act"]:
        """Actions nearest to a push of so much along each axis, cut to 1."""
        if self.action.sections:
            along = jnp.sum(direction[:, None] * self._choices[None], -1)
            return jnp.argmax(along, 1)[:, None].astype(jnp.float32)
        direction = jnp.clip(direction, -1.0, 1.0)
        if self.action.size == 2:
            return direction
        along = jnp.sum(direction[:, None] * self._choices[None], -1)
        return jnp.maximum(along, 0.0)

    @property
    def _choices(self) -> Float[Array, "choices 2"]:
        return jnp.asarray(-CHOICE if self.right_first else CHOICE)


class PD(eqx.Module):
    """Proportional and derivative control: ``clip(gain (goal - p) - damping v, -1, 1)``.

    For actions that are a direction, `particles.PLANE`.
    """

    gain: float = eqx.field(static=True, default=8.0)
    damping: float = eqx.field(static=True, default=1.5)

    def to(
        self,
        goal: Float[Array, "agents 2"],
        position: Float[Array, "agents 2"],
        velocity: Float[Array, "agents 2"],
    ) -> Float[Array, "agents 2"]:
        """Actions that pull each disc to its goal."""
        return jnp.clip(self.gain * (goal - position) - self.damping * velocity, -1.0, 1.0)


def _fastest(distance: Float[Array, "agents 2"], gain: float) -> Float[Array, "agents 2"]:
    """The highest speed from which a disc still stops within `distance`."""
    decay = (1 - DAMPING) ** np.arange(STEPS)
    reach = np.cumsum(decay)
    lost = np.cumsum((1 - decay) / DAMPING)
    lost, reach = (x.astype(np.float32)[None, None] for x in (lost, reach))
    return jnp.min((distance[..., None] / DT + gain * lost) / reach, -1)
