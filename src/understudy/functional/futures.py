"""What futures of a scene are learned by: energy scores of several views of them, or the nearest.

Paths are flat: of each agent x and y of every row, one after the other, so steps of rows are one
matrix product and squared distances of scenes are sums over agents.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from understudy.functional.energy import squares


def differences(rows: int) -> Float[Array, "numbers numbers"]:
    """What makes steps that led to each row of flat paths; 0 in the first."""
    found = np.eye(rows) - np.eye(rows, k=1)
    found[0, 0] = 0.0
    return jnp.asarray(np.kron(found, np.eye(2)), jnp.float32)


def sums(rows: int) -> Float[Array, "numbers numbers"]:
    """What adds up steps of flat paths to each row."""
    return jnp.asarray(np.kron(np.tri(rows).T, np.eye(2)), jnp.float32)


def energies(
    futures: Float[Array, "batch agents futures numbers"],
    truth: Float[Array, "batch agents numbers"],
    wanted: Float[Array, "batch agents numbers"],
    moved: Float[Array, "batch agents numbers"],
    changed: Float[Array, "batch agents numbers"],
) -> dict[str, Float[Array, ""]]:
    """Energy scores of whole scenes, of each agent, and of agents' steps and their changes.

    Args:
        futures: at least 2 of every scene.
        truth: what happened.
        wanted: weight of each number of a path.
        moved: weight of each number of its steps.
        changed: weight of each number of the changes of steps.

    Returns:
        ``scene``, mean over the batch; ``agent`` and ``motion``, mean over agents of which anything
        is wanted.
    """
    difference = differences(truth.shape[-1] // 2)
    places = squares(futures, truth, wanted)
    steps, true_steps = futures @ difference, truth @ difference
    motion = squares(steps, true_steps, moved).energy()
    turns = squares(steps @ difference, true_steps @ difference, changed).energy()
    agents = (places.weight > 0).astype(futures.dtype)

    def each(score: Float[Array, "batch agents"]) -> Float[Array, ""]:
        return (score * agents).sum() / _some(agents.sum())

    return {
        "scene": places.together().energy().mean(),
        "agent": each(places.energy()),
        "motion": each(motion) + each(turns),
    }


def nearest(
    futures: Float[Array, "batch agents futures numbers"],
    truth: Float[Array, "batch agents numbers"],
    wanted: Float[Array, "batch agents numbers"],
    of: Literal["scene", "agent"],
) -> Float[Array, ""]:
    """Mean distance of the nearest future, and a quarter of that of the nearest last row.

    Args:
        futures: of every scene.
        truth: what happened.
        wanted: weight of each number, the same of x and y of a row.
        of: nearest as a scene, or for every agent apart.
    """
    weight = wanted[..., ::2]
    away = futures - truth[:, :, None]
    away = away.reshape(*away.shape[:-1], -1, 2)
    far = jnp.sqrt(jnp.square(away).sum(-1) + 1e-6) * weight[:, :, None]
    path, last = far.sum(-1), far[..., -1]  # batch agents futures
    count, ends = weight.sum(-1), weight[..., -1]
    if of == "scene":
        path, last = path.sum(1) / _some(count.sum(1))[:, None], last.sum(1)
        return path.min(1).mean() + 0.25 * (last / _some(ends.sum(1))[:, None]).min(1).mean()
    path = (path / _some(count)[..., None]).min(-1).sum() / _some((count > 0).sum())
    return path + 0.25 * last.min(-1).sum() / _some(ends.sum())


def _some(count: Array) -> Array:
    """A count to divide by, at least 1."""
    return jnp.maximum(count.astype(jnp.float32), 1.0)
