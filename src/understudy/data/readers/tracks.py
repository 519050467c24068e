"""From rows of (frame, agent, position) to episodes: what text and table readers share.

The most common distance between frames is one step. A larger gap ends the episode, so that a
window never spans time that nobody recorded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from understudy.data.readers.assemble import CELLS, Episode
from understudy.types import UserError, require


@dataclasses.dataclass(frozen=True)
class Coded:
    """A column of names: a number per row and the name of each number."""

    codes: Int[np.ndarray, " rows"]
    names: Sequence[str]

    def take(self, rows: Int[np.ndarray, " some"]) -> Coded:
        """Some of the rows."""
        return Coded(self.codes[rows], self.names)

    def name(self, row: int | np.integer) -> str:
        """What one row is called."""
        return self.names[int(self.codes[row])]


def code(values: Shaped[np.ndarray, " rows"]) -> Coded:
    """Code a column; whole numbers are named without a decimal point."""
    names, codes = np.unique(values, return_inverse=True)
    return Coded(codes, [str(name).removesuffix(".0") for name in names.tolist()])


@dataclasses.dataclass(frozen=True)
class Rows:
    """Columns of equal length, in any order of rows."""

    frame: Float[np.ndarray, " rows"]
    agent: Coded
    positions: Float[np.ndarray, "rows obs"]
    group: Coded
    labels: Mapping[str, Coded] = dataclasses.field(default_factory=dict)
    """Further strings per agent (team, kind); the first row of an agent counts."""

    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """Some of the rows."""
        return Rows(
            self.frame[rows],
            self.agent.take(rows),
            self.positions[rows],
            self.group.take(rows),
            {name: column.take(rows) for name, column in self.labels.items()},
        )


def episodes(
    rows: Rows, title: str, source: str, labels: Mapping[str, str], where: Callable[[int], str]
) -> tuple[list[Episode], float | None]:
    """Cut one recording at its gaps and spread each piece over frames and agents.

    Args:
        rows: The recording.
        title: Name of the episode; pieces are ``title#0``, ``title#1``, ...
        source: Name of the file.
        labels: Labels every piece gets.
        where: Names a row for an error message.

    Returns:
        The episodes, and the distance between frames (None for a single frame).

    Raises:
        UserError: when an agent has two rows in one frame, or there are too many cells.
    """
    repeat = first_repeat(rows.frame, rows.agent.codes)
    if repeat is not None:
        raise UserError(
            f"expected each agent once per frame, found a second row in {where(repeat)}; remove one"
        )
    present, index = np.unique(rows.frame, return_inverse=True)
    step = usual_step(present)
    new = runs(present, step or 1.0)
    piece = np.cumsum(new) - 1
    within = (np.arange(len(present)) - np.flatnonzero(new)[piece])[index]
    order = np.argsort(piece[index], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(piece[index][order])) + 1)
    found = []
    for number, part in enumerate(parts):
        name = title if len(parts) == 1 else f"{title}#{number}"
        found.append(_episode(rows.take(part), within[part], name, source, labels))
    return found, step


def _episode(
    rows: Rows, time: Int[np.ndarray, " rows"], name: str, source: str, labels: Mapping[str, str]
) -> Episode:
    positions: dict[str, np.ndarray] = {}
    agents: dict[str, dict[str, list[str]]] = {label: {} for label in ("id", *rows.labels)}
    for group in np.unique(rows.group.codes):
        mine = np.flatnonzero(rows.group.codes == group)
        codes, first, slot = np.unique(
            rows.agent.codes[mine], return_index=True, return_inverse=True
        )
        order = np.argsort(first)  # slots in the order in which agents appear in the file
        cells = (int(time.max()) + 1) * len(codes)
        require(cells <= CELLS, f"{source}: {cells} positions are too many; cut the recording")
        dense = np.full((int(time.max()) + 1, len(codes), rows.positions.shape[1]), np.nan)
        dense[time[mine], np.argsort(order)[slot]] = rows.positions[mine]
        key = rows.group.names[int(group)]
        positions[key] = dense
        agents["id"][key] = [rows.agent.names[int(c)] for c in codes[order]]
        for label, column in rows.labels.items():
            agents[label][key] = [column.name(row) for row in mine[first[order]]]
    return Episode(name, source, positions, agents, labels)


def check_one_step(steps: Mapping[float, str]) -> None:
    """Check that all recordings have one distance between frames.

    Raises:
        UserError: naming two that differ.
    """
    if len(steps) > 1:
        (one, first), (two, second) = list(steps.items())[:2]
        raise UserError(
            f"expected one distance between frames, found {one:g} in {first} and {two:g} in "
            f"{second}; read them apart and resample"
        )


def first_repeat(frame: Float[np.ndarray, " rows"], agent: Int[np.ndarray, " rows"]) -> int | None:
    """Index of the first row whose (frame, agent) an earlier row already had; None if none."""
    order = np.lexsort((np.arange(len(frame)), agent, frame))
    same = (np.diff(frame[order]) == 0) & (np.diff(agent[order]) == 0)
    return int(order[1:][same].min()) if same.any() else None


def runs(frame: Float[np.ndarray, " frames"], step: float) -> Bool[np.ndarray, " frames"]:
    """True where a new run of equally spaced frames begins (the first frame included)."""
    new = np.ones(len(frame), bool)
    new[1:] = ~np.isclose(np.diff(frame), step, rtol=1e-3, atol=0)
    return new


def usual_step(frame: Float[np.ndarray, " frames"]) -> float | None:
    """The most common distance between distinct sorted frames; None for a single frame."""
    if len(frame) < 2:
        return None
    steps, counts = np.unique(np.round(np.diff(frame), 6), return_counts=True)
    return float(steps[counts.argmax()]) or None
