"""A table with one row per frame and agent: CSV, TSV (also .gz), Parquet, with named columns.

``read("table", "plays.csv", columns={"frame": "t", "agent": "player", "x": "x", "y": "y"},
rate=10, unit="yd")``. Columns that can be named: frame, agent, x, y (needed; by default they are
called so), episode, game, group, team, kind. Names of presets, recognised by their columns, too:

- ``ngs``: NFL Next Gen Stats plays; 22 ``player`` and the ``ball``, yards, 10 Hz.
- ``sdd``: Stanford Drone Dataset annotations; centres of boxes, pixels, 30 Hz, lost ones left out.
- ``crowds``: pedestrian clips, metres, 12.5 Hz; ``waypoints.parquet`` and ``obstacles.npz`` beside
  the table become the context ``goals`` (episodes, slots, 2), ``obstacles`` (episodes, points, 2)
  and ``obstacles_known``.

Rows may come in any order; rows without a position are absences; rows that repeat another are
read once, rows that contradict another are refused; gaps end episodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import columnar, files, surroundings, tracks
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import UserError, require

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
NEEDED = ("frame", "agent", "x", "y")
ROLES = (*NEEDED, "episode", "game", "group", "team", "kind")


@dataclasses.dataclass(frozen=True)
class Preset:
    """How a known table names its columns, and what it leaves unsaid."""

    columns: Mapping[str, tuple[str, ...]]
    """Role -> columns; x and y are the mean of theirs, names are joined by ``_``."""
    rate: float | None = None
    unit: str | None = None
    drop: str = ""
    """A column whose rows are left out where it is not 0."""
    ball: str = ""
    """A column that is empty for the ball; everybody else is in the group ``player``."""
    home: bool = False
    """The team column holds 1 for home and 0 for visitors."""


PRESETS = {
    "ngs": Preset(
        {
            "frame": ("frame",), "agent": ("nflId",), "x": ("x",), "y": ("y",),
            "episode": ("gameId", "playId"), "game": ("gameId",), "team": ("homeTeamFlag",),
            "kind": ("position",),
        },
        rate=10.0, unit="yd", ball="nflId", home=True,
    ),
    "sdd": Preset(
        {
            "frame": ("frame",), "agent": ("track_id",), "x": ("xmin", "xmax"),
            "y": ("ymin", "ymax"), "kind": ("label",), "episode": ("scene", "video"),
            "game": ("scene", "video"),
        },
        rate=30.0, unit="px", drop="lost",
    ),
    "crowds": Preset(
        {
            "frame": ("step",), "agent": ("ped",), "x": ("x",), "y": ("y",),
            "episode": ("clip",), "game": ("clip",),
        },
        rate=12.5, unit="m",
    ),
}  # fmt: skip
HEADLESS = ("track_id", "xmin", "ymin", "xmax", "ymax", "frame", "lost", "occluded", "generated",
            "label")  # fmt: skip
"""Columns of the raw SDD annotation text, which has no header and is one video per file."""


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
    columns: Mapping[str, str] | None = None,
    preset: str | None = None,
) -> Demonstrations:
    """Read tables as documented on this page.

    Args:
        sources: A file, folder, pattern, or list.
        rate: Rows per second, where no preset says it.
        unit: ft, m, yd or px, where no preset says it.
        say: Called with one sentence per thing worth knowing.
        columns: Role -> name of the column.
        preset: One of `PRESETS`; recognised by its columns if neither it nor `columns` is given.

    Raises:
        UserError: naming the file and the column or row that is wrong.
    """
    paths = files.expand(sources, SUFFIXES)
    if preset is None and columns is None:
        preset = _recognise(columnar.names(paths[0]))
        say(f"columns recognised as preset {preset}" if preset else "columns frame, agent, x, y")
    chosen = _chosen(preset, columns)
    if preset == "crowds":
        paths = [path for path in paths if not path.name.startswith("waypoints")]
    episodes: list[Episode] = []
    steps: dict[float, str] = {}
    for path, name in zip(paths, files.names(paths), strict=True):
        for found, step in _recordings(path, name, chosen, say):
            episodes += found
            if step is not None:
                steps.setdefault(step, found[0].name)
    require(bool(episodes), f"expected rows with positions in {paths[0]}, found none")
    tracks.check_one_step(steps)
    rate, unit = check_scale(rate or chosen.rate, unit or chosen.unit, "table", "10, 25, 30")
    demonstrations = assemble(episodes, rate=rate, unit=unit)
    if preset == "crowds":
        demonstrations = surroundings.add(demonstrations, paths[0].parent, say)
    return demonstrations


def _recognise(names: Sequence[str]) -> str | None:
    for name, preset in PRESETS.items():
        needed = {c for role in NEEDED for c in preset.columns[role]}
        if needed <= set(names):
            return name
    return None


def _chosen(preset: str | None, columns: Mapping[str, str] | None) -> Preset:
    require(preset in (None, *PRESETS), f"expected a preset among {list(PRESETS)}, found {preset}")
    own = dict(columns or {})
    unknown = sorted(set(own) - set(ROLES))
    require(not unknown, f"expected columns among {', '.join(ROLES)}, found {', '.join(unknown)}")
    if preset is None:
        return Preset({**{r: (r,) for r in NEEDED}, **{r: (c,) for r, c in own.items()}})
    known = PRESETS[preset]
    changed = {**known.columns, **{r: (c,) for r, c in own.items()}}
    return dataclasses.replace(known, columns=changed)


def _recordings(
    path: Path, name: str, preset: Preset, say: Callable[[str], None]
) -> Iterator[tuple[list[Episode], float | None]]:
    """The episodes of each recording in a file."""
    headless = () if path.suffix in SUFFIXES or preset.drop != "lost" else HEADLESS
    if path.name.lower().endswith((".txt", ".txt.gz")) and preset.drop == "lost":
        headless = HEADLESS
    table = columnar.Table(path, headless)
    if headless:
        roles = {r: c for r, c in preset.columns.items() if r not in ("episode", "game")}
        preset = dataclasses.replace(preset, columns=roles)
    rows, recording, games = _rows(table, preset, say)
    order = np.argsort(recording.codes, kind="stable")
    cuts = np.flatnonzero(np.diff(recording.codes[order])) + 1
    for part in np.split(order, cuts) if len(order) else ():
        title = recording.name(part[0]) or files.stem(name)
        game = games.name(part[0]) or title

        def where(row: int, part: np.ndarray = part) -> str:
            return f"{path}, frame {rows.frame[part[row]]:g}, agent {rows.agent.name(part[row])}"

        yield tracks.episodes(rows.take(part), title, name, {"game": game}, where)


def _rows(
    table: columnar.Table, preset: Preset, say: Callable[[str], None]
) -> tuple[tracks.Rows, tracks.Coded, tracks.Coded]:
    """The rows that have a position, and the recording and game of each."""

    def text(role: str) -> tracks.Coded:
        return table.text(preset.columns.get(role, ()))

    frame = table.numbers(preset.columns["frame"])
    xy = np.stack([table.numbers(preset.columns[axis]) for axis in ("x", "y")], -1)
    keep = ~np.isnan(xy).any(-1)
    if preset.drop:
        keep &= table.numbers((preset.drop,)) == 0
    bad = keep & ~(np.abs(frame) < 1e30)
    if bad.any():
        raise UserError(f"expected a frame in row {int(np.argmax(bad)) + 1} of {table.path}")
    group = text("group")
    if preset.ball:
        absent = table.absent(preset.ball)
        group = tracks.Coded(absent.astype(np.int64), ["player", "ball"])
    elif not preset.columns.get("group"):
        group = tracks.Coded(np.zeros(len(frame), np.int64), ["agents"])
    labels = {role: text(role) for role in ("team", "kind") if role in preset.columns}
    if preset.home and "team" in labels:
        side = {"1": "home", "0": "visitor"}
        labels["team"] = tracks.Coded(
            labels["team"].codes, [side.get(t, "") for t in labels["team"].names]
        )
    gone = len(frame) - int(keep.sum())
    if gone:
        what = "without a position or lost" if preset.drop else "without a position"
        say(f"{table.path.name}: {gone} rows {what} left out")
    recording = text("episode")
    agent = _named(text("agent"), preset, table.path)
    again = keep & _again(recording.codes, frame, agent.codes, xy)
    if again.any():
        say(f"{table.path.name}: {int(again.sum())} rows that repeat another left out")
    kept = np.flatnonzero(keep & ~again)
    rows = tracks.Rows(frame, agent, xy, group, labels).take(kept)
    return rows, recording.take(kept), text("game").take(kept)


def _named(agent: tracks.Coded, preset: Preset, path: Path) -> tracks.Coded:
    """Agents that all have a name; the ball is called so where it has none."""
    require(
        bool(preset.ball) or "" not in agent.names,
        f"expected an agent in every row of {path}, found an empty one; fill it in",
    )
    return tracks.Coded(agent.codes, [name or "ball" for name in agent.names])


def _again(
    recording: np.ndarray, frame: np.ndarray, agent: np.ndarray, xy: np.ndarray
) -> np.ndarray:
    """True for rows equal to an earlier one, as logs have that write two events of one frame."""
    columns = (recording, frame, agent, xy[:, 0], xy[:, 1])
    order = np.lexsort((np.arange(len(frame)), *columns))
    same = np.logical_and.reduce([np.diff(column[order]) == 0 for column in columns])
    again = np.zeros(len(frame), bool)
    again[order[1:][same]] = True
    return again
