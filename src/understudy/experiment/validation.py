"""Scoring a generator on windows it was not trained on, while it is being trained."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.data import sampling
from understudy.experiment import loops
from understudy.experiment.material import Material
from understudy.types import Spec, Statistics, Window

BOUNDS = ("elbo", "elbo_given_intents", "intents", "score")
"""The first of these that a generator reports chooses the best checkpoint; higher is better."""


def scores(algorithm: Any, spec: Spec, statistics: Statistics | None) -> bool:
    """True if the algorithm makes a generator that has a bound."""
    if not hasattr(algorithm, "generator"):
        return False

    def build(algorithm: Any, statistics: Any, key: Any) -> Any:
        return algorithm.generator(algorithm.init(spec, statistics, key))

    made = jax.eval_shape(build, algorithm, statistics, jax.random.key(0))
    return hasattr(made, "bound")


def sheet(material: Material, count: int, batch: int) -> Window:
    """Windows spread evenly over the set, ``[windows, time, ...]``, on the host.

    At most `count`, whole batches where there are enough, so that one program scores them all.
    """
    total = len(material.windows)
    wanted = min(count, total)
    if wanted > batch:
        wanted -= wanted % batch
    chosen = np.linspace(0, total - 1, wanted).round().astype(np.int64)
    return sampling.gather(sampling.rows(material.demonstrations), material.windows, chosen)


@functools.partial(jax.jit, static_argnames="batch")
def score(
    algorithm: Any, states: Any, windows: Window, keys: Key[Array, " seeds"], *, batch: int
) -> dict[str, Float[Array, " seeds"]]:
    """Mean of each entry of the bound over the windows, per seed; nats per window."""

    def one(state: Any, key: Any) -> Any:
        generator = algorithm.generator(state)
        total = jax.tree.leaves(windows)[0].shape[0]
        each = jax.lax.map(
            lambda pair: generator.bound(pair[0], pair[1]),
            (windows, jax.random.split(key, total)),
            batch_size=min(batch, total),
        )
        return jax.tree.map(lambda values: values.mean(0), each)

    return loops.over_seeds(one, states, keys)


def bound(row: dict[str, Any]) -> float | None:
    """What to choose the best checkpoint by: the mean over the seeds that are well, or None."""
    for name in BOUNDS:
        if f"validation/{name}" in row:
            known = [value for value in row[f"validation/{name}"] if value is not None]
            return sum(known) / len(known) if known else None
    return None
