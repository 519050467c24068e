"""Demonstrations: logged episodes of several agents, the one container of every system.

Episodes of different length lie one after the other (``frames`` is all of their rows), so nothing
is padded in time. Agents that come and go have a slot and an ``alive`` mask. One row per
observation: ``actions, rewards, terminated, truncated`` of row t describe t -> t+1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.data import layout, scratch
from understudy.data.layout import ROW_GROUPS, ROWS
from understudy.types import Spec, UserError, require

Arrays = Mapping[str, Any]
"""``{group: numpy array}``; memory-mapped where the set is larger than memory."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Demonstrations:
    """Logged episodes; checks its invariants when built and prints shapes, not values.

    Every group array leads with ``frames`` (the rows of all episodes), then ``agents`` slots.
    Finite values are not demanded here: `understudy.data.quality.check` names what is not.

    Raises:
        UserError: if lengths, shapes, types, names or labels disagree.
    """

    spec: Spec
    starts: Int[np.ndarray, " episodes_and_end"]
    """Episode e is rows ``starts[e] : starts[e + 1]``; one entry more than episodes."""
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
    """float32 ``{group: [frames, agents, act]}`` laid out by `ActionSpec`; None for tracks.
    A group without an `ActionSpec` has no columns."""
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
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What made the set, in values that JSON knows: env, policy, seed, mean return. A part of a
    set keeps that of the whole."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", {n: _strings(a) for n, a in self.labels.items()})
        object.__setattr__(
            self,
            "agent_labels",
            {n: {g: _strings(a) for g, a in m.items()} for n, m in self.agent_labels.items()},
        )
        object.__setattr__(self, "provenance", layout.plain(self.provenance))
        layout.check_rows(self)
        layout.check_labels(self)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.starts) - 1

    @property
    def frames(self) -> int:
        """Number of rows of all episodes together."""
        return int(self.starts[-1])

    @property
    def lengths(self) -> Int[np.ndarray, " episodes"]:
        """Rows of each episode."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return self.episodes

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> Demonstrations:
        """Select episodes by number, slice, numbers or mask; slices share memory."""
        chosen = _numbers(which, self.episodes)
        lengths = self.lengths[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        if len(chosen) and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen))):
            rows: slice | np.ndarray = slice(
                int(self.starts[chosen[0]]), int(self.starts[chosen[-1] + 1])
            )
        else:
            rows = np.repeat(self.starts[:-1][chosen] - starts[:-1], lengths) + np.arange(
                starts[-1]
            )
        return self.map_rows(
            lambda array: scratch.take(array, rows),
            starts=starts,
            labels={name: array[chosen] for name, array in self.labels.items()},
            agent_labels={
                name: {group: array[chosen] for group, array in groups.items()}
                for name, groups in self.agent_labels.items()
            },
            context={name: array[chosen] for name, array in self.context.items()},
        )

    def __repr__(self) -> str:
        groups = ", ".join(f"{g.name} {g.agents} x {g.observation}" for g in self.spec.groups)
        extras = [n for n in (*ROW_GROUPS[2:], *ROWS) if getattr(self, n) is not None]
        parts = [
            f"{self.episodes:,} episodes",
            f"{self.frames:,} rows at {self.rate:g} Hz",
            f"unit {self.unit or 'none'}",
            f"groups {groups}",
            *([f"with {', '.join(extras)}"] if extras else []),
            f"labels {', '.join(self.labels)}",
        ]
        return f"Demonstrations({'; '.join(parts)})"

    def replace(self, **changes: Any) -> Demonstrations:
        """Return a copy with some fields replaced; invariants are checked again."""
        return dataclasses.replace(self, **changes)

    def map_rows(self, function: Callable[[np.ndarray], Any], **changes: Any) -> Demonstrations:
        """Apply `function` to every array that leads with ``frames``, replace the rest."""
        fields: dict[str, Any] = {}
        for name in ROW_GROUPS:
            mapping = getattr(self, name)
            if mapping is not None:
                fields[name] = {group: function(array) for group, array in mapping.items()}
        for name in ROWS:
            array = getattr(self, name)
            if array is not None:
                fields[name] = function(array)
        return self.replace(**{**fields, **changes})

    def rows(self, episode: int) -> slice:
        """Rows of one episode."""
        return slice(int(self.starts[episode]), int(self.starts[episode + 1]))

    def blocks(self, rows: int) -> Iterator[Demonstrations]:
        """Cut into runs of whole episodes of about `rows` rows; a longer episode is one run."""
        begin = 0
        while begin < self.episodes:
            end = int(np.searchsorted(self.starts, self.starts[begin] + rows, side="right")) - 1
            end = min(max(end, begin + 1), self.episodes)
            yield self[begin:end]
            begin = end

    def known_actions(self) -> dict[str, Bool[np.ndarray, "frames agents"]]:
        """Where an action is recorded: `action_known`, or the rule that stands for None."""
        if self.action_known is not None:
            return {name: self.action_known[name] for name in self.spec.names}
        if self.actions is None:
            return {n: np.broadcast_to(np.False_, self.alive[n].shape) for n in self.spec.names}
        inner = np.ones(self.frames, bool)
        inner[self.starts[1:] - 1] = False
        return {
            g.name: self.alive[g.name] & (inner[:, None] if g.action else np.False_)
            for g in self.spec.groups
        }

    def by(self, **labels: str | Sequence[str]) -> Demonstrations:
        """Select the episodes whose labels have the given value, or one of the given values.

        Raises:
            UserError: for an unknown label, or if no episode is left.
        """
        keep = np.ones(self.episodes, bool)
        for name, wanted in labels.items():
            values = [wanted] if isinstance(wanted, str) else list(wanted)
            keep &= np.isin(self.label(name), np.asarray(values, dtype=str))
        require(keep.any(), f"expected episodes with {labels}, found none; look at .labels")
        return self[keep]

    def label(self, name: str) -> np.ndarray:
        """The strings ``[episodes]`` of one label.

        Raises:
            UserError: for an unknown label.
        """
        if name not in self.labels:
            raise UserError(f"expected one of the labels {list(self.labels)}, found {name!r}")
        return self.labels[name]

    def split(
        self,
        by: str = "game",
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        seed: int = 0,
    ) -> Splits:
        """Split by an id so that no id is in two parts; see `understudy.data.splits.split`."""
        from understudy.data import splits

        return Splits(*splits.split(self, by=by, fractions=fractions, seed=seed))

    def regroup(
        self, groups: Mapping[str, tuple[str, ...]], features: tuple[str, ...] | None = None
    ) -> Demonstrations:
        """Merge, rename or drop groups; see `understudy.data.regroup.regroup`."""
        from understudy.data import regroup

        return regroup.regroup(self, groups, features)

    def reorder(self, group: str, order: Sequence[str]) -> Demonstrations:
        """Put agents in another order, by id; see `understudy.data.regroup.reorder`."""
        from understudy.data import regroup

        return regroup.reorder(self, group, order)

    def resample(self, rate: float, causal: bool = False) -> Demonstrations:
        """Change the rate of the rows; see `understudy.data.resample.resample`."""
        from understudy.data.resample import resample

        return resample(self, rate, causal=causal)


class Splits(NamedTuple):
    """Three parts of a set; an id is in one of them only."""

    train: Demonstrations
    validation: Demonstrations
    test: Demonstrations


def _strings(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array if array.dtype.kind == "U" else array.astype(str)


def _numbers(which: Any, episodes: int) -> np.ndarray:
    if isinstance(which, slice):
        return np.arange(episodes)[which]
    chosen = np.asarray(which)
    if chosen.ndim == 0:
        if not -episodes <= int(chosen) < episodes:
            raise IndexError(f"expected an episode below {episodes}, found {int(chosen)}")
        chosen = chosen[None]
    if chosen.dtype == bool:
        require(
            chosen.shape == (episodes,),
            f"expected a mask over {episodes} episodes, found one of shape {chosen.shape}",
        )
        return np.flatnonzero(chosen)
    require(
        chosen.size == 0 or (chosen.min() >= -episodes and chosen.max() < episodes),
        f"expected episodes below {episodes}, found {chosen.max(initial=0)}",
    )
    return np.arange(episodes)[chosen.astype(np.int64)]
