"""Boids: a flock that keeps together or keeps apart, generated in seconds, nothing to download.

Each episode draws one behaviour, friendly (+1) or unfriendly (−1). For agent i with neighbours
``N(r) = {j : 0 < |x_j − x_i| ≤ r}`` and ``clip(v) = v / max(1, |v|)``::

    a_i = sign · clip(mean_{N(0.9)} x_j − x_i) + 0.2 · clip(mean_{N(0.9)} v_j)
        + 0.1 · clip(x_i − mean_{N(0.2)} x_j) + [|x_i| > 2] · clip(−x_i)
    v_i ← clip(v_i + 0.5 · clip(a_i))            every agent from the old velocities
    x_i ← x_i + 0.1 · boost_i · v_i

``boost`` is 1 and is drawn again from U(0.8, 1.4) before rows 10, 20, 30, 40. Positions start on
the same eight points in every episode; velocities start as N(0, I).

Source: Zhan et al., Generating Multi-Agent Trajectories using Programmatic Weak Supervision,
ICLR 2019 (arXiv 1803.07612), section 5 and the authors' published program.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, Spec, require

Vectors: TypeAlias = Float32[np.ndarray, "2 agents episodes"]
"""Coordinates first and episodes last, so that arithmetic runs over long contiguous rows."""

START = 0.8 * np.array(
    [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)], np.float32
)
RADIUS_NEAR, RADIUS_CLOSE, BOUND = 0.9, 0.2, 2.0
ALIGNMENT, SEPARATION = 0.2, 0.1
BOOST_EVERY, BOOST_LOW, BOOST_HIGH = 10, 0.8, 1.4
RATE = 10.0
CHUNK = 512
"""Episodes advanced together: their pair arrays stay in the processor's cache."""


def boids(
    episodes: int = 32_768,
    seed: int = 0,
    *,
    length: int = 50,
    legacy_first_step: bool = False,
) -> Demonstrations:
    """Generate flocks; the behaviour is the label ``behaviour`` and the intent of every agent.

    The first n episodes of a seed are the same however many are asked for.

    Args:
        episodes: number of episodes, at least 1.
        seed: of numpy's PCG64; equal seeds give equal bits.
        length: rows per episode.
        legacy_first_step: reproduce the published program's first velocity update, in which all
            agents of all episodes share one acceleration (see `_legacy_accelerations`).

    Returns:
        Group ``agents``: 8 agents with features x, y, without unit, at 10 Hz. Intent 1 is
        friendly, 0 unfriendly, the same for all agents and rows.

    Raises:
        UserError: when `episodes` or `length` is below 1.
    """
    require(episodes >= 1, f"expected at least 1 episode, found {episodes}; ask for more")
    require(length >= 1, f"expected a length of at least 1 row, found {length}; ask for more")
    agents = len(START)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
    friendly = streams[0].random(episodes) < 0.5
    velocities = streams[1].standard_normal((episodes, 2, agents), np.float32)
    draws = (length - 1) // BOOST_EVERY
    boosts = streams[2].random((episodes, draws, agents), np.float32)
    boosts = np.float32(BOOST_LOW) + np.float32(BOOST_HIGH - BOOST_LOW) * boosts
    sign = np.where(friendly, np.float32(1), np.float32(-1))
    first = _legacy_accelerations(velocities, sign) if legacy_first_step else None
    tracks = np.empty((episodes, length, agents, 2), np.float32)
    for begin in range(0, episodes, CHUNK):
        part = slice(begin, min(begin + CHUNK, episodes))
        _simulate(
            tracks[part],
            velocities[part].transpose(1, 2, 0),
            boosts[part].transpose(1, 2, 0),
            sign[part],
            None if first is None else first[part].T[:, None, :],
        )
    return _demonstrations(tracks, friendly, seed)


