"""How futures of a scene are written: by noise, by number, or along a field.

Every head reads the tokens of agents and says how they move, in usual moves, x and y of every row
one after the other: ``[*lead, agents, futures, numbers]``. The first two write in one product. A
token says a basis of moves, and a future which part of it each agent goes,

    move_a = m_a + Σ_r c_r(noise) b_ar,    c = gelu(A gelu(B noise)),

with coefficients c that all agents of a future share, so that they move together, and some that
each agent has for itself. So hundreds of futures of a scene cost little more than one.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.networks.mlp import LayerNorm, Linear
from understudy.networks.scene_blocks import GeometricBlock
from understudy.types import require

PHASES = 8
"""Numbers that say how far along a path is."""


class Basis(eqx.Module):
    """Several ways a token could move."""

    norm: LayerNorm
    wide: Linear
    last: Linear
    ways: int = eqx.field(static=True)

    def __init__(self, width: int, ways: int, rows: int):
        self.norm, self.wide = LayerNorm(width), Linear(width, 2 * width)
        self.last = Linear(2 * width, ways * rows * 2)
        self.ways = ways

    def __call__(self, x: Float[Array, "*lead width"]) -> Float[Array, "*lead ways numbers"]:
        """``rows * 2`` numbers of every way."""
        x = self.last(jax.nn.gelu(self.wide(self.norm(x))))
        return x.reshape(*x.shape[:-1], self.ways, -1)


class Coefficients(eqx.Module):
    """From noise to how much of each way is gone; weights are drawn so that this is about 1."""

    wide: Linear
    out: Linear

    def __init__(self, noise: int, ways: int):
        self.wide, self.out = (
            eqx.tree_at(lambda net: net.weight, net, math.sqrt(6.0) * net.weight)
            for net in (Linear(noise, 2 * ways), Linear(2 * ways, ways))
        )

    def __call__(self, noise: Float[Array, "*lead noise"]) -> Float[Array, "*lead ways"]:
        """Any leading axes."""
        return jax.nn.gelu(self.out(jax.nn.gelu(self.wide(noise))))


class NoiseHead(eqx.Module):
    """Normal numbers: some of them one for all agents of a future, some each agent's own."""

    basis: Basis
    together: Coefficients
    alone: Coefficients
    noise: tuple[int, int] = eqx.field(static=True)
    writing: ClassVar[int] = 0
    """Blocks that read agents again; none."""

    def __init__(self, width: int, rows: int, *, shared: int, own: int, ways: tuple[int, int]):
        self.basis = Basis(width, 1 + sum(ways), rows)
        self.together, self.alone = Coefficients(shared, ways[0]), Coefficients(own, ways[1])
        self.noise = (shared, own)

    def moves(self, read: Any, key: Key[Array, ""], count: int) -> Array:
        """Moves of `count` futures drawn."""
        *lead, agents, _ = read.tokens.shape
        first, second = jax.random.split(key)
        shared = jax.random.normal(first, (*lead, 1, count, self.noise[0]))
        own = jax.random.normal(second, (*lead, agents, count, self.noise[1]))
        return self.written(read, shared, own)

    def written(
        self,
        read: Any,
        shared: Float[Array, "*lead 1 futures shared"],
        own: Float[Array, "*lead agents futures own"],
    ) -> Float[Array, "*lead agents futures numbers"]:
        """Moves under some noise."""
        alone = self.alone(own)
        together = jnp.broadcast_to(
            self.together(shared), (*alone.shape[:-1], self.together.out.bias.shape[0])
        )
        said = jnp.concatenate([jnp.ones_like(alone[..., :1]), together, alone], -1)
        return said @ self.basis(read.tokens)


class BestHead(eqx.Module):
    """K futures, each a way of its own."""

    basis: Basis
    writing: ClassVar[int] = 0
    """Blocks that read agents again; none."""

    def __init__(self, width: int, rows: int, *, futures: int):
        self.basis = Basis(width, futures, rows)

    def moves(self, read: Any, key: Key[Array, ""], count: int) -> Array:
        """Moves of `count` different futures: all, or some drawn.

        Raises:
            UserError: for more futures than there are.
        """
        have = self.basis.ways
        require(
            count <= have,
            f"expected at most the {have} futures that were learned, found {count} asked for; ask "
            "for fewer, or train with more futures",
        )
        found = self.basis(read.tokens)
        if count < have:
            lead = found.shape[:-3]
            keys = jax.random.split(key, math.prod(lead))
            order = jax.vmap(lambda k: jax.random.permutation(k, have)[:count])(keys)
            found = jnp.take_along_axis(found, order.reshape(*lead, 1, count, 1), -2)
        return found


class FlowHead(eqx.Module):
    """A path of noise that is moved to a future along a learned field."""

    tell: Linear
    writers: tuple[GeometricBlock, ...]
    basis: Basis
    passes: int = eqx.field(static=True)
    spread: float = eqx.field(static=True, default=0.5)
    """Deviation of noise, in usual moves."""

    def __init__(self, width: int, rows: int, *, heads: int, writing: int, passes: int):
        self.tell = Linear(2 * rows + PHASES, width)
        self.writers = tuple(GeometricBlock(width, heads) for _ in range(writing))
        self.basis, self.passes = Basis(width, 1, rows), passes

    @property
    def writing(self) -> int:
        """Blocks that read agents again."""
        return len(self.writers)

    def noise(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Array:
        """Where paths begin."""
        return self.spread * jax.random.normal(key, shape)

    def end(
        self,
        read: Any,
        path: Float[Array, "*lead agents futures numbers"],
        along: Float[Array, "*lead futures"],
    ) -> Float[Array, "*lead agents futures numbers"]:
        """Where paths lead to.

        Args:
            read: the scene.
            path: noise on its way, in usual moves.
            along: how far, from 0 to 1.
        """
        turns = jnp.asarray(math.pi * 2.0 ** np.arange(PHASES // 2), along.dtype)
        angle = along[..., None] * turns.reshape((1,) * along.ndim + (-1,))
        phase = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)[..., None, :, :]
        phase = jnp.broadcast_to(phase, (*path.shape[:-1], PHASES))
        told = self.tell(jnp.concatenate([path, phase], -1))
        x = read.tokens[..., None, :, :] + jnp.swapaxes(told, -3, -2)
        for block, bias in zip(self.writers, read.biases, strict=True):
            x = block(x, bias[..., None, :, :, :], read.where[..., None, :, :])
        return jnp.swapaxes(self.basis(x)[..., 0, :], -3, -2)

    def moves(self, read: Any, key: Key[Array, ""], count: int) -> Array:
        """Moves of `count` futures drawn."""
        *lead, agents, _ = read.tokens.shape
        first = self.noise(key, (*lead, agents, count, read.path.shape[-1]))

        def step(path: Array, number: Array) -> tuple[Array, None]:
            left = self.passes - number.astype(path.dtype)
            along = jnp.broadcast_to(1.0 - left / self.passes, (*lead, count))
            return path + (self.end(read, path, along) - path) / left, None

        return jax.lax.scan(step, first, jnp.arange(self.passes))[0]
