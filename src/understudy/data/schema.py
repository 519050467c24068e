"""Schemas: what the columns of a log of (state, action, next state) are.

A schema is a small JSON file ::

    {"state":  {"sections": {"gender": 3, "hour": 24}, "continuous": ["price", "clicks"]},
     "action": {"sections": [],                        "continuous": 6},
     "agent": "user", "environment": "platform", "session": false}

Columns of a state, and of an action, are one-hot sections in the order given, then continuous
values. Sections are ``{name: choices}`` or a list of choices, continuous values a list of names or
a number of them. ``agent`` acts on a state; ``environment`` answers with the next one. With
``session`` the first column of a file says which session a row is of. ``"constant": ["gender"]``
names sections of the state that never change in a session; without it they are looked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.types import ActionSpec, Group, Spec, UserError, require

INF = float("inf")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns of a state or of an action: one-hot sections, then continuous values."""

    sections: tuple[int, ...]
    """Choices of each section."""
    section_names: tuple[str, ...]
    continuous: tuple[str, ...]
    """Names of the continuous values."""

    @property
    def size(self) -> int:
        """Columns in a file."""
        return sum(self.sections) + len(self.continuous)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns in a file: ``gender=0``, ``gender=1``, ..., ``price``."""
        pairs = zip(self.section_names, self.sections, strict=True)
        return (*(f"{name}={i}" for name, n in pairs for i in range(n)), *self.continuous)

    @property
    def action(self) -> ActionSpec:
        """What somebody decides who decides these columns; without bounds."""
        count = len(self.continuous)
        return ActionSpec(self.sections, (-INF,) * count, (INF,) * count)


@dataclasses.dataclass(frozen=True)
class Schema:
    """States, actions, and who acts."""

    state: Columns
    action: Columns
    agent: str = "agent"
    """Group that acts on a state."""
    environment: str = "environment"
    """Group that answers with the next one."""
    session: bool = False
    """A column before all others says which session a row is of."""
    constant: tuple[int, ...] | None = None
    """Sections of the state that never change in a session; None where nobody says."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a file: state, action, next state."""
        before = ("session",) if self.session else ()
        done = (f"action {name}" for name in self.action.names)
        after = (f"next {name}" for name in self.state.names)
        return (*before, *self.state.names, *done, *after)

    @property
    def spec(self) -> Spec:
        """Two groups in acting order; the second sees the first and advances the state."""
        size, names = self.state.size, self.state.names
        agent = Group(self.agent, 1, size, self.action.action, features=names)
        answer = Group(
            self.environment, 1, size, self.state.action, sees=(self.agent,), features=names,
            advances=True, constant=self.constant or (),
        )  # fmt: skip
        return Spec((agent, answer))


def load(path: str | Path) -> Schema:
    """Read a schema file.

    Raises:
        UserError: for a file that is missing, is not JSON, or says something else.
    """
    path = Path(path)
    require(path.is_file(), f"expected a schema file, found nothing at {path}; write one, see docs")
    try:
        values = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"expected a schema in JSON in {path}, found other text: {error}") from None
    return parse(values, str(path))


def parse(values: Any, where: str = "the schema") -> Schema:
    """Read a schema from JSON values.

    Args:
        values: a mapping as on this page.
        where: named in errors.

    Raises:
        UserError: for anything else.
    """
    known = {"state", "action", "agent", "environment", "session", "constant"}
    require(
        isinstance(values, Mapping) and {"state", "action"} <= set(values) <= known,
        f"expected state and action, perhaps {', '.join(sorted(known))}, in {where}, found "
        f"{sorted(values) if isinstance(values, Mapping) else type(values).__name__}",
    )
    names = {key: values[key] for key in ("agent", "environment") if key in values}
    for key, name in names.items():
        named = isinstance(name, str) and bool(name)
        require(named, f"expected a name of {key} in {where}, found {name!r}")
    session = values.get("session", False)
    require(
        isinstance(session, bool), f"expected true or false for session in {where}, found {session}"
    )
    schema = Schema(
        _columns(values["state"], f"state of {where}"),
        _columns(values["action"], f"action of {where}"),
        **names,
        session=session,
    )
    if "constant" in values:
        schema = dataclasses.replace(schema, constant=_constant(values["constant"], schema, where))
    require(
        schema.agent != schema.environment,
        f"expected two names of agent and environment in {where}, found {schema.agent!r} twice",
    )
    require(schema.state.size > 0, f"expected a state with columns in {where}, found none")
    require(schema.action.size > 0, f"expected an action with columns in {where}, found none")
    return schema


def _constant(names: Any, schema: Schema, where: str) -> tuple[int, ...]:
    known = schema.state.section_names
    require(
        isinstance(names, list) and set(names) <= set(known),
        f"expected constant sections among {list(known)} in {where}, found {names!r:.80}",
    )
    return tuple(i for i, name in enumerate(known) if name in names)


def _columns(values: Any, where: str) -> Columns:
    require(
        isinstance(values, Mapping) and set(values) <= {"sections", "continuous"},
        f"expected sections and continuous in the {where}, found {values!r:.80}",
    )
    sections, continuous = values.get("sections", {}), values.get("continuous", [])
    if isinstance(sections, list):
        sections = {f"section {i}": count for i, count in enumerate(sections)}
    if isinstance(continuous, int) and not isinstance(continuous, bool):
        continuous = [f"value {i}" for i in range(continuous)]
    require(
        isinstance(sections, Mapping)
        and all(type(n) is int and n > 0 for n in sections.values())
        and all(isinstance(name, str) and name for name in sections),
        f"expected sections of the {where} as numbers of choices above 0, found {sections!r:.80}",
    )
    require(
        isinstance(continuous, list) and all(isinstance(n, str) and n for n in continuous),
        f"expected continuous columns of the {where} as names or their number, found "
        f"{continuous!r:.80}",
    )
    assert isinstance(continuous, list)
    found = Columns(tuple(sections.values()), tuple(sections), tuple(continuous))
    repeated = sorted({n for n in found.names if found.names.count(n) > 1})
    require(not repeated, f"expected different names of columns in the {where}, found {repeated}")
    return found
