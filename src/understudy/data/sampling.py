"""Windows of demonstrations: where they lie, which to take at a step, and taking them.

`sample` and `gather` are pure. The same indices give the same arrays, bit for bit, whether
`gather` runs in numpy on the host or in JAX inside a compiled program.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from understudy.data.demonstrations import Arrays, Demonstrations
from understudy.types import Observation, Spec, Window, record, require

BUCKETS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
_PIECE = 2**18


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Windows:
    """Where windows of one length lie; index arrays, no data."""

    start: Any
    """First row of each window, int ``[windows]``."""
    episode: Any
    """Episode of each window, int ``[windows]``."""
    slots: Arrays
    """Slot in the demonstrations of each agent of a window, int ``{group: [windows, agents]}``."""
    present: Arrays
    """bool ``{group: [windows, agents]}``; False is padding up to the common capacity."""
    length: int = dataclasses.field(metadata={"static": True})
    """Rows of each window."""
    skipped: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    """Names of the episodes shorter than a window."""
    whole: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True})
    """Groups of which every window holds every slot, in order."""

    def __len__(self) -> int:
        return int(self.start.shape[0])

    def __str__(self) -> str:
        agents = ", ".join(f"{name} {slots.shape[1]}" for name, slots in self.slots.items())
        text = f"{len(self):,} windows of {self.length} rows, agents {agents}"
        if self.skipped:
            names = ", ".join(self.skipped[:5]) + (", ..." if len(self.skipped) > 5 else "")
            text += f"; skipped {len(self.skipped)} episodes shorter than that: {names}"
        return text

    __repr__ = __str__

    def lean(self) -> Windows:
        """The same windows without slots and presence of whole groups: what `gather` reads."""
        slots = {n: a for n, a in self.slots.items() if n not in self.whole}
        present = {n: a for n, a in self.present.items() if n not in self.whole}
        return dataclasses.replace(self, slots=slots, present=present, skipped=())

    def capacities(self, spec: Spec) -> dict[str, int]:
        """Agents axis of each group in a window, in spec order."""
        return {name: int(self.slots[name].shape[1]) for name in spec.names}


@record
class Rows:
    """All rows of a set, ready to gather from; fields as in `Demonstrations`."""

    features: Arrays
    alive: Arrays
    last: Any
    """bool ``[frames]``: the last row of its episode."""
    actions: Arrays | None = None
    action_known: Arrays | None = None
    rewards: Arrays | None = None
    legal: Arrays | None = None
    state: Any = None
    terminated: Any = None
    truncated: Any = None
    intents: Arrays | None = None


def windows(
    demonstrations: Demonstrations,
    length: int,
    *,
    stride: int = 1,
    agents: Literal["throughout", "any", "every"] = "throughout",
    least: int = 1,
) -> Windows:
    """Find every window of `length` rows that lies inside one episode.

    Args:
        demonstrations: the set to cut.
        length: rows per window.
        stride: rows between the beginnings of neighbouring windows of an episode.
        agents: an agent belongs to a window if alive in every row of it (``"throughout"``), in at
            least one (``"any"``), or dead or alive (``"every"``: slot i of the demonstrations is
            agent i of every window).
        least: windows with fewer agents of the first group than this are dropped.

    Returns:
        Windows, whose capacity is the number of agents where all windows have the same, else the
        largest number rounded up to 4, 8, 16, 32 ...

    Raises:
        UserError: if no window is left.
    """
    require(
        length >= 1 and stride >= 1, f"expected length and stride above 0, found {length}, {stride}"
    )
    lengths = demonstrations.lengths
    counts = np.maximum(0, (lengths - length) // stride + 1)
    episode = np.repeat(np.arange(len(lengths)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    start = demonstrations.starts[:-1][episode] + stride * offsets
    masks = {
        name: _belongs(demonstrations.alive[name], start, length, agents)
        for name in demonstrations.spec.names
    }
    if masks and least > 0:
        keep = masks[demonstrations.spec.names[0]].sum(1) >= least
        start, episode = start[keep], episode[keep]
        masks = {name: mask if keep.all() else mask[keep] for name, mask in masks.items()}
    require(
        len(start) > 0,
        f"expected windows of {length} rows with at least {least} agents, found none in "
        f"{len(lengths)} episodes of at most {lengths.max(initial=0)} rows; shorten the window",
    )
    packed = {name: _pack(mask) for name, mask in masks.items()}
    integer = np.int32 if demonstrations.frames < 2**31 else np.int64
    return Windows(
        start.astype(integer),
        episode.astype(np.int32),
        {name: slots for name, (slots, _) in packed.items()},
        {name: present for name, (_, present) in packed.items()},
        length=length,
        skipped=tuple(demonstrations.labels["episode"][lengths < length].tolist()),
        whole=tuple(name for name, mask in masks.items() if mask.all()),
    )


def _belongs(alive: np.ndarray, start: np.ndarray, length: int, agents: str) -> np.ndarray:
    """Bool [windows, slots]; goes through the rows in pieces."""
    if agents == "every":
        return np.broadcast_to(np.True_, (len(start), alive.shape[1]))
    result = np.empty((len(start), alive.shape[1]), bool)
    for begin in range(0, len(start), _PIECE):
        some = start[begin : begin + _PIECE]
        if len(some) == 0:
            continue
        first = int(some[0])
        rows = np.asarray(alive[first : int(some[-1]) + length])
        if rows.all():
            result[begin : begin + len(some)] = True
            continue
        seen = np.zeros((len(rows) + 1, rows.shape[1]), np.int64)
        np.cumsum(rows, axis=0, out=seen[1:])
        count = seen[some - first + length] - seen[some - first]
        result[begin : begin + len(some)] = count == length if agents == "throughout" else count > 0
    return result


def _pack(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move the agents of each window to the front and cut to a common capacity."""
    total, agents = mask.shape
    if mask.all():
        slots = np.broadcast_to(np.arange(agents, dtype=np.int32), mask.shape)
        return slots, np.broadcast_to(np.True_, mask.shape)
    counts = mask.sum(1)
    most = max(1, int(counts.max()))
    capacity = most if counts.min() == most else next(b for b in BUCKETS if b >= most)
    slots = np.zeros((total, capacity), np.int32)
    present = np.arange(capacity) < counts[:, None]
    window, slot = np.nonzero(mask)
    rank = np.arange(len(window)) - np.repeat(np.cumsum(counts) - counts, counts)
    slots[window, rank] = slot
    return slots, present


