"""Plays laid out for drawing: one track per panel, with who is who and where intents point."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import field, xy
from understudy.types import Group
from understudy.visualise import style
from understudy.visualise.scene import Scene, scene_of

COURT = np.array([94.0, 50.0])
BESIDE = 4.0
"""Feet that players and ball may be off a basketball court."""
Bounds: TypeAlias = Sequence[Sequence[float | int]] | Float[np.ndarray, "2 2"]
"""Low and high corner of the field."""


@runtime_checkable
class Plays(Protocol):
    """What a generator made of some scenes, next to what happened."""

    @property
    def truth(self) -> Demonstrations:
        """One episode per scene; its first `observed` rows were shown to the generator."""
        ...

    @property
    def samples(self) -> Mapping[str, Any]:
        """``{group: [scenes, samples, time, agents, obs]}``: rows after the observed ones."""
        ...

    @property
    def intents(self) -> Mapping[str, Any] | None:
        """``{group: [scenes, samples, time, agents]}`` or None."""
        ...

    @property
    def observed(self) -> int:
        """Rows of each scene that were shown."""
        ...


@dataclasses.dataclass(frozen=True)
class Track:
    """One panel: where every agent of a scene was, or was said to go."""

    title: str
    positions: Float[np.ndarray, "time agents 2"]
    """NaN where an agent is absent."""
    observed: int
    """Leading rows shown to the generator."""
    colours: tuple[str, ...]
    """One per agent."""
    sizes: tuple[float, ...]
    """Marker radius in points, one per agent; balls are small."""
    generated: Bool[np.ndarray, " agents"]
    """Agents the generator moved; the others follow the truth."""
    intents: Int[np.ndarray, "time agents"] | None = None
    """Class per row and agent; -1 where there is none."""


def tracks(plays: Plays, scene: int, shown: int) -> list[Track]:
    """Lay out scene number `scene`: the truth first, then `shown` samples."""
    truth = plays.truth
    first, last = int(truth.starts[scene]), int(truth.starts[scene + 1])
    horizon = next(iter(plays.samples.values())).shape[2]
    rows = plays.observed + horizon
    real = [
        _real(truth, group, first, min(last, first + rows), rows) for group in truth.spec.groups
    ]
    colours, sizes = appearance(truth, scene)
    moved = np.concatenate([np.full(g.agents, g.name in plays.samples) for g in truth.spec.groups])
    intents = _labels(plays, first, min(last, first + rows), rows)
    title = f"what happened{_shared(intents)}"
    base = Track(title, np.concatenate(real, 1), plays.observed, colours, sizes, moved)
    out = [dataclasses.replace(base, intents=intents)]
    count = next(iter(plays.samples.values())).shape[1]
    for sample in range(min(shown, count)):
        drawn = [
            _sampled(plays, group, scene, sample, own)
            for group, own in zip(truth.spec.groups, real, strict=True)
        ]
        chosen = _drawn_intents(plays, scene, sample, rows)
        out.append(
            dataclasses.replace(
                base,
                title=f"sample {sample + 1}{_shared(chosen)}",
                positions=np.concatenate(drawn, 1),
                intents=chosen,
            )
        )
    return out


def _real(truth: Demonstrations, group: Group, first: int, last: int, rows: int) -> np.ndarray:
    """Positions of one group, NaN where absent and after the end of the episode."""
    out = np.full((rows, group.agents, 2), np.nan)
    positions = np.asarray(truth.features[group.name][first:last])[..., list(xy(group))]
    alive = np.asarray(truth.alive[group.name][first:last])
    out[: last - first] = np.where(alive[..., None], positions, np.nan)
    return out


def _sampled(plays: Plays, group: Group, scene: int, sample: int, real: np.ndarray) -> np.ndarray:
    """Observed rows of the truth, then the sample; absent agents stay absent."""
    if group.name not in plays.samples:
        return real
    future = np.asarray(plays.samples[group.name][scene, sample])[..., list(xy(group))]
    present = np.isfinite(real[plays.observed - 1, :, 0])[None, :, None]
    out = real.copy()
    out[plays.observed :, : future.shape[1]] = np.where(
        present[:, : future.shape[1]], future, np.nan
    )
    return out


def _labels(plays: Plays, first: int, last: int, rows: int) -> np.ndarray | None:
    """Labels of the groups that were generated; the others have none."""
    truth = plays.truth
    if truth.intents is None:
        return None
    parts = []
    for group in truth.spec.groups:
        part = np.full((rows, group.agents), -1, int)
        if group.name in truth.intents and group.name in plays.samples:
            part[: last - first] = truth.intents[group.name][first:last]
        parts.append(part)
    return np.concatenate(parts, 1)


def _drawn_intents(plays: Plays, scene: int, sample: int, rows: int) -> np.ndarray | None:
    if plays.intents is None:
        return None
    parts = []
    for group in plays.truth.spec.groups:
        part = np.full((rows, group.agents), -1, int)
        if group.name in plays.intents:
            drawn = np.asarray(plays.intents[group.name][scene, sample])
            part[rows - len(drawn) :, : drawn.shape[1]] = drawn
        parts.append(part)
    return np.concatenate(parts, 1)


def _shared(intents: np.ndarray | None) -> str:
    """Name the intent of a panel, where all agents hold the same one all the time."""
    known = np.zeros(0) if intents is None else np.unique(intents[intents >= 0])
    return f" · intent {int(known[0])}" if len(known) == 1 else ""


def appearance(truth: Demonstrations, scene: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Colour and marker size of every agent of a scene: by team where known, else by group."""
    colours: list[str] = []
    sizes: list[float] = []
    keys: list[str] = []
    teams = truth.agent_labels.get("team", {})
    for group in truth.spec.groups:
        named = np.asarray(teams[group.name][scene]) if group.name in teams else None
        for slot in range(group.agents):
            ball = group.name == "ball"
            key = str(named[slot]) if named is not None and str(named[slot]) else group.name
            if not ball and key not in keys:
                keys.append(key)
            colours.append(style.BALL if ball else style.colour(keys.index(key)))
            sizes.append(2.6 if ball else 4.6)
    return tuple(colours), tuple(sizes)


def ground(plays: Plays, panels: list[list[Track]], bounds: Bounds | None = None) -> Scene:
    """The scene every panel of `plays` is drawn on.

    The field is `bounds`, else what the demonstrations say; without either, tracks in feet with a
    ball that stay within 94 x 50 ft are on a basketball court.
    """
    points = np.concatenate([t.positions.reshape(-1, 2) for row in panels for t in row])
    unit = plays.truth.unit
    bounds = field(plays.truth) if bounds is None else bounds
    if bounds is None and unit == "ft" and "ball" in plays.truth.spec.names:
        real = np.concatenate([row[0].positions.reshape(-1, 2) for row in panels])
        inside = np.nanmin(real) > -BESIDE and np.all(np.nanmax(real, 0) < COURT + BESIDE)
        bounds = np.array([[0.0, 0.0], COURT]) if inside else None
    return scene_of(points, unit=unit, bounds=None if bounds is None else np.asarray(bounds, float))
