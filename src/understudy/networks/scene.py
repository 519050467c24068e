"""A scene read, and moves put on what is known of it.

Each agent is a token, made of its own path about where it is now, of its kind and, if it counts
where on the field that is, of its place. Blocks of attention by geometry let agents read each
other; a head writes the moves of as many futures as are asked for (`scene_heads`). Agents come in
any number and order: permuting them permutes what is written.

Which rows are known is free: futures that nobody knows are forecasts, agents whose future is known
are held, a last row alone is a destination, holes are filled (`functional.bridges`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from understudy.functional.bridges import bridge, on_top
from understudy.networks.mlp import Linear, drawn
from understudy.networks.scene_blocks import Biases, GeometricBlock
from understudy.types import Spec, Statistics, hyperparameters, record, require


@hyperparameters
class SceneNetwork:
    """How networks of scenes are built."""

    width: int = 96
    """Numbers of a token."""
    heads: int = 4
    """Of attention."""
    reading: int = 3
    """Blocks that read a scene."""
    ways: tuple[int, int] = (24, 8)
    """Ways to move that a token says for all agents together, and for itself alone."""
    writing: int = 2
    """Blocks that read each future again, where it is written along a field."""

    def __post_init__(self) -> None:
        require(
            self.width % self.heads == 0,
            f"expected a width that {self.heads} heads can share, found {self.width}",
        )


@record
class Read:
    """A scene that was read; numbers of an agent are x and y of every row, see `flat`."""

    tokens: Float[Array, "*lead agents width"]
    biases: list[Float[Array, "*lead heads agents agents"]]
    """Of the blocks that write."""
    where: Float[Array, "*lead agents 4"]
    path: Float[Array, "*lead agents numbers"]
    """Through what is known, bridged."""
    going: Float[Array, "*lead agents numbers"]
    """Moves at the velocity now, in rows after the last one known."""
    known: Bool[Array, "*lead agents numbers"]
    on_top: Float[Array, "*lead agents numbers numbers"]
    """What moves add to the path, see `functional.bridges`; transposed."""


class SceneModel(eqx.Module):
    """Networks of a scene; holds bounds when built, see `mlp.drawn`."""

    embed: tuple[Linear, Linear]
    kinds: Float[Array, "kinds width"]
    biases: Biases
    blocks: tuple[GeometricBlock, ...]
    head: Any
    """What writes futures, see `scene_heads`."""
    step: Float[Array, ""]
    """A usual move of a row, data units."""
    middle: Float[Array, " 2"]
    half: Float[Array, " 2"]
    """Middle and half size of the field."""
    rows: int = eqx.field(static=True)
    """Of a window."""
    now: int = eqx.field(static=True)
    """The row that paths are told from."""
    placed: bool = eqx.field(static=True)
    """Whether it counts where on the field agents are."""
    spec: Spec = eqx.field(static=True)

    @classmethod
    def of(
        cls, spec: Spec, statistics: Statistics, network: SceneNetwork, *, rows: int, now: int,
        placed: bool, head: Any, bounds: Any,
    ) -> SceneModel:  # fmt: skip
        """Networks for the groups of `spec`, holding bounds.

        Args:
            spec: every group has positions, two features.
            statistics: of the training split.
            network: sizes.
            rows: of a window.
            now: the last row of the past.
            placed: whether it counts where on the field agents are.
            head: what writes futures.
            bounds: low and high corner of the field; None: where agents were.

        Raises:
            UserError: for a group whose features are not two.
        """
        for group in spec.groups:
            require(
                group.observation == 2,
                f"expected groups of positions (x, y), found {group.observation} features in group "
                f"{group.name!r}; leave the others out",
            )
        width, first = network.width, spec.names[0]
        if bounds is None:
            corners = (
                jnp.stack([jnp.asarray(x[n]) for n in spec.names])
                for x in (statistics.low, statistics.high)
            )
            low, high = (f(x, 0) for f, x in zip((jnp.min, jnp.max), corners, strict=True))
        else:
            low, high = jnp.asarray(bounds, jnp.float32)
        step = jnp.sqrt(jnp.square(jnp.asarray(statistics.step_std[first])).mean())
        return cls(
            embed=(Linear(5 * rows + 2 * placed, width), Linear(width, width)),
            kinds=jnp.full((len(spec.groups), width), 0.5),
            biases=Biases(network.reading + head.writing, network.heads),
            blocks=tuple(GeometricBlock(width, network.heads) for _ in range(network.reading)),
            head=head,
            step=jnp.asarray(step, jnp.float32),
            middle=(low + high) / 2.0, half=jnp.maximum((high - low) / 2.0, 1e-6),
            rows=rows, now=now, placed=placed, spec=spec,
        )  # fmt: skip

    def drawn(self, key: Key[Array, ""]) -> SceneModel:
        """The same networks with fresh weights."""
        return drawn(self, key).scaled_as(self)

    def scaled_as(self, other: SceneModel) -> SceneModel:
        """The same weights with the scales of another: scales are not learned."""
        return dataclasses.replace(self, step=other.step, middle=other.middle, half=other.half)

    def of_group(self, agents: dict[str, int]) -> Array:
        """Number of the group of every agent."""
        counts = [agents[name] for name in self.spec.names]
        return jnp.asarray(np.repeat(np.arange(len(counts)), counts))

    def read(
        self,
        positions: Float[Array, "*lead rows agents 2"],
        known: Bool[Array, "*lead rows agents"],
        kind: Array,
    ) -> Read:
        """Read scenes.

        Args:
            positions: data units; what stands where nothing is known is never read.
            known: rows of agents that are.
            kind: number of the group of every agent.
        """
        straight, known = bridge(known), jnp.swapaxes(known, -1, -2)
        shown = known[..., None]
        path = straight @ jnp.where(shown, jnp.swapaxes(positions, -3, -2), 0.0)
        moves = jnp.concatenate([jnp.zeros_like(path[..., :1, :]), jnp.diff(path, axis=-2)], -2)
        here, far = path[..., self.now, :], self.step * (self.rows / 2)
        about = (path - here[..., None, :]) / far
        seen = jnp.concatenate([about, moves / self.step, shown.astype(path.dtype)], -1)
        seen = jnp.where(shown, seen, 0.0)
        seen = seen.reshape(*seen.shape[:-2], -1)
        if self.placed:
            place = (here - _like(self.middle, here)) / _like(self.half, here)
            seen = jnp.concatenate([seen, place], -1)
        x = self.embed[0](seen)
        x = self.embed[1](jax.nn.gelu(x + jnp.broadcast_to(self.kinds[kind], x.shape)))
        where = jnp.concatenate([here / far, moves[..., self.now, :] / self.step], -1)
        biases = self.biases(where, known.any(-1))
        for block, bias in zip(self.blocks, biases, strict=False):
            x = block(x, bias, where)
        return Read(
            tokens=x,
            biases=biases[len(self.blocks) :],
            where=where,
            path=path.reshape(*path.shape[:-2], -1),
            going=_going(moves, known).reshape(*path.shape[:-2], -1),
            known=jnp.repeat(known, 2, -1, total_repeat_length=2 * self.rows),
            on_top=_twice(jnp.swapaxes(on_top(straight), -1, -2)),
        )

    def futures(
        self, read: Read, key: Key[Array, ""], count: int
    ) -> Float[Array, "*lead agents futures numbers"]:
        """As many futures as asked for, drawn; rows that are known stay as they are.

        Returns:
            x and y of every row of every agent, see `rows_of`.
        """
        return self.put(read, self.head.moves(read, key, count))

    def put(
        self, read: Read, moves: Float[Array, "*lead agents futures numbers"]
    ) -> Float[Array, "*lead agents futures numbers"]:
        """Put moves, as heads write them, on top of what is known."""
        moves = self.step * moves + read.going[..., None, :]
        path = jnp.broadcast_to(read.path[..., None, :], moves.shape)
        known = jnp.broadcast_to(read.known[..., None, :], moves.shape)
        return jnp.where(known, path, path + moves @ read.on_top)


def flat(path: Float[Array, "*lead rows agents 2"]) -> Float[Array, "*lead agents numbers"]:
    """x and y of every row of an agent, one after the other."""
    path = jnp.swapaxes(path, -3, -2)
    return path.reshape(*path.shape[:-2], -1)


def rows_of(
    path: Float[Array, "*lead agents futures numbers"],
) -> Float[Array, "*lead futures rows agents 2"]:
    """Undo `flat` for futures."""
    return jnp.moveaxis(path.reshape(*path.shape[:-1], -1, 2), -4, -2)


def _going(
    moves: Float[Array, "*lead agents rows 2"], known: Bool[Array, "*lead agents rows"]
) -> Float[Array, "*lead agents rows 2"]:
    """The last move between rows that are both known, in all rows after the last one known."""
    row = jnp.arange(known.shape[-1]).reshape((1,) * (known.ndim - 1) + (-1,))
    last = jnp.max(jnp.where(known, row, -1), -1, keepdims=True)
    step = known & jnp.concatenate([jnp.zeros_like(known[..., :1]), known[..., :-1]], -1)
    speed = jnp.where((step & (row == last))[..., None], moves, 0.0).sum(-2, keepdims=True)
    return jnp.where((row > last)[..., None], speed, 0.0)


def _twice(matrix: Float[Array, "*lead rows rows"]) -> Float[Array, "*lead numbers numbers"]:
    """The matrix over rows, for x and for y."""
    *lead, count, _ = matrix.shape
    eye = jnp.eye(2).reshape((1,) * (len(lead) + 1) + (2, 1, 2))
    return (matrix[..., :, None, :, None] * eye).reshape(*lead, 2 * count, 2 * count)


def _like(pair: Float[Array, " 2"], x: Array) -> Array:
    return pair.reshape((1,) * (x.ndim - 1) + (2,))
