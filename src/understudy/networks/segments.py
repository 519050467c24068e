"""Segment models: what all agents do and see for some time, made from a past and from latents.

A segment is H actions u and the H observations x they lead to. Every agent has a latent of its own,
and another part is nobody's. How a segment is made of them is the model's factorisation:

====================  ===========================================================================
``factored``          u_i = G_i(past, z_i); x = F(past, u_1 ... u_N, z_free)
``conditional``       (x_i, u_i) = D_i(past, x_<i, u_<i, z_i): who comes later reacts
``joint``             (x, u) = D(past, z)
``single_step``       z_i are the actions; x_{t+1} = f(x_t, u_t), step by step
====================  ===========================================================================

Observations are changes of the last one, summed up. Only what an agent does has to follow from its
own latent; what it observes depends on all of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.functional.latent import positive_std
from understudy.networks.actions import action_of
from understudy.networks.mlp import MLP, drawn
from understudy.networks.segment_bodies import SegmentNetwork
from understudy.types import Actions, Features, Spec, Statistics, require

Making = Literal["factored", "conditional", "joint", "single_step"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """All agents side by side, in spec order."""

    spec: Spec

    @property
    def agents(self) -> tuple[tuple[str, int], ...]:
        """Group and number of every agent."""
        return tuple((g.name, i) for g in self.spec.groups for i in range(g.agents))

    @property
    def observed(self) -> tuple[int, ...]:
        """Features of every agent."""
        return tuple(g.observation for g in self.spec.groups for _ in range(g.agents))

    @property
    def acted(self) -> tuple[int, ...]:
        """Numbers of every agent's action."""
        return tuple(action_of(g).size for g in self.spec.groups for _ in range(g.agents))

    def flat(self, values: Any) -> Float[Array, "*lead numbers"]:
        """``{group: [*lead, agents, numbers]}`` side by side."""
        parts = [jnp.asarray(values[g.name]) for g in self.spec.groups]
        return jnp.concatenate([x.reshape(*x.shape[:-2], -1) for x in parts], -1)

    def features(self, flat: Float[Array, "*lead numbers"]) -> Features:
        """Features of every group."""
        return self._grouped(flat, self.observed)

    def actions(self, flat: Float[Array, "*lead numbers"]) -> Actions:
        """Actions of every group."""
        return self._grouped(flat, self.acted)

    def _grouped(self, flat: Array, sizes: tuple[int, ...]) -> dict[str, Array]:
        parts, found, first = split(flat, sizes), {}, 0
        for group in self.spec.groups:
            found[group.name] = jnp.stack(parts[first : first + group.agents], -2)
            first += group.agents
        return found


def split(flat: Float[Array, "*lead numbers"], sizes: tuple[int, ...]) -> list[Array]:
    """Parts of the last axis."""
    return jnp.split(flat, np.cumsum(sizes)[:-1].tolist(), -1)


def summed(rows: Float[Array, "rows numbers"]) -> Float[Array, "rows numbers"]:
    """Sums up to every row: one matrix product, on a CPU much faster than a cumulative sum."""
    return jnp.tri(rows.shape[0]) @ rows


@dataclasses.dataclass(frozen=True)
class SegmentSizes:
    """Lengths of everything."""

    past: int
    """Rows that are looked back on."""
    length: int
    """Rows of a segment."""
    own: tuple[int, ...]
    """Latent numbers of every agent."""
    free: int
    """Latent numbers that are nobody's."""

    @property
    def latent(self) -> int:
        """All latent numbers of a segment."""
        return sum(self.own) + self.free


