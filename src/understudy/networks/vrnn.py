"""Recurrent networks with Gaussian heads: no latent, one latent per step, or one per sequence.

One `VRNN` is one GRU with a head per agent round it. A joint model is one VRNN with one head over
all coordinates; independent agents are several VRNNs, stacked, under ``jax.vmap``; the mixed model
is one VRNN with a head per agent. Axes: ``[time, heads, batch, features]`` and, for what all heads
share, ``[time, batch, features]``.

Training with known targets keeps only what is truly recurrent in the loop: the encoder (its draw
feeds the GRU) and the GRU. Prior and decoder run once, over all of time.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.functional.latent import STD_FLOOR
from understudy.networks.distributions import DiagonalGaussian
from understudy.networks.heads import Common, Heads, PerHead, spread
from understudy.networks.recurrent import GRU, Apply, Weights, gate, recurrence

Hidden: TypeAlias = tuple[Float[Array, "..."], ...]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes and wiring of a `VRNN`."""

    seen: int
    """What every head sees of the scene now: positions, velocities."""
    target: int
    """What a head predicts."""
    heads: int = 1
    extra: int = 0
    """Condition of a head: its intent, one-hot."""
    kind: Literal["none", "step", "sequence"] = "step"
    """No latent, one per step, or one for all of the sequence."""
    latent: int = 16
    width: int = 64
    """Units of each of the two hidden layers of a head."""
    rnn: int = 64
    layers: int = 2
    aware: bool = True
    """Prior and encoder see the scene; otherwise the decoder alone does."""
    memory: Literal["next", "now"] = "next"
    """With a latent per step the GRU reads the target reached ("next") or the scene left."""
    discriminator: bool = False
    """Recover the latent of the sequence from the last hidden state (mutual information)."""


class Pass(eqx.Module):
    """What one pass over known targets computed."""

    head: PerHead
    """Mean and raw std of every target."""
    latent: Float[Array, "..."] | None = None
    posterior: DiagonalGaussian | None = None
    prior: DiagonalGaussian | None = None
    last: Float[Array, "batch hidden"] | None = None
    """Hidden state after the last row; of a latent per sequence only."""


