"""Reading what an agent sees of others as sets: in any order, and any number of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.networks.mlp import ACTIVATIONS, Activation, Linear
from understudy.types import Entities, Group, Spec, require


class Reader(eqx.Module):
    """Attention over the things of one kind, asked by what is the agent's own::

        h_i = f(W e_i + b)        softmax_i(q . K h_i / sqrt(d)) V h_i

    over the things that are there; 0 if none is.
    """

    embed: Linear
    query: Linear
    key: Linear
    value: Linear
    activation: str = eqx.field(static=True)

    def __init__(self, own: int, size: int, width: int, activation: Activation):
        self.embed, self.query = Linear(size, width), Linear(own, width)
        self.key, self.value = Linear(width, width), Linear(width, width)
        self.activation = activation

    def __call__(
        self, own: Float[Array, "*lead own"], things: Float[Array, "*lead things size"]
    ) -> Float[Array, "*lead width"]:
        """Any number of things."""
        there = (things != 0).any(-1)
        hidden = ACTIVATIONS[self.activation](self.embed(things))
        query = self.query(own)
        scores = jnp.einsum("...w,...tw->...t", query, self.key(hidden))
        scores = jnp.where(there, scores / math.sqrt(query.shape[-1]), -jnp.inf)
        anything = there.any(-1, keepdims=True)
        weights = jax.nn.softmax(jnp.where(anything, scores, 0.0))
        weights = jnp.where(anything, weights, 0.0)
        return jnp.einsum("...t,...tw->...w", weights, self.value(hidden))


class SetEncoder(eqx.Module):
    """What is the agent's own, and beside it one vector for each set of things.

    Source: attention pooling of Lee et al., "Set Transformer", ICML 2019, section 3.2, with the
    agent's own features as the only seed.
    """

    readers: tuple[Reader, ...]
    layout: tuple[Entities, ...] = eqx.field(static=True)

    @classmethod
    def of(
        cls, inputs: int, layout: tuple[Entities, ...], width: int, activation: Activation
    ) -> SetEncoder:
        """As many readers as sets, not drawn yet."""
        own = inputs - sum(part.count * part.size for part in layout)
        return cls(tuple(Reader(own, part.size, width, activation) for part in layout), layout)

    @property
    def outputs(self) -> int:
        """Features that come out."""
        return sum(r.value.bias.shape[-1] for r in self.readers) + self._own

    @property
    def _own(self) -> int:
        return self.readers[0].query.weight.shape[-1]

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Columns of no set are the agent's own, also those that are put behind all sets."""
        mine = np.ones(x.shape[-1], bool)
        for part in self.layout:
            mine[part.columns] = False
        own = x[..., np.flatnonzero(mine)]
        read = [
            reader(own, x[..., part.columns].reshape(*x.shape[:-1], part.count, part.size))
            for reader, part in zip(self.readers, self.layout, strict=True)
        ]
        return jnp.concatenate([own, *read], -1)


def encoder(group: Group, inputs: int, width: int, activation: Activation) -> SetEncoder | None:
    """Read the sets of a group; nothing for a width of 0.

    Raises:
        UserError: for a group that says of no columns that they are a set.
    """
    if width == 0:
        return None
    require(
        len(group.sets) > 0,
        f"expected a group that says which of its {group.observation} features are sets of things "
        f"(Group.sets), {group.name!r} does not; leave sets=0",
    )
    return SetEncoder.of(inputs, group.sets, width, activation)


def fitted(networks: dict[str, Any], spec: Spec) -> dict[str, Any]:
    """Networks of groups that read sets as large as `spec` says; weights stay.

    Raises:
        UserError: for sets of other kinds.
    """

    def fit(encoder: Any, sets: tuple[Entities, ...]) -> Any:
        if not isinstance(encoder, SetEncoder):
            return encoder
        kinds = [[(part.name, part.size) for part in parts] for parts in (encoder.layout, sets)]
        require(
            kinds[0] == kinds[1],
            f"expected a group that shows sets of {kinds[0]} (name, columns of each), found "
            f"{kinds[1]}; play in an env that shows the same things",
        )
        return dataclasses.replace(encoder, layout=sets)

    return {
        name: jax.tree.map(
            lambda node, sets=spec[name].sets: fit(node, sets),
            network,
            is_leaf=lambda node: isinstance(node, SetEncoder),
        )
        for name, network in networks.items()
    }
