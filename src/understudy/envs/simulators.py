"""What a host env is made of: one game at a time, and some of them one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from understudy.types import Observation, Spec, Step


class Simulator(Protocol):
    """One game at a time, numpy arrays without a leading axis."""

    @property
    def spec(self) -> Spec:
        """Groups of the game."""
        ...

    def reset(self, seed: int) -> Observation:
        """Begin the game that `seed` decides."""
        ...

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Play one step; called after the end only to begin again with `reset`."""
        ...

    def close(self) -> None:
        """Let go of what the simulator holds."""
        ...


class Here:
    """Some simulators in this process, one after the other."""

    def __init__(self, make: Callable[[], Simulator], count: int) -> None:
        self.simulators = [make() for _ in range(count)]
        self.spec = self.simulators[0].spec
        self.seen: list[Observation] = [None] * count  # type: ignore[list-item]
        self.answer: Any = None

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask for a ``reset`` or a ``step``."""
        return self.reset(*arguments) if method == "reset" else self.step(*arguments)

    def send(self, method: str, *arguments: Any) -> None:
        """Ask, and keep the answer."""
        self.answer = self.call(method, *arguments)

    def receive(self) -> Any:
        """The answer to what was asked last."""
        return self.answer

    def reset(self, seeds: np.ndarray, where: np.ndarray) -> Observation:
        """Begin some games anew; the observations of all."""
        for i, (simulator, seed) in enumerate(zip(self.simulators, seeds, strict=True)):
            if where[i]:
                self.seen[i] = simulator.reset(int(seed))
        return _stack(self.seen)

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Play one step in every game."""
        steps = [
            simulator.step({name: array[i] for name, array in actions.items()})
            for i, simulator in enumerate(self.simulators)
        ]
        self.seen = [step.observation for step in steps]
        return _stack(steps)

    def close(self) -> None:
        """Close every simulator."""
        for simulator in self.simulators:
            simulator.close()

    def end(self) -> None:
        """Close what can be closed after a failure."""
        for simulator in self.simulators:
            with contextlib.suppress(Exception):
                simulator.close()


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
