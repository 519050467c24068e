"""Rows of sections and continuous values that are drawn, and how networks read such rows.

Networks read a continuous value as its normal score, ``Φ⁻¹(F(x))``, F the distribution function
of the training split. Written back by its inverse, a score that is standard normal has the
distribution of the split, whatever that looks like; nothing lies outside of what was logged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.networks.actions import action_of
from understudy.networks.mlp import ACTIVATIONS, MLP, Activation, orthogonal
from understudy.types import ActionSpec, Spec, require

KNOTS = 100
"""Points of a distribution function that are kept."""
FURTHEST = 1e-4
"""Ranks are kept so far from 0 and 1: scores of about 3.7 at most."""

Knots = tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
"""For each continuous value ``(ranks, values)``, both rising."""


def knots(values: Float[np.ndarray, "rows columns"]) -> Knots:
    """Points of the distribution function of every column, `KNOTS` each.

    Of a column of few different values they are its steps, exactly; of others, quantiles, closer to
    each other at either end.

    Raises:
        UserError: without rows.
    """
    require(len(values) > 0, "expected rows to take quantiles of, found none; give some")
    return tuple(_knots(column) for column in np.asarray(values, np.float32).T)


def _knots(column: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    found, counts = np.unique(column, return_counts=True)
    if 2 * len(found) <= KNOTS:
        after = np.cumsum(counts) / len(column)
        ranks = np.stack([np.concatenate([[0.0], after[:-1]]), after], 1).ravel()
        ranks, at = (np.pad(x, (0, KNOTS - len(x)), "edge") for x in (ranks, found.repeat(2)))
    else:
        ranks = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, KNOTS))
        at = np.quantile(column, ranks).astype(np.float32)
    return tuple(ranks.tolist()), tuple(at.tolist())


class NormalScores(eqx.Module):
    """How a row of features is read, and written back."""

    ranks: Float[Array, "columns knots"]
    values: Float[Array, "columns knots"]
    spec: Spec = eqx.field(static=True)

    @classmethod
    def of(cls, spec: Spec, found: Knots) -> NormalScores:
        """From `knots` of the continuous values of the group that advances the state.

        Raises:
            UserError: without such a group, or for another number of values.
        """
        action = action_of(spec.world)
        require(
            len(found) == len(action.low),
            f"expected quantiles of {len(action.low)} continuous values, found {len(found)}; call "
            "resolve(demonstrations) on these demonstrations first",
        )
        table = np.asarray(found, np.float32).reshape(len(found), 2, KNOTS)
        return cls(jnp.asarray(table[:, 0]), jnp.asarray(table[:, 1]), spec)

    def read(self, rows: Float[Array, "rows obs"], key: Key[Array, ""]) -> Float[Array, "rows obs"]:
        """One-hot sections as they are, then scores; equal values are ranked in a random order."""
        choices = action_of(self.spec.world).choices
        chance = jax.random.uniform(key, rows[:, choices:].shape)
        ranks = jax.vmap(_rank, (1, 1, 0, 0), 1)(rows[:, choices:], chance, self.ranks, self.values)
        scores = jax.scipy.special.ndtri(jnp.clip(ranks, FURTHEST, 1.0 - FURTHEST))
        return jnp.concatenate([rows[:, :choices], scores], 1)

    def write(self, rows: Float[Array, "rows obs"]) -> Float[Array, "rows obs"]:
        """Undo `read`."""
        choices = action_of(self.spec.world).choices
        ranks = jax.scipy.special.ndtr(rows[:, choices:])
        values = jax.vmap(jnp.interp, (1, 0, 0), 1)(ranks, self.ranks, self.values)
        return jnp.concatenate([rows[:, :choices], values], 1)


def _rank(
    x: Float[Array, " rows"],
    chance: Float[Array, " rows"],
    ranks: Float[Array, " knots"],
    values: Float[Array, " knots"],
) -> Float[Array, " rows"]:
    """Rank of every value, 0 to 1; anywhere between its first and last knot if it is one."""
    first = jnp.searchsorted(values, x, side="left")
    last = jnp.searchsorted(values, x, side="right") - 1
    at = [ranks[jnp.clip(i, 0, len(ranks) - 1)] for i in (first, last)]
    tied = at[0] + (at[1] - at[0]) * chance
    return jnp.where(last >= first, tied, jnp.interp(x, values, ranks))


class Synthesiser(eqx.Module):
    """From noise to logits of all sections, then scores of continuous values."""

    net: MLP
    action: ActionSpec = eqx.field(static=True)
    noise: int = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        action: ActionSpec,
        key: Key[Array, ""],
        *,
        noise: int,
        hidden: Sequence[int],
        activation: Activation,
    ) -> Synthesiser:
        """Fresh weights."""
        size = action.choices + len(action.low)
        net = MLP(noise, hidden, size, activation=ACTIVATIONS[activation])
        return cls(orthogonal(net, key, gain=math.sqrt(2.0)), action, noise)

    def __call__(
        self, key: Key[Array, ""], count: int, temperature: float | Float[Array, ""] = 1.0
    ) -> tuple[Float[Array, "rows obs"], Float[Array, " choices"]]:
        """Draw rows.

        Args:
            key: of the draw.
            count: rows.
            temperature: of the softmax that gradients go through; rows do not depend on it.

        Returns:
            Rows as `NormalScores.read` makes them, sections exactly one-hot, and the expected share
            of every choice in a batch of this noise.
        """
        place, choose = jax.random.split(key)
        outputs = self.net(jax.random.normal(place, (count, self.noise)))
        choices = self.action.choices
        gumbel = jax.random.gumbel(choose, (count, choices))
        rows, shares = [], [jnp.zeros(0)]
        pairs = zip(self.action.split(outputs), self.action.split(gumbel), strict=True)
        for logits, noise in pairs:
            noisy, size = logits + noise, logits.shape[1]
            soft = jax.nn.softmax(noisy / temperature)
            hard = jax.nn.one_hot(jnp.argmax(noisy, 1), size)
            rows.append(hard + (soft - jax.lax.stop_gradient(soft)))
            shares.append(jax.nn.softmax(logits).mean(0))
        return jnp.concatenate([*rows, outputs[:, choices:]], 1), jnp.concatenate(shares)
