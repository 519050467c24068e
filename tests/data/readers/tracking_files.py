"""Small synthetic files in every outside format, written the way the real ones are."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from pathlib import Path

import numpy as np
import py7zr
import pyarrow as pa
import pyarrow.parquet as pq

TEAMS = (1610612700, 1610612800)
SCENE = "AAA_BBB_0029900001_1_395.97_384.85"
OTHER_SCENE = "CCC_BBB_0029900002_2_95.97_90.85"


def walk(time: int, agents: int, seed: int = 0) -> np.ndarray:
    """Smooth tracks on a court, ``[time, agents, 2]`` feet, a third decimal at most."""
    rng = np.random.default_rng(seed)
    start = rng.uniform([20, 10], [70, 40], (agents, 2))
    return (start + np.cumsum(rng.normal(0, 0.2, (time, agents, 2)), 0)).round(3)


def frames_text(tracks: np.ndarray, *, step: float = 10, separator: str = "\t") -> str:
    """``frame id x y`` rows, ids from 1; NaN rows are left out."""
    rows = [
        separator.join([f"{t * step:.1f}", f"{i + 1}.0", f"{x}", f"{y}"])
        for t, row in enumerate(tracks)
        for i, (x, y) in enumerate(row)
        if not np.isnan(x)
    ]
    return "\n".join(rows) + "\n"


def basketball_text(tracks: np.ndarray) -> str:
    """SocialVAE's form: the ball is agent -1, frames step by 12."""
    rows = [
        f"{12 * t} {-1 if i == 0 else 100 - i} {x:.6f} {y:.6f} {'PLAYER' if i else 'BALL'}"
        for t, row in enumerate(tracks)
        for i, (x, y) in enumerate(row)
    ]
    return "\n".join(rows) + "\n"


def scenes(path: Path, **changes: np.ndarray | None) -> Path:
    """Two scenes of ball and ten players; a change of None removes the key."""
    xy = np.concatenate([walk(30, 11), walk(25, 11, seed=1)]).astype(np.float32)
    ids = np.stack([np.r_[-1, 100:110], np.r_[-1, 200:210]]).astype(np.int32)
    arrays = {
        "xy_ft": xy,
        "scene_start": np.array([0, 30, 55]),
        "agent_ids": ids,
        "scene_name": np.array([SCENE, OTHER_SCENE]),
        "game_id": np.array([SCENE[8:18], OTHER_SCENE[8:18]]),
        **changes,
    }
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    return path


def pickled_scenes(path: Path) -> Path:
    content = {"xy_m": walk(12, 3), "scene_start": np.array([0, 5, 12]), "rate": 2.5}
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def moment(t: int, tracks: np.ndarray, *, clock: float = 700.0, period: int = 1) -> list:
    """One 25 Hz SportVU moment: the ball, home five, visiting five."""
    rows = [[-1, -1, *tracks[0].tolist(), 5.5]]
    for i, (x, y) in enumerate(tracks[1:].tolist()):
        rows.append([TEAMS[i // 5], 1000 + i, x, y, 0.0])
    return [period, 1446682273000 + 40 * t, round(clock - 0.04 * t, 2), 20.0, None, rows]


def game(moments: list[list], events: int = 1) -> dict:
    """A game log; the moments are cut into `events` parts."""
    team = {"name": "A", "teamid": TEAMS[0], "abbreviation": "AAA", "players": []}
    other = {"name": "B", "teamid": TEAMS[1], "abbreviation": "BBB", "players": []}
    cuts = np.array_split(np.arange(len(moments)), events)
    return {
        "gameid": "0029900001",
        "gamedate": "1999-12-31",
        "events": [
            {
                "eventId": str(e), "home": team, "visitor": other,
                "moments": [moments[i] for i in part],
            }
            for e, part in enumerate(cuts)
        ],
    }  # fmt: skip


def sportvu(path: Path, log: dict | None = None) -> Path:
    """A game as .json, .json.gz or .7z, by the ending."""
    tracks = walk(60, 11)
    log = log or game([moment(t, tracks[t]) for t in range(60)], events=2)
    data = json.dumps(log).encode()
    if path.suffix == ".7z":
        with py7zr.SevenZipFile(path, "w") as archive:
            archive.writef(io.BytesIO(data), "0029900001.json")
    else:
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def stats(path: Path, scenes: int = 3) -> Path:
    data = np.stack([walk(50, 11, seed=s).reshape(50, 22) for s in range(scenes)])
    np.savez(path, data=data)
    return path


def groupnet(path: Path, scenes: int = 3, time: int = 30) -> Path:
    np.save(path, np.stack([walk(time, 11, seed=s) for s in range(scenes)]).astype(np.float32))
    return path


def ngs_rows(plays: int = 2, time: int = 8) -> dict[str, list]:
    """Columns of a Next Gen Stats table: 22 players and, without an id, the ball."""
    columns: dict[str, list] = {
        k: [] for k in ("gameId", "playId", "homeTeamFlag", "nflId", "position", "frame", "x", "y")
    }
    for play in range(plays):
        tracks = walk(time, 23, seed=play)
        for agent in range(23):
            for t in range(time):
                ball = agent == 22
                row = (
                    2019120000 + play, 100 + play, None if ball else float(agent < 11),
                    None if ball else 5000 + agent, None if ball else "QB", t,
                    *tracks[t, agent].tolist(),
                )  # fmt: skip
                for key, value in zip(columns, row, strict=True):
                    columns[key].append(value)
    return columns


def ngs(path: Path, columns: dict[str, list] | None = None) -> Path:
    """As .parquet, or tab-separated and gzipped."""
    columns = columns or ngs_rows()
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return path
    lines = ["\t".join(columns)]
    for row in zip(*columns.values(), strict=True):
        lines.append("\t".join("" if v is None else str(v) for v in row))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def sdd(path: Path) -> Path:
    """Raw annotations: track xmin ymin xmax ymax frame lost occluded generated "label"."""
    rows = [
        f'{a} {10 * a + t} {5 + t} {10 * a + t + 4} {9 + t} {t} {int(t == 5)} 0 1 "Biker"'
        for a in range(3)
        for t in range(12)
        if not (a == 1 and t < 3)
    ]
    path.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))
    return path


def crowds(folder: Path) -> Path:
    """Trajectories with the goals and obstacles that lie beside them."""
    rows = [("GC_0-1", p, t, p + 0.1 * t, 2.0) for p in (7, 9, 4) for t in range(10)]
    rows += [("UCY_0-1", 7, t, 0.5, 0.1 * t) for t in range(6)]
    names = ("clip", "ped", "step", "x", "y")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, folder / "trajectories.parquet")
    goals = [("GC_0-1", p, 0, 20.0 + p, 30.0, 0.0) for p in (4, 7, 9)]
    goals.append(("UCY_0-1", 7, 0, 1.0, 2.0, 0.0))
    names = ("clip", "ped", "k", "x", "y", "t")
    table = pa.table(dict(zip(names, map(list, zip(*goals, strict=True)), strict=True)))
    pq.write_table(table, folder / "waypoints.parquet")
    np.savez(
        folder / "obstacles.npz",
        **{"GC_0-1": np.array([[15.8, 11.3], [16.0, 12.0]]), "UCY_0-1": np.zeros((0, 2))},
    )
    return folder / "trajectories.parquet"


