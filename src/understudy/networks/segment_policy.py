"""A policy that acts by segments: choose one, play some of its steps, look, choose again.

Who chooses is an argument: a draw from the prior is behaviour cloning of the team, and a search is
a planner. Every step of a segment is for all agents at once; `envs.policies.assign` takes from it
those that this policy plays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy import tree
from understudy.networks.segments import Layout, SegmentSizes
from understudy.types import Actions, Features, Memory, Observation, Rewards, UserError


@runtime_checkable
class Segments(Protocol):
    """What makes segments of latents; `SegmentModel` is one."""

    layout: Layout
    sizes: SegmentSizes

    def prior_moments(
        self, past: Float[Array, "past observed"]
    ) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        """Mean and deviation of latents after a past."""
        ...

    def decode(
        self, past: Float[Array, "past observed"], z: Float[Array, " latent"]
    ) -> tuple[Float[Array, "rows acted"], Float[Array, "rows observed"]]:
        """Actions and the observations they lead to."""
        ...


@runtime_checkable
class Chooser(Protocol):
    """What chooses the next segments."""

    segments: int
    """How many it looks ahead."""

    def __call__(
        self,
        model: Any,
        past: Float[Array, "past observed"],
        before: Float[Array, "segments latent"],
        key: Key[Array, ""],
    ) -> Float[Array, "segments latent"]:
        """Latents of the next segments, in deviations from the middle of the prior.

        Args:
            model: of segments.
            past: observations up to now.
            before: the last choice as far as it lies ahead.
            key: of all draws.
        """
        ...


class FromPrior(eqx.Module):
    """Whatever the prior says: a draw, or its middle."""

    certain: bool = eqx.field(static=True, default=False)
    segments: int = eqx.field(static=True, default=1)

    def __call__(self, model: Any, past: Array, before: Array, key: Any) -> Array:
        """Latents of the next segments."""
        return jnp.zeros_like(before) if self.certain else jax.random.normal(key, before.shape)


def imagine(
    model: Segments,
    past: Float[Array, "past observed"],
    noise: Float[Array, "segments latent"],
) -> tuple[Float[Array, "time acted"], Float[Array, "time observed"]]:
    """Actions and observations of segments in a row.

    Args:
        model: of segments.
        past: observations up to now.
        noise: latents in deviations from the middle of the prior.
    """

    def step(past: Array, noise: Array) -> tuple[Array, tuple[Array, Array]]:
        mean, std = model.prior_moments(past)
        done, after = model.decode(past, mean + std * noise)
        return jnp.concatenate([past, after])[-past.shape[0] :], (done, after)

    _, (done, after) = jax.lax.scan(step, past, noise)
    return done.reshape(-1, done.shape[-1]), after.reshape(-1, after.shape[-1])


class SegmentPolicy(eqx.Module):
    """Acts by segments; a `Policy`."""

    model: Any
    """Of segments."""
    choose: Any
    """A `Chooser`."""
    execute: int = eqx.field(static=True)
    """Steps played of a segment before the next is chosen."""
    decentralised: bool = eqx.field(static=True, default=False)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """Observations up to now, and what is planned."""
        layout, sizes = self.model.layout, self.model.sizes
        seen, acted, ahead = sum(layout.observed), sum(layout.acted), self.choose.segments
        return {
            "past": jnp.zeros((sizes.past, seen)),
            "noise": jnp.zeros((ahead, sizes.latent)),
            "plan": jnp.zeros((ahead * sizes.length, acted)),
            "imagined": jnp.zeros((ahead * sizes.length, seen)),
            "at": jnp.full((), -1, jnp.int32),
        }

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The next step of the plan, which is made anew where it is due."""
        now = self.model.layout.flat(observation.features)[None]
        first = memory["at"] < 0
        past = jnp.concatenate([memory["past"][1:], now])
        past = jnp.where(first, jnp.broadcast_to(now, past.shape), past)
        due = first | (memory["at"] >= self.execute)
        made = {name: memory[name] for name in ("noise", "plan", "imagined")}
        # where no game is due, nothing is searched, in a batch of them too
        new = jax.lax.cond(
            tree.anywhere(due), lambda: self._plan(past, memory["noise"], key), lambda: made
        )
        made = tree.where(due, new, made)
        at = jnp.where(due, 0, memory["at"])
        action = self.model.layout.actions(made["plan"][at])
        return action, {**made, "past": past, "at": at + 1}

    def expected(self, memory: Memory) -> Features:
        """What everybody is expected to observe from now on, the last row held: as many rows as
        are planned, ``{group: [time, agents, obs]}``."""
        ahead = memory["imagined"]
        rows = jnp.clip(jnp.arange(ahead.shape[0]) + memory["at"] - 1, 0, ahead.shape[0] - 1)
        return self.model.layout.features(ahead[rows])

    def _plan(self, past: Array, noise: Array, key: Any) -> dict[str, Array]:
        sizes = self.model.sizes
        ahead = jnp.concatenate([noise[1:], jnp.zeros_like(noise[:1])])
        before = ahead if self.execute >= sizes.length else noise
        noise = self.choose(self.model, past, before, key)
        plan, imagined = imagine(self.model, past, noise)
        return {"noise": noise, "plan": plan, "imagined": imagined}

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Raise: actions follow from latents.

        Raises:
            UserError: always.
        """
        raise UserError(
            "expected a policy with probabilities of actions, found one that acts by segments, "
            "which has none; imitate with another algorithm"
        )
