"""What the two arms are paid, as a smooth function of what they observe: what a planner climbs.

The game pays for an event, the fall, which says nothing about plans in which the block stays. Here
every step has a chance that the block falls, by how far its middle is over an edge; a planner may
besides be drawn to what comes before falls.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.envs.adapters.two_arms_model import Workbench
from understudy.functional.outcomes import beyond, lasting
from understudy.types import Features, Rewards, require

COST, PRIZE = -0.005, 1.0
"""Reward of every step, and of the one in which the block falls besides."""
HAND, BLOCK = slice(12, 14), slice(16, 18)
"""What an arm sees of its hand and of the block's place."""
OVER, WIDTH = 0.04, 0.006
"""Metres over an edge where half of all blocks fall at once, and how sharply that sets in."""
GUARD = 0.15
"""Metres from the block's middle towards the nearest edge, where a keeper's hand is in the way."""


def topple(
    features: Features,
    *,
    rewards: Literal["cooperative", "competitive"] = "cooperative",
    edge: float | int = 0.0,
    hand: float | int = 0.0,
    bench: Workbench | None = None,
) -> Rewards:
    """What `TwoArmPlatform` pays along a way, smoothly.

    With c_t the chance that a block at its place falls in step t, and s_t that it has not before::

        r_t = s_t (-0.005 + c_t - edge d_t) - hand h_t

    where d is how far the block is from the nearest edge, metres. A hand's distance h is to the
    block; a keeper's, who is paid the negative of all but that, to where it is in the way.

    Args:
        features: observed after each step, in order: ``{"arms": [..., time, agents=2, 22]}``,
            predicted or true.
        rewards: as the game's.
        edge: what a metre from the edge costs in a step; 0: nothing, as in the game.
        hand: what a metre from the block costs in a step; 0: nothing, as in the game.
        bench: sizes; the usual ones if None.

    Returns:
        ``{"arms": [..., time, agents=2]}``.

    Raises:
        UserError: for costs below 0.
    """
    require(edge >= 0 and hand >= 0, f"expected costs of 0 or more, found {edge} and {hand}")
    seen, bench = jnp.asarray(features["arms"]), Workbench() if bench is None else bench
    place = seen[..., BLOCK]
    sides = jnp.array([bench.half_width, bench.half_depth]).reshape((1,) * (place.ndim - 1) + (2,))
    gaps = sides - jnp.abs(place)
    near = gaps.min(-1)
    chance = beyond(-near - OVER, WIDTH)
    before, falls = jnp.vectorize(lasting, signature="(t)->(t),(t)")(jnp.moveaxis(chance, -1, -2))
    before, falls = jnp.moveaxis(before, -2, -1), jnp.moveaxis(falls, -2, -1)
    paid = before * (COST - edge * jnp.maximum(near, 0.0)) + PRIZE * falls
    apart = [_apart(seen[..., 0, :], place[..., 0, :]), _apart(seen[..., 1, :], place[..., 1, :])]
    if rewards == "competitive":
        outward = jnp.where(gaps <= near[..., None], jnp.sign(place), 0.0)
        apart[1] = _apart(seen[..., 1, :], (place + GUARD * outward)[..., 1, :])
        paid = paid * jnp.array([1.0, -1.0]).reshape((1,) * (paid.ndim - 1) + (2,))
    return {"arms": paid - hand * jnp.stack(apart, -1)}


def _apart(
    seen: Float[Array, "*lead obs=22"], place: Float[Array, "*lead 2"]
) -> Float[Array, "*lead"]:
    """From hand to place, metres; smooth where they meet."""
    return jnp.sqrt(jnp.square(seen[..., HAND] - place).sum(-1) + 1e-6)
