"""A discriminator shaped like the multi-agent transformer: each score may depend on everybody.

    o_k -> LayerNorm, linear, GELU, (+ identity), LayerNorm -> encoder blocks -> ô_k
    a_k -> linear, GELU, + ô_k, LayerNorm -> decoder blocks, which also read ô -> head -> e_k

Actions are those of the same step, not of the agents before, and everybody attends to everybody
alive. With ``mask="diagonal"`` each attends to itself alone and nothing else changes, so the two
have the same weights; with ``"causal"`` score k depends on agents 1 ... k.

Source: the multi-agent transformer (Wen et al., NeurIPS 2022) for blocks and their order; L2
attention and spectral normalisation as in ViTGAN (Lee et al., ICLR 2022).
Deviation: the token of an action carries ô of who acts. Residuals of the decoder come from ô, so
between unordered tokens scores would otherwise stay the same when agents exchange their actions.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.functional.written import written_size
from understudy.networks import tokens
from understudy.networks.actions import action_of
from understudy.networks.attention import AnyAttention, Attention, L2Attention
from understudy.networks.blocks import DecoderBlock, Embedding, EncoderBlock, Head, dropped
from understudy.networks.mlp import ACTIVATIONS, Activation, LayerNorm, Linear, orthogonal
from understudy.networks.spectral import Normalisation
from understudy.types import Fixed, Masks, Spec, hyperparameters, require

ATTENTIONS: dict[str, Callable[[int, int], AnyAttention]] = {
    "l2": functools.partial(L2Attention, form="kim"),
    "vitgan": functools.partial(L2Attention, form="vitgan"),
    "dot": Attention,
}
"""Name -> maker, given width and heads."""

TITLES = {"full": "MILD²", "causal": "MILD² (causal)", "diagonal": "MILD²-GD"}


@hyperparameters
class TransformerDiscriminator:
    """How a discriminator shaped like the multi-agent transformer is built."""

    width: int = 64
    """Features of a token."""
    blocks: int = 1
    """Blocks of the encoder, and of the decoder."""
    heads: int = 1
    """Heads of every attention."""
    mask: Literal["full", "causal", "diagonal"] = "full"
    """Whose observations and actions a score depends on: everybody's, those of agents up to its
    own, or its own."""
    attention: Literal["l2", "vitgan", "dot"] = "vitgan"
    """By distance with plain values (ViTGAN), by distance with values through W_Q W_Qᵀ (l2, Kim et
    al.), or by products."""
    normalisation: Normalisation = "improved"
    """What becomes of the largest singular value of every linear weight while learning: nothing,
    1, or what it was at the beginning."""
    identity: bool = True
    """Tokens carry a learned vector of which agent they are."""
    normalise: bool = True
    """Layer normalisation of observations, as in the multi-agent transformer. It hides how large
    they are, of two features all but a sign and of one everything; False reads them as they are."""
    activation: Activation = "gelu"
    """Between layers."""
    dropout: Fixed = 0.0
    """Share of embedded observations, of embedded actions and of what the head reads that is set
    to 0 while learning."""

    def __post_init__(self) -> None:
        require(
            self.width % self.heads == 0,
            f"expected heads that share a width of {self.width} evenly, found {self.heads}",
        )
        require(0 <= self.dropout < 1, f"expected dropout of 0 to below 1, found {self.dropout}")

    @property
    def title(self) -> str:
        """What adversarial imitation of a transformer with this discriminator is called."""
        return TITLES[self.mask]

    def init(self, spec: Spec, key: Key[Array, ""]) -> TransformerScorer:
        """Fresh weights.

        Raises:
            UserError: for a group that cannot act.
        """
        width, total = self.width, sum(group.agents for group in spec.groups)
        sizes = {g.name: written_size(action_of(g)) for g in spec.groups}
        make = ATTENTIONS[self.attention]
        embedding = functools.partial(
            Embedding, normalise=self.normalise, activation=self.activation
        )
        like = (width, self.heads, make, self.activation)
        scorer = TransformerScorer(
            observe={g.name: embedding(g.observation, width) for g in spec.groups},
            act_in={name: Linear(size, width) for name, size in sizes.items()},
            norms=(LayerNorm(width), LayerNorm(width)),
            encoder=tuple(EncoderBlock(*like) for _ in range(self.blocks)),
            decoder=tuple(DecoderBlock(*like) for _ in range(self.blocks)),
            head=Head(width, 1, self.activation),
            identity=jnp.zeros((total if self.identity else 0, width)),
            spec=spec,
            mask=self.mask,
            activation=self.activation,
            dropout=self.dropout,
        )
        return _drawn(scorer, key, last=last_gain(self.normalisation))


class TransformerScorer(eqx.Module):
    """Weights of a discriminator shaped like the multi-agent transformer."""

    observe: dict[str, Embedding]
    act_in: dict[str, Linear]
    norms: tuple[LayerNorm, LayerNorm]
    encoder: tuple[EncoderBlock, ...]
    decoder: tuple[DecoderBlock, ...]
    head: Head
    identity: Float[Array, "tokens_or_none width"]
    spec: Spec = eqx.field(static=True)
    mask: str = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    def scores(
        self, inputs: Mapping[str, Any], alive: Masks, *, key: Key[Array, ""] | None = None
    ) -> dict[str, Any]:
        """Expert scores ``{group: [*lead, agents]}``, higher = more expert-like.

        Args:
            inputs: of `discriminators.Inputs`, ``{group: [*lead, agents, numbers]}``.
            alive: nobody attends to the others.
            key: of dropout; none without.

        Raises:
            UserError: for another number of agents, if each has an identity.
        """
        keys = [None] * 3 if key is None else list(jax.random.split(key, 3))
        mask = self._who(tokens.join(self.spec, alive))
        seen, done = {}, {}
        for group in self.spec.groups:
            x = inputs[group.name]
            seen[group.name] = self.observe[group.name](x[..., : group.observation])
            done[group.name] = self.act_in[group.name](x[..., group.observation :])
        x = tokens.identified(self.identity, tokens.join(self.spec, seen))
        x = dropped(self.norms[0](x), self.dropout, keys[0])
        for block in self.encoder:
            x = block(x, mask)
        y = self.norms[1](ACTIVATIONS[self.activation](tokens.join(self.spec, done)) + x)
        y = dropped(y, self.dropout, keys[1])
        for block in self.decoder:
            y, _ = block(y, x, mask, None, None)
        scores = self.head(dropped(y, self.dropout, keys[2]))[..., 0]
        counts = {name: alive[name].shape[-1] for name in self.spec.names}
        return tokens.part(self.spec, scores, counts, axis=-1)

    def _who(self, alive: Bool[Array, "*lead tokens"]) -> Bool[Array, "*lead tokens tokens"]:
        """Who attends to whom; always to itself, so that the dead depend on nobody new."""
        own = jnp.broadcast_to(
            jnp.eye(alive.shape[-1], dtype=bool), (*alive.shape, alive.shape[-1])
        )
        if self.mask == "diagonal":
            return own
        return jnp.logical_or(tokens.among_alive(alive, causal=self.mask == "causal"), own)


def last_gain(normalisation: Normalisation) -> float:
    """Scale of the last layer at the beginning: scores begin near 0, unless that is for ever."""
    return 1.0 if normalisation == "improved" else 0.01


def _drawn(scorer: TransformerScorer, key: Key[Array, ""], *, last: float) -> TransformerScorer:
    """Orthogonal weights: √2 before activations, `last` at the end, as attention asks, else 1."""
    weights, names = jax.random.split(key)

    own = scorer.encoder[0].attention.gains()

    def gain(path: str) -> float:
        if path == ".head.out.weight":
            return last
        for name, scale in own.items():
            if path.endswith(f".{name}"):
                return scale
        return math.sqrt(2.0) if ".wide." in path or ".act_in" in path else 1.0

    return dataclasses.replace(
        orthogonal(scorer, weights, gain=gain),
        identity=jax.random.normal(names, scorer.identity.shape),
    )
