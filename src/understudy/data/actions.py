"""Logged actions in their canonical form: integers and one-hot rows become `ActionSpec` rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from understudy.types import ActionSpec, UserError, require

_TOLERANCE = 1e-5


def encode_actions(
    spec: ActionSpec,
    actions: np.ndarray,
    *,
    starts: np.ndarray | None = None,
    episodes: Sequence[str] | np.ndarray | None = None,
    known: Bool[np.ndarray, "frames agents"] | None = None,
    legal: Bool[np.ndarray, "frames agents choices"] | None = None,
) -> Float[np.ndarray, "frames agents act"]:
    """Return one float32 row per action: an index per section, then the continuous values.

    Args:
        spec: what an action is made of.
        actions: ``[frames, agents]`` integers (one section, nothing continuous);
            ``[frames, agents, act]`` rows as above; or ``[frames, agents, choices + continuous]``
            with one-hot sections.
        starts: first row of each episode, to name the place of an error.
        episodes: names of the episodes, likewise.
        known: where an action was recorded; elsewhere it is neither looked at nor kept.
        legal: choices that were allowed, all sections side by side.

    Raises:
        UserError: naming episode and row, if an index is not a choice, a one-hot section has not
            exactly one 1, a value is out of bounds, or a choice was not legal.
    """
    array = np.asarray(actions)
    if array.ndim == 2:
        array = array[..., None]
    sections, continuous = len(spec.sections), len(spec.low)
    hot = spec.choices + continuous
    require(
        array.ndim == 3 and array.shape[2] in (spec.size, hot),
        f"expected actions of {spec.size} columns, or {hot} with one-hot sections, found shape "
        f"{np.shape(actions)}",
    )
    recorded = np.ones(array.shape[:2], bool) if known is None else known
    rows = np.where(recorded[..., None], array, 0).astype(np.float64)
    place = _Place(starts, episodes)
    if array.shape[2] == hot and hot != spec.size:
        rows = _from_one_hot(spec, rows, recorded, place)
    for i, choices in enumerate(spec.sections):
        index = rows[..., i]
        wrong = ~((index >= 0) & (index < choices) & (index == np.floor(index)))
        place.refuse(wrong & recorded, index, f"an integer from 0 to {choices - 1} in section {i}")
    low, high = np.asarray(spec.low), np.asarray(spec.high)
    for i in range(continuous):
        value = rows[..., sections + i]
        slack = _TOLERANCE * max(1.0, *(abs(b) for b in (low[i], high[i]) if np.isfinite(b)), 1.0)
        wrong = ~((value >= low[i] - slack) & (value <= high[i] + slack) & np.isfinite(value))
        place.refuse(wrong & recorded, value, f"a value from {low[i]:g} to {high[i]:g}")
        rows[..., sections + i] = np.clip(value, low[i], high[i])
    if legal is not None:
        _check_legal(spec, rows, recorded, legal, place)
    return np.where(recorded[..., None], rows, 0).astype(np.float32)


class _Place:
    """Says where an action is wrong."""

    def __init__(
        self, starts: np.ndarray | None, episodes: Sequence[str] | np.ndarray | None
    ) -> None:
        self.starts, self.episodes = starts, episodes

    def refuse(self, wrong: np.ndarray, found: np.ndarray, expected: str) -> None:
        if not wrong.any():
            return
        row, agent = (int(i) for i in np.argwhere(wrong)[0])
        where = f"row {row}"
        if self.starts is not None:
            episode = int(np.searchsorted(self.starts, row, side="right")) - 1
            name = episode if self.episodes is None else repr(str(self.episodes[episode]))
            where = f"row {row - int(self.starts[episode])} of episode {name}"
        raise UserError(
            f"expected {expected} as action of agent {agent} in {where}, found "
            f"{found[row, agent]:g}; correct the log or the action spec"
        )


def _from_one_hot(
    spec: ActionSpec, rows: np.ndarray, recorded: np.ndarray, place: _Place
) -> np.ndarray:
    columns, begin = [], 0
    for i, choices in enumerate(spec.sections):
        block = rows[..., begin : begin + choices]
        ones = (block == 1).sum(-1)
        wrong = (ones != 1) | ((block != 0).sum(-1) != 1)
        place.refuse(wrong & recorded, ones, f"exactly one 1 in one-hot section {i}")
        columns.append(block.argmax(-1)[..., None].astype(np.float64))
        begin += choices
    return np.concatenate([*columns, rows[..., begin:]], axis=-1)


def _check_legal(
    spec: ActionSpec, rows: np.ndarray, recorded: np.ndarray, legal: np.ndarray, place: _Place
) -> None:
    begin = 0
    for i, choices in enumerate(spec.sections):
        index = rows[..., i].astype(np.int64)
        allowed = np.take_along_axis(legal[..., begin : begin + choices], index[..., None], 2)
        place.refuse(~allowed[..., 0] & recorded, index, f"a legal choice in section {i}")
        begin += choices
