"""Result files of badger-2019: read without running anything they name, written on demand.

``NAME.rewards`` is text, the reward of agent 0 at every env step, each followed by a comma.
``NAME.bench`` is a row of pickles, one per episode: four lists of a number per step, see `Bench`.
A program that is stopped while it writes leaves a last record that is not whole.

Source: run_multiagent.py of badger-2019 (GoodAI), its game and its way to log.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from understudy.data.readers import files, unpickle
from understudy.experiment.checkpoint import write_atomic
from understudy.types import require

Torn = Literal["refuse", "drop"]
"""What becomes of a last record that is not whole."""
PROTOCOL = 3
"""Of pickles, the one of the Python that the program ran on."""


class Bench(NamedTuple):
    """One episode as agent 0 had it, a number per step."""

    reward: Float[np.ndarray, " steps"]
    """Its own, before rewards are shared: minus distance, minus collisions."""
    collisions: Int[np.ndarray, " steps"]
    """Agents it overlaps with, itself among them."""
    distance: Float[np.ndarray, " steps"]
    """Sum over landmarks of the distance to the nearest agent, in units of the world."""
    covered: Int[np.ndarray, " steps"]
    """Landmarks with an agent nearer than 0.1."""


def read_rewards(path: str | Path, *, torn: Torn = "refuse") -> Float[np.ndarray, " steps"]:
    """Read ``NAME.rewards``: the reward of agent 0 at every env step, of all episodes in a row.

    Args:
        path: the file.
        torn: a last number without a comma after it is refused, or dropped.

    Raises:
        UserError: for a missing, empty or damaged file, and for what is no finite number.
    """
    content = _content(path)
    with files.reading(path, "text"):
        *words, last = content.decode("ascii").split(",")
    _check_torn(not last.strip(), torn, path, f"the number {last.strip()[:20]!r} without a comma")
    found = np.empty(len(words))
    for i, word in enumerate(words):
        try:
            found[i] = float(word)
        except ValueError:
            found[i] = math.nan
        require(
            math.isfinite(found[i]),
            f"expected finite numbers in {path}, found {word.strip()[:20]!r} as number {i + 1}; "
            "name a file of rewards",
        )
    require(len(found) > 0, f"expected a reward in {path}, found none that is whole")
    return found


def write_rewards(path: str | Path, rewards: Sequence[float] | Float[np.ndarray, " steps"]) -> None:
    """Write ``NAME.rewards``, whole or not at all; `read_rewards` gives back the same numbers.

    Args:
        path: a file that does not exist.
        rewards: of agent 0 at every env step.

    Raises:
        UserError: for a file that exists, numbers that are not finite, or a full disk.
    """
    path = new(path)
    numbers = np.asarray(rewards, np.float64)
    _check_row(numbers, "rewards")
    write_atomic(path, "".join(f"{number!r}, " for number in numbers.tolist()))


def read_bench(path: str | Path, *, torn: Torn = "refuse") -> list[Bench]:
    """Read ``NAME.bench``: what agent 0 met with, episode by episode.

    Nothing but lists, tuples and numbers is unpickled; a file that names anything else is refused.

    Args:
        path: the file.
        torn: a last episode that is not whole is refused, or dropped.

    Raises:
        UserError: for a missing, empty or damaged file, and for records that are not four lists of
            as many finite numbers.
    """
    found = []
    try:
        for record in unpickle.records(_content(path), str(path)):
            found.append(_episode(record, f"episode {len(found) + 1} of {path}"))
    except unpickle.Torn as error:
        _check_torn(False, torn, path, f"an episode {error} that is not whole")
    require(found, f"expected an episode in {path}, found none that is whole")
    return found


def write_bench(path: str | Path, episodes: Iterable[Bench]) -> None:
    """Write ``NAME.bench``, whole or not at all; `read_bench` gives back the same numbers.

    Args:
        path: a file that does not exist.
        episodes: what agent 0 met with.

    Raises:
        UserError: for a file that exists, no episodes, rows of unlike lengths, numbers that are not
            finite, or a full disk.
    """
    path, pickles = new(path), []
    for number, episode in enumerate(episodes, 1):
        rows = Bench(*(np.asarray(row) for row in episode))
        for name, row in zip(Bench._fields, rows, strict=True):
            _check_row(row, f"{name} of episode {number}")
        _check_lengths(rows, f"episode {number}")
        pickles.append(pickle.dumps(tuple(row.tolist() for row in rows), PROTOCOL))
    require(pickles, "expected at least one episode to write, found none")
    write_atomic(path, b"".join(pickles))


def new(path: str | Path) -> Path:
    """A file to write.

    Raises:
        UserError: for one that exists.
    """
    path = Path(path)
    require(not path.exists(), f"{path} already exists; choose another place")
    return path


def _content(path: str | Path) -> bytes:
    path = Path(path)
    require(path.is_file(), f"expected a file at {path}, found none; name one that exists")
    return files.content(path)


def _episode(record: Any, name: str) -> Bench:
    """Four rows of numbers out of an unpickled record."""
    rows = type(record) in (tuple, list) and len(record) == 4
    rows = rows and all(type(row) in (tuple, list) for row in record)
    require(rows, f"expected four lists of numbers in {name}, found something else")
    arrays = [unpickle.numbers(row, name) for row in record]
    for field, row in zip(Bench._fields, arrays, strict=True):
        _check_row(row, f"{field} of {name}")
    for place in (1, 3):
        row = arrays[place]
        require(
            bool((np.rint(row) == row).all() and np.abs(row).max() < 2**53),
            f"expected counts as {Bench._fields[place]} of {name}, found other numbers",
        )
        arrays[place] = row.astype(np.int64)
    found = Bench(*arrays)
    _check_lengths(found, name)
    return found


def _check_row(row: np.ndarray, name: str) -> None:
    require(
        row.ndim == 1 and len(row) > 0 and row.dtype.kind in "iuf" and bool(np.isfinite(row).all()),
        f"expected a row of finite numbers as {name}, found {row.dtype} of shape {row.shape}"
        + (", not all of them finite" if row.dtype.kind == "f" else ""),
    )


def _check_lengths(rows: Bench, name: str) -> None:
    lengths = [len(row) for row in rows]
    require(
        len(set(lengths)) == 1,
        f"expected as many numbers in all four lists of {name}, found {lengths}",
    )


def _check_torn(whole: bool, torn: Torn, path: str | Path, found: str) -> None:
    require(torn in ("refuse", "drop"), f"expected torn='refuse' or torn='drop', found {torn!r}")
    require(
        whole or torn == "drop",
        f"expected {path} to end with a whole record, found {found}; fetch it again, or pass "
        "torn='drop' to read what is before",
    )
