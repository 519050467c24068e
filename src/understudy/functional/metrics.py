"""How far sampled futures are from what happened: displacement errors per agent and per scene.

One scene of one group at a time, plain arrays; callers ``vmap`` over scenes and then `summarise`.
With ``d[s, t, a]`` the distance of sample s from the truth, K samples, and a horizon of h rows::

    ADE[s, a] = mean_{t < h} d[s, t, a]          FDE[s, a] = d[s, h - 1, a]
    minADE[a] = min_s ADE[s, a]                  minFDE[a] = min_s FDE[s, a]
    SADE      = min_s mean_a ADE[s, a]           SFDE      = min_s mean_a FDE[s, a]

The best sample is chosen for ADE and FDE apart, and for every horizon apart. The per-agent minimum
combines agents of different samples, which no single sample shows; the scene metrics do not.
Every minimum depends on K, so K is stated beside the number.

Source: Social-GAN (arXiv 1803.10892) for the per-agent metrics; JointDiff and Weng et al.,
"Joint metrics matter" (arXiv 2305.06292) for the scene metrics: the minimum is taken per scene,
never over a batch of scenes.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from understudy.functional.masks import length, mean_alive, where_alive
from understudy.types import record, require


@record
class Errors:
    """Displacement errors of one scene, in the unit of the positions, for each horizon.

    Entries of agents that are not alive are 0 and mean nothing; so are the scene metrics of a
    scene without live agents. `summarise` leaves both out.
    """

    min_ade: Float[Array, "... horizons agents"]
    min_fde: Float[Array, "... horizons agents"]
    mean_ade: Float[Array, "... horizons agents"]
    """Average over the samples: a minimum flatters a generator that scatters, this does not."""
    mean_fde: Float[Array, "... horizons agents"]
    scene_min_ade: Float[Array, "... horizons"]
    """SADE, also called JADE: mean over the agents first, then the best sample."""
    scene_min_fde: Float[Array, "... horizons"]
    scene_mean_ade: Float[Array, "... horizons"]
    scene_mean_fde: Float[Array, "... horizons"]


PER_AGENT = ("min_ade", "min_fde", "mean_ade", "mean_fde")
PER_SCENE = ("scene_min_ade", "scene_min_fde", "scene_mean_ade", "scene_mean_fde")


def displacement_errors(
    samples: Float[Array, "samples time agents 2"],
    truth: Float[Array, "time agents 2"],
    alive: Bool[Array, " agents"],
    *,
    horizons: tuple[int, ...] | None = None,
) -> Errors:
    """Displacement errors of K samples of one scene.

    Args:
        samples: predicted rows only, without the observed ones.
        truth: what happened in the same rows.
        alive: agents that count; the others change nothing.
        horizons: numbers of predicted rows, each at least 1; all rows if None. At 5 Hz,
            ``(5, 10, 15, 20)`` are the horizons of 1 to 4 seconds.

    Raises:
        UserError: a horizon outside ``1 .. time``.
    """
    time = truth.shape[0]
    horizons = (time,) if horizons is None else horizons
    require(
        all(1 <= h <= time for h in horizons),
        f"expected horizons within 1 and {time} predicted rows, found {horizons}",
    )
    distance = where_alive(length(samples - truth[None]), alive)  # samples time agents
    last = jnp.asarray(horizons) - 1
    rows = jnp.asarray(horizons, distance.dtype)[None, :, None]
    ade = jnp.cumsum(distance, axis=1)[:, last] / rows  # samples horizons agents
    fde = distance[:, last]
    scene_ade, scene_fde = mean_alive(ade, alive), mean_alive(fde, alive)
    return Errors(
        min_ade=ade.min(0),
        min_fde=fde.min(0),
        mean_ade=ade.mean(0),
        mean_fde=fde.mean(0),
        scene_min_ade=scene_ade.min(0),
        scene_min_fde=scene_fde.min(0),
        scene_mean_ade=scene_ade.mean(0),
        scene_mean_fde=scene_fde.mean(0),
    )


def miss_rate(
    samples: Float[Array, "samples time agents 2"],
    truth: Float[Array, "time agents 2"],
    alive: Bool[Array, " agents"],
    *,
    threshold: float,
) -> Float[Array, " agents"]:
    """1 for an agent whose last position no sample comes within `threshold` of, else 0.

    Args:
        samples: predicted rows only.
        truth: the same rows.
        alive: agents that count; 0 for the others.
        threshold: distance in the unit of the positions; exactly on it is a hit.
    """
    best = length(samples[:, -1] - truth[-1][None]).min(0)
    return (alive & (best > threshold)).astype(truth.dtype)


def summarise(
    errors: Errors, alive: Bool[Array, "scenes agents"] | Bool[np.ndarray, "scenes agents"]
) -> dict[str, np.ndarray]:
    """Average errors of many scenes, ``{name: [horizons]}`` in float64.

    Per-agent metrics are averaged over all live agents of all scenes (every pedestrian-window
    counts once, the ETH/UCY convention); scene metrics over scenes with a live agent. Both are
    plain averages, so splitting the scenes into batches changes nothing.

    Args:
        errors: of `displacement_errors` vmapped over scenes.
        alive: the mask that was given to it.

    Raises:
        UserError: no agent of any scene is alive.
    """
    per_agent = {name: average_agents(getattr(errors, name), alive) for name in PER_AGENT}
    return per_agent | {name: average_scenes(getattr(errors, name), alive) for name in PER_SCENE}


def average_agents(
    values: Any, alive: Bool[Array, "scenes agents"] | Bool[np.ndarray, "scenes agents"]
) -> np.ndarray:
    """Average ``values [scenes, ..., agents]`` over the live agents of all scenes, in float64.

    Raises:
        UserError: no agent of any scene is alive.
    """
    values, alive = np.asarray(values, np.float64), np.asarray(alive)
    require(alive.any(), "expected a live agent in some scene, found none; choose other windows")
    weights = alive.reshape(alive.shape[0], *(1,) * (values.ndim - 2), alive.shape[1])
    return np.where(weights, values, 0).sum((0, -1)) / alive.sum()


def average_scenes(
    values: Any, alive: Bool[Array, "scenes agents"] | Bool[np.ndarray, "scenes agents"]
) -> np.ndarray:
    """Average ``values [scenes, ...]`` over the scenes that have a live agent, in float64.

    Raises:
        UserError: no agent of any scene is alive.
    """
    values, counted = np.asarray(values, np.float64), np.asarray(alive).any(-1)
    require(counted.any(), "expected a live agent in some scene, found none; choose other windows")
    return values[counted].mean(0)
