"""What a coach would check: do sampled plays move like real ones and stay on the court?

One play of one group at a time, ``positions[time, agents, 2]`` with the burn-in rows the caller
wants counted; callers ``vmap`` over plays and average. Speeds are in the unit of the positions per
row; times the rate (rows per second) they are per second. Values of agents that are not alive do
not matter; nothing here clips or repairs positions.

Source: Zhan et al. (arXiv 1803.07612) for speed, distance and out of bounds; Liu et al., NAOMI
(arXiv 1901.10946) for step change and path difference.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.functional.masks import length, mean_alive

Positions = Float[Array, "time agents 2"]
Alive = Bool[Array, " agents"]
Scalar = Float[Array, ""]


def steps(positions: Positions) -> Float[Array, "time-1 agents"]:
    """Length of each agent's step from row to row."""
    return length(jnp.diff(positions, axis=0))


def speed(positions: Positions, alive: Alive) -> Scalar:
    """Mean step length over agents and steps; unit per row (times the rate: unit per second)."""
    return mean_alive(steps(positions).mean(0), alive)


def distance(positions: Positions, alive: Alive) -> Scalar:
    """Mean over agents of the path length: ``speed · (time − 1)``."""
    return mean_alive(steps(positions).sum(0), alive)


def out_of_bounds(
    positions: Positions,
    alive: Alive,
    low: Float[Array, " 2"],
    high: Float[Array, " 2"],
) -> tuple[Scalar, Scalar]:
    """How often agents are outside the rectangle ``[low, high]``, edges included in it.

    Args:
        positions: unclipped.
        alive: agents that count.
        low: lower corner of the court, same unit and frame as the positions.
        high: upper corner.

    Returns:
        The fraction of rows in which *any* live agent is outside (the published definition, which
        grows with the number of agents), and the fraction of agent-rows outside.
    """
    shape = positions.shape
    outside = (positions < jnp.broadcast_to(low, shape)) | (
        positions > jnp.broadcast_to(high, shape)
    )
    outside = outside.any(-1) & jnp.broadcast_to(alive, shape[:2])  # time agents
    per_agent = mean_alive(outside.astype(positions.dtype), alive)
    return outside.any(-1).astype(positions.dtype).mean(), per_agent.mean()


def step_change(positions: Positions, alive: Alive) -> Scalar:
    """Mean absolute change of the step length from step to step; needs 3 rows or more."""
    return mean_alive(jnp.abs(jnp.diff(steps(positions), axis=0)).mean(0), alive)


def path_difference(positions: Positions, alive: Alive) -> Scalar:
    """Longest minus shortest path among live agents: does one stand while others run?"""
    paths = steps(positions).sum(0)
    longest = jnp.where(alive, paths, -jnp.inf).max()
    shortest = jnp.where(alive, paths, jnp.inf).min()
    return jnp.where(alive.any(), longest - shortest, 0)


def pair_distance(positions: Positions, alive: Alive) -> Float[Array, " time"]:
    """Mean distance between two live agents in each row; 0 with fewer than two."""
    between = length(positions[:, :, None] - positions[:, None])  # time agents agents
    apart = ~jnp.eye(alive.shape[0], dtype=bool)
    pairs = alive[:, None] & alive[None] & apart
    total = jnp.where(jnp.broadcast_to(pairs, between.shape), between, 0).sum((-2, -1))
    return total / jnp.maximum(pairs.sum(), 1).astype(positions.dtype)


def radius(positions: Positions, alive: Alive) -> Float[Array, " time"]:
    """Mean distance of live agents from the origin in each row."""
    return mean_alive(length(positions), alive)


def polarisation(positions: Positions, alive: Alive) -> Float[Array, "time-1"]:
    """Length of the mean heading of live agents at each step: 1 all alike, 0 they cancel.

    An agent that stands still has no heading and counts as a zero vector.
    """
    moves = jnp.diff(positions, axis=0)
    sizes = length(moves)
    headings = jnp.where(sizes[..., None] > 0, moves / jnp.where(sizes > 0, sizes, 1)[..., None], 0)
    mean_x, mean_y = mean_alive(headings[..., 0], alive), mean_alive(headings[..., 1], alive)
    return length(jnp.stack([mean_x, mean_y], axis=-1))


def domain_statistics(
    positions: Positions,
    alive: Alive,
    low: Float[Array, " 2"] | None = None,
    high: Float[Array, " 2"] | None = None,
) -> dict[str, Scalar]:
    """Every statistic of one play by name; the out-of-bounds pair only where bounds are given."""
    found = {
        "speed": speed(positions, alive),
        "distance": distance(positions, alive),
        "step_change": step_change(positions, alive),
        "path_difference": path_difference(positions, alive),
        "pair_distance": pair_distance(positions, alive).mean(),
    }
    if low is not None and high is not None:
        any_agent, per_agent = out_of_bounds(positions, alive, low, high)
        found |= {"out_of_bounds": any_agent, "out_of_bounds_per_agent": per_agent}
    return found
