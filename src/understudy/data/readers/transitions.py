"""Logs of (state, action, next state): CSV without a header, a row for each transition.

``read("transitions", "log.csv", schema="schema.json")``. The schema (`understudy.data.schema`) says
what columns are: state, action, next state, each as one-hot sections and continuous values. Rows
are linked to sessions by their states (`understudy.data.sessions`) unless the schema has a column
for it. A session of n transitions becomes an episode of n + 1 rows, in which two groups act in
turn: the agent, who decides the action, and the environment, who decides what comes next. Sections
of the state that never change in a session are said to be constant (`types.Group.constant`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.data import schema as schemas
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files, headless
from understudy.data.schema import Columns, Schema
from understudy.data.sessions import link
from understudy.types import UserError, require

SUFFIXES = (".csv", ".csv.gz")


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
    schema: Any = None,
) -> Demonstrations:
    """Read transitions as documented on this page.

    Args:
        sources: A file, folder, pattern, or list; transitions are linked across files.
        rate: Rows per second; 1 if not given.
        unit: None is needed.
        say: Called with one sentence per thing worth knowing.
        schema: Path of a schema file, or its values.

    Raises:
        UserError: naming the file, and the row and column that is wrong.
    """
    if schema is None:
        raise UserError(
            "a log of transitions does not say what its columns are; give a schema file as "
            "schema=PATH (on the command line --options schema=PATH)"
        )
    known = schemas.load(schema) if isinstance(schema, str | Path) else schemas.parse(schema)
    paths = files.expand(sources, SUFFIXES)
    tables, ids, origins = [], [], []
    for path, name in zip(paths, files.names(paths), strict=True):
        table, sessions = headless.numbers(path, known)
        tables.append(table)
        ids.append(sessions)
        origins += [name] * len(table)
    table, origin = np.concatenate(tables), np.asarray(origins)
    size, acts = known.state.size, known.action.size
    state, action, after = np.split(table, [size, size + acts], axis=1)
    chains = _given(np.concatenate(ids)) if known.session else link(state, after)
    if not known.session:
        longest = max(len(chain) for chain in chains)
        say(f"{len(table):,} transitions linked to {len(chains):,} sessions of 1 to {longest:,}")
    elif (broken := _broken(chains, state, after)) is not None:
        raise UserError(
            f"expected every row of a session to go on from the one before, found another state in "
            f"row {broken + 1} of all; order the rows, or leave session out of the schema"
        )
    known = dataclasses.replace(known, constant=_constant(known, state, after, say))
    return _assemble(known, chains, (state, action, after), origin, rate or 1.0, unit or "")


def _constant(
    schema: Schema, state: np.ndarray, after: np.ndarray, say: Callable[[str], None]
) -> tuple[int, ...]:
    """Sections that no transition changes.

    Raises:
        UserError: where the schema says that one never changes, and it does.
    """
    columns, same = schema.state, []
    before, now = indexed(state, columns), indexed(after, columns)
    for i, name in enumerate(columns.section_names):
        changes = np.flatnonzero(before[:, i] != now[:, i])
        require(
            not len(changes) or i not in (schema.constant or ()),
            f"expected section {name!r} never to change, as the schema says, found a change in row "
            f"{int(changes[0]) + 1 if len(changes) else 0} of all; leave it out of constant",
        )
        same += [] if len(changes) else [i]
    if schema.constant is not None:
        return schema.constant
    if same:
        names = ", ".join(columns.section_names[i] for i in same)
        say(f"{len(same)} sections never change in a session and will be copied: {names}")
    return tuple(same)


def _given(sessions: np.ndarray) -> list[np.ndarray]:
    """Rows of each session that the file names, in order of their first."""
    _, first, codes = np.unique(sessions, return_index=True, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    chains = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [chains[i] for i in np.argsort(first)]


def _broken(chains: list[np.ndarray], state: np.ndarray, after: np.ndarray) -> int | None:
    """The first row that does not go on from the one before it in its session."""
    for chain in chains:
        apart = np.abs(after[chain[:-1]] - state[chain[1:]]).max(1, initial=0.0) > headless.ODD
        if apart.any():
            return int(chain[1:][np.argmax(apart)])
    return None


def _assemble(
    schema: Schema,
    chains: list[np.ndarray],
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    origin: np.ndarray,
    rate: float,
    unit: str,
) -> Demonstrations:
    """Sessions one after the other, each with its last next state as its last row."""
    state, action, after = parts
    starts = np.concatenate([[0], np.cumsum([len(c) + 1 for c in chains])]).astype(np.int64)
    frames, rows = int(starts[-1]), np.concatenate(chains)
    inner = np.ones(frames, bool)
    inner[starts[1:] - 1] = False
    seen = np.zeros((frames, schema.state.size), np.float32)
    seen[inner] = state[rows]
    seen[~inner] = after[[chain[-1] for chain in chains]]
    decided = {
        schema.agent: indexed(action, schema.action),
        schema.environment: indexed(after, schema.state),
    }
    actions = {}
    for name, values in decided.items():
        actions[name] = np.zeros((frames, 1, values.shape[1]), np.float32)
        actions[name][inner, 0] = values[rows]
    agent, world = schema.spec.groups
    names = (agent.name, world.name)
    legal = None
    if world.constant:
        legal = {
            agent.name: np.ones((frames, 1, sum(schema.action.sections)), bool),
            world.name: world.stays_legal(seen)[:, None],
        }
    return Demonstrations(
        spec=schema.spec,
        legal=legal,
        starts=starts,
        features=dict.fromkeys(names, seen[:, None]),
        alive={name: np.ones((frames, 1), bool) for name in names},
        actions=actions,
        rate=rate,
        unit=unit,
        labels={
            "episode": np.asarray([f"session {i}" for i in range(len(chains))]),
            "source": origin[[chain[0] for chain in chains]],
            "session": np.asarray([f"session {i}" for i in range(len(chains))]),
        },
    )


def indexed(values: np.ndarray, columns: Columns) -> np.ndarray:
    """One-hot sections as numbers of choices, continuous values as they are, float32."""
    parts, first = [], 0
    for count in columns.sections:
        parts.append(values[:, first : first + count].argmax(1)[:, None])
        first += count
    return np.concatenate([*parts, values[:, first:]], 1).astype(np.float32)
