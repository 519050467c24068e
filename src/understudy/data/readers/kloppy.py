"""Football tracking that kloppy has loaded: every vendor's format, through its own readers.

``read("kloppy", kloppy.metrica.load_tracking_csv(...))``. Players of both teams are the group
``player`` (home first, labels ``team`` home / visitor), absent while they are not on the pitch;
``ball`` follows. Coordinates become metres from the corner kloppy puts its origin in; normalised
ones are scaled by the pitch. Each half is a recording, cut where frame ids jump.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import tracks
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import UserError, require

UNITS = {"m": ("m", 1.0), "cm": ("m", 0.01), "yd": ("yd", 1.0), "ft": ("ft", 1.0)}


def read(
    sources: Any,
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
) -> Demonstrations:
    """Read one kloppy ``TrackingDataset``, or a list of them.

    Args:
        sources: The dataset or datasets, as kloppy loaded them.
        rate: Frames per second; only where the dataset does not say.
        unit: Must agree with the dataset if given.
        say: Called with one sentence per dataset.

    Raises:
        UserError: when kloppy is not installed, or something else than tracking is given.
    """
    kind = _tracking_dataset()
    datasets = list(sources) if isinstance(sources, list | tuple) else [sources]
    require(len(datasets) > 0, "expected at least one kloppy dataset, found an empty list")
    episodes: list[Episode] = []
    steps: dict[float, str] = {}
    scales: set[tuple[float | None, str]] = set()
    for number, dataset in enumerate(datasets):
        if not isinstance(dataset, kind):
            raise UserError(
                f"expected a TrackingDataset that kloppy loaded, found {type(dataset).__name__}; "
                "load the file with kloppy first"
            )
        game = str(dataset.metadata.game_id or f"game{number}")
        size, found_unit = _size(dataset)
        its_rate = dataset.metadata.frame_rate
        scales.add((rate or (its_rate and float(its_rate)), found_unit))
        for found, step in _halves(dataset, size, game):
            episodes += found
            if step is not None:
                steps.setdefault(step, found[0].name)
        say(f"{game}: {len(dataset.records)} frames of {len(dataset.metadata.teams)} teams")
    require(bool(episodes), "expected frames with players, found none")
    require(len(scales) == 1, f"expected datasets of one rate and unit, found {sorted(scales)}")
    tracks.check_one_step(steps)
    found_rate, found_unit = scales.pop()
    require(unit in (None, found_unit), f"expected unit {found_unit}, found {unit}; leave it out")
    found_rate, found_unit = check_scale(found_rate, found_unit, "kloppy", "25")
    return assemble(episodes, rate=found_rate, unit=found_unit)


def _tracking_dataset() -> type:
    try:
        return importlib.import_module("kloppy.domain").TrackingDataset
    except ModuleNotFoundError as error:
        raise UserError(
            "expected the package kloppy, found none; install it with "
            "pip install 'understudy[kloppy]'"
        ) from error


def _size(dataset: Any) -> tuple[np.ndarray, str]:
    """What a coordinate of 1 is along each axis, and its unit."""
    pitch = dataset.metadata.pitch_dimensions
    kind = pitch.unit.value
    if kind == "normed":
        require(
            bool(pitch.pitch_length and pitch.pitch_width),
            "expected the size of the pitch beside normalised coordinates, found none; give "
            "kloppy the pitch_length and pitch_width",
        )
        return np.array([pitch.pitch_length, pitch.pitch_width], float), "m"
    require(kind in UNITS, f"expected coordinates in {', '.join(UNITS)} or normed, found {kind}")
    unit, scale = UNITS[kind]
    return np.full(2, scale), unit


def _halves(
    dataset: Any, size: np.ndarray, game: str
) -> Iterator[tuple[list[Episode], float | None]]:
    """The episodes of each half."""
    sides = ("home", "visitor", "")
    halves: dict[int, list[tuple[int, float, str, float, float]]] = {}
    for frame in dataset.records:
        rows = halves.setdefault(frame.period.id, [])
        for player, data in frame.players_data.items():
            if data.coordinates is not None:
                side = 0 if player.team.ground.value == "home" else 1
                name = str(player.player_id)
                rows.append((side, frame.frame_id, name, data.coordinates.x, data.coordinates.y))
        ball = frame.ball_coordinates
        if ball is not None:
            rows.append((2, frame.frame_id, "ball", ball.x, ball.y))
    for half, rows in halves.items():
        if not rows:
            continue
        side, frame, agent, x, y = (np.asarray(column) for column in _columns(rows))
        order = np.argsort(side, kind="stable")  # home first
        xy = np.stack([x, y], -1).astype(np.float64) * size
        table = tracks.Rows(
            frame=frame.astype(np.float64),
            agent=tracks.code(agent),
            positions=xy,
            group=tracks.Coded((side == 2).astype(np.int64), ["player", "ball"]),
            labels={"team": tracks.Coded(side.astype(np.int64), sides)},
        ).take(order)
        labels = {"game": game, "period": str(half)}
        where = f"game {game}, half {half}"
        yield tracks.episodes(table, f"{game}_{half}", game, labels, lambda _, w=where: w)


def _columns(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[Any]]:
    return zip(*rows, strict=True)
