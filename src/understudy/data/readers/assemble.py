"""From tracks to `Demonstrations`: what every reader shares once its file is decoded.

A reader describes each episode with NaN where an agent is absent; here they become slots and masks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files
from understudy.types import Group, Spec, UserError, require

UNITS = ("ft", "m", "yd", "px", "")
CELLS = 2**28
"""Most positions (frames times slots) one set may need in memory."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One recording of consecutive rows, as decoded from a file."""

    name: str
    source: str
    """Short name of the file."""
    positions: Mapping[str, Float[np.ndarray, "time agents obs"]]
    """``{group: ...}``, NaN where an agent is absent."""
    agents: Mapping[str, Mapping[str, Sequence[str]]]
    """``{label: {group: one string per agent}}``; always ``id``."""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further labels of the episode: ``game``, ``period``."""


def check_scale(rate: float | None, unit: str | None, reader: str, hint: str) -> tuple[float, str]:
    """Check what the caller (or the format) says about time and length.

    Raises:
        UserError: when the rate is missing or not positive, or the unit unknown.
    """
    if rate is None:
        raise UserError(f"the {reader} format does not say its rate; give rate=HZ ({hint})")
    require(math.isfinite(rate) and rate > 0, f"expected a rate above 0 Hz, found {rate}")
    require(unit in (*UNITS, None), f"expected a unit among {UNITS}, found {unit!r}")
    return float(rate), unit or ""


def to_float32(values: Float[np.ndarray, "..."], name: str) -> Float[np.ndarray, "..."]:
    """Cast to float32; NaN stays (absent), infinite or overflowing numbers are refused."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = np.asarray(values, np.float32)
    bad = np.isinf(cast)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise UserError(f"expected finite positions in {name}, found an infinite one at {where}")
    return cast


def order_groups(found: Sequence[str]) -> list[str]:
    """Group names in spec order: as found, the ball last."""
    distinct = list(dict.fromkeys(found))
    return [n for n in distinct if n != "ball"] + [n for n in distinct if n == "ball"]


def capacity(counts: Sequence[int]) -> int:
    """Slots for episodes with `counts` agents: exact if all that have any agree, else 4, 8, 16."""
    most = max(counts, default=0)
    if len(set(counts) - {0}) <= 1:
        return most
    return max(4, 1 << (most - 1).bit_length())


def distinct_names(names: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Episode names that are unique: with their file in front where they are not.

    Raises:
        UserError: when one file holds the same episode twice.
    """
    names = list(names)
    if len(set(names)) < len(names):
        names = [f"{files.stem(s)}/{n}" for n, s in zip(names, sources, strict=True)]
    seen: set[str] = set()
    for name in names:
        require(name not in seen, f"episode {name!r} appears twice; is a file given twice?")
        seen.add(name)
    return names


def assemble(
    episodes: Sequence[Episode],
    *,
    rate: float,
    unit: str,
    features: Sequence[str] = ("x", "y"),
    context: Mapping[str, np.ndarray] | None = None,
) -> Demonstrations:
    """Lay episodes one after the other; slots are padded with ``alive = False``.

    Raises:
        UserError: when there is nothing, too much, or a number that is not finite.
    """
    require(bool(episodes), "expected at least one episode, found none")
    order = order_groups([g for e in episodes for g in e.positions])
    lengths = [len(next(iter(e.positions.values()))) for e in episodes]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    slots = {g: capacity([_agents(e, g) for e in episodes]) for g in order}
    cells = int(starts[-1]) * sum(slots.values())
    require(
        cells <= CELLS,
        f"{starts[-1]} frames with {sum(slots.values())} agent slots need {cells} positions, more "
        f"than the {CELLS} that fit; read fewer files at once or cut the recordings",
    )
    groups, values, alive = [], {}, {}
    for group in order:
        size = next(e.positions[group].shape[-1] for e in episodes if group in e.positions)
        values[group] = np.zeros((starts[-1], slots[group], size), np.float32)
        alive[group] = np.zeros((starts[-1], slots[group]), bool)
        groups.append(Group(group, slots[group], size, features=tuple(features)[:size]))
    for start, episode in zip(starts[:-1].tolist(), episodes, strict=True):
        for group, positions in episode.positions.items():
            rows = slice(start, start + len(positions))
            cast = to_float32(positions, episode.source)
            here = ~np.any(np.isnan(cast), axis=-1, keepdims=True)
            alive[group][rows, : positions.shape[1]] = here[..., 0]
            values[group][rows, : positions.shape[1]] = np.where(here, cast, 0)
    return Demonstrations(
        spec=Spec(tuple(groups)),
        starts=starts,
        features=values,
        alive=alive,
        rate=rate,
        unit=unit,
        labels=_labels(episodes),
        agent_labels=_agent_labels(episodes, slots),
        context=context or {},
    )


def _agents(episode: Episode, group: str) -> int:
    return episode.positions[group].shape[1] if group in episode.positions else 0


def _labels(episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
    sources = [e.source for e in episodes]
    labels = {
        "episode": np.asarray(distinct_names([e.name for e in episodes], sources)),
        "source": np.asarray(sources),
    }
    for name in dict.fromkeys(n for e in episodes for n in e.labels):
        labels[name] = np.asarray([e.labels.get(name, "") for e in episodes])
    return labels


def _agent_labels(
    episodes: Sequence[Episode], slots: Mapping[str, int]
) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for label in dict.fromkeys(n for e in episodes for n in e.agents):
        found[label] = {}
        for group, size in slots.items():
            rows = [list(e.agents.get(label, {}).get(group, ())) for e in episodes]
            padded = [row + [""] * (size - len(row)) for row in rows]
            found[label][group] = np.asarray(padded, str).reshape(len(episodes), size)
    return found
