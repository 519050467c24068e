"""Demonstrations: logged episodes of several agents, the one container of every system.

Episodes of different length lie one after the other (``frames`` is all of their rows), so nothing
is padded in time. Agents that come and go have a slot and an ``alive`` mask. One row per
observation: ``actions, rewards, terminated, truncated`` of row t describe t -> t+1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.types import Spec, require

Arrays = Mapping[str, Any]
"""``{group: numpy array}``; memory-mapped where the set is larger than memory."""


@dataclasses.dataclass(frozen=True)
class Demonstrations:
    """Logged episodes; checks its invariants when built and prints shapes, not values.

    Every group array leads with ``frames`` (the rows of all episodes), then ``agents`` slots.
    """

    spec: Spec
    starts: Int[np.ndarray, " episodes+1"]
    """Episode e is rows ``starts[e] : starts[e + 1]``."""
    features: Arrays
    """Observations, float32 ``{group: [frames, agents, obs]}``; 0 where not alive."""
    alive: Arrays
    """bool ``{group: [frames, agents]}``."""
    rate: float
    """Rows per second (Hz)."""
    unit: str
    """Unit of positions: ft, m, yd, px, or "" if none."""
    labels: Mapping[str, np.ndarray]
    """Strings per episode, ``{name: [episodes]}``: always ``episode`` (unique) and ``source``;
    ``game`` where known, and anything else worth splitting by."""
    agent_labels: Mapping[str, Arrays] = dataclasses.field(default_factory=dict)
    """Strings per episode and slot, ``{name: {group: [episodes, agents]}}``: id, kind, team;
    "" where the slot is never used."""
    actions: Arrays | None = None
    """float32 ``{group: [frames, agents, act]}`` laid out by `ActionSpec`; None for tracks."""
    action_known: Arrays | None = None
    """bool ``{group: [frames, agents]}``; None means: wherever there are actions and the agent is
    alive, except in each episode's last row; nowhere if there are no actions."""
    rewards: Arrays | None = None
    """float32 ``{group: [frames, agents]}``."""
    legal: Arrays | None = None
    """bool ``{group: [frames, agents, choices]}``."""
    state: Float[np.ndarray, "frames state"] | None = None
    """Global state."""
    terminated: Bool[np.ndarray, " frames"] | None = None
    """The step from this row ended the game. None (and all False) where the end is unknown."""
    truncated: Bool[np.ndarray, " frames"] | None = None
    """The step from this row was the last one recorded although the game went on."""
    intents: Arrays | None = None
    """int32 ``{group: [frames, agents]}``, written by `understudy.data.labels`."""
    intent_classes: int = 0
    """Number of intent classes; 0 without intents."""
    context: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """Static surroundings, ``{name: [episodes, ...]}``: court, goals, obstacles."""
    licence: str = ""
    """Terms of the source, as far as known."""
