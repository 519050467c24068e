"""A generic ``.npz`` of scenes: all frames one after the other, and where each scene starts.

| key | shape | meaning |
|---|---|---|
| ``xy_ft`` (or ``xy_m, xy_yd, xy_px, xy``) | frames, agents, 2 | positions; NaN where absent |
| ``scene_start`` | scenes + 1 | scene s is frames ``start[s] : start[s + 1]``; optional |
| ``agent_ids`` | scenes, agents | numbers or names; -1 is the ball; optional |
| ``scene_name``, ``game_id`` | scenes | strings; optional |
| ``group``, ``team`` | agents | strings: group and team of each column; optional |
| ``rate`` | () | rows per second; optional |

Without ``group``, columns with id -1 are the group ``ball`` and all others ``player``; without a
ball all are ``agents``. Scenes named VISITOR_HOME_game_period_clock_clock with a ball and ten
players are SportVU extracts: home five first, visitors after, 8.33 Hz.

A split layout is read too: ``player_coords`` and ``ball_coords`` in parts of the 94 x 50 ft court
at 5 Hz with ``example_stop_idxs`` [-1, t1, ...] (the last frame of each scene, Cleveland's
five first), or ``players_xy_ft`` and ``ball_xyz_ft`` with ``play_end_idxs`` [-1, t1, ...] (one
past the last frame). The same keys may come as a pickled
dict (``.pkl``), which is read without running anything it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files, unpickle
from understudy.data.readers.assemble import Episode, assemble, check_scale, to_float32
from understudy.data.readers.frames import BASKETBALL_RATE, SCENE
from understudy.types import UserError, require

SUFFIXES = (".npz", ".pkl", ".pickle")
UNITS = {"xy_ft": "ft", "xy_m": "m", "xy_yd": "yd", "xy_px": "px", "xy": ""}
COURT = np.array([94.0, 50.0])


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
) -> Demonstrations:
    """Read scenes as documented on this page.

    Args:
        sources: A file, folder, pattern, or list.
        rate: Rows per second; only where the file does not say.
        unit: Only where the file does not say.
        say: Called with one sentence per thing worth knowing.

    Raises:
        UserError: naming file and key of whatever is wrong.
    """
    paths = files.expand(sources, SUFFIXES)
    episodes: list[Episode] = []
    for path, name in zip(paths, files.names(paths), strict=True):
        if path.suffix == ".npz":
            content: Mapping[str, np.ndarray] = files.arrays(path)
        else:
            content = unpickle.arrays(path)
        found, its_rate, its_unit = parse(content, name)
        for what, given, its in (("rate", rate, its_rate), ("unit", unit, its_unit)):
            require(
                given in (None, its) or its in (None, "") or _close(given, its),
                f"expected one {what}, found {given} (asked for, or of an earlier file) and {its} "
                f"in {path}; leave {what} out, or read the files apart",
            )
        rate, unit = its_rate or rate, its_unit or unit
        episodes += found
    say(f"{len(episodes)} scenes from {len(paths)} files")
    rate, unit = check_scale(rate, unit, "scenes", "or store it under the key rate")
    return assemble(episodes, rate=rate, unit=unit)


def _close(given: object, its: object) -> bool:
    if not (isinstance(given, float | int) and isinstance(its, float | int)):
        return False
    return abs(given - its) <= 1e-3 * its


def parse(
    content: Mapping[str, np.ndarray], name: str
) -> tuple[list[Episode], float | None, str | None]:
    """Check the arrays of one file and cut them into episodes; also what it says of rate, unit.

    Raises:
        UserError: naming file and key.
    """
    content = _joined(content, name)
    key = next((k for k in UNITS if k in content), None)
    require(
        key is not None,
        f"expected one of the keys {', '.join(UNITS)} in {name}, found {sorted(content)[:8]}",
    )
    assert key is not None
    xy = content[key]
    require(
        xy.ndim == 3 and xy.shape[-1] == 2 and xy.dtype.kind == "f" and xy.size > 0,
        f"expected {key} of shape (frames, agents, 2) in {name}, found {xy.shape} {xy.dtype}",
    )
    xy = to_float32(xy, f"{name}:{key}")
    starts = _starts(content, len(xy), name)
    scenes, agents = len(starts) - 1, xy.shape[1]
    titles = _strings(content, "scene_name", (scenes,), name)
    games = _strings(content, "game_id", (scenes,), name)
    ids = _strings(content, "agent_ids", (scenes, agents), name)
    groups, teams = _columns(content, ids, titles, agents, name)
    sportvu = titles is not None and bool(SCENE.fullmatch(titles[0]))
    rate = BASKETBALL_RATE if sportvu else None
    if "rate" in content:
        require(content["rate"].size == 1, f"expected one number under rate in {name}")
        rate = float(content["rate"].reshape(()))
    columns = {g: np.flatnonzero(groups == g) for g in dict.fromkeys(groups.tolist())}
    episodes = []
    for s in range(scenes):
        here = slice(int(starts[s]), int(starts[s + 1]))
        labels = {"game": str(games[s])} if games is not None else {}
        own = ids[s] if ids is not None else np.arange(agents).astype(str)
        who = {"id": {g: own[c].tolist() for g, c in columns.items()}}
        if teams is not None:
            who["team"] = {g: teams[c].tolist() for g, c in columns.items()}
        title = str(titles[s]) if titles is not None else f"{files.stem(name)}#{s}"
        positions = {g: xy[here, c] for g, c in columns.items()}
        episodes.append(Episode(title, name, positions, who, labels))
    return episodes, rate, UNITS[key] or None


def _starts(content: Mapping[str, np.ndarray], frames: int, name: str) -> np.ndarray:
    starts = content.get("scene_start", np.array([0, frames]))
    require(
        starts.ndim == 1 and len(starts) >= 2 and starts.dtype.kind in "iu",
        f"expected scene_start to be whole numbers, scenes + 1 of them, in {name}, found "
        f"{starts.dtype} {starts.shape}",
    )
    require(
        starts[0] == 0 and starts[-1] == frames and (starts[1:] > starts[:-1]).all(),
        f"expected scene_start to rise from 0 to the {frames} frames in {name}, found "
        f"{starts[0]} ... {starts[-1]}, or an empty scene",
    )
    return starts.astype(np.int64)


def _strings(
    content: Mapping[str, np.ndarray], key: str, shape: tuple[int, ...], name: str
) -> np.ndarray | None:
    if key not in content:
        return None
    values = content[key]
    require(
        values.shape == shape and values.dtype.kind in "iuSU",
        f"expected {key} of shape {shape} in {name}, found {values.shape} {values.dtype}",
    )
    with files.reading(f"{name}:{key}", "text"):
        text = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)
        "".join(text.ravel().tolist()).encode("utf-8")  # numpy lets lone surrogates through
    return text


def _columns(
    content: Mapping[str, np.ndarray],
    ids: np.ndarray | None,
    titles: np.ndarray | None,
    agents: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Group and team of each column."""
    teams = _strings(content, "team", (agents,), name)
    groups = _strings(content, "group", (agents,), name)
    if groups is None:
        ball = np.zeros(agents, bool) if ids is None else (ids == "-1").all(0)
        mixed = ids is not None and bool(((ids == "-1").any(0) & ~ball).any())
        require(not mixed, f"expected the ball (-1) in one column of agent_ids in {name}")
        groups = np.where(ball, "ball", "player" if ball.any() else "agents")
        sportvu = titles is not None and bool(SCENE.fullmatch(titles[0]))
        if teams is None and sportvu and ball.sum() == 1 and agents == 11:
            teams = np.full(agents, "", "<U7")
            teams[np.flatnonzero(~ball)] = ["home"] * 5 + ["visitor"] * 5
    return groups, teams


