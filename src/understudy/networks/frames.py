"""Between positions in data units and what networks read and predict."""

from __future__ import annotations

from typing import Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.functional.latent import STD_FLOOR
from understudy.types import Statistics, Window

Positions: TypeAlias = Float[Array, "*lead agents obs"]
Output: TypeAlias = Literal["position", "displacement", "change"]


class Frames(eqx.Module):
    """Normalises scenes and targets by the moments of the training split.

    A network predicts one of three things, each divided by its own scale, so that likelihoods in
    data units are those of the network minus `log_scale`:

    * ``"position"``: where the agent is next, as the published models;
    * ``"displacement"``: how far it moves;
    * ``"change"``: by how much that move differs from the last one, so that a network that has
      learned nothing yet continues at constant velocity.
    """

    mean: Float[Array, " obs"]
    std: Float[Array, " obs"]
    step: Float[Array, " obs"]
    turn: Float[Array, " obs"]
    group: str = eqx.field(static=True)
    """Name of the group these are the scales of."""
    velocity: bool = eqx.field(static=True)
    """Networks see the last move beside the position."""
    output: Output = eqx.field(static=True)

    @classmethod
    def of(cls, statistics: Statistics, group: str, *, velocity: bool, output: Output) -> Frames:
        """The scales of one group."""
        values = (statistics.mean, statistics.std, statistics.step_std, statistics.turn_std)
        scales = (jnp.asarray(value[group], jnp.float32) for value in values)
        return cls(*scales, group=group, velocity=velocity, output=output)

    @property
    def features(self) -> int:
        """Numbers that describe one agent in the scene."""
        return self.mean.shape[-1] * (2 if self.velocity else 1)

    @property
    def scale(self) -> Float[Array, " obs"]:
        """Data units per unit of target."""
        return {"position": self.std, "displacement": self.step, "change": self.turn}[self.output]

    @property
    def floor(self) -> Float[Array, " obs"]:
        """The std floor of likelihoods in units of the target."""
        return STD_FLOOR / self.scale

    def seen(
        self, now: Positions, move: Positions, alive: Bool[Array, "*lead agents"]
    ) -> Float[Array, "*lead seen"]:
        """The scene as networks read it: all agents side by side, zero where absent.

        Args:
            now: positions, data units.
            move: displacement that led there, data units; zero in the first row.
            alive: agents present.
        """
        x = (now - _like(self.mean, now)) / _like(self.std, now)
        if self.velocity:
            x = jnp.concatenate([x, move / _like(self.step, now)], -1)
        x = jnp.where(alive[..., None], x, 0.0)
        return x.reshape(*x.shape[:-2], -1)

    def target(
        self, now: Positions, move: Positions, after: Positions, alive: Bool[Array, "*lead agents"]
    ) -> Positions:
        """What the step from `now` to `after` is in units of the network's output."""
        base = self._base(now, move)
        return jnp.where(alive[..., None], (after - base) / _like(self.scale, now), 0.0)

    def place(self, now: Positions, move: Positions, target: Positions) -> Positions:
        """Undo `target`: positions of the next row, data units."""
        return self._base(now, move) + target * _like(self.scale, now)

    def _base(self, now: Positions, move: Positions) -> Positions:
        if self.output == "position":
            return jnp.broadcast_to(_like(self.mean, now), now.shape)
        return now if self.output == "displacement" else now + move


def moves(
    positions: Float[Array, "rows *lead agents obs"], alive: Bool[Array, "rows *lead agents"]
) -> Float[Array, "rows *lead agents obs"]:
    """Displacement that led to each row; zero in the first row and where an agent just appeared."""
    moved = positions[1:] - positions[:-1]
    moved = jnp.where((alive[1:] & alive[:-1])[..., None], moved, 0.0)
    return jnp.concatenate([jnp.zeros_like(positions[:1]), moved])


def time_first(
    window: Window, group: str
) -> tuple[Float[Array, "rows batch agents obs"], Bool[Array, "rows batch agents"]]:
    """Positions and presence of one group of a batch of windows ``[batch, time, ...]``."""
    observation = window.observation
    swapped = (jnp.swapaxes(x[group], 0, 1) for x in (observation.features, observation.alive))
    positions, alive = swapped
    return positions, alive


def _like(feature: Float[Array, " obs"], x: Positions) -> Float[Array, "*one obs"]:
    return feature.reshape((1,) * (x.ndim - 1) + (-1,))
