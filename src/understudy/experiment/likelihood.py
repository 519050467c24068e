"""Likelihood of whole windows: the terms of a generator's bound, averaged over sequences.

Every term is in nats per sequence in data units; the first row is never counted. The two ELBOs are
kept apart: one is conditional on labelled intents, which look ahead; only the other bounds
the likelihood of the positions.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from understudy.data.sampling import Rows, Windows, gather
from understudy.experiment.tally import Tally, join
from understudy.types import Window

TERMS = ("reconstruction", "kl", "intents", "elbo_given_intents", "elbo", "iwae", "frames")
"""What a bound may report, in the order it is printed."""
WINDOWS = 64


def bounds(
    generator: Any,
    rows: Rows,
    found: Windows,
    chosen: Int[np.ndarray, " windows"],
    *,
    particles: int,
    seed: int,
    chunk: int = WINDOWS,
) -> dict[str, Tally]:
    """Tally the terms of `generator.bound` over the windows `chosen`.

    Args:
        generator: has ``bound(window, key, particles=...)``.
        rows: of the demonstrations, labelled with intents where the generator has them.
        found: windows; every row after the first is counted.
        chosen: indices into `found`.
        particles: of the importance-weighted bound.
        seed: of the latents drawn.
        chunk: windows at a time; no figure depends on it.
    """
    size = min(len(chosen), chunk)
    key = jax.random.key(seed)
    parts = []
    for first in range(0, len(chosen), size):
        some = chosen[first : first + size]
        padded = np.concatenate([some, np.repeat(chosen[:1], size - len(some))])
        window = jax.tree.map(jnp.asarray, gather(rows, found, padded))
        terms = _terms(generator, window, key, jnp.asarray(padded), particles)
        parts.append(
            {n: np.asarray(terms[n], np.float64)[: len(some)] for n in TERMS if n in terms}
        )
    ones = [np.ones(len(next(iter(part.values())))) for part in parts]
    return join(
        [{n: Tally(v, one) for n, v in part.items()} for part, one in zip(parts, ones, strict=True)]
    )


@eqx.filter_jit
def _terms(
    generator: Any,
    window: Window,
    key: Key[Array, ""],
    indices: Int[Array, " windows"],
    particles: int,
) -> dict[str, Array]:
    def one(window: Window, index: Int[Array, ""]) -> dict[str, Array]:
        terms = generator.bound(window, jax.random.fold_in(key, index), particles=particles)
        return {name: jnp.asarray(value, jnp.float32) for name, value in terms.items()}

    return jax.vmap(one)(window, indices)
