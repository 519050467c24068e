"""What a policy's network says about an action: categorical sections and continuous dimensions.

An `ActionSpec` is a product; so is its distribution. A continuous dimension is one of

- a *censored* Gaussian: drawn from a Gaussian and clipped to its bounds, as the env executes it.
  Its probability has a density inside and a mass at either bound, so executed actions have the
  right likelihood (Fujita and Maeda, "Clipped Action Policy Gradient", ICML 2018);
- a *squashed* Gaussian, ``tanh`` of a Gaussian scaled to its bounds, with actions at a bound read
  as just inside it, so that their likelihood is finite.

Means and standard deviations are in units of half the range of each dimension, 0 its middle; a
dimension without two finite bounds is in its own units.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from understudy.functional import latent
from understudy.types import ActionSpec, Group, UserError, require

ILLEGAL = -1e10
"""Logit of a choice that must not be made."""
INSIDE = 1.0 - 1e-6
"""Squashed actions are read as at most this far from the middle."""


Std = Literal["exp", "sigmoid"]
"""Standard deviation from a free number x: ``exp(x)``, or ``½ σ(x)`` as in HARL and MAT."""


class ActionDistribution(eqx.Module):
    """The distribution of an action; any leading axes."""

    logits: Float[Array, "*lead choices"]
    """Of all sections, one after the other."""
    mean: Float[Array, "*lead dimensions"]
    std: Float[Array, "*lead dimensions"]
    spec: ActionSpec = eqx.field(static=True)
    squash: bool = eqx.field(static=True, default=False)

    @classmethod
    def from_head(
        cls,
        head: Float[Array, "*lead numbers"],
        std: Float[Array, "*#lead dimensions"],
        spec: ActionSpec,
        *,
        legal: Bool[Array, "*lead choices"] | None = None,
        squash: bool = False,
    ) -> ActionDistribution:
        """Read a network's output: logits of all sections, then means.

        Args:
            head: ``spec.choices + len(spec.low)`` numbers.
            std: standard deviation of each continuous dimension.
            spec: what an action is.
            legal: choices that may be made; all if None.
            squash: ``tanh`` instead of clipping.

        Raises:
            UserError: when squashing a dimension without bounds.
        """
        require(
            not squash or bool(np.isfinite([*spec.low, *spec.high]).all()),
            f"expected finite bounds to squash actions into, found {spec.low} and {spec.high}; "
            "use a distribution that is not squashed",
        )
        logits, mean = head[..., : spec.choices], head[..., spec.choices :]
        if legal is not None:
            logits = jnp.where(legal, logits, ILLEGAL)
        return cls(logits, mean, jnp.broadcast_to(std, mean.shape), spec, squash)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*lead act"]:
        """Draw an action; that of one agent does not depend on how many come after it."""
        both = bool(self.spec.sections) and bool(self.spec.low)
        choose, move = jax.random.split(key) if both else (key, key)
        if self.spec.sections:
            noise = jax.random.gumbel(choose, self.logits.shape)
            chosen = self._choices(self.logits + noise)
        else:
            chosen = self._choices(self.logits)
        noise = jax.random.normal(move, self.mean.shape) if self.spec.low else self.mean
        return self._join(chosen, self.mean + self.std * noise)

    def mode(self) -> Float[Array, "*lead act"]:
        """The most likely choice of each section; the middle of the continuous part."""
        return self._join(self._choices(self.logits), self.mean)

    def expected(self) -> Float[Array, "*lead numbers"]:
        """Probabilities of the choices of each section, then what `mode` says of the rest."""
        chances = [jax.nn.softmax(logits) for logits in self.spec.split(self.logits)]
        return jnp.concatenate([*chances, self.mode()[..., len(chances) :]], -1)

    def log_probs(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead parts"]:
        """Log-probability of each section, then of each continuous dimension, nats."""
        parts = []
        for i, logits in enumerate(self.spec.split(self.logits)):
            chosen = jax.nn.one_hot(action[..., i].astype(jnp.int32), logits.shape[-1])
            parts.append(_total(jax.nn.log_softmax(logits) * chosen))
        if self.spec.low:
            parts.append(self._continuous(action[..., len(self.spec.sections) :]))
        return jnp.concatenate(parts, -1)

    def log_prob(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead"]:
        """Log-probability of the whole action, nats."""
        return self.log_probs(action).sum(-1)

    def entropies(self) -> Float[Array, "*lead parts"]:
        """Entropy of each section, then of each continuous dimension, nats.

        A censored dimension counts with the entropy of its Gaussian before clipping.
        """
        parts = []
        for logits in self.spec.split(self.logits):
            logs = jax.nn.log_softmax(logits)
            parts.append(-_total(jnp.exp(logs) * logs))
        if self.spec.low:
            entropy = latent.gaussian_entropy(self.std) + self._row(np.log(_scale(self.spec)[1]))
            if self.squash:
                entropy = entropy + self._expected_slope()
            parts.append(entropy)
        return jnp.concatenate(parts, -1)

    def entropy(self) -> Float[Array, "*lead"]:
        """Entropy of the whole action, nats; see `entropies`."""
        return self.entropies().sum(-1)

    def kl(self, other: ActionDistribution) -> Float[Array, "*lead"]:
        """``KL(self || other)``, nats; of censored dimensions the bound before clipping."""
        total = jnp.zeros(self.logits.shape[:-1])
        pairs = zip(self.spec.split(self.logits), self.spec.split(other.logits), strict=True)
        for ours, theirs in pairs:
            logs = jax.nn.log_softmax(ours)
            total = total + (jnp.exp(logs) * (logs - jax.nn.log_softmax(theirs))).sum(-1)
        divergence = latent.gaussian_kl(self.mean, self.std, other.mean, other.std)
        return total + divergence.sum(-1)

    def _choices(self, logits: Array) -> list[Array]:
        return [s.argmax(-1)[..., None].astype(jnp.float32) for s in self.spec.split(logits)]

    def _join(self, chosen: list[Array], value: Array) -> Array:
        """Sections, and values before squashing or clipping, as an action."""
        if not self.spec.low:
            return jnp.concatenate(chosen, -1)
        value = jnp.tanh(value) if self.squash else value
        middle, half = _scale(self.spec)
        value = self._row(middle) + self._row(half) * value
        value = jnp.clip(value, self._row(self.spec.low), self._row(self.spec.high))
        return jnp.concatenate([*chosen, value], -1)

    def _continuous(self, action: Array) -> Array:
        middle, half = (self._row(numbers) for numbers in _scale(self.spec))
        value = (action - middle) / half
        if self.squash:
            value = jnp.clip(value, -INSIDE, INSIDE)
            before = jnp.arctanh(value)
            density = latent.gaussian_log_prob(before, self.mean, self.std)
            return density - jnp.log1p(-jnp.square(value)) - jnp.log(half)
        density = latent.gaussian_log_prob(value, self.mean, self.std) - jnp.log(half)
        if not np.isfinite([*self.spec.low, *self.spec.high]).any():
            return density
        z = (value - self.mean) / self.std
        low, high = self._row(self.spec.low), self._row(self.spec.high)
        density = jnp.where(action <= low, jax.scipy.special.log_ndtr(z), density)
        return jnp.where(action >= high, jax.scipy.special.log_ndtr(-z), density)

    def _expected_slope(self) -> Array:
        """``E log(1 - tanh²(u))`` over the Gaussian, by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(32)
        weights = weights / math.sqrt(2 * math.pi)
        total = jnp.zeros_like(self.mean)
        for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
            u = self.mean + node * self.std
            # log(1 - tanh²u) without cancellation
            total = total + weight * 2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u))
        return total

    def _row(self, values: Any) -> Array:
        row = jnp.asarray(np.asarray(values, np.float32))
        return row.reshape((1,) * (self.mean.ndim - 1) + (-1,))


FEW = 32
"""Sums over at most so many entries are written out: XLA reduces short axes slowly on a CPU."""


def _total(x: Float[Array, "*lead choices"]) -> Float[Array, "*lead 1"]:
    """Sum over the last axis, which stays."""
    if x.shape[-1] > FEW:
        return x.sum(-1, keepdims=True)
    return functools.reduce(jnp.add, [x[..., i : i + 1] for i in range(x.shape[-1])])


def action_of(group: Group) -> ActionSpec:
    """What an action of a group is.

    Raises:
        UserError: for a group that does not act.
    """
    if group.action is None:
        raise UserError(f"expected a group that acts, found {group.name!r} without an ActionSpec")
    return group.action


def positive(x: Float[Array, "*shape"], std: Std) -> Float[Array, "*shape"]:
    """A standard deviation from a free number."""
    return jnp.exp(x) if std == "exp" else 0.5 * jax.nn.sigmoid(x)


def _scale(spec: ActionSpec) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half the range of each dimension; 0 and 1 without two bounds."""
    low, high = np.asarray(spec.low, np.float64), np.asarray(spec.high, np.float64)
    bounded = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return (high + low) / 2, (high - low) / 2
