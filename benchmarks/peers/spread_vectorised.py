"""Spread by the rules of badger-2019 in numpy, many envs at once: random play with auto-reset.

Written from the rules for comparison with `understudy.envs.Spread.goodai`. Pairs are measured once
a step, for the reward, the observation and the contacts of the next; forces are worked out only for
pairs that touch or nearly do; the nearest are partitioned, then sorted.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from serve import serve

DENSITY, HORIZON, NEAR_AGENTS, NEAR_LANDMARKS = 4.0, 100, 3, 4
TOUCH, MARGIN, DT = 0.3, 1e-3, 0.1
FADED = TOUCH + 120 * MARGIN
"""From here on the softplus of a contact is 0 in float32."""


class VectorisedSpread:
    """Games side by side, ``[envs, agents, 2]``."""

    def __init__(self, envs: int, agents: int, seed: int = 0, dtype: Any = np.float32) -> None:
        self.shape, self.dtype = (envs, agents, 2), dtype
        self.random = np.random.default_rng(seed)
        self.itself = np.arange(agents)
        self.reset()

    def reset(self) -> None:
        half = np.sqrt(self.shape[1] / DENSITY)
        places = half * self.random.uniform(-1, 1, (2, *self.shape))
        self.place(places[0], np.zeros(self.shape), places[1])

    def place(self, positions: Any, velocities: Any, landmarks: Any) -> None:
        """Begin an episode there."""
        given = (positions, velocities, landmarks)
        self.positions, self.velocities, self.landmarks = (np.array(x, self.dtype) for x in given)
        self.time = 0
        self.apart = self.between(self.positions)

    def between(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From each target to each agent along x and along y, ``[envs, agents, targets]``."""
        here = self.positions
        return (
            here[:, :, None, 0] - targets[:, None, :, 0],
            here[:, :, None, 1] - targets[:, None, :, 1],
        )

    def contact(self) -> np.ndarray:
        x, y = self.apart
        squared = np.square(x) + np.square(y)
        close = np.flatnonzero((squared < FADED**2) & (squared > 0))
        x, y, distance = x.ravel()[close], y.ravel()[close], np.sqrt(squared.ravel()[close])
        push = 100 * MARGIN * np.logaddexp(0, (TOUCH - distance) / MARGIN) / distance
        who, total = close // self.shape[1], self.shape[0] * self.shape[1]
        force = [np.bincount(who, push * way, total) for way in (x, y)]
        return np.stack(force, 1).reshape(self.shape).astype(self.dtype)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observations ``[envs, agents, 22]`` and the reward of every agent ``[envs]``."""
        self.velocities = 0.75 * self.velocities + DT * (5 * actions + self.contact())
        self.positions = self.positions + DT * self.velocities
        self.time += 1
        self.apart = self.between(self.positions)
        to_marks = self.between(self.landmarks)
        return self.observe(to_marks), self.reward(to_marks)

    def reward(self, to_marks: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        nearest = np.sqrt((np.square(to_marks[0]) + np.square(to_marks[1])).min(1))
        touching = np.square(self.apart[0]) + np.square(self.apart[1]) < TOUCH**2
        # everybody touches himself
        return -(self.shape[1] * nearest.sum(1) + touching.sum((1, 2)))

    def observe(self, to_marks: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        reach = np.abs(self.apart[0]) + np.abs(self.apart[1])
        reach[:, self.itself, self.itself] = np.inf
        others = nearest(reach, NEAR_AGENTS)
        marks = nearest(np.abs(to_marks[0]) + np.abs(to_marks[1]), NEAR_LANDMARKS)
        envs = np.arange(self.shape[0])[:, None, None]
        seen = np.concatenate([self.velocities[envs, others], taken(self.apart, others)], -1)
        rows = (*self.shape[:2], -1)
        parts = (self.velocities, seen.reshape(rows), taken(to_marks, marks).reshape(rows))
        return np.concatenate(parts, -1)


def nearest(reach: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the `count` least along the last axis, in ascending order."""
    if count >= reach.shape[-1]:
        return np.argsort(reach, -1)[..., :count]
    least = np.argpartition(reach, count - 1, -1)[..., :count]
    return np.take_along_axis(least, np.argsort(np.take_along_axis(reach, least, -1), -1), -1)


def taken(ways: tuple[np.ndarray, np.ndarray], numbers: np.ndarray) -> np.ndarray:
    """Of those numbers, ``[envs, agents, count, 2]``."""
    return np.stack([np.take_along_axis(way, numbers, -1) for way in ways], -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=80)
    parser.add_argument("--envs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    game = VectorisedSpread(options.envs, options.agents)
    chance = np.random.default_rng(1)

    def call() -> float:
        checksum = 0.0
        for _ in range(options.steps):
            drawn = 2 * chance.random(game.shape, np.float32) - 1
            seen, reward = game.step(drawn)
            checksum += float(seen.sum()) + float(reward.sum()) * options.agents
            if game.time == HORIZON:
                game.reset()
        return checksum

    serve(call, envs=options.envs, steps=options.steps, framework=f"numpy {np.__version__}")


if __name__ == "__main__":
    main()
