"""Plays drawn by hand: five against five and a ball, or a small flock."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, Spec


@dataclass
class ToyPlays:
    truth: Demonstrations
    samples: dict[str, Any]
    intents: dict[str, Any] | None
    observed: int


def walk(rng, rows, agents, low, high, pace):
    """A smooth walk inside the bounds."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    turn = np.cumsum(rng.normal(0, 0.25, (rows, agents)), 0) + rng.uniform(0, 6, agents)
    step = pace * np.stack([np.cos(turn), np.sin(turn)], -1)
    path = np.cumsum(step, 0) + rng.uniform(
        low + (high - low) * 0.2, high - (high - low) * 0.2, (agents, 2)
    )
    return np.clip(path, low, high).astype(np.float32)


def basketball(scenes=3, observed=10, horizon=40, samples=4, seed=0, intents=True, width=94.0):
    rng = np.random.default_rng(seed)
    rows, high = observed + horizon, (width, 50.0)
    spec = Spec(
        (Group("player", 10, 2, features=("x", "y")), Group("ball", 1, 2, features=("x", "y")))
    )
    frames = scenes * rows
    features = {
        g.name: np.concatenate(
            [walk(rng, rows, g.agents, (0, 0), high, 0.8) for _ in range(scenes)]
        )
        for g in spec.groups
    }
    drawn = {
        "player": np.stack(
            [
                np.stack([walk(rng, horizon, 10, (0, 0), high, 0.8) for _ in range(samples)])
                for _ in range(scenes)
            ]
        )
    }
    for scene in range(scenes):
        here = features["player"][scene * rows + observed - 1]
        drawn["player"][scene] += here - drawn["player"][scene][:, :1]
    truth = Demonstrations(
        spec=spec,
        starts=np.arange(scenes + 1) * rows,
        features=features,
        alive={g.name: np.ones((frames, g.agents), bool) for g in spec.groups},
        rate=5.0,
        unit="ft",
        labels={
            "episode": np.array([f"e{i}" for i in range(scenes)]),
            "source": np.array(["toy"] * scenes),
        },
        agent_labels={
            "team": {
                "player": np.array([["home"] * 5 + ["visitor"] * 5] * scenes),
                "ball": np.array([[""]] * scenes),
            }
        },
        context={"bounds": np.array([[[0.0, 0.0], high]] * scenes)},
    )
    chosen = None
    if intents:
        cells = rng.integers(0, 90, (scenes, samples, horizon // 20 + 1, 10))
        chosen = {"player": np.repeat(cells, 20, axis=2)[:, :, :horizon]}
    return ToyPlays(truth, drawn, chosen, observed)


def flock(scenes=2, agents=8, observed=10, horizon=40, samples=3, seed=1):
    rng = np.random.default_rng(seed)
    rows = observed + horizon
    spec = Spec((Group("agents", agents, 2, features=("x", "y")),))
    features = np.concatenate(
        [walk(rng, rows, agents, (-2, -2), (2, 2), 0.08) for _ in range(scenes)]
    )
    truth = Demonstrations(
        spec=spec,
        starts=np.arange(scenes + 1) * rows,
        features={"agents": features},
        alive={"agents": np.ones((scenes * rows, agents), bool)},
        rate=10.0,
        unit="",
        labels={
            "episode": np.array([f"e{i}" for i in range(scenes)]),
            "source": np.array(["toy"] * scenes),
        },
    )
    drawn = np.stack(
        [
            np.stack([walk(rng, horizon, agents, (-2, -2), (2, 2), 0.08) for _ in range(samples)])
            for _ in range(scenes)
        ]
    )
    for scene in range(scenes):
        drawn[scene] += features[scene * rows + observed - 1] - drawn[scene][:, :1]
    return ToyPlays(truth, {"agents": drawn}, None, observed)
