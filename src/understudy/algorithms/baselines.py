"""Generators that learn nothing: constant velocity, stay put, random walk.

They are the rows beside every model: one that does not beat them has learnt nothing either. Each
is built from a spec and the statistics of the training split, and covers every group. ::

    stay put            x_{t+1} = x_t
    random walk         x_{t+1} ~ N(x_t, step_std²)
    constant velocity   x_{t+1} = x_t + (x_t − x_{t−1}),  or ~ N(that, turn_std²) with noise

``step_std`` and ``turn_std`` are the root mean squares of the change, and of the change of change,
of each feature: the maximum-likelihood scales of the two laws. They are at least
`latent.STD_FLOOR`, as every likelihood is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.functional import latent
from understudy.types import Given, Observation, Samples, Spec, Statistics, Window, require

Positions = Float[Array, "agents obs"]


class _State(NamedTuple):
    features: Positions
    velocity: Positions


class _Baseline(eqx.Module):
    """A first-order law of motion, the same for every agent of a group and blind to the others."""

    decentralised: ClassVar[bool] = True
    transfers: ClassVar[bool] = True
    momentum: ClassVar[bool] = False
    """The last step is repeated."""

    first_std: dict[str, Float[Array, " obs"]]
    """Spread of a step whose predecessor is not known."""
    std: dict[str, Float[Array, " obs"]]
    """Spread of the other steps."""
    groups: tuple[str, ...] = eqx.field(static=True)
    noise: bool = eqx.field(static=True)
    """Samples follow the law with its spread; without, all samples are its mean."""

    def sample(
        self,
        context: Observation,
        key: Key[Array, ""],
        *,
        samples: int,
        horizon: int,
        given: Given | None = None,
        intents: Given | None = None,
    ) -> Samples:
        """Draw futures; without noise `samples` identical copies.

        Args:
            context: rows seen, at least one, time first. An agent absent in the last row stays at
                zero; one absent in the row before has no velocity yet.
            key: of the noise.
            samples: number of futures.
            horizon: rows to draw.
            given: features ``{group: [horizon, agents, obs]}`` reproduced where held; motion goes
                on from there.
            intents: not understood; leave it out.

        Raises:
            UserError: no row of context or horizon, or intents.
        """
        require(intents is None, f"{type(self).__name__} has no intents to fix; leave them out")
        found = {}
        for number, name in enumerate(self.groups):
            past, alive = context.features[name], context.alive[name]
            require(
                past.shape[0] >= 1 and horizon >= 1,
                "expected at least one row of context and of horizon, "
                f"found {past.shape[0]} and {horizon}; ask for more",
            )
            shape = (horizon, *past.shape[1:])
            values, held = jnp.zeros(shape, past.dtype), jnp.zeros(shape[:2], bool)
            if given is not None and name in given.values:
                values, held = given.values[name], given.held[name]
            draws = samples if self.noise else 1
            noise = jnp.zeros((draws, *shape), past.dtype)
            if self.noise:
                stds = self._stds(past, alive, horizon, name)
                drawn = jax.random.normal(jax.random.fold_in(key, number), noise.shape, past.dtype)
                noise = drawn * stds[None]
            begin = self._begin(past, alive)
            futures = jax.vmap(self._go_on, (None, 0, None, None))(begin, noise, values, held)
            futures = jnp.where(alive[-1][None, None, :, None], futures, 0)
            found[name] = jnp.broadcast_to(futures, (samples, *shape))
        return Samples(found)

    def _begin(
        self, past: Float[Array, "rows agents obs"], alive: Bool[Array, "rows agents"]
    ) -> _State:
        now = past[-1]
        if not self.momentum or past.shape[0] < 2:
            return _State(now, jnp.zeros_like(now))
        return _State(now, jnp.where((alive[-1] & alive[-2])[:, None], now - past[-2], 0))

    def _stds(
        self,
        past: Float[Array, "rows agents obs"],
        alive: Bool[Array, "rows agents"],
        horizon: int,
        name: str,
    ) -> Float[Array, "horizon agents obs"]:
        """The first step of an agent without velocity is as wide as steps are."""
        known = alive[-1] & alive[-2] if past.shape[0] > 1 else jnp.zeros_like(alive[-1])
        known = known if self.momentum else jnp.ones_like(known)
        first = jnp.where(known[:, None], self.std[name][None], self.first_std[name][None])
        later = jnp.broadcast_to(self.std[name], (horizon - 1, *past.shape[1:]))
        return jnp.concatenate([first[None], later])

    def _go_on(
        self,
        begin: _State,
        noise: Float[Array, "horizon agents obs"],
        values: Float[Array, "horizon agents obs"],
        held: Bool[Array, "horizon agents"],
    ) -> Float[Array, "horizon agents obs"]:
        def step(state: _State, row: tuple[Array, Array, Array]) -> tuple[_State, Array]:
            noise, value, held = row
            change = state.velocity + noise
            features = jnp.where(held[:, None], value, state.features + change)
            change = jnp.where(held[:, None], value - state.features, change)
            velocity = change if self.momentum else jnp.zeros_like(change)
            return _State(features, velocity), features

        return jax.lax.scan(step, begin, (noise, values, held))[1]


class StayPut(_Baseline):
    """Nobody moves. It has no likelihood; that of the same law with noise is `RandomWalk`'s."""

    def __init__(self, spec: Spec, statistics: Statistics) -> None:
        self.first_std = self.std = _floored(spec, statistics.step_std)
        self.groups, self.noise = spec.names, False


