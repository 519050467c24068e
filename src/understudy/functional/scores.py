"""Scores of a whole predictive distribution: energy score (lower is better) and diversity.

One scene of one group at a time, plain arrays; callers ``vmap`` over scenes. Unlike a best-of-K
error, the energy score is proper: no generator scores better on average than the one whose samples
follow the true distribution, however many samples K it is estimated from.

Source: Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation",
JASA 2007, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.functional.masks import length, mean_alive, where_alive

Norm: TypeAlias = Callable[[Array], Array]
"""From differences ``[..., time, agents, 2]`` to lengths ``[...]`` or ``[..., agents]``."""


def energy_score(
    samples: Float[Array, "samples time agents 2"],
    truth: Float[Array, "time agents 2"],
    alive: Bool[Array, " agents"],
) -> Float[Array, ""]:
    """Energy score of the joint future of a scene, in the unit of the positions.

    ``ES = 1/K Σ_s ‖X_s − y‖ − 1/(2K(K−1)) Σ_{s≠s'} ‖X_s − X_s'‖`` with the norm of the whole scene
    and future, ``‖x‖ = sqrt(1/(T·A) Σ_t Σ_a |x_{t,a}|²)`` over the A live agents: the root mean
    square displacement. The pairwise mean leaves out s = s', so the estimate is unbiased for every
    K ≥ 2; identical samples (or K = 1) leave the plain distance. 0 without live agents.

    Args:
        samples: predicted rows only; K of them.
        truth: the same rows.
        alive: agents that count.
    """

    def norm(x: Float[Array, "*shape time agents 2"]) -> Float[Array, "*shape"]:
        return jnp.sqrt(mean_alive(jnp.square(x).sum(-1).mean(-2), alive))

    return _energy(samples, truth, norm)


def agent_energy_score(
    samples: Float[Array, "samples time agents 2"],
    truth: Float[Array, "time agents 2"],
    alive: Bool[Array, " agents"],
) -> Float[Array, " agents"]:
    """Energy score of each agent's own future; 0 for agents that are not alive.

    As `energy_score` with ``‖x_a‖ = sqrt(1/T Σ_t |x_{t,a}|²)``: blind to how agents depend on each
    other, so the two together tell bad margins from bad coordination.
    """

    def norm(x: Float[Array, "*shape time agents 2"]) -> Float[Array, "*shape agents"]:
        return jnp.sqrt(jnp.square(x).sum(-1).mean(-2))

    return where_alive(_energy(samples, truth, norm), alive)


def diversity(
    samples: Float[Array, "samples time agents 2"], alive: Bool[Array, " agents"]
) -> Float[Array, " agents"]:
    """Average pairwise displacement of each agent (APD), in the unit of the positions.

    ``1/(K(K−1)) Σ_{s≠s'} mean_t |X_{s,t,a} − X_{s',t,a}|``. It says how far samples lie apart, not
    whether they should; read it beside the energy score. 0 with one sample and for agents that
    are not alive.
    """

    def distance(x: Float[Array, "*shape time agents 2"]) -> Float[Array, "*shape agents"]:
        return length(x).mean(-2)

    return where_alive(_pairs(samples, distance), alive)


def _energy(samples: Array, truth: Array, norm: Norm) -> Array:
    return norm(samples - truth[None]).mean(0) - 0.5 * _pairs(samples, norm)


def _pairs(samples: Array, norm: Norm) -> Array:
    """Mean of ``norm(X_s − X_s')`` over s ≠ s'; one sample against all others at a time."""
    count = samples.shape[0]
    rows = jax.lax.map(lambda sample: norm(samples - sample[None]).sum(0), samples)
    return rows.sum(0) / max(count * (count - 1), 1)
