"""Toys that several contracts share; each at most 40 lines."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from understudy.types import Samples, hyperparameters, record


class Drift(eqx.Module):
    """Everybody goes on with one learned mean step."""

    step: dict[str, jax.Array]

    def sample(self, context, key, *, samples, horizon, given=None, intents=None):
        def future(name, last):
            times = jnp.arange(1, horizon + 1, dtype=jnp.float32)[:, None, None]
            path = last[None] + times * self.step[name][None, None]
            noise = 0.1 * jax.random.normal(key, (samples, *path.shape))
            return path[None] + noise

        return Samples({n: future(n, x[-1]) for n, x in context.features.items()})

    def bound(self, window, key, *, particles=1):
        steps = {n: jnp.diff(x, axis=0) for n, x in window.observation.features.items()}
        error = sum(jnp.sum((s - self.step[n][None, None]) ** 2) for n, s in steps.items())
        return {"elbo": -error, "reconstruction": -error}


@record
class DriftState:
    params: Any


@hyperparameters
class LearnDrift:
    """Moves the mean step towards that of the batch."""

    rate: float = 0.1
    window: int = 5
    batch: int = 4
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})

    def init(self, spec, statistics, key):
        keys = jax.random.split(key, len(spec.groups))
        shapes = {g.name: (g.observation,) for g in spec.groups}
        return DriftState({n: jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items())})

    def update(self, state, batch, step, key):
        moves = {n: jnp.diff(x, axis=1).mean((0, 1, 2)) for n, x in
                 batch.demonstrations.observation.features.items()}  # fmt: skip
        error = sum(jnp.sum((moves[n] - p) ** 2) for n, p in state.params.items())
        noise = 0.001 * jax.random.normal(key)
        new = {n: p + self.rate * (moves[n] - p) + noise for n, p in state.params.items()}
        return DriftState(new), {"error": error}

    def generator(self, state):
        return Drift(state.params)
