"""Raw SportVU game logs: one JSON per game, plain, gzipped, or inside a ``.7z``; feet, 25 Hz.

``{gameid, gamedate, events: [{eventId, visitor, home, moments: [[period, unix ms, game clock,
shot clock, null, 11 rows of [team, player, x, y, z]]]}]}``, the ball being the row of player -1.

Known defects and what becomes of them: events overlap and repeat moments (each is kept once);
moments that are empty, have other than eleven rows, no ball, or not five against five are left
out; a clock that stands still while the players walk is a dead ball, left out; so the game clock
orders moments and unix time, which may run back, only tells pauses. An episode is an unbroken run
of moments with the same ten players. Everything left out is counted and said.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import archive, files
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import require

SUFFIXES = (".json", ".json.gz", ".7z")
PAUSE = 0.5
"""Seconds unix time may gain on the game clock before the run counts as broken."""


@dataclasses.dataclass(frozen=True)
class Moments:
    """The sound moments of a game in the order of play."""

    period: Int[np.ndarray, " moments"]
    unix: Float[np.ndarray, " moments"]
    """Seconds."""
    clock: Float[np.ndarray, " moments"]
    """Seconds left in the period."""
    rows: Float[np.ndarray, "moments 11 5"]
    """Ball, home five, visiting five; team, player, x, y, z."""

    def __getitem__(self, which: np.ndarray | slice) -> Moments:
        return Moments(self.period[which], self.unix[which], self.clock[which], self.rows[which])


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
    shortest: float = 1.0,
) -> Demonstrations:
    """Read game logs: groups ``player`` (home five, then visitors) and ``ball``.

    Args:
        sources: A file, folder, pattern, or list.
        rate: Rows per second; the usual distance between moments if not given.
        unit: Feet if not given.
        say: Called with one sentence per game: what was kept and what was left out.
        shortest: Seconds; shorter runs are left out.

    Raises:
        UserError: when a file is damaged, or no game has a usable moment.
    """
    paths = files.expand(sources, SUFFIXES)
    episodes: list[Episode] = []
    steps: list[float] = []
    empty: list[str] = []
    for path, name in zip(paths, files.names(paths), strict=True):
        if path.suffix == ".7z" and path.stat().st_size <= 32:
            empty.append(f"{name} is an empty archive; fetch it again")
            continue
        log = _log(path)
        moments, counts = collect(log, str(path))
        if len(moments.clock) < 2:
            empty.append(f"{name} has {len(log['events'])} events and no usable moments")
            continue
        step = _step(moments)
        found = list(_episodes(moments, step, shortest, str(log.get("gameid", path.stem)), name))
        steps.append(step)
        episodes += found
        kept = sum(len(e.positions["ball"]) for e in found)
        counts["in runs that are too short"] = len(moments.clock) - kept
        left = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        say(f"{name}: {len(found)} runs, {kept} moments; left out: {left or 'none'}")
    for sentence in empty if episodes else ():
        say(f"left out: {sentence}")
    require(
        bool(episodes), f"expected moments to read, found none: {'; '.join(empty) or 'short runs'}"
    )
    if rate is None:
        require(
            max(steps) <= 1.05 * min(steps),
            f"expected games of one rate, found {1 / max(steps):.2f} to {1 / min(steps):.2f} Hz; "
            "read them apart and resample",
        )
        rate = round(1 / float(np.median(steps)), 2)
    rate, unit = check_scale(rate, "ft" if unit is None else unit, "sportvu", "25")
    return assemble(episodes, rate=rate, unit=unit)


def _log(path: Path) -> dict[str, Any]:
    data = archive.single(path, ".json") if path.suffix == ".7z" else files.content(path)
    with files.reading(path, "a SportVU game in JSON"):
        log = json.loads(data)
    good = isinstance(log, dict) and isinstance(log.get("events"), list)
    require(
        good and all(isinstance(event, dict) for event in log["events"]),
        f"expected a SportVU game with a list of events in {path}, found other JSON",
    )
    return log


def collect(log: dict[str, Any], name: str) -> tuple[Moments, dict[str, int]]:
    """All sound moments of a game, in order and once each, and what was left out.

    Raises:
        UserError: when a number overflows.
    """
    counts = {"malformed": 0, "without eleven rows": 0}
    clocks: list[list[float]] = []
    rows: list[list[list[float]]] = []
    home: list[float] = []
    for event in log["events"]:
        team = event.get("home")
        host = team.get("teamid") if isinstance(team, dict) else None
        host = host if type(host) is int else -1
        moments = event.get("moments")
        for moment in moments if isinstance(moments, list) else ():
            if not (isinstance(moment, list) and len(moment) >= 6 and isinstance(moment[5], list)):
                counts["malformed"] += 1
            elif len(moment[5]) != 11:
                counts["without eleven rows"] += 1
            elif not (_numbers(moment[:3], 3) and all(_numbers(row, 5) for row in moment[5])):
                counts["malformed"] += 1
            else:
                clocks.append(moment[:3])
                rows.append(moment[5])
                home.append(host)
    with files.reading(name, "numbers of usual size"):
        table = np.array(clocks, np.float64).reshape(-1, 3)
        found = np.array(rows, np.float64).reshape(-1, 11, 5)
        hosts = np.array(home, np.float64)
    sound = (np.abs(table) < [1e6, 1e15, 1e6]).all(-1)  # and so neither NaN nor infinite
    sound &= (np.abs(found[..., 2:]) < 1e6).all((-2, -1)) & np.isfinite(found).all((-2, -1))
    found, teams = _ball_first(found, hosts)
    counts["without a ball or not five against five"] = int((sound & ~teams).sum())
    counts["malformed"] += int((~sound).sum())
    keep = sound & teams
    return _in_order(table[keep], found[keep], counts), counts


def _numbers(row: Any, count: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == count
        and all(type(value) in (int, float) for value in row)
    )


def _ball_first(
    rows: Float[np.ndarray, "moments 11 5"], home: Float[np.ndarray, " moments"]
) -> tuple[Float[np.ndarray, "moments 11 5"], np.ndarray]:
    """Rows as ball, home, visitors (order within a team kept); True where that is 1 + 5 + 5."""
    ball = rows[..., 1] == -1
    visitor = ~ball & (rows[..., 0] != home[:, None])
    rank = np.where(ball, 0, np.where(visitor, 2, 1))
    order = np.argsort(rank, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order[..., None], 1)
    ids = np.sort(rows[:, 1:, 1], axis=1)
    good = (ball.sum(1) == 1) & (visitor.sum(1) == 5) & (np.diff(ids, axis=1) > 0).all(1)
    good &= (rows[:, 6:, 0] == rows[:, 6:7, 0]).all(1)
    return rows, good


def _in_order(
    table: Float[np.ndarray, "moments 3"],
    rows: Float[np.ndarray, "moments 11 5"],
    counts: dict[str, int],
) -> Moments:
    """Sort by period and clock; of moments with the same clock keep the first recorded."""
    period, unix, clock = table[:, 0], table[:, 1], table[:, 2]
    _, once = np.unique(table, axis=0, return_index=True)
    counts["repeated"] = len(table) - len(once)
    once = np.sort(once)
    order = once[np.lexsort((unix[once], -clock[once], period[once]))]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(period[order]) != 0) | (np.diff(clock[order]) != 0)
    counts["with the clock stopped"] = int((~new).sum())
    order = order[new]
    return Moments(period[order].astype(np.int64), unix[order] / 1000, clock[order], rows[order])


def _step(moments: Moments) -> float:
    """The usual distance between moments, seconds."""
    steps = -np.diff(moments.clock)[np.diff(moments.period) == 0]
    return max(float(np.round(np.median(steps), 2)), 0.01) if len(steps) else 0.04


def _episodes(
    moments: Moments, step: float, shortest: float, game: str, name: str
) -> Iterator[Episode]:
    ids = moments.rows[..., 1]
    lineup = np.concatenate([np.sort(ids[:, 1:6], 1), np.sort(ids[:, 6:], 1)], 1)
    passed = -np.diff(moments.clock)
    latest = np.maximum.accumulate(moments.unix)[:-1]  # unix time may run back for a moment
    whole = (
        (np.diff(moments.period) == 0)
        & (np.abs(passed - step) <= step / 2 + 1e-6)
        & (moments.unix[1:] - latest - passed <= PAUSE)
        & (lineup[1:] == lineup[:-1]).all(1)
    )
    cuts = np.flatnonzero(~whole) + 1
    teams = {"player": ["home"] * 5 + ["visitor"] * 5, "ball": [""]}
    for begin, end in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        if (end - begin) * step < shortest:
            continue
        run = moments[begin:end]
        first = run.rows[0, 1:, 1]
        slot = (run.rows[:, None, 1:, 1] == first[:, None]).argmax(-1) + 1
        tracks = np.take_along_axis(run.rows[..., 2:4], slot[..., None], 1)
        who = {"player": [str(int(i)) for i in first], "ball": ["-1"]}
        period = str(int(run.period[0]))
        yield Episode(
            f"{game}_{period}_{run.clock[0]:.2f}_{run.clock[-1]:.2f}",
            name,
            {"player": tracks, "ball": run.rows[:, :1, 2:4]},
            {"id": who, "team": teams},
            {"game": game, "period": period},
        )
