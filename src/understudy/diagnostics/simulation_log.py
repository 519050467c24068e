"""Rows (state, action, next state) of a log in which a world answers an agent, as plain arrays."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics.simulator import halves
from understudy.types import ActionSpec, Group, Spec, UserError, require, split_sections


@dataclasses.dataclass(frozen=True)
class LogColumns:
    """What the columns of states and of the agent's actions are."""

    spec: Spec

    @property
    def agent(self) -> Group:
        """Who acts on a state."""
        return self.spec.groups[0]

    @property
    def action(self) -> ActionSpec:
        """Of the agent."""
        assert self.agent.action is not None
        return self.agent.action

    @property
    def answer(self) -> ActionSpec:
        """Of the world: the next state."""
        assert self.spec.world.action is not None
        return self.spec.world.action

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features of a state; numbered where the spec has none."""
        world = self.spec.world
        if world.features:
            return world.features
        pairs = enumerate(self.answer.sections)
        hots = [f"section {i}={choice}" for i, count in pairs for choice in range(count)]
        return (*hots, *(f"value {i}" for i in range(len(self.answer.low))))

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the sections of a state: what is before the sign in ``page=0``."""
        first = np.cumsum((0, *self.answer.sections[:-1])) if self.answer.sections else []
        return tuple(self.names[i].rpartition("=")[0] or self.names[i] for i in first)

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the continuous values of a state."""
        return self.names[self.answer.choices :]

    @property
    def acts(self) -> tuple[str, ...]:
        """Names of the parts of an action: its sections, then its continuous values."""
        sections = tuple(f"action section {i}" for i in range(len(self.action.sections)))
        return (*sections, *(f"action value {i}" for i in range(len(self.action.low))))

    def section(self, name: str) -> tuple[int, slice]:
        """Number and columns of a section of the state.

        Raises:
            UserError: for another name.
        """
        if name not in self.sections:
            raise UserError(f"expected one of the sections {list(self.sections)}, found {name!r}")
        number = self.sections.index(name)
        first = sum(self.answer.sections[:number])
        return number, slice(first, first + self.answer.sections[number])

    def column(self, name: str) -> int:
        """Number of a feature of the state.

        Raises:
            UserError: for another name.
        """
        if name not in self.names:
            some = ", ".join((*self.names[:3], *self.names[-3:]))
            raise UserError(
                f"expected a feature of the next state as outcome ({some}), found {name!r}"
            )
        return self.names.index(name)


@dataclasses.dataclass(frozen=True)
class Transitions:
    """What was logged, a row for each time that the world answered."""

    columns: LogColumns
    now: Float[np.ndarray, "rows obs"]
    done: Float[np.ndarray, "rows act"]
    """Of the agent, as stored: a number per section, then continuous values."""
    after: Float[np.ndarray, "rows obs"]
    """The world's decision as features."""
    session: Int[np.ndarray, " rows"]
    step: Int[np.ndarray, " rows"]
    """Of the row in its session, from 0."""

    def __len__(self) -> int:
        return len(self.now)

    def __getitem__(self, rows: np.ndarray) -> Transitions:
        arrays = (self.now, self.done, self.after, self.session, self.step)
        return Transitions(self.columns, *(array[rows] for array in arrays))

    @property
    def change(self) -> Float[np.ndarray, "rows values"]:
        """Of the continuous values."""
        first = self.columns.answer.choices
        return self.after[:, first:] - self.now[:, first:]

    def whole(self, at_most: int, seed: int) -> Transitions:
        """Whole sessions, drawn until there are about `at_most` rows; all where there are fewer."""
        if len(self) <= at_most:
            return self
        ids, counts = np.unique(self.session, return_counts=True)
        order = np.random.default_rng(seed).permutation(len(ids))
        kept = max(2, int(np.searchsorted(np.cumsum(counts[order]), at_most, side="right")))
        return self[np.isin(self.session, ids[order[:kept]])]


def features(action: Float[np.ndarray, "*lead act"], spec: ActionSpec) -> Float[np.ndarray, "..."]:
    """What `functional.written.written` writes, on the host: choices one-hot, the rest as it is."""
    hots = [action[..., i, None] == np.arange(count) for i, count in enumerate(spec.sections)]
    return np.concatenate([*hots, action[..., len(spec.sections) :]], -1, dtype=np.float32)


def likely(rows: Float[np.ndarray, "rows choices"], sections: tuple[int, ...]) -> np.ndarray:
    """Number of the largest column of each section, ``[rows, sections]``."""
    parts = [part.argmax(1) for part in split_sections(rows, sections)]
    return np.stack(parts, 1) if parts else np.zeros((len(rows), 0), int)


def transitions(demonstrations: Demonstrations) -> Transitions:
    """Rows in which both the agent and the world are known to have decided.

    Raises:
        UserError: unless one agent acts and a world of one agent, which sees it, answers, or where
            no such row is logged.
    """
    d, world = demonstrations, demonstrations.spec.world
    name, _ = halves(d.spec)
    known = d.known_actions()
    rows = np.flatnonzero(known[name][:, 0] & known[world.name][:, 0])
    require(
        len(rows) > 0 and d.actions is not None,
        "expected rows in which the agent and the world acted, found none; read a log of "
        "transitions (reader 'transitions')",
    )
    assert d.actions is not None
    columns = LogColumns(d.spec)
    session = np.searchsorted(d.starts, rows, side="right") - 1
    return Transitions(
        columns,
        now=np.asarray(d.features[world.name][rows, 0], np.float32),
        done=np.asarray(d.actions[name][rows, 0], np.float32),
        after=features(d.actions[world.name][rows, 0], columns.answer),
        session=session,
        step=rows - d.starts[session],
    )