def _simulate(
    tracks: Float32[np.ndarray, "episodes time agents 2"],
    velocities: Vectors,
    boosts: Float32[np.ndarray, "draws agents episodes"],
    sign: Float32[np.ndarray, " episodes"],
    first: Float32[np.ndarray, "2 1 episodes"] | None,
) -> None:
    """Write the positions of every row into `tracks`; `first` overrides the first acceleration."""
    episodes, length, agents, _ = tracks.shape
    x = np.ascontiguousarray(np.broadcast_to(START.T[:, :, None], (2, agents, episodes)))
    v = np.ascontiguousarray(velocities)
    boost = np.ones((agents, episodes), np.float32)
    tracks[:, 0] = x.transpose(2, 1, 0)
    for t in range(1, length):
        if t % BOOST_EVERY == 0:
            boost = boosts[t // BOOST_EVERY - 1]
        a = _accelerations(x, v, sign) if first is None or t > 1 else first
        v = _clip(v + np.float32(0.5) * _clip(a))
        x += np.float32(1 / RATE) * boost * v
        tracks[:, t] = x.transpose(2, 1, 0)


def _accelerations(x: Vectors, v: Vectors, sign: Float32[np.ndarray, " episodes"]) -> Vectors:
    """Acceleration of every agent from the positions and velocities of its neighbours."""
    offset = x[:, None, :, :] - x[:, :, None, :]  # 2 agent neighbour episodes: x_j − x_i
    square = np.square(offset[0]) + np.square(offset[1])
    near = ((square > 0) & (square <= RADIUS_NEAR**2)).astype(np.float32)
    close = ((square > 0) & (square <= RADIUS_CLOSE**2)).astype(np.float32)
    least = np.float32(1)  # an agent without neighbours has zero sums
    neighbours = np.maximum(near.sum(1), least)
    cohesion = (near * offset).sum(2) / neighbours
    alignment = (near * v[:, None]).sum(2) / neighbours
    separation = (close * -offset).sum(2) / np.maximum(close.sum(1), least)
    outside = (np.square(x).sum(0) > BOUND**2).astype(np.float32)
    return (
        sign * _clip(cohesion)
        + np.float32(ALIGNMENT) * _clip(alignment)
        + np.float32(SEPARATION) * _clip(separation)
        - outside * _clip(x)
    )


def _clip(vectors: Float32[np.ndarray, "2 n episodes"]) -> Float32[np.ndarray, "2 n episodes"]:
    """Scale to norm 1 what is longer than 1."""
    norm = np.sqrt(np.square(vectors[0]) + np.square(vectors[1]))
    return vectors / np.maximum(norm, np.float32(1))


def _legacy_accelerations(
    velocities: Float32[np.ndarray, "episodes 2 agents"],
    sign: Float32[np.ndarray, " episodes"],
) -> Float32[np.ndarray, "episodes 2"]:
    """First acceleration of the published program: one array shared by all agents, never reset.

    There every agent starts with the same default array and adds to it in place, so all agents
    of episode e receive ``A_e = clip(A_{e−1} + Σ_i a_i)``, where ``A_{e−1}`` is what the episode
    before left behind.
    """
    episodes, _, agents = velocities.shape
    x = np.broadcast_to(START.T[:, :, None], (2, agents, episodes))
    totals = np.concatenate(
        [
            _accelerations(
                x[:, :, part], velocities[part].transpose(1, 2, 0), sign[part]
            ).sum(1).T
            for part in (slice(b, b + CHUNK) for b in range(0, episodes, CHUNK))
        ]
    )  # fmt: skip
    shared = np.empty((episodes, 2), np.float32)
    carried_x = carried_y = 0.0
    for e, (total_x, total_y) in enumerate(totals.tolist()):
        carried_x, carried_y = carried_x + total_x, carried_y + total_y
        norm = max(1.0, float(np.hypot(carried_x, carried_y)))
        carried_x, carried_y = carried_x / norm, carried_y / norm
        shared[e] = carried_x, carried_y
    return shared


def _demonstrations(
    tracks: Float32[np.ndarray, "episodes time agents 2"], friendly: np.ndarray, seed: int
) -> Demonstrations:
    episodes, length, agents, _ = tracks.shape
    frames = episodes * length
    bits = np.repeat(friendly.astype(np.int32), length)
    return Demonstrations(
        spec=Spec((Group("agents", agents, 2, features=("x", "y")),)),
        starts=np.arange(episodes + 1) * length,
        features={"agents": tracks.reshape(frames, agents, 2)},
        alive={"agents": np.ones((frames, agents), bool)},
        rate=RATE,
        unit="",
        labels={
            "episode": np.array([f"boids-{seed}-{e:06d}" for e in range(episodes)]),
            "source": np.full(episodes, f"boids-{seed}"),
            "behaviour": np.where(friendly, "friendly", "unfriendly"),
        },
        intents={"agents": np.repeat(bits[:, None], agents, axis=1)},
        intent_classes=2,
        licence="generated; public domain",
    )
