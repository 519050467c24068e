"""What comes next, read from a network's output as what is now and what changes.

For a group that advances the state (`types.Group.advances`): choices begin with a bonus for the one
that is now, which is learned for each section; means are what is now plus an output; deviations are
those of other groups times ``exp(5 tanh(x / 5))`` of another output, and not below the floor that
every likelihood has.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.functional import latent
from understudy.types import ActionSpec

KEEPS = 2.0
"""Bonus of the choice that is now, at the beginning."""
WIDEST = 5.0
"""Deviations are at most e⁵ times wider, or narrower, than without looking at the state."""


class Following(eqx.Module):
    """Weights of what a group decides that comes next."""

    keeps: Float[Array, " sections"]
    """Bonus, in logits, of the choice that is now."""

    @classmethod
    def of(cls, action: ActionSpec) -> Following:
        """At the beginning."""
        return cls(jnp.full(len(action.sections), KEEPS))

    def __call__(
        self,
        action: ActionSpec,
        outputs: Float[Array, "*lead outputs"],
        now: Float[Array, "*lead features"],
        std: Float[Array, "*#lead dimensions"],
    ) -> tuple[Float[Array, "*lead numbers"], Float[Array, "*lead dimensions"]]:
        """Head and deviations of an `ActionDistribution`.

        Args:
            action: what the group decides.
            outputs: of the network, `following_outputs` numbers.
            now: features that it decides the next of.
            std: deviations without looking.
        """
        size = action.choices + len(action.low)
        head, wider = outputs[..., :size], outputs[..., size:]
        scale = jnp.concatenate([bonus(action, self.keeps), jnp.ones(len(action.low))])
        head = head + scale.reshape((1,) * (head.ndim - 1) + (-1,)) * now
        return head, latent.STD_FLOOR + std * widened(wider)


def bonus(action: ActionSpec, keeps: Float[Array, " sections"]) -> Float[Array, " choices"]:
    """The bonus of every choice, should it be the one that is now."""
    counts = np.asarray(action.sections, int)
    return jnp.repeat(keeps, counts, total_repeat_length=action.choices)


def widened(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A factor of a deviation from a network's output: ``exp(x)``, between e⁻⁵ and e⁵."""
    return jnp.exp(WIDEST * jnp.tanh(x / WIDEST))


def following_outputs(action: ActionSpec) -> int:
    """Outputs of a network of such a group: logits, changes, and widths."""
    return action.choices + 2 * len(action.low)
