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

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files
from understudy.data.readers.assemble import (
    Episode,
    assemble,
    check_scale,
    densify,
    first_repeat,
    runs,
    usual_step,
)
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
    if len(steps) > 1:
        (one, first), (two, second) = list(steps.items())[:2]
        raise UserError(
            f"expected one distance between frames, found {one:g} in {first} and {two:g} in "
            f"{second}; read them apart and resample"
        )
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
    frame = numbers(cells[:, 0], line, name, "frame")
    agent = identities(cells[:, 1], name)
    positions = np.stack([numbers(cells[:, c], line, name, "xy"[c - 2]) for c in (2, 3)], -1)
    group = np.full(len(cells), "agents")
    if cells.shape[1] == 5:
        with files.reading(name, "group names in the fifth column"):
            group = np.char.lower(np.char.decode(cells[:, 4], "utf-8"))
    repeat = first_repeat(frame, agent)
    require(
        repeat is None,
        f"expected each id once per frame, found a second row in {name} line "
        f"{line[repeat or 0]}; remove one",
    )
    present, index = np.unique(frame, return_inverse=True)
    step = usual_step(present)
    new = runs(present, step or 1.0)
    piece = np.cumsum(new) - 1
    within = np.arange(len(present)) - np.flatnonzero(new)[piece]
    rows = Rows(within[index], agent, positions, group)
    return list(_episodes(rows, piece[index], name)), step


class Rows:
    """The rows of a file as columns; `frame` counts from 0 in each piece."""

    def __init__(
        self,
        frame: Shaped[np.ndarray, " rows"],
        agent: Shaped[np.ndarray, " rows"],
        positions: Float[np.ndarray, "rows 2"],
        group: Shaped[np.ndarray, " rows"],
    ) -> None:
        self.frame, self.agent, self.positions, self.group = frame, agent, positions, group

    def where(self, rows: Shaped[np.ndarray, " some"]) -> Rows:
        """Some of the rows."""
        return Rows(self.frame[rows], self.agent[rows], self.positions[rows], self.group[rows])


def _episodes(rows: Rows, piece: Shaped[np.ndarray, " rows"], name: str) -> Iterator[Episode]:
    stem = files.stem(name)
    match = SCENE.fullmatch(stem.rsplit("/", 1)[-1])
    labels = {"game": match["game"] if match else stem}
    order = np.argsort(piece, kind="stable")
    cuts = np.flatnonzero(np.diff(piece[order])) + 1
    parts = np.split(order, cuts)
    for number, part in enumerate(parts):
        here = rows.where(part)
        time = int(here.frame.max()) + 1
        positions, ids = {}, {}
        for group in sorted(set(here.group.tolist())):
            mine = here.where(np.flatnonzero(here.group == group))
            found, dense = densify(mine.frame, mine.agent, mine.positions, name)
            absent = np.full((time - len(dense), *dense.shape[1:]), np.nan)
            positions[str(group)] = np.concatenate([dense, absent])
            ids[str(group)] = [_text(i) for i in found]
        title = stem if len(parts) == 1 else f"{stem}#{number}"
        agents = {"id": ids}
        if match and {g: len(i) for g, i in ids.items()} == {"player": 10, "ball": 1}:
            agents["team"] = {"player": ["home"] * 5 + ["visitor"] * 5, "ball": [""]}
        yield Episode(title, name, positions, agents, labels)


def _text(identity: object) -> str:
    text = str(identity)
    return text.removesuffix(".0")


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
    require(len(first), f"expected rows of 'frame id x y' in {name}, found only blanks")
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
