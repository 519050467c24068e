"""Networks of the agents of a group: perceptrons, with memory or without.

They are shared, one for each agent, or one for all of them together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.networks.mlp import (
    ACTIVATIONS,
    Activation,
    LayerNorm,
    Linear,
    orthogonal,
    stacked,
)
from understudy.networks.recurrent import GRULayer, scan_with_resets
from understudy.networks.sets import SetEncoder

Sharing = Literal["shared", "independent", "joint"]
"""One network that every agent uses by itself, one for each agent, or one that reads and answers
for all agents at once."""


class Player(eqx.Module):
    """One agent's network: hidden layers, a GRU if it has memory, and a linear head.

    What it sees may be read as sets first.
    """

    encoder: SetEncoder | None
    layers: tuple[Linear, ...]
    norms: tuple[LayerNorm, ...]
    """Of the input and of each layer's output; none without normalisation."""
    core: GRULayer | None
    head: Linear
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: Activation,
        recurrent: int,
        normalise: bool,
        encoder: SetEncoder | None = None,
    ):
        self.encoder = encoder
        sizes = (inputs if encoder is None else encoder.outputs, *hidden)
        self.layers = tuple(Linear(n, m) for n, m in itertools.pairwise(sizes))
        wide = (*sizes, *([recurrent] if recurrent else []))
        self.norms = tuple(LayerNorm(n) for n in wide) if normalise else ()
        self.core = GRULayer(sizes[-1], recurrent) if recurrent else None
        self.head = Linear(recurrent or sizes[-1], outputs)
        self.activation = activation

    def features(self, x: Float[Array, "*lead in"]) -> Float[Array, "*lead width"]:
        """Output of the hidden layers."""
        x = x if self.encoder is None else self.encoder(x)
        x = self._normalise(0, x)
        for number, layer in enumerate(self.layers):
            x = self._normalise(number + 1, ACTIVATIONS[self.activation](layer(x)))
        return x

    def step(self, x: Array, memory: Array | None) -> tuple[Array, Array | None]:
        """Outputs ``[*lead, out]`` and memory ``[*lead, recurrent]`` after one row."""
        x = self.features(x)
        if self.core is None or memory is None:
            return self.head(x), None
        memory = self.core(x, memory)
        return self.head(self._normalise(-1, memory)), memory

    def sequence(
        self,
        x: Float[Array, "time batch in"],
        starts: Bool[Array, "time batch"],
        memory: Float[Array, "batch recurrent"] | None,
    ) -> tuple[Float[Array, "time batch out"], Float[Array, "time batch recurrent"] | None]:
        """Outputs and memory after each row; memory is reset before a row that starts."""
        x = self.features(x)
        if self.core is None or memory is None:
            return self.head(x), None
        memories = scan_with_resets(self.core, x, starts, memory)
        return self.head(self._normalise(-1, memories)), memories

    def _normalise(self, number: int, x: Array) -> Array:
        return self.norms[number](x) if self.norms else x


class Players(eqx.Module):
    """Networks of all agents of a group; every array has an ``agents`` axis before the last.

    A joint network reads the rows of that axis side by side, however many they are, and has one
    memory: its ``agents`` axis is 1 long.
    """

    net: Player
    sharing: Sharing = eqx.field(static=True)
    agents: int = eqx.field(static=True)
    """How many a joint network answers for, or have weights of their own."""

    @property
    def shared(self) -> bool:
        """The same weights for each agent by itself."""
        return self.sharing == "shared"

    @property
    def recurrent(self) -> int:
        """Units of memory; 0 without."""
        return 0 if self.net.core is None else self.net.core.hidden_weight.shape[-1]

    def memory(self, agents: int) -> Float[Array, "agents recurrent"] | None:
        """Memory before the first row."""
        agents = 1 if self.sharing == "joint" else agents
        return jnp.zeros((agents, self.recurrent)) if self.recurrent else None

    def of(self, agent: Array | int) -> Player:
        """The network of one agent."""
        if self.sharing != "independent":
            return self.net
        return jax.tree.map(lambda leaf: leaf[agent], self.net)

    def step(
        self, x: Float[Array, "*lead rows in"], memory: Array | None
    ) -> tuple[Float[Array, "*lead agents out"], Array | None]:
        """One row of every agent."""
        if self.sharing == "shared":
            return self.net.step(x, memory)
        if self.sharing == "joint":
            out, after = self.net.step(
                _side_by_side(x), None if memory is None else memory[..., 0, :]
            )
            return self._apart(out), None if after is None else after[..., None, :]
        each = jax.vmap(lambda net, x, m: net.step(x, m), in_axes=(0, -2, -2), out_axes=-2)
        return each(self.net, x, memory)

    def sequence(
        self,
        x: Float[Array, "time envs rows in"],
        starts: Bool[Array, "time envs"],
        memory: Float[Array, "envs agents recurrent"] | None,
    ) -> tuple[Array, Array | None]:
        """All rows of every agent: outputs and memories ``[time, envs, agents, ...]``."""
        if not self.recurrent:
            return self.step(x, None)
        assert memory is not None
        time, envs, agents = x.shape[:3]
        if self.sharing == "independent":
            each = jax.vmap(
                lambda net, x, m: net.sequence(x, starts, m), in_axes=(0, 2, 1), out_axes=2
            )
            return each(self.net, x, memory)
        if self.sharing == "joint":
            out, memories = self.net.sequence(_side_by_side(x), starts, memory[:, 0])
            assert memories is not None
            return self._apart(out), memories[:, :, None]
        spread = jnp.broadcast_to(starts[:, :, None], (time, envs, agents))
        out, memories = self.net.sequence(
            x.reshape(time, envs * agents, -1),
            spread.reshape(time, envs * agents),
            memory.reshape(envs * agents, -1),
        )
        assert memories is not None
        shape = (time, envs, agents, -1)
        return out.reshape(shape), memories.reshape(shape)

    def _apart(self, out: Float[Array, "*lead numbers"]) -> Float[Array, "*lead agents out"]:
        return out.reshape(*out.shape[:-1], self.agents, -1)


def _side_by_side(x: Float[Array, "*lead rows in"]) -> Float[Array, "*lead numbers"]:
    return x.reshape(*x.shape[:-2], -1)


def drawn(
    player: Player,
    agents: int,
    key: Key[Array, ""],
    *,
    sharing: Sharing,
    gain: float | Float[Array, ""],
) -> Players:
    """Orthogonal weights, for all agents alike or for each its own.

    Args:
        player: sizes; a joint one reads and answers for all agents.
        agents: how many.
        key: of the draw.
        sharing: of the weights.
        gain: of the head; hidden layers have √2.
    """
    net = stacked(player, agents) if sharing == "independent" else player
    body, last = jax.random.split(key)
    net = orthogonal(net, body, gain=math.sqrt(2.0))
    head = orthogonal(net.head, last, gain=gain)
    return Players(eqx.tree_at(lambda n: n.head, net, head), sharing, agents)