def sample(
    key: Key[Array, ""], step: Int[Array, ""] | int, *, batch: int, total: int
) -> Int[Array, " batch"]:
    """Draw window indices for a step, independent and uniform; pure, a function of (key, step)."""
    return jax.random.randint(jax.random.fold_in(key, step), (batch,), 0, total)


def rows(demonstrations: Demonstrations) -> Rows:
    """Return the arrays `gather` reads; nothing is copied."""
    last = np.zeros(demonstrations.frames, bool)
    last[demonstrations.starts[1:] - 1] = True
    names = ("actions", "action_known", "rewards", "legal", "intents")
    optional = {n: getattr(demonstrations, n) for n in names}
    return Rows(
        features=dict(demonstrations.features),
        alive=dict(demonstrations.alive),
        last=last,
        state=demonstrations.state,
        terminated=demonstrations.terminated,
        truncated=demonstrations.truncated,
        **{n: None if m is None else dict(m) for n, m in optional.items()},
    )


def gather(rows: Rows, windows: Windows, indices: Any) -> Window:
    """Take the windows at `indices`: ``[batch, time, ...]``.

    Runs in numpy if `indices` is a numpy array, else in JAX; the values are the same. Features,
    actions and rewards of padding are 0, its `alive` is False, its legal choices are all True.
    """
    xp: Any = np if isinstance(indices, np.ndarray) else jnp
    start = windows.start[indices]
    at = start[:, None] + xp.arange(windows.length, dtype=start.dtype)[None, :]
    known = None if rows.action_known is None else dict(rows.action_known)
    alive, features, legal, action_known = {}, {}, {}, {}
    for name in rows.features:
        take = _Taker(xp, at, windows, name, indices)
        alive[name] = take(rows.alive[name])
        features[name] = take(rows.features[name])
        if rows.legal is not None:
            legal[name] = take(rows.legal[name]) | ~alive[name][..., None]
        if known is not None:
            action_known[name] = take(known[name])
        elif rows.actions is not None and rows.actions[name].shape[-1] > 0:
            action_known[name] = alive[name] & ~rows.last[at][..., None]
        else:
            action_known[name] = xp.zeros(alive[name].shape, bool)

    def optional(mapping: Arrays | None) -> dict[str, Any] | None:
        if mapping is None:
            return None
        return {n: _Taker(xp, at, windows, n, indices)(array) for n, array in mapping.items()}

    none = xp.zeros(at.shape, bool)
    return Window(
        observation=Observation(
            features,
            alive,
            legal if rows.legal is not None else None,
            None if rows.state is None else rows.state[at],
        ),
        terminated=none if rows.terminated is None else rows.terminated[at],
        truncated=none if rows.truncated is None else rows.truncated[at],
        action_known=action_known,
        action=optional(rows.actions),
        reward=optional(rows.rewards),
        intents=optional(rows.intents),
    )


class _Taker:
    """Takes the rows and slots of one group, 0 where there is no agent."""

    def __init__(self, xp: Any, at: Any, windows: Windows, name: str, indices: Any) -> None:
        self.xp, self.at = xp, at
        self.whole = name in windows.whole
        if not self.whole:
            self.slots = windows.slots[name][indices]
            self.present = windows.present[name][indices][:, None, :]

    def __call__(self, array: Any) -> Any:
        if self.whole:
            return array[self.at]
        taken = array[self.at[:, :, None], self.slots[:, None, :]]
        mask = self.present.reshape(self.present.shape + (1,) * (taken.ndim - 3))
        return self.xp.where(mask, taken, self.xp.zeros((), taken.dtype))
