"""Intents for demonstrations, written by a rule: weak supervision by a program.

Rules are listed by name in `LABELS`; `register` adds a function of yours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from understudy.data import scratch
from understudy.data.demonstrations import Demonstrations
from understudy.data.grades import Curvature, Displacement, Speed
from understudy.data.grid import Grid
from understudy.data.padding import padded
from understudy.data.rules import (
    Cells,
    Destination,
    Direction,
    NearestNeighbour,
    Stationary,
    Window,
)
from understudy.data.tracks import Alive, Rate, Rows, Track, everywhere
from understudy.types import UserError, hyperparameters, require

__all__ = [
    "LABELS",
    "Cells",
    "Curvature",
    "Destination",
    "Direction",
    "Displacement",
    "Grid",
    "NearestNeighbour",
    "Registered",
    "Rule",
    "Speed",
    "Stationary",
    "Window",
    "label",
    "register",
]

Function: TypeAlias = Callable[[Track, Rate, Alive], Rows]


@runtime_checkable
class Rule(Protocol):
    """What writes intents; see `understudy.data.rules`."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        ...

    def resolve(self, demonstrations: Demonstrations, group: str) -> Rule:
        """Return the rule with everything that depends on the training split filled in."""
        ...

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Rows:
        """Label one track, or a batch of them."""
        ...


_FUNCTIONS: dict[str, tuple[Function, int]] = {}


def register(name: str, function: Function, classes: int) -> Registered:
    """Make a pure function of a track a rule, under a name that configs can hold.

    Args:
        name: a new one.
        function: ``function(track [batch, time, agents, 2], rate, alive [batch, time, agents])``
            returns int ``[batch, time, agents]``, each in ``0 .. classes − 1``; position unit of
            the demonstrations, rate in Hz. It has no side effects and may see padding, where
            `alive` is False.
        classes: number of classes.

    Raises:
        UserError: the name is taken, or fewer than one class.
    """
    require(
        name not in LABELS and _FUNCTIONS.get(name, (function, classes)) == (function, classes),
        f"expected a new name for a rule, found {name!r}, which is taken; choose another",
    )
    require(classes >= 1, f"expected at least 1 class, found {classes}")
    _FUNCTIONS[name] = (function, classes)
    return Registered(name, classes)


@hyperparameters
class Registered:
    """A rule made of a function of the user's; the function is looked up by name when used."""

    name: str
    """As given to `register`."""
    classes: int
    """Number of classes."""

    def resolve(self, demonstrations: Demonstrations, group: str) -> Registered:
        """Nothing depends on the demonstrations."""
        return self

    def __call__(self, track: Track, rate: Rate, alive: Alive | None = None) -> Any:
        """Label one track; `label` checks what the function answers.

        Raises:
            UserError: no function of that name and number of classes is registered.
        """
        function, classes = _FUNCTIONS.get(self.name, (None, 0))
        if function is None or classes != self.classes:
            raise UserError(
                f"expected a registered rule among {sorted(_FUNCTIONS)}, found {self.name!r} with "
                f"{self.classes} classes; call understudy.data.labels.register before you use it"
            )
        return function(track, rate, everywhere(track, alive))


LABELS: dict[str, type] = {
    "stationary": Stationary,
    "window": Window,
    "cells": Cells,
    "destination": Destination,
    "direction": Direction,
    "nearest-neighbour": NearestNeighbour,
    "speed": Speed,
    "displacement": Displacement,
    "curvature": Curvature,
}
"""Name -> class of rule."""


def label(demonstrations: Demonstrations, rule: Rule, group: str | None = None) -> Demonstrations:
    """Write the intents of a group, each episode from its full track.

    Args:
        demonstrations: with positions, see `understudy.data.positions.xy`.
        rule: resolved on the training split; one that still lacks something is resolved on these
            demonstrations, so give a resolved one for validation and test.
        group: the first group of the spec if None. Agents of other groups get class 0, which means
            nothing; so do rows in which an agent is not alive.

    Returns:
        The same demonstrations with `intents` (mapped where the features are) and
        `intent_classes`.

    Raises:
        UserError: an unknown group, one without positions, or a registered function whose answer
            has the wrong shape, type or range.
    """
    name = demonstrations.spec.names[0] if group is None else group
    rule = rule.resolve(demonstrations, name)
    mapped = scratch.is_mapped(demonstrations.features[name])
    intents = {}
    for g in demonstrations.spec.groups:
        shape = (demonstrations.frames, g.agents)
        intents[g.name] = scratch.empty(shape, np.dtype(np.int32), mapped=mapped)
        intents[g.name][:] = 0
    for batch in padded(demonstrations, name):
        found = np.asarray(rule(batch.track, demonstrations.rate, batch.alive))
        _check(found, batch.alive, rule)
        found = np.where(batch.alive, found, 0).astype(np.int32)
        intents[name][batch.rows[batch.inside]] = found[batch.inside]
    return demonstrations.replace(intents=intents, intent_classes=rule.classes)


def _check(found: np.ndarray, alive: np.ndarray, rule: Rule) -> None:
    require(
        found.shape == alive.shape and np.issubdtype(found.dtype, np.integer),
        f"expected integers of shape {alive.shape} from {rule}, "
        f"found {found.dtype} of shape {found.shape}",
    )
    used = found[alive]
    require(
        used.size == 0 or (used.min() >= 0 and used.max() < rule.classes),
        f"expected classes 0 to {rule.classes - 1} from {rule}, "
        f"found {used.min(initial=0)} to {used.max(initial=0)}",
    )
