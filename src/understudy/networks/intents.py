"""The policy over intents: what each agent is up to, given the scene and all intents before."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from understudy.networks.heads import Common, Heads, PerHead
from understudy.networks.recurrent import GRU


class IntentPolicy(eqx.Module):
    """``p(g_t | scene_t, h_t) = Π_k softmax(net_k(scene_t, h_t))``, ``h_{t+1} = GRU(g_t, h_t)``.

    One GRU reads the one-hot intents of all agents side by side; each agent has a decoder of its
    own, and a shared intent has one. Agents draw independently given h, which is therefore the
    only channel through which they coordinate.
    """

    gru: GRU
    decoder: Heads
    classes: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    """One per agent, or one for all."""

    def __init__(
        self,
        seen: int,
        classes: int,
        *,
        heads: int,
        width: int,
        rnn: int,
        layers: int,
    ):
        self.gru = GRU(classes * heads, rnn, layers)
        sizes = {"seen": seen, "hidden": rnn}
        self.decoder = Heads(sizes, (width,), classes, heads=heads)
        self.classes, self.heads = classes, heads

    def teach(
        self, seen: Float[Array, "time batch seen"], labels: Int[Array, "time batch heads"]
    ) -> Float[Array, "time heads batch classes"]:
        """Log-probability of every class at every row, given the labels before it."""
        after = self.gru.scan(self._read(labels[:-1]))
        before = jnp.concatenate([jnp.zeros_like(after[:1]), after])
        return jax.nn.log_softmax(self.decoder(seen=seen, hidden=before))

    def logits(self, hidden: tuple[Array, ...], seen: Common) -> PerHead:
        """Unnormalised log-probabilities of one row."""
        return self.decoder(seen=seen, hidden=hidden[-1])

    def advance(
        self, hidden: tuple[Array, ...], intents: Int[Array, "batch heads"]
    ) -> tuple[Array, ...]:
        """Remember the intents of one row."""
        return self.gru.step(self._read(intents), hidden)

    def _read(self, intents: Int[Array, "*lead heads"]) -> Float[Array, "*lead reads"]:
        hot = jax.nn.one_hot(intents, self.classes)
        return hot.reshape(*hot.shape[:-2], -1)