def metrica(folder: Path) -> tuple[Path, Path]:
    """Metrica tracking CSV of both teams: three header rows, then 25 Hz rows in 0..1."""
    paths = []
    for team, first in (("Home", 11), ("Away", 25)):
        numbers = range(first, first + 3)
        head = ",,," + ",,".join([team] * 3) + ",,,"
        jerseys = ",,," + ",,".join(str(n) for n in numbers) + ",,,"
        columns = "Period,Frame,Time [s]," + ",,".join(f"Player{n}" for n in numbers) + ",,Ball,"
        lines = [head, jerseys, columns]
        for t in range(1, 9):
            xy = [f"{0.1 * (i + 1) + 0.001 * t:.5f},0.50000" for i in range(3)]
            if team == "Away" and t < 4:
                xy[2] = "NaN,NaN"
            lines.append(f"1,{t},{0.04 * t:.2f}," + ",".join(xy) + f",0.5,{0.25 + 0.01 * t:.2f}")
        path = folder / f"{team}.csv"
        path.write_text("\n".join(lines) + "\n")
        paths.append(path)
    return paths[0], paths[1]


TRANSITIONS = {
    "state": {"sections": {"kind": 2, "page": 3}, "continuous": ["clicks"]},
    "action": {"continuous": 1},
    "agent": "user",
    "environment": "platform",
}
"""Schema of `transitions`."""


def state(kind, page, clicks):
    return [*np.eye(2)[kind], *np.eye(3)[page], clicks]


def transition(before, action, after):
    """A row of (state, action, next state)."""
    return [*state(*before), action, *state(*after)]


def transition_rows():
    """Sessions 2, 0 and 1: of row 2 goes on row 0."""
    return [
        transition((0, 1, 0.5), 0.1, (0, 2, 1.5)),
        transition((1, 0, 2.0), 0.3, (1, 1, 2.5)),
        transition((0, 0, 0.0), 0.2, (0, 1, 0.5)),
    ]


def transitions(path, rows=None):
    """A log without a header; cells that are text are written as they are."""
    rows = transition_rows() if rows is None else rows
    text = [",".join(c if isinstance(c, str) else f"{c:g}" for c in row) for row in rows]
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
        file.write("\n".join(text) + "\n")
    return path


IMPRESSION = {
    "timestamp": "2019-11-24 06:00:00.500000+00:00", "item_id": 2, "position": 3, "click": 0,
    "propensity_score": 0.25, "user_feature_0": "aa", "user_feature_1": "b0",
    "user_feature_2": "c0", "user_feature_3": "d0", "affinity": (0, 0, 0),
}  # fmt: skip
"""Of three items; `open_bandit` writes the last entry as three columns."""


def impressions():
    """Four impressions, not in order of time, the last on the next day."""
    return [
        IMPRESSION,
        {**IMPRESSION, "timestamp": "2019-11-24 00:03:13.442536+00:00", "item_id": 0,
         "click": 1, "user_feature_0": "bb", "affinity": (1, 0, 2)},
        {**IMPRESSION, "timestamp": "2019-11-24 12:00:00+00:00", "item_id": 1, "position": 1},
        {**IMPRESSION, "timestamp": "2019-11-25 18:00:00.000001+00:00", "position": 2},
    ]  # fmt: skip


def open_bandit(path, rows=None):
    """A log with the nameless first column of the real ones."""
    rows = impressions() if rows is None else rows
    items = max(len(row["affinity"]) for row in rows)
    names = [name for name in IMPRESSION if name != "affinity"]
    lines = [",".join(["", *names, *(f"user-item_affinity_{k}" for k in range(items))])]
    for number, row in enumerate(rows):
        scores = (s if isinstance(s, str) else f"{s:.1f}" for s in row["affinity"])
        lines.append(",".join([f"{number}", *(f"{row[name]}" for name in names), *scores]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path
