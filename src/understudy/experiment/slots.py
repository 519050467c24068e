"""Agents have slots in demonstrations and places in a generator: from one to the other and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.sampling import Windows
from understudy.types import Given, require


class Slots:
    """Between the slots of demonstrations and the agents of windows, scene by scene."""

    def __init__(self, truth: Demonstrations, found: Windows) -> None:
        self.truth, self.found = truth, found

    def back(self, name: str, array: np.ndarray) -> np.ndarray:
        """Put ``[scenes, samples, time, agents, ...]`` into slots; 0 in slots not sampled."""
        slots, present = self.found.slots[name], self.found.present[name]
        capacity = self.truth.spec[name].agents
        out = np.zeros((*array.shape[:3], capacity, *array.shape[4:]), array.dtype)
        for scene, (numbers, there) in enumerate(zip(slots, present, strict=True)):
            out[scene][:, :, numbers[there]] = array[scene][:, :, there]
        return out

    def given(self, given: Any, observed: int, horizon: int) -> Given | None:
        """Positions to respect, for the agents the generator sees."""
        if given is None:
            return None
        if not isinstance(given, Given):
            given = self._held(given, observed, horizon)
        return self._pack(given)

    def intents(self, intents: Any, horizon: int) -> Given | None:
        """Classes to obey, for the agents the generator sees."""
        if intents is None:
            return None
        if not isinstance(intents, Given):
            self._check(intents)
            values = {}
            for group in self.truth.spec.groups:
                shape = (len(self.truth), horizon, group.agents)
                wanted = np.asarray(intents.get(group.name, -1), np.int32)
                values[group.name] = np.broadcast_to(wanted, shape)
            intents = Given(values, {name: wanted >= 0 for name, wanted in values.items()})
        return self._pack(intents)

    def _held(self, slots: Mapping[str, Sequence[int]], observed: int, horizon: int) -> Given:
        self._check(slots)
        values, held = {}, {}
        for group in self.truth.spec.groups:
            name, shape = group.name, (len(self.truth), horizon, group.agents)
            values[name] = np.zeros((*shape, group.observation), np.float32)
            held[name] = np.zeros(shape, bool)
            chosen = np.asarray(slots.get(name, ()), np.int64)
            for scene in range(len(self.truth)):
                rows = self.truth.rows(scene)
                future = slice(rows.start + observed, rows.stop)
                length = future.stop - future.start
                values[name][scene, :length] = self.truth.features[name][future]
                alive = self.truth.alive[name][future]
                held[name][scene, :length, chosen] = alive[:, chosen].T
        return Given(values, held)

    def _check(self, mapping: Mapping[str, Any]) -> None:
        unknown = [name for name in mapping if name not in self.truth.spec.names]
        require(
            not unknown,
            f"expected groups among {list(self.truth.spec.names)}, found {unknown}",
        )

    def _pack(self, given: Given) -> Given:
        def pack(name: str, array: Any) -> np.ndarray:
            numbers = np.arange(len(self.truth))[:, None]
            # [scenes, agents, time, ...] -> [scenes, time, agents, ...]
            picked = np.swapaxes(np.asarray(array), 1, 2)[numbers, self.found.slots[name]]
            return np.swapaxes(picked, 1, 2)

        values = {name: pack(name, array) for name, array in given.values.items()}
        held = {
            name: pack(name, array) & np.asarray(self.found.present[name])[:, None, :]
            for name, array in given.held.items()
        }
        return Given(values, held)
