"""What latents a segment that was seen has: the encoder of a segment model.

What every network reads follows from how the model makes segments: of agents that are held apart
each agent's actions tell its own latent and everything tells the free part; of agents in turn each
agent's actions and observations tell its latent; else everything tells all.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.functional.latent import positive_std
from understudy.networks.segment_bodies import SegmentNetwork
from understudy.networks.segments import SegmentModel, split


class Posterior(eqx.Module):
    """q(z | past, u, x); it reads the past where the model's prior does."""

    nets: tuple[Any, ...]

    @classmethod
    def of(cls, model: SegmentModel, network: SegmentNetwork) -> Posterior:
        """Networks that hold bounds (see `mlp.drawn`); none where latents are actions."""
        layout, sizes = model.layout, model.sizes
        everything = sum(layout.acted) + sum(layout.observed)
        if model.making == "single_step":
            shown = []
        elif model.making == "joint":
            shown = [(everything, sizes.latent)]
        elif model.making == "conditional":
            each = zip(layout.acted, layout.observed, sizes.own, strict=True)
            shown = [(u + x, own) for u, x, own in each]
        else:
            each = zip(layout.acted, sizes.own, strict=True)
            shown = [*each, (everything, sizes.free)]
        beside = 0 if model.prior is None else sizes.past * sum(layout.observed)
        return cls(tuple(
            network.reader((sizes.length, count), beside, 2 * latent) for count, latent in shown
        ))  # fmt: skip

    def __call__(
        self,
        model: SegmentModel,
        past: Float[Array, "past observed"],
        u: Float[Array, "rows acted"],
        x: Float[Array, "rows observed"],
    ) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        """Mean and deviation of latents.

        Args:
            model: whose latents.
            past: observations before the segment.
            u: what was done in it, between -1 and 1.
            x: what was observed.
        """
        layout = model.layout
        moved = (x - past[-1:]) / model.scales.std[None]
        beside = jnp.zeros(0) if model.prior is None else model.scales.read(past).reshape(-1)
        if model.making == "joint":
            shown = [jnp.concatenate([u, moved], -1)]
        elif model.making == "conditional":
            each = zip(split(u, layout.acted), split(moved, layout.observed), strict=True)
            shown = [jnp.concatenate(pair, -1) for pair in each]
        else:
            shown = [*split(u, layout.acted), jnp.concatenate([u, moved], -1)]
        said = [jnp.split(net(rows, beside), 2) for net, rows in zip(self.nets, shown, strict=True)]
        mean = jnp.concatenate([half[0] for half in said])
        return mean, positive_std(jnp.concatenate([half[1] for half in said]))
