"""Tables of sections and values, column by column and pair by pair: how far two are apart.

What training lowers takes JAX arrays; what says how well it went counts rows in NumPy, in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from understudy.types import require, split_sections

FLOOR = 1e-6
"""Smallest share that a logarithm is taken of."""


def entropy(
    shares: Float[Array, " choices"], sections: tuple[int, ...]
) -> Float[Array, " sections"]:
    """Entropy of every section, nats: ``-Σ p log p``.

    Args:
        shares: of all choices, section by section; those of a section add up to 1.
        sections: choices of each.
    """
    return _totals(-shares * jnp.log(jnp.maximum(shares, FLOOR)), sections)


def divergence(
    shares: Float[Array, " choices"],
    wanted: Float[Array, " choices"],
    sections: tuple[int, ...],
) -> Float[Array, " sections"]:
    """Kullback-Leibler divergence of every section, nats: ``Σ p log(p / q)``.

    Args:
        shares: p, of all choices, section by section.
        wanted: q; one below `FLOOR` counts as that much.
        sections: choices of each.
    """
    ratio = jnp.log(jnp.maximum(shares, FLOOR)) - jnp.log(jnp.maximum(wanted, FLOOR))
    return _totals(shares * ratio, sections)


def quantile_distance(
    values: Float[Array, "rows columns"], wanted: Float[Array, "rows columns"]
) -> Float[Array, " columns"]:
    """Wasserstein distance of every column: the mean of ``|x_(i) - y_(i)|``, both in order.

    Args:
        values: x.
        wanted: y, as many.
    """
    return jnp.abs(jnp.sort(values, 0) - jnp.sort(wanted, 0)).mean(0)


def coded(
    rows: Float[np.ndarray, "rows obs"],
    sections: tuple[int, ...],
    edges: Float[np.ndarray, "columns edges"],
) -> Int[np.ndarray, "rows parts"]:
    """A table as numbers: of the choice of each section, of the bin of each continuous value.

    Args:
        rows: one-hot sections, then continuous values.
        sections: choices of each.
        edges: between the bins of each continuous value, rising; see `quantile_edges`.

    Raises:
        UserError: for rows of another size.
    """
    wanted = sum(sections) + len(edges)
    require(
        rows.shape[1] == wanted,
        f"expected rows of {wanted} numbers, {sum(sections)} of sections and {len(edges)} others, "
        f"found {rows.shape[1]}; give the sections and edges of this table",
    )
    parts = [part.argmax(1) for part in split_sections(rows, sections)]
    values = rows[:, sum(sections) :].T
    parts += [np.searchsorted(e, x, side="right") for e, x in zip(edges, values, strict=True)]
    return np.stack(parts, 1)


def quantile_edges(
    values: Float[np.ndarray, "rows columns"], bins: int
) -> Float[np.ndarray, "columns edges"]:
    """Edges between bins that hold the same share of the rows, for each column."""
    require(bins > 1, f"expected at least 2 bins, found {bins}")
    return np.quantile(values, np.arange(1, bins) / bins, axis=0).T


def variations(
    codes: Int[np.ndarray, "rows parts"],
    others: Int[np.ndarray, "others parts"],
    sizes: Sequence[int],
) -> Float[np.ndarray, " parts"]:
    """Total variation distance of every part's shares, 0 to 1: ``½ Σ |p - q|``.

    Args:
        codes: of `coded`.
        others: likewise, any number of rows.
        sizes: numbers that each part can be, from 0.
    """
    return np.asarray([
        _apart(codes[:, i], others[:, i], size) for i, size in enumerate(sizes)
    ])  # fmt: skip


def pair_variations(
    codes: Int[np.ndarray, "rows parts"],
    others: Int[np.ndarray, "others parts"],
    sizes: Sequence[int],
) -> Float[np.ndarray, " pairs"]:
    """Total variation distance of the joint shares of every two parts, 0 to 1.

    Two finite samples of the same table are apart, too; compare with what a sample of known origin
    reaches.

    Args:
        codes: of `coded`.
        others: likewise, any number of rows.
        sizes: numbers that each part can be, from 0.

    Returns:
        One per pair, in the order of `itertools.combinations`.
    """
    require(len(sizes) > 1, f"expected at least 2 parts to pair, found {len(sizes)}")
    return np.asarray([
        _apart(
            codes[:, i] * sizes[j] + codes[:, j], others[:, i] * sizes[j] + others[:, j],
            sizes[i] * sizes[j],
        )
        for i, j in itertools.combinations(range(len(sizes)), 2)
    ])  # fmt: skip


def _totals(x: Float[Array, " choices"], sections: tuple[int, ...]) -> Float[Array, " sections"]:
    """Sum over the choices of every section."""
    if not sections:
        return jnp.zeros(0)
    return jnp.stack([part.sum() for part in split_sections(x, sections)])


def _apart(codes: np.ndarray, others: np.ndarray, size: int) -> float:
    one, two = (np.bincount(c, minlength=size) / len(c) for c in (codes, others))
    return float(0.5 * np.abs(one - two).sum())