class Scales(eqx.Module):
    """Of observations and actions."""

    mean: Float[Array, " observed"]
    std: Float[Array, " observed"]
    change: Float[Array, " observed"]
    """A usual change from row to row."""
    middle: Float[Array, " acted"]
    half: Float[Array, " acted"]
    """Half the range."""

    @classmethod
    def of(cls, layout: Layout, statistics: Statistics | None) -> Scales:
        """Those of the training split; 0 and 1 without.

        Raises:
            UserError: for actions that are not continuous within bounds.
        """
        low, high = [], []
        for group in layout.spec.groups:
            action = action_of(group)
            bounded = not action.sections and bool(np.isfinite([*action.low, *action.high]).all())
            require(
                bounded,
                f"expected continuous actions within bounds, found {action} of group "
                f"{group.name!r}; choose an env whose actions are amounts",
            )
            low += [*action.low] * group.agents
            high += [*action.high] * group.agents
        bounds = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)

        def each(name: str, other: float) -> Array:
            table = None if statistics is None else getattr(statistics, name)
            return jnp.concatenate([
                jnp.full(g.observation, other) if table is None else jnp.asarray(table[g.name])
                for g in layout.spec.groups for _ in range(g.agents)
            ])  # fmt: skip

        middle, half = (bounds[1] + bounds[0]) / 2, (bounds[1] - bounds[0]) / 2
        return cls(each("mean", 0.0), each("std", 1.0), each("step_std", 1.0), middle, half)

    def read(self, x: Float[Array, "*lead observed"]) -> Float[Array, "*lead observed"]:
        """Standardised observations."""
        row = (1,) * (x.ndim - 1) + (-1,)
        return (x - self.mean.reshape(row)) / self.std.reshape(row)

    def read_actions(self, u: Float[Array, "*lead acted"]) -> Float[Array, "*lead acted"]:
        """Actions between -1 and 1."""
        row = (1,) * (u.ndim - 1) + (-1,)
        return (u - self.middle.reshape(row)) / self.half.reshape(row)

    def act(self, written: Float[Array, "rows acted"]) -> Float[Array, "rows acted"]:
        """Actions of numbers that are meant between -1 and 1."""
        return self.middle[None] + self.half[None] * jnp.clip(written, -1.0, 1.0)


