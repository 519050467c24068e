"""Reading what an agent sees of others as sets: in any order, and any number of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.networks.mlp import ACTIVATIONS, Activation, Linear
from understudy.types import Entities, Group, Spec, require

T = TypeVar("T")


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
    group: str = eqx.field(static=True)

    @classmethod
    def of(cls, group: Group, inputs: int, width: int, activation: Activation) -> SetEncoder:
        """As many readers as sets of the group, not drawn yet."""
        own = inputs - _columns(group.sets)
        readers = tuple(Reader(own, part.size, width, activation) for part in group.sets)
        return cls(readers, group.sets, group.name)

    def fitted(self, spec: Spec) -> SetEncoder:
        """The same weights for sets as large as `spec` says.

        Raises:
            UserError: for sets of other kinds.
        """
        theirs = spec[self.group]
        sizes = [
            ([(part.name, part.size) for part in parts], inputs - _columns(parts))
            for parts, inputs in (
                (self.layout, self.inputs),
                (theirs.sets, spec.inputs(self.group)),
            )
        ]
        require(
            sizes[0] == sizes[1],
            f"expected a group that shows sets of {sizes[0][0]} (name, columns of each) and "
            f"{sizes[0][1]} features of an agent's own, found {sizes[1][0]} and {sizes[1][1]}; "
            "play in an env that shows the same things",
        )
        return dataclasses.replace(self, layout=theirs.sets)

    @property
    def inputs(self) -> int:
        """Features that go in."""
        return self._own + _columns(self.layout)

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
    return SetEncoder.of(group, inputs, width, activation)


def fitted(network: T, spec: Spec) -> T:
    """A network whose sets are as large as `spec` says, wherever in it they are read; weights stay.

    Raises:
        UserError: for sets of other kinds.
    """

    return jax.tree.map(
        lambda node: node.fitted(spec) if _encodes(node) else node, network, is_leaf=_encodes
    )


def read(network: Any, group: str) -> bool:
    """Whether what agents of a group see is read as sets."""
    nodes = jax.tree.leaves(network, is_leaf=_encodes)
    return any(_encodes(node) and node.group == group for node in nodes)


def _encodes(node: Any) -> bool:
    return isinstance(node, SetEncoder)


def _columns(parts: tuple[Entities, ...]) -> int:
    return sum(part.count * part.size for part in parts)
