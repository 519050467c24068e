"""Leakage: how much of what an agent does follows from latents that are not its own.

Planners move an agent's latents and take its actions for granted to follow from nothing else. With
û_i the actions of agent i in a segment, drawn pasts and latents,

    jacobian_ij = E |∂û_i / ∂z_j| / E |∂û_i / ∂z_i|           (Frobenius)
    swap_ij     = E |û_i(z) - û_i(z, z_j drawn anew)| / E |û_i(z) - û_i(z, z_i drawn anew)|

Both are 0 off the diagonal where agents are held apart, and 1 on it.

Source: Krupnik, Mordatch, Tamar, CoRL 2019 (arXiv 1901.10251), proposition 1 asks for the first to
be 0; the measures are ours.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.data.demonstrations import Demonstrations
from understudy.networks.segments import split
from understudy.types import require


@dataclasses.dataclass(frozen=True)
class Leakage:
    """Relative influence of the latents of agent j (columns) on the actions of agent i (rows)."""

    jacobian: Float[np.ndarray, "agents agents"]
    swap: Float[np.ndarray, "agents agents"]

    @property
    def worst(self) -> float:
        """The largest influence of somebody else, by either measure."""
        apart = ~np.eye(len(self.jacobian), dtype=bool)
        return float(max(self.jacobian[apart].max(), self.swap[apart].max()))


def leakage(
    model: Any, pasts: Float[Any, "pasts past observed"], key: Key[Array, ""]
) -> Leakage:  # fmt: skip
    """Measure a segment model.

    Args:
        model: such as ``SegmentVAE.model`` makes.
        pasts: observations of all agents to go on from, of `pasts_of`.
        key: of latents.

    Raises:
        UserError: for a model of one agent, or no past.
    """
    count = len(model.sizes.own)
    require(count > 1, f"expected a model of several agents, found {count}")
    require(len(pasts) > 0, "expected at least one past, found none; give longer episodes")
    jacobian, swap = jax.jit(jax.vmap(lambda past, key: _one(model, past, key)))(
        jnp.asarray(pasts), jax.random.split(key, len(pasts))
    )
    return Leakage(*(_relative(np.asarray(x).mean(0)) for x in (jacobian, swap)))


def pasts_of(
    model: Any, demonstrations: Demonstrations, count: int, seed: int = 0
) -> Float[np.ndarray, "pasts past observed"]:
    """Pasts drawn from demonstrations, as `model` reads them."""
    layout, rows = model.layout, model.sizes.past
    seen = np.asarray(layout.flat(demonstrations.features))
    ends = [
        np.arange(first + rows, end + 1)
        for first, end in zip(demonstrations.starts[:-1], demonstrations.starts[1:], strict=True)
    ]
    ends = np.concatenate(ends)
    require(len(ends) > 0, f"expected episodes of {rows} rows or more, found shorter ones")
    chosen = np.random.default_rng(seed).choice(ends, min(count, len(ends)), replace=False)
    return np.stack([seen[end - rows : end] for end in chosen])


def _one(model: Any, past: Array, key: Any) -> tuple[Array, Array]:
    """Norms of Jacobians and of changes, ``[agents, agents]`` each."""
    mean, std = model.prior_moments(past)
    keys = jax.random.split(key, 2)
    z, other = (mean + std * jax.random.normal(k, mean.shape) for k in keys)
    sizes = model.sizes
    whose = np.repeat(np.arange(len(sizes.own) + 1), (*sizes.own, sizes.free))

    def actions(z: Array) -> list[Array]:
        return split(model.write(past, z)[0], model.layout.acted)

    slopes = jax.jacfwd(actions)(z)
    norms = [
        [jnp.sqrt(jnp.square(slope[..., whose == j]).sum()) for j in range(len(sizes.own))]
        for slope in slopes
    ]
    before, changes = actions(z), []
    for j in range(len(sizes.own)):
        after = actions(jnp.where(whose == j, other, z))
        pairs = zip(after, before, strict=True)
        changes.append(jnp.stack([jnp.sqrt(jnp.square(a - b).sum()) for a, b in pairs]))
    return jnp.stack([jnp.stack(row) for row in norms]), jnp.stack(changes, 1)


def _relative(norms: np.ndarray) -> np.ndarray:
    """Rows divided by what an agent's own latents do."""
    return norms / np.maximum(np.diag(norms)[:, None], 1e-12)
