"""Text of ``frame id x y [group]`` rows: ETH/UCY (Social-GAN), SDD (TrajNet), SocialVAE basketball.

Columns are separated by spaces or tabs; rows may come in any order. The most common distance
between frames is one step. A larger gap ends the episode, so that a window never spans time
that nobody recorded; the pieces of one file share the label ``game``, so a split by game keeps
them together. Each agent keeps one slot per episode and is absent where it has no row.

A fifth column of PLAYER and BALL is the form of SocialVAE's basketball scenes: groups ``player``
and ``ball``, feet, 0.12 s per row, file names VISITOR_HOME_game_period_clock_clock, the five of
the home team before the visitors.

Source: the window counts of the Social-GAN split come out exactly (tests/data/readers).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files, tracks
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import UserError, require

SUFFIXES = (".txt", ".txt.gz", ".tar.gz", ".tgz", ".tar")
SCENE = re.compile(r"(?P<visitor>[A-Z]{2,4})_(?P<home>[A-Z]{2,4})_(?P<game>\d{10})_\d+(_[\d.]+){2}")
"""How SocialVAE names a scene of an NBA game."""
BASKETBALL_RATE = 25 / 3
"""Hz: every third frame of 25 Hz tracking."""
LONGEST = 64
"""Bytes of the longest number or name."""


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
) -> Demonstrations:
    """Read text files (also .gz, or .tar.gz of them) as documented on this page.

    Args:
        sources: A file, folder, pattern, or list.
        rate: Rows per second; 8.33 if not given and the form is SocialVAE's basketball.
        unit: ft, m, yd or px; ft in the same case.
        say: Called with one sentence per thing worth knowing.

    Raises:
        UserError: naming file and line of whatever is wrong.
    """
    paths = files.expand(sources, SUFFIXES)
    episodes: list[Episode] = []
    steps: dict[float, str] = {}
    for path, name in zip(paths, files.names(paths), strict=True):
        for member, data in files.documents(path, name, ".txt"):
            pieces, step = parse(data, member)
            episodes += pieces
            if step is not None:
                steps.setdefault(step, member)
    tracks.check_one_step(steps)
    gaps = len(episodes) - len({e.source for e in episodes})
    if gaps:
        say(f"frame gaps split the recordings {gaps} times; the pieces share the label game")
    if {"player", "ball"} <= set(episodes[0].positions) and rate is None:
        rate, unit = BASKETBALL_RATE, unit or "ft"
        say("PLAYER and BALL rows: taken as SocialVAE basketball, 8.33 Hz, feet")
    rate, unit = check_scale(rate, unit, "frames", "2.5 for ETH/UCY and TrajNet")
    return assemble(episodes, rate=rate, unit=unit)


def parse(data: bytes, name: str) -> tuple[list[Episode], float | None]:
    """Decode one file into its episodes and the distance between its frames (None if one frame).

    Raises:
        UserError: naming file and line.
    """
    cells, line = tokens(data, name)
    groups = np.array(["agents"])
    group = np.zeros(len(cells), np.int64)
    if cells.shape[1] == 5:
        with files.reading(name, "group names in the fifth column"):
            words = np.char.lower(np.char.decode(cells[:, 4], "utf-8"))
        groups, group = np.unique(words, return_inverse=True)
    rows = tracks.Rows(
        frame=numbers(cells[:, 0], line, name, "frame"),
        agent=tracks.code(identities(cells[:, 1], name)),
        positions=np.stack([numbers(cells[:, c], line, name, "xy"[c - 2]) for c in (2, 3)], -1),
        group=tracks.Coded(group, groups.tolist()),
    )
    stem = files.stem(name)
    match = SCENE.fullmatch(stem.rsplit("/", 1)[-1])
    game = match["game"] if match else stem
    where = f"{name} line {{}}"
    found, step = tracks.episodes(rows, stem, name, {"game": game}, lambda r: where.format(line[r]))
    if match:
        found = [_with_teams(episode) for episode in found]
    return found, step


def _with_teams(episode: Episode) -> Episode:
    counts = {group: len(ids) for group, ids in episode.agents["id"].items()}
    if counts != {"player": 10, "ball": 1}:
        return episode
    team = {"player": ["home"] * 5 + ["visitor"] * 5, "ball": [""]}
    return dataclasses.replace(episode, agents={**episode.agents, "team": team})


def tokens(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Split text into ``[rows, columns]`` byte strings and the line number of each row.

    Raises:
        UserError: on binary data, a row of another width, or an endless word.
    """
    raw = np.frombuffer(data, np.uint8)
    require((raw != 0).all(), f"expected text in {name}, found binary data; name the right reader")
    blank = np.isin(raw, np.frombuffer(b" \t\n\r\x0b\x0c", np.uint8))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], blank, [True]]).astype(np.int8)))
    first, last = edges[::2], edges[1::2]
    require(bool(len(first)), f"expected rows of 'frame id x y' in {name}, found only blanks")
    line = np.cumsum(raw == 10)[first] + 1
    lines, width = np.unique(line, return_counts=True)
    wrong = (width != width[0]) | (width < 4) | (width > 5)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise UserError(
            f"expected 'frame id x y' or 'frame id x y group', found {width[at]} columns in {name} "
            f"line {lines[at]}; mend the line, or use the table reader for other columns"
        )
    long = last - first > LONGEST
    if long.any():
        raise UserError(f"found a word of over {LONGEST} bytes in {name} line {line[long][0]}")
    return np.array(data.split(), dtype=np.bytes_).reshape(len(lines), int(width[0])), lines


def numbers(
    words: Shaped[np.ndarray, " rows"], line: Shaped[np.ndarray, " rows"], name: str, column: str
) -> Float[np.ndarray, " rows"]:
    """Words as finite numbers.

    Raises:
        UserError: naming the line of the first word that is none.
    """
    try:
        values = words.astype(np.float64)
    except ValueError:
        values = np.array([_number(word) for word in words.tolist()])
    bad = ~(np.abs(values) < 1e30)
    if bad.any():
        at = int(np.argmax(bad))
        raise UserError(
            f"expected a finite number for {column}, found {words[at].decode(errors='replace')!r} "
            f"in {name} line {line[at]}; mend the line"
        )
    return values


def _number(word: bytes) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan


def identities(words: Shaped[np.ndarray, " rows"], name: str) -> np.ndarray:
    """Ids as numbers where all are numbers, as text otherwise."""
    try:
        values = words.astype(np.float64)
        if np.isfinite(values).all():
            return values
    except ValueError:
        pass  # names, not numbers
    with files.reading(name, "ids in the second column"):
        return np.char.decode(words, "utf-8")
