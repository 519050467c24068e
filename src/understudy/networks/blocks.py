"""Blocks of a transformer: embeddings, heads, and what goes on between them.

Normalisation follows each sum (post-norm). Sizes and order are those of the multi-agent
transformer (Wen et al., NeurIPS 2022). Which attention is in them is up to who builds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.networks.attention import AnyAttention, Attention
from understudy.networks.mlp import ACTIVATIONS, Activation, LayerNorm, Linear


class Embedding(eqx.Module):
    """Layer normalisation unless it is left out, a linear map, an activation."""

    norm: LayerNorm | None
    wide: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(
        self, inputs: int, width: int, *, normalise: bool = True, activation: Activation = "gelu"
    ):
        self.norm = LayerNorm(inputs) if normalise else None
        self.wide = Linear(inputs, width)
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        """Any leading axes."""
        return ACTIVATIONS[self.activation](self.wide(x if self.norm is None else self.norm(x)))


class Head(eqx.Module):
    """A hidden layer with an activation and normalisation, and a linear map."""

    wide: Linear
    norm: LayerNorm
    out: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(self, width: int, outputs: int, activation: Activation = "gelu"):
        self.wide, self.norm = Linear(width, width), LayerNorm(width)
        self.out, self.activation = Linear(width, outputs), activation

    def __call__(self, x: Array) -> Array:
        """Any leading axes."""
        return self.out(self.norm(ACTIVATIONS[self.activation](self.wide(x))))


class Mixer(eqx.Module):
    """The perceptron of a block."""

    wide: Linear
    out: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(self, width: int, activation: Activation = "gelu"):
        self.wide, self.out = Linear(width, width), Linear(width, width)
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        """Any leading axes."""
        return self.out(ACTIVATIONS[self.activation](self.wide(x)))


class EncoderBlock(eqx.Module):
    """Attention over all tokens, then a perceptron; each added and normalised."""

    attention: AnyAttention
    mixer: Mixer
    norms: tuple[LayerNorm, LayerNorm]

    def __init__(
        self,
        width: int,
        heads: int,
        attention: Callable[[int, int], AnyAttention] = Attention,
        activation: Activation = "gelu",
    ):
        self.attention, self.mixer = attention(width, heads), Mixer(width, activation)
        self.norms = (LayerNorm(width), LayerNorm(width))

    def __call__(self, x: Array, mask: Array) -> Array:
        """Tokens ``[*lead, tokens, width]``."""
        x = self.norms[0](x + self.attention(x, x, mask))
        return self.norms[1](x + self.mixer(x))


class DecoderBlock(eqx.Module):
    """Attention over the actions before, asked by themselves and then by representations ô."""

    own: AnyAttention
    cross: AnyAttention
    mixer: Mixer
    norms: tuple[LayerNorm, LayerNorm, LayerNorm]

    def __init__(
        self,
        width: int,
        heads: int,
        attention: Callable[[int, int], AnyAttention] = Attention,
        activation: Activation = "gelu",
    ):
        self.own, self.cross = attention(width, heads), attention(width, heads)
        self.mixer = Mixer(width, activation)
        self.norms = (LayerNorm(width), LayerNorm(width), LayerNorm(width))

    def __call__(
        self, x: Array, seen: Array, mask: Array, kept: tuple[Array, Array] | None, at: Any
    ) -> tuple[Array, tuple[Array, Array] | None]:
        """Actions x and representations ``[*lead, tokens, width]``; one token `at` if kept."""
        keys, kept_own = _keep(self.own.keys(x), kept, 0, at)
        x = self.norms[0](x + self.own.attend(x, keys, mask))
        keys, kept_cross = _keep(self.cross.keys(x), kept, 1, at)
        x = self.norms[1](seen + self.cross.attend(seen, keys, mask))
        both = None if kept_own is None or kept_cross is None else (kept_own, kept_cross)
        return self.norms[2](x + self.mixer(x)), both


def _keep(
    keys: Array, kept: tuple[Array, Array] | None, number: int, at: Any
) -> tuple[Array, Array | None]:
    """Keys of all tokens: those of this one put with those kept before."""
    if kept is None:
        return keys, None
    both = jax.lax.dynamic_update_slice_in_dim(kept[number], keys, at, axis=1)
    return both, both


def dropped(
    x: Float[Array, "*shape"], share: float, key: Key[Array, ""] | None
) -> Float[Array, "*shape"]:
    """Set a share of the numbers to 0 and scale the others up; without a key, all stay."""
    if key is None or share == 0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1.0 - share, x.shape), x / (1.0 - share), 0.0)
