"""Goals and obstacles of crowd clips, from the files beside their trajectories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import columnar, files
from understudy.types import require


def add(demonstrations: Demonstrations, folder: Path, say: Callable[[str], None]) -> Demonstrations:
    """Add the context ``goals``, ``obstacles`` and ``obstacles_known`` where files give them.

    Raises:
        UserError: when one of the files is damaged or lacks a pedestrian.
    """
    context = {}
    if (folder / "waypoints.parquet").exists():
        context["goals"] = _goals(demonstrations, folder / "waypoints.parquet")
        say("goals read from waypoints.parquet")
    if (folder / "obstacles.npz").exists():
        points, known = _obstacles(demonstrations, folder / "obstacles.npz")
        context |= {"obstacles": points, "obstacles_known": known}
        say("obstacles read from obstacles.npz")
    return demonstrations.replace(context={**demonstrations.context, **context})


def _goals(demonstrations: Demonstrations, path: Path) -> np.ndarray:
    """The last waypoint of every agent, 0 in unused slots."""
    table = columnar.Table(path)
    clip, agent = table.text(("clip",)), table.text(("ped",))
    k = table.numbers(("k",))
    xy = np.stack([table.numbers((axis,)) for axis in ("x", "y")], -1)
    require(np.isfinite(xy).all(), f"expected finite goals in {path}")
    last = {}
    for row in np.argsort(k, kind="stable").tolist():
        last[clip.name(row), agent.name(row)] = xy[row]
    ids = demonstrations.agent_labels["id"]["agents"]
    goals = np.zeros((*ids.shape, 2), np.float32)
    for episode, game in enumerate(demonstrations.labels["game"].tolist()):
        for slot, name in enumerate(ids[episode].tolist()):
            if name:
                require(
                    (game, name) in last, f"expected a goal of agent {name} of {game} in {path}"
                )
                goals[episode, slot] = last[game, name]
    return goals


def _obstacles(demonstrations: Demonstrations, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Obstacle points of every clip, and which of them there are."""
    clips = files.arrays(path)
    games = demonstrations.labels["game"].tolist()
    for game in games:
        good = game in clips and clips[game].ndim == 2 and clips[game].shape[1] == 2
        require(
            good and bool(np.isfinite(clips[game]).all()),
            f"expected obstacles of clip {game} of shape (points, 2) in {path}",
        )
    most = max(len(clips[game]) for game in games)
    points = np.zeros((len(games), most, 2), np.float32)
    known = np.zeros((len(games), most), bool)
    for episode, game in enumerate(games):
        here = clips[game]
        points[episode, : len(here)] = here
        known[episode, : len(here)] = True
    return points, known
