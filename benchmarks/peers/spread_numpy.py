"""Spread as its published programs play it, agent after agent in plain loops, float64.

Written from the rules for comparison with `understudy.envs.Spread`, whose arrays it shares nothing
with. ``RULES`` names the games of 2017 (openai), of MAGAIL and of badger-2019 (goodai).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np


@dataclasses.dataclass
class Rules:
    """What differs between the games."""

    one_hot: bool = True
    """Actions are numbers of choices 0..4, read as a one-hot row; else two forces in [-1, 1]."""
    graded: bool = False
    own_position: bool = True
    local: bool = False
    perceived_agents: int = 3
    perceived_landmarks: int = 4
    velocities_of_others: bool = True
    density: float | None = None
    horizon: int = 25
    stops_when_covered: bool = False


RULES = {
    "openai": Rules(),
    "magail": Rules(graded=True, own_position=False, horizon=50, stops_when_covered=True),
    "goodai": Rules(one_hot=False, local=True, density=4.0, horizon=100),
}


class PlainSpread:
    """One game."""

    def __init__(self, rules: Rules, agents: int, seed: int, crowded: bool = False) -> None:
        self.rules, self.n = rules, agents
        rng = np.random.default_rng(seed)
        half = 1.0 if rules.density is None else math.sqrt(agents / rules.density)
        start = 0.3 * half if crowded else half
        self.positions = [rng.uniform(-start, start, 2) for _ in range(agents)]
        self.velocities = [np.zeros(2) for _ in range(agents)]
        self.landmarks = [rng.uniform(-half, half, 2) for _ in range(agents)]
        self.time = 0

    def step(self, actions: list[np.ndarray]) -> tuple[list[np.ndarray], float, bool]:
        """Observations, the reward everybody gets, and whether the game is over."""
        forces = []
        for action in actions:
            if self.rules.one_hot:
                row = np.zeros(5)
                row[int(action[0])] = 1.0
                forces.append(5.0 * np.array([row[1] - row[2], row[3] - row[4]]))
            else:
                forces.append(5.0 * np.asarray(action, float))
        for a in range(self.n):
            for b in range(a + 1, self.n):
                delta = self.positions[a] - self.positions[b]
                distance = math.sqrt(delta @ delta)
                overlap = 1e-3 * np.logaddexp(0.0, (0.3 - distance) / 1e-3)
                forces[a] = forces[a] + 100.0 * delta / distance * overlap
                forces[b] = forces[b] - 100.0 * delta / distance * overlap
        for a in range(self.n):
            self.velocities[a] = 0.75 * self.velocities[a] + 0.1 * forces[a]
            self.positions[a] = self.positions[a] + 0.1 * self.velocities[a]
        self.time += 1
        over = self.time >= self.rules.horizon
        if self.rules.stops_when_covered and all(d <= 0.1 for d in self.distances()):
            over = True
        reward = sum(self.reward(a) for a in range(self.n))
        return [self.observe(a) for a in range(self.n)], reward, over

    def distances(self) -> list[float]:
        return [min(math.dist(p, mark) for p in self.positions) for mark in self.landmarks]

    def reward(self, agent: int) -> float:
        paid = -sum(self.distances())
        for other in range(self.n):
            depth = math.dist(self.positions[agent], self.positions[other]) - 0.3
            if self.rules.graded:
                paid += min(depth, 0.0)
            elif depth < 0.0:
                paid -= 1.0
        return paid

    def observe(self, agent: int) -> np.ndarray:
        return self.near(agent) if self.rules.local else self.all(agent)

    def all(self, agent: int) -> np.ndarray:
        here = self.positions[agent]
        row = [self.velocities[agent]]
        if self.rules.own_position:
            row.append(here)
        row += [mark - here for mark in self.landmarks]
        row += [p - here for other, p in enumerate(self.positions) if other != agent]
        row += [np.zeros(2)] * (self.n - 1)
        return np.concatenate(row)

    def near(self, agent: int) -> np.ndarray:
        here = self.positions[agent]
        others = [other for other in range(self.n) if other != agent]
        others.sort(key=lambda other: np.abs(here - self.positions[other]).sum())
        others = others[: self.rules.perceived_agents]
        row = [self.velocities[agent]]
        for other in others:
            if self.rules.velocities_of_others:
                row.append(self.velocities[other])
            row.append(here - self.positions[other])
        marks = sorted(self.landmarks, key=lambda mark: np.abs(here - mark).sum())
        row += [here - mark for mark in marks[: self.rules.perceived_landmarks]]
        return np.concatenate([*row, np.array(others, float)])