class _Likely(_Baseline):
    def bound(
        self, window: Window, key: Key[Array, ""], *, particles: int = 1
    ) -> dict[str, Float[Array, ""]]:
        """Exact log-likelihood of one window, in the terms of a bound; nats, data units.

        Row 0 is given and never counted. A step counts where the agent is alive in both rows; one
        whose predecessor is not known counts under ``N(0, step_std²)``.

        Args:
            window: unbatched, time first.
            key: not used, nothing is drawn.
            particles: plays no part, the bound is exact.

        Returns:
            ``reconstruction = elbo_given_intents = elbo = iwae``; ``kl`` and ``intents`` 0;
            ``frames`` counted.
        """
        total = jnp.zeros(())
        for name in self.groups:
            x, alive = window.observation.features[name], window.observation.alive[name]
            step = jnp.diff(x, axis=0)
            joined = alive[1:] & alive[:-1]
            none = jnp.zeros_like(joined[:1])
            known = jnp.concatenate([none, joined[:-1]]) & joined
            before = jnp.concatenate([jnp.zeros_like(step[:1]), step[:-1]])
            if not self.momentum:
                known, before = joined, jnp.zeros_like(before)
            mean = jnp.where(known[..., None], before, 0)
            std = jnp.where(
                known[..., None], self.std[name][None, None], self.first_std[name][None, None]
            )
            terms = latent.gaussian_log_prob(step, mean, std)
            total += jnp.where(joined[..., None], terms, 0).sum()
        frames = jnp.asarray(window.terminated.shape[-1] - 1, total.dtype)
        zero = jnp.zeros_like(total)
        return {
            "reconstruction": total,
            "kl": zero,
            "intents": zero,
            "elbo_given_intents": total,
            "elbo": total,
            "iwae": total,
            "frames": frames,
        }


class RandomWalk(_Likely):
    """Independent Gaussian steps."""

    def __init__(self, spec: Spec, statistics: Statistics) -> None:
        self.first_std = self.std = _floored(spec, statistics.step_std)
        self.groups, self.noise = spec.names, True


class ConstantVelocity(_Likely):
    """The last step is repeated; with `noise`, a random walk of the velocity."""

    momentum: ClassVar[bool] = True

    def __init__(self, spec: Spec, statistics: Statistics, *, noise: bool = False) -> None:
        self.first_std = _floored(spec, statistics.step_std)
        self.std = _floored(spec, statistics.turn_std)
        self.groups, self.noise = spec.names, noise


def _floored(spec: Spec, stds: Mapping[str, Array]) -> dict[str, Array]:
    return {name: jnp.maximum(stds[name], latent.STD_FLOOR) for name in spec.names}