def _joined(content: Mapping[str, np.ndarray], name: str) -> Mapping[str, np.ndarray]:
    """The documented keys, made from the split layout if that is what there is."""
    unit_court = "player_coords" in content
    players = content.get("player_coords", content.get("players_xy_ft"))
    if players is None:
        return content
    ball = content.get("ball_coords", content.get("ball_xyz_ft"))
    key = "example_stop_idxs" if "example_stop_idxs" in content else "play_end_idxs"
    stops = content.get(key)
    require(
        players.ndim == 3 and players.shape[-1] == 2 and players.dtype.kind == "f",
        f"expected players of shape (frames, agents, 2) in {name}, found {players.shape}",
    )
    scale = COURT.astype(players.dtype) if unit_court else np.ones(2, players.dtype)
    parts = [players * scale]
    if ball is not None:
        require(
            ball.ndim == 2 and ball.shape[0] == len(players) and ball.shape[1] in (2, 3),
            f"expected a ball of shape ({len(players)}, 2 or 3) in {name}, found {ball.shape}",
        )
        parts.append((ball[:, :2] * scale)[:, None].astype(players.dtype))
    count = players.shape[1]
    joined = {
        "xy_ft": np.concatenate(parts, 1),
        "group": np.array(["player"] * count + ["ball"] * (len(parts) - 1)),
    }
    if unit_court:
        joined["rate"] = np.array(5.0)
        teams = ["Cleveland"] * 5 + ["opponent"] * (count - 5) + [""] * (len(parts) - 1)
        joined["team"] = np.array(teams)
    if stops is not None:
        if stops.ndim != 1 or stops.dtype.kind != "i" or stops.size < 2:
            raise UserError(f"expected stops [-1, t1, ...] in {name}, found {stops.shape}")
        starts = stops.astype(np.int64) + (1 if key == "example_stop_idxs" else 0)
        joined["scene_start"] = np.concatenate([[0], starts[1:-1], [len(players)]])
    return joined
