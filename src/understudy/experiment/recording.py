"""Episodes cut out of what many games played side by side, in the order in which they began.

The first N episodes by start are those N, however long each of them lasts; the first N that
*ended* would be the short ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import Observation, Rollout, Spec, require

LONGEST = 100_000
"""Steps of an episode after which a game counts as one that never ends."""


@dataclasses.dataclass
class Episode:
    """One episode: a row per observation, cut to pieces as the games went on."""

    pieces: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Rows as `_rows` lays them out; the last piece of a finished episode is what it led to."""
    steps: int = 0
    finished: bool = False
    cut: bool = False
    """It went on, but no further step is recorded."""

    @property
    def success(self) -> bool | None:
        """Won or solved at any step; None in a game without such a notion."""
        rows = [piece["success"] for piece in self.pieces]
        return None if rows[0] is None else any(bool(row.any()) for row in rows)

    @property
    def returns(self) -> np.ndarray:
        """Sum of rewards of every agent of every group."""
        sums = [np.concatenate([r.sum(0) for r in p["rewards"].values()]) for p in self.pieces[:-1]]
        return np.sum(sums, axis=0)


class Recorder:
    """Takes in chunks of rows, gives out episodes in the order in which they began.

    Args:
        episodes: how many; None if `transitions` says when to stop.
        transitions: how many steps of all episodes together; the last episode is cut.
    """

    def __init__(self, *, episodes: int | None, transitions: int | None) -> None:
        self.episodes, self.transitions = episodes, transitions
        self._open: dict[int, Episode] = {}
        """Game -> the episode it is in."""
        self._waiting: dict[int, Episode] = {}
        """Number -> episode that began and was not given out."""
        self._begun = self._given = self._steps = 0

    @property
    def complete(self) -> bool:
        """Everything asked for was given out."""
        if self.episodes is not None:
            return self._given == self.episodes
        return self._steps == self.transitions

    def add(self, rows: Rollout) -> list[Episode]:
        """Take rows ``[time, games, ...]`` of numpy arrays; return the episodes that are due."""
        ended = rows.terminated | rows.truncated
        numbers = np.full(ended.shape, -1)
        begun = int(np.sum(rows.starts))
        numbers[rows.starts] = self._begun + np.arange(begun)  # time goes before games
        self._begun += begun
        present = _rows(rows.observation, rows)
        for game in range(ended.shape[1]):
            first = 0
            for stop in (*(np.flatnonzero(ended[:, game]) + 1).tolist(), len(ended)):
                if first < stop:
                    self._piece(rows, present, game, first, stop, int(numbers[first, game]))
                first = stop
        return self._due()

    def _piece(
        self, rows: Rollout, present: Any, game: int, first: int, stop: int, number: int
    ) -> None:
        if number >= 0:
            self._open.pop(game, None)
            if self.episodes is None or number < self.episodes:
                self._open[game] = self._waiting[number] = Episode()
        episode = self._open.get(game)
        if episode is None:
            return
        episode.pieces.append(jax.tree.map(lambda a: a[first:stop, game].copy(), present))
        episode.steps += stop - first
        require(
            episode.steps <= LONGEST,
            f"expected games that end, found one that went on for {LONGEST:,} steps; wrap the env "
            "in wrappers.TimeLimit",
        )
        if rows.terminated[stop - 1, game] or rows.truncated[stop - 1, game]:
            last = _rows(rows.observation_next, rows)
            piece = jax.tree.map(lambda a: a[stop - 1 : stop, game].copy(), last)
            episode.pieces.append(_without_action(piece))
            episode.finished = True
            del self._open[game]

    def _due(self) -> list[Episode]:
        due: list[Episode] = []
        while not self.complete and self._given in self._waiting:
            episode = self._waiting[self._given]
            if self.transitions is not None:
                left = self.transitions - self._steps
                if episode.steps > left:
                    episode = _cut(episode, left)
            if not (episode.finished or episode.cut):
                break
            del self._waiting[self._given]
            self._given += 1
            self._steps += episode.steps
            due.append(episode)
        return due


def _rows(observation: Observation, rows: Rollout) -> dict[str, Any]:
    """Fields of `Demonstrations` that lead with ``frames``, and success; absent ones are None."""
    info = rows.info if isinstance(rows.info, Mapping) else {}
    return {
        "features": dict(observation.features),
        "alive": dict(observation.alive),
        "legal": None if observation.legal is None else dict(observation.legal),
        "state": observation.state,
        "actions": dict(rows.action),
        "rewards": dict(rows.reward),
        "terminated": rows.terminated,
        "truncated": rows.truncated,
        "success": info.get("success"),
    }


def _without_action(row: dict[str, Any]) -> dict[str, Any]:
    """A row nothing follows."""
    nothing = {
        name: jax.tree.map(np.zeros_like, row[name])
        for name in ("actions", "rewards", "terminated", "truncated", "success")
    }
    return {**row, **nothing}


def _cut(episode: Episode, steps: int) -> Episode:
    """The first `steps` steps; the observation they led to is the next row, which there is."""
    whole = _join(episode.pieces)
    last = _without_action(jax.tree.map(lambda a: a[steps : steps + 1], whole))
    kept = jax.tree.map(lambda a: a[:steps].copy(), whole)
    kept["truncated"][-1] = True
    return Episode([kept, last], steps, cut=True)


def _join(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *pieces)


def demonstrations(
    episodes: list[Episode], spec: Spec, *, rate: float, unit: str, **fields: Any
) -> Demonstrations:
    """Put episodes into one set.

    Args:
        episodes: as a `Recorder` gave them.
        spec: of the env.
        rate: steps per second (Hz).
        unit: of positions.
        fields: labels, licence and provenance.
    """
    rows = _join([piece for episode in episodes for piece in episode.pieces])
    del rows["success"]  # a label
    frames = sum(episode.steps + 1 for episode in episodes)
    for group in spec.groups:
        alive = rows["alive"][group.name]
        rows["features"][group.name] = np.where(alive[..., None], rows["features"][group.name], 0)
        if group.action is None:
            rows["actions"][group.name] = np.zeros((frames, group.agents, 0))
    for name in ("features", "actions", "rewards"):
        rows[name] = {g: np.asarray(a, np.float32) for g, a in rows[name].items()}
    return Demonstrations(
        spec=spec,
        starts=np.cumsum([0, *(episode.steps + 1 for episode in episodes)]),
        rate=rate,
        unit=unit,
        **rows,
        **fields,
    )