class VRNN(eqx.Module):
    """One GRU, and per head a decoder, and with a latent a prior and an encoder.

    Source: Chung et al., "A Recurrent Latent Variable Model for Sequential Data", NeurIPS 2015;
    wiring of each kind as in Zhan et al., ICLR 2019.
    """

    gru: GRU
    decoder: Heads
    prior: Heads | None
    encoder: Heads | None
    discriminator: Heads | None
    sizes: Sizes = eqx.field(static=True)

    def __init__(self, sizes: Sizes):
        s, step, sequence = sizes, sizes.kind == "step", sizes.kind == "sequence"
        width, hidden, extra = (s.width, s.width), {"hidden": s.rnn}, {"extra": s.extra}
        scene = {"seen": s.seen if s.aware else 0, **hidden}
        latent, out = {"latent": s.latent}, 2 * s.latent
        reads, sees = s.seen, {**extra, **hidden}
        if sequence:
            sees = {**extra, **latent, **hidden}
        if step:
            reads = (
                s.heads * (s.target + s.latent)
                if s.memory == "next"
                else reads + s.heads * s.latent
            )
            sees = {**extra, **latent, "seen": s.seen, **hidden}
        self.gru = GRU(reads, s.rnn, s.layers)
        self.decoder = Heads(sees, width, 2 * s.target, heads=s.heads)
        self.prior = self.encoder = self.discriminator = None
        if step:
            self.prior = Heads({**extra, **scene}, width, out, heads=s.heads)
            self.encoder = Heads({"target": s.target, **extra, **scene}, width, out, heads=s.heads)
        elif sequence:
            self.encoder = Heads(hidden, width, out, heads=1)
            self.discriminator = Heads(hidden, width, out, heads=1) if s.discriminator else None
        self.sizes = sizes

    # --- over a whole sequence whose targets are known ---

    def teach(
        self,
        seen: Float[Array, "rows batch seen"],
        target: Float[Array, "time heads batch target"],
        extra: Float[Array, "time heads batch extra"] | None,
        noise: Float[Array, "..."],
    ) -> Pass:
        """Predict every target given everything before it and the encoder's latents.

        Args:
            seen: the scene at every row; one row more than there are targets.
            target: of the step that leaves each row.
            extra: conditions at each row.
            noise: standard normal, ``[time, heads, batch, latent]`` with a latent per step,
                ``[1, batch, latent]`` with one per sequence.
        """
        given = {} if extra is None else {"extra": extra}
        if self.sizes.kind == "step":
            return self._teach_steps(seen[:-1], target, given, noise)
        hidden = self.gru.scan(seen)
        if self.encoder is None:
            return Pass(self.decoder(hidden=hidden[:-1], **given))
        posterior = _gaussian(self.encoder(hidden=hidden[-1]))
        z = posterior.sample(noise)
        head = self.decoder(
            latent=jnp.broadcast_to(z, (len(target), self.sizes.heads, *z.shape[1:])),
            hidden=hidden[:-1],
            **given,
        )
        zero = jnp.zeros_like(z)
        return Pass(head, z, posterior, DiagonalGaussian(zero, zero + 1.0), hidden[-1])

    def _teach_steps(
        self, seen: Common, target: PerHead, given: dict[str, PerHead], noise: PerHead
    ) -> Pass:
        assert self.encoder is not None
        assert self.prior is not None
        known = self.encoder.join(target=target, seen=seen, **given)
        read = _merge(target) if self.sizes.memory == "next" else seen
        weights: Weights = {}
        for i, layer in enumerate(self.encoder.nets.layers):
            weights[f"encode{i}"] = (layer.weight, layer.bias)
        for i, layer in enumerate(self.gru.layers):
            weights[f"hidden{i}"] = (layer.hidden_weight, layer.hidden_bias)
            weights[f"input{i}"] = (layer.input_weight, layer.input_bias)
        hidden = self.gru.start(seen.shape[1])
        _, (top, z, posterior) = recurrence(_infer, weights, hidden, (known, read, noise))
        prior = _gaussian(self.prior(seen=seen, hidden=top, **given))
        head = self.decoder(latent=z, seen=seen, hidden=top, **given)
        return Pass(head, z, posterior, prior)

    # --- one step, while sampling ---

    def absorb(self, hidden: Hidden, seen: Common) -> Hidden:
        """Read the scene before deciding, as networks without a latent per step do."""
        return hidden if self.sizes.kind == "step" else self.gru.step(seen, hidden)

    def draw_latent(
        self,
        hidden: Hidden,
        seen: Common,
        extra: PerHead | None,
        target: PerHead,
        known: Bool[Array, "heads batch"] | None,
        noise: PerHead,
    ) -> PerHead:
        """A latent per step: from the encoder for heads whose target is known, else the prior.

        Where `known` is None nothing is, and the encoder is not asked.
        """
        assert self.encoder is not None
        assert self.prior is not None
        given = {} if extra is None else {"extra": extra}
        prior = _gaussian(self.prior(seen=seen, hidden=hidden[-1], **given))
        if known is None:
            return prior.sample(noise)
        posterior = _gaussian(self.encoder(target=target, seen=seen, hidden=hidden[-1], **given))
        return jnp.where(known[..., None], posterior.sample(noise), prior.sample(noise))

    def decode(
        self, hidden: Hidden, seen: Common, extra: PerHead | None, z: PerHead | None
    ) -> PerHead:
        """Mean and raw std of every head's target."""
        given = {} if extra is None else {"extra": extra}
        given |= {} if z is None else {"latent": z}
        return self.decoder(seen=seen, hidden=hidden[-1], **given)

    def advance(self, hidden: Hidden, seen: Common, target: PerHead, z: PerHead | None) -> Hidden:
        """Remember the step taken, as networks with a latent per step do."""
        if self.sizes.kind != "step":
            return hidden
        assert z is not None
        read = _merge(target) if self.sizes.memory == "next" else seen
        return self.gru.step(jnp.concatenate([read, _merge(z)], -1), hidden)

    def infer(self, seen: Float[Array, "rows batch seen"]) -> DiagonalGaussian:
        """Posterior of a latent per sequence given the rows seen so far."""
        assert self.encoder is not None
        return _gaussian(self.encoder(hidden=self.gru.scan(seen)[-1]))

    def recover(self, hidden: Float[Array, "batch hidden"]) -> DiagonalGaussian:
        """The discriminator's guess of the latent of a sequence."""
        assert self.discriminator is not None
        return _gaussian(self.discriminator(hidden=hidden))


def _infer(
    apply: Apply, hidden: Hidden, x: tuple[Array, Array, Array]
) -> tuple[Hidden, tuple[Array, Array, DiagonalGaussian]]:
    """One row of the loop: encode, draw, remember."""
    known, read, noise = x
    code = jnp.concatenate([known, spread(hidden[-1], known.shape[0])], -1)
    code = apply("encode0", code)
    for name in ("encode1", "encode2"):
        code = apply(name, jax.nn.relu(code))
    posterior = _gaussian(code)
    z = posterior.sample(noise)
    below, out = jnp.concatenate([read, _merge(z)], -1), []
    for i, h in enumerate(hidden):
        below = gate(apply(f"input{i}", below), apply(f"hidden{i}", h), h)
        out.append(below)
    return tuple(out), (hidden[-1], z, posterior)


def _gaussian(head: PerHead) -> DiagonalGaussian:
    return DiagonalGaussian.from_head(head, STD_FLOOR)


def _merge(x: PerHead) -> Common:
    """Heads side by side in the features: ``[..., heads, batch, f] -> [..., batch, heads f]``."""
    *lead, heads, batch, size = x.shape
    return jnp.moveaxis(x, -3, -2).reshape(*lead, batch, heads * size)