class SegmentModel(eqx.Module):
    """Weights of a model; see the head of this page."""

    makers: tuple[Any, ...]
    """Of actions, or of actions and observations; one for each agent, or one."""
    dynamics: Any
    """F or f; None where makers write observations too."""
    prior: MLP | None
    """Reads the past and says where latents are; they are standard normal without it."""
    scales: Scales
    layout: Layout = eqx.field(static=True)
    sizes: SegmentSizes = eqx.field(static=True)
    making: Making = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        spec: Spec,
        statistics: Statistics | None,
        sizes: SegmentSizes,
        key: Key[Array, ""],
        *,
        making: Making,
        network: SegmentNetwork,
        prior: bool,
    ) -> SegmentModel:
        """Fresh weights."""
        layout = Layout(spec)
        scales = Scales.of(layout, statistics)
        seen, acted = sum(layout.observed), sum(layout.acted)
        past, rows, dynamics = (sizes.past, seen), sizes.length, None
        if making == "factored":
            makers = tuple(
                network.writer(past, 0, own, (rows, count))
                for own, count in zip(sizes.own, layout.acted, strict=True)
            )
            dynamics = network.writer(past, acted, sizes.free, (rows, seen))
        elif making == "conditional":
            makers, given = (), 0
            for own, x, u in zip(sizes.own, layout.observed, layout.acted, strict=True):
                makers += (network.writer(past, given, own, (rows, x + u)),)
                given += x + u
        elif making == "joint":
            makers = (network.writer(past, 0, sizes.latent, (rows, seen + acted)),)
        else:
            makers, dynamics = (), MLP(seen + acted, network.hidden, seen)
        net = MLP(past[0] * seen, (64,), 2 * sizes.latent) if prior else None
        parts = drawn((makers, dynamics, net), key)
        return cls(*parts, scales, layout, sizes, making)

    def latents(self, z: Float[Array, "*lead latent"]) -> tuple[list[Array], Array]:
        """Each agent's part, and the free one."""
        parts = split(z, (*self.sizes.own, self.sizes.free))
        return parts[:-1], parts[-1]

    def prior_moments(
        self, past: Float[Array, "past observed"]
    ) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        """Mean and deviation of latents after a past."""
        if self.prior is None:
            return jnp.zeros(self.sizes.latent), jnp.ones(self.sizes.latent)
        mean, raw = jnp.split(self.prior(self.scales.read(past).reshape(-1)), 2)
        return mean, positive_std(raw + 0.54)

    def decode(
        self, past: Float[Array, "past observed"], z: Float[Array, " latent"]
    ) -> tuple[Float[Array, "rows acted"], Float[Array, "rows observed"]]:
        """Actions, within bounds, and the observations they lead to."""
        written, after = self.write(past, z)
        return self.scales.act(written), after

    def write(
        self,
        past: Float[Array, "past observed"],
        z: Float[Array, " latent"],
        shown: tuple[Array, Array] | None = None,
    ) -> tuple[Float[Array, "rows acted"], Float[Array, "rows observed"]]:
        """Actions as numbers that are meant between -1 and 1, and observations.

        Args:
            past: observations up to now.
            z: latents.
            shown: actions and observations of the segment, which parts that come later read
                instead of what was written before them.
        """
        scales, (own, free) = self.scales, self.latents(z)
        before, none = scales.read(past), jnp.zeros((self.sizes.length, 0))
        if self.making == "joint":
            both = self.makers[0](before, none, z)
            written, moved = both[:, : sum(self.layout.acted)], both[:, sum(self.layout.acted) :]
            return written, self._moved(past, moved)
        if self.making == "conditional":
            return self._in_turn(past, own, shown)
        if self.making == "single_step":
            written = jnp.concatenate([x.reshape(self.sizes.length, -1) for x in own], -1)
            # a standard normal number becomes one spread evenly between -1 and 1
            written = jax.scipy.special.erf(written / np.sqrt(2.0).item())
            return written, self._step_by_step(past, written, shown)
        written = jnp.concatenate(
            [net(before, none, z) for net, z in zip(self.makers, own, strict=True)], -1
        )
        done = written if shown is None else scales.read_actions(shown[0])
        moved = self.dynamics(before, jnp.clip(done, -1.0, 1.0), free)
        return written, self._moved(past, moved)

    def _moved(self, past: Array, moved: Array) -> Array:
        """Observations of changes in units of a usual one."""
        return past[-1:] + summed(self.scales.change[None] * moved)

    def _in_turn(self, past: Array, own: list[Array], shown: Any) -> tuple[Array, Array]:
        """Every agent after those before it."""
        scales, layout = self.scales, self.layout
        before, given = scales.read(past), jnp.zeros((self.sizes.length, 0))
        now, change = split(past[-1:], layout.observed), split(scales.change, layout.observed)
        means, stds = split(scales.mean, layout.observed), split(scales.std, layout.observed)
        known = None
        if shown is not None:
            known = split(scales.read_actions(shown[0]), layout.acted), split(
                shown[1], layout.observed)  # fmt: skip
        actions, after = [], []
        for i, (net, z) in enumerate(zip(self.makers, own, strict=True)):
            both = net(before, given, z)
            count = layout.acted[i]
            actions.append(both[:, :count])
            after.append(now[i] + summed(change[i][None] * both[:, count:]))
            u, x = (actions[i], after[i]) if known is None else (known[0][i], known[1][i])
            x = (x - means[i][None]) / stds[i][None]
            given = jnp.concatenate([given, jnp.clip(u, -1.0, 1.0), x], -1)
        return jnp.concatenate(actions, -1), jnp.concatenate(after, -1)

    def _step_by_step(self, past: Array, written: Array, shown: Any) -> Array:
        scales = self.scales

        def step(now: Array, done: Array) -> Array:
            x = jnp.concatenate([scales.read(now), done], -1)
            return now + scales.change.reshape((1,) * (now.ndim - 1) + (-1,)) * self.dynamics(x)

        if shown is not None:
            now = jnp.concatenate([past[-1:], shown[1][:-1]])
            return step(now, scales.read_actions(shown[0]))

        def go(now: Array, done: Array) -> tuple[Array, Array]:
            after = step(now, done)
            return after, after

        return jax.lax.scan(go, past[-1], written)[1]
