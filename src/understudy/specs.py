"""Specs: who is in a game, what everybody sees and does, and in what order."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from understudy.classes import UserError, require


def split_sections(numbers: Any, sections: tuple[int, ...]) -> list[Any]:
    """Columns of each section, one array a section; numpy or JAX.

    Args:
        numbers: ``[*lead, choices]``; more columns are left out.
        sections: choices of each.
    """
    ends = itertools.accumulate(sections, initial=0)
    return [numbers[..., a:b] for a, b in itertools.pairwise(ends)]


@dataclasses.dataclass(frozen=True)
class ActionSpec:
    """A product of categorical sections and bounded continuous dimensions.

    An action is one float row: first one index per section, then the continuous values.
    Pure-discrete (`low` empty) and pure-continuous (`sections` empty) are special cases.
    """

    sections: tuple[int, ...] = ()
    """Number of choices of each categorical section."""
    low: tuple[float, ...] = ()
    """Lower bound of each continuous dimension; ``-inf`` if none."""
    high: tuple[float, ...] = ()
    """Upper bound of each continuous dimension; ``inf`` if none."""

    def __post_init__(self) -> None:
        require(
            len(self.low) == len(self.high),
            f"expected one upper bound per lower bound, found {len(self.low)} lower and "
            f"{len(self.high)} upper; give both for each continuous dimension",
        )
        require(
            all(n > 0 for n in self.sections),
            f"expected every section to have a choice, found sections {self.sections}",
        )

    @property
    def size(self) -> int:
        """Columns of a stored action: sections, then continuous dimensions."""
        return len(self.sections) + len(self.low)

    @property
    def choices(self) -> int:
        """Columns of a legal mask: the choices of all sections, one after the other."""
        return sum(self.sections)

    def split(self, numbers: Any) -> list[Any]:
        """`split_sections` of these."""
        return split_sections(numbers, self.sections)


@dataclasses.dataclass(frozen=True)
class Entities:
    """Columns of an observation that show things of one kind, each in as many columns."""

    name: str
    first: int
    """Number of the first column."""
    count: int
    """How many things are shown; one whose columns are all 0 is not there."""
    size: int
    """Columns of each."""

    @property
    def columns(self) -> slice:
        """All of theirs."""
        return slice(self.first, self.first + self.count * self.size)


@dataclasses.dataclass(frozen=True)
class Group:
    """Agents with the same observation and action spec, stacked on one ``agents`` axis."""

    name: str
    agents: int
    """Capacity: slots in storage and in per-agent weights; a policy reads N from its input."""
    observation: int
    """Number of features each agent observes."""
    action: ActionSpec | None = None
    """None for a track: somebody acted, nobody wrote down how."""
    sees: tuple[str, ...] = ()
    """Earlier groups whose action of this step this group observes. An env cannot know it when it
    observes, so stored features have `observation` columns and a policy appends the actions with
    `functional.written.with_seen`; a seen group has a fixed number of agents."""
    features: tuple[str, ...] = ()
    """Names of the features, if known: ``("x", "y")``."""
    sets: tuple[Entities, ...] = ()
    """Which features show things of one kind, if known, in order of their columns; the others are
    the agent's own. A network that reads sets runs on other numbers of them."""
    advances: bool = False
    """Its action is what everybody observes next, written as features: one-hot sections, then the
    continuous values. It plays the part of the world."""
    constant: tuple[int, ...] = ()
    """Sections of an advancing group's action that never change, in order: who somebody is. Only
    the choice that is now is legal."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Columns that hold the numbers of other agents of the group, nearest first.

        They are named ``"ids 0"``, ``"ids 1"`` and so on.
        """
        return tuple(i for i, name in enumerate(self.features) if name.startswith("ids "))

    def stays_legal(self, features: Any) -> Any:
        """What a group that advances the state may decide: in constant sections only what is now.

        Args:
            features: of now, ``[*lead, obs]``, numpy or JAX.

        Returns:
            ``[*lead, choices]``, of the same kind.
        """
        assert self.action is not None
        sections = np.arange(len(self.action.sections))
        free = np.repeat(~np.isin(sections, self.constant), self.action.sections)
        return (features[..., : self.action.choices] > 0.5) | free.reshape(
            (1,) * (features.ndim - 1) + (-1,)
        )


@dataclasses.dataclass(frozen=True)
class Spec:
    """An ordered tuple of groups: the only source of order, of acting too."""

    groups: tuple[Group, ...]
    state: int = 0
    """Size of the global state; 0 if none is recorded."""
    horizon: int | None = None
    """Longest episode in steps; None if unbounded."""

    def __post_init__(self) -> None:
        seen: list[str] = []
        for group in self.groups:
            require(group.name not in seen, f"group name {group.name!r} is used twice; rename one")
            missing = [name for name in group.sees if name not in seen]
            require(
                not missing,
                f"group {group.name!r} sees {missing}, expected earlier groups among {seen}; "
                "list the groups in acting order",
            )
            seen.append(group.name)
        advancing = [group for group in self.groups if group.advances]
        for group in advancing:
            wanted = 0 if group.action is None else group.action.choices + len(group.action.low)
            sizes = {other.name: other.observation for other in self.groups}
            require(
                len(advancing) == 1 and set(sizes.values()) == {wanted} and group.agents == 1,
                f"expected one group of one agent that decides the {wanted} features which "
                f"everybody observes next, found {[g.name for g in advancing]} and observations of "
                f"{sizes}",
            )
            sections = () if group.action is None else range(len(group.action.sections))
            require(
                set(group.constant) <= set(sections),
                f"expected constant sections among {list(sections)}, found {group.constant}",
            )

    def __getitem__(self, name: str) -> Group:
        for group in self.groups:
            if group.name == name:
                return group
        raise UserError(f"expected one of the groups {list(self.names)}, found {name!r}")

    def inputs(self, name: str) -> int:
        """Columns of `functional.written.with_seen`: features and the actions of all it sees."""
        seen = [self[other] for other in self[name].sees]
        return self[name].observation + sum(
            group.agents * (group.action.choices + len(group.action.low))
            for group in seen
            if group.action
        )

    @property
    def world(self) -> Group:
        """The group that advances the state.

        Raises:
            UserError: when there is none.
        """
        found = [group for group in self.groups if group.advances]
        require(
            len(found) == 1,
            f"expected a group that decides the next state, found none among {list(self.names)}; "
            "read a log of transitions (reader 'transitions')",
        )
        return found[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Group names in order."""
        return tuple(group.name for group in self.groups)
