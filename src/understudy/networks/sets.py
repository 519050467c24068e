"""Reading what an agent sees of others as sets: in any order, and any number of them."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.networks.attention import Attention
from understudy.networks.blocks import EncoderBlock
from understudy.networks.mlp import ACTIVATIONS, Activation, Linear
from understudy.types import Entities, Group, Spec, require

T = TypeVar("T")


HEADS, BLOCKS = 4, 2
"""Of attention between things."""


class SetEncoder(eqx.Module):
    """What is the agent's own, and beside it what it makes of all things it sees.

    The agent and each thing that is there, of whatever kind, are tokens ``f(W_kind e + b_kind)``,
    which attend to each other in two blocks, so that things are seen in relation (a landmark with
    somebody near it); the agent's token comes out.

    Source: self-attention over sets, Lee et al., "Set Transformer", ICML 2019, section 3.1.
    Deviation: the agent's token takes the place of pooling.
    """

    mine: Linear
    embeds: tuple[Linear, ...]
    blocks: tuple[EncoderBlock, ...]
    layout: tuple[Entities, ...] = eqx.field(static=True)
    group: str = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)

    @classmethod
    def of(cls, group: Group, inputs: int, width: int, activation: Activation) -> SetEncoder:
        """As many kinds of things as sets of the group, not drawn yet."""
        return cls(
            mine=Linear(inputs - _columns(group.sets), width),
            embeds=tuple(Linear(part.size, width) for part in group.sets),
            blocks=tuple(EncoderBlock(width, HEADS, Attention, activation) for _ in range(BLOCKS)),
            layout=group.sets,
            group=group.name,
            activation=activation,
        )

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
        return self.mine.bias.shape[-1] + self._own

    @property
    def _own(self) -> int:
        return self.mine.weight.shape[-1]

    def __call__(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead out"]:
        """Columns of no set are the agent's own, also those that are put behind all sets."""
        columns = np.ones(x.shape[-1], bool)
        for part in self.layout:
            columns[part.columns] = False
        own = x[..., np.flatnonzero(columns)]
        tokens = [self.mine(own)[..., None, :]]
        there = [jnp.ones((*x.shape[:-1], 1), bool)]
        for embed, part in zip(self.embeds, self.layout, strict=True):
            things = x[..., part.columns].reshape(*x.shape[:-1], part.count, part.size)
            tokens.append(embed(things))
            there.append((things != 0).any(-1))
        hidden = ACTIVATIONS[self.activation](jnp.concatenate(tokens, -2))
        answers = jnp.concatenate(there, -1)[..., None, :]
        mask = jnp.broadcast_to(answers, (*answers.shape[:-2], *(answers.shape[-1],) * 2))
        for block in self.blocks:
            hidden = block(hidden, mask)
        return jnp.concatenate([own, hidden[..., 0, :]], -1)


def encoder(group: Group, inputs: int, width: int, activation: Activation) -> SetEncoder | None:
    """Read the sets of a group; nothing for a width of 0.

    Raises:
        UserError: for a group that says of no columns that they are a set, and for a width that
            heads cannot share.
    """
    if width == 0:
        return None
    require(
        width % HEADS == 0,
        f"expected a width of sets that {HEADS} heads can share, found {width}; "
        f"try {width - width % HEADS + HEADS}",
    )
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
