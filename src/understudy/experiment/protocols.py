"""Protocols: which windows of a data set are forecast, and how they are scored.

A published number means nothing without its windows. A `Protocol` says how many rows are observed
and predicted, which windows count, which agents are scored, and at which rate and unit; two
evaluations are compared only where these agree.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import field
from understudy.data.sampling import Windows, windows
from understudy.types import Spec, UserError, require

MISS = {"m": 2.0, "ft": 2.0 / 0.3048, "yd": 2.0 / 0.9144}
"""A forecast misses when it ends further than this from the truth: two metres."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a generator is scored; every field is part of what makes two figures comparable."""

    name: str
    observed: int
    """Rows shown to the generator."""
    horizon: int
    """Rows it has to predict."""
    stride: int = 1
    """Rows between the first rows of two windows of an episode."""
    agents: Literal["throughout", "any"] = "throughout"
    """Agents of a window: those present in every row, or in at least one (only agents present in
    every row are scored, the others are neighbours)."""
    least: int = 1
    """Windows with fewer agents of the first group are not scored."""
    predicted: tuple[str, ...] = ()
    """Groups scored, pooled; empty means every group but `neighbours`."""
    neighbours: tuple[str, ...] = ()
    """Groups seen and never scored."""
    rate: float | None = None
    """Rows per second the protocol is defined at; None for any."""
    unit: str | None = None
    """Unit the protocol is defined in; None for any."""
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Low and high corner for out-of-bounds counts; None: those of the demonstrations, if any."""
    miss: float | None = None
    """Distance of a miss at the last row, in units; None: two metres where the unit is known."""
    source: str = ""
    """Where the protocol was published."""

    def __post_init__(self) -> None:
        require(
            min(self.observed, self.horizon, self.stride, self.least) >= 1,
            f"expected observed, horizon, stride and least of at least 1, found {self.observed}, "
            f"{self.horizon}, {self.stride} and {self.least}; give whole positive numbers",
        )

    @property
    def length(self) -> int:
        """Rows of a window."""
        return self.observed + self.horizon

    def json(self) -> dict[str, Any]:
        """Every field, as written in ``evaluation.json``."""
        return dataclasses.asdict(self)


COURT = ((0.0, 0.0), (94.0, 50.0))

PROTOCOLS = {
    "socialvae": Protocol(
        "socialvae", 8, 12, neighbours=("ball",), rate=25 / 3, unit="ft", bounds=COURT,
        source="SocialVAE NBA: 8 observed + 12 predicted rows, every window, ten players",
    ),
    "groupnet": Protocol(
        "groupnet", 10, 20, stride=30, rate=5.0, unit="m",
        bounds=((0.0, 0.0), (28.0, 28.0 * 50 / 94)),
        source="GroupNet / LED NBA: 10 observed + 20 predicted rows, ten players and the ball",
    ),
    "eth_ucy": Protocol(
        "eth_ucy", 8, 12, least=2, rate=2.5, unit="m",
        source="Social-GAN ETH/UCY: 8 observed + 12 predicted rows, windows of two or more people",
    ),
    "halfcourt": Protocol(
        "halfcourt", 10, 40, stride=50, predicted=("offence",), rate=5.0, unit="ft", bounds=COURT,
        source="Half-court offence: burn-in of 10 rows, 40 generated at 5 Hz",
    ),
    "boids": Protocol(
        "boids", 10, 40, stride=50,
        source="Boids: burn-in of 10 rows, 40 generated at 10 Hz",
    ),
}  # fmt: skip


def choose(
    protocol: str | Protocol | None, window: int = 0, groups: tuple[str, ...] = ()
) -> Protocol:
    """Look a protocol up; None gives one that observes a fifth of a training window.

    Args:
        protocol: a name of `PROTOCOLS`, a `Protocol`, or None.
        window: rows of a training window, used where `protocol` is None.
        groups: what the models generate, scored where `protocol` is None.

    Raises:
        UserError: for an unknown name, or where neither is given.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol is None:
        if window < 2:
            raise UserError(
                f"expected a protocol, found none; name one of {sorted(PROTOCOLS)} "
                "or pass a Protocol"
            )
        observed = max(1, window // 5)
        return Protocol("window", observed, window - observed, stride=window, predicted=groups)
    if protocol not in PROTOCOLS:
        raise UserError(f"expected a protocol among {sorted(PROTOCOLS)}, found {protocol!r}")
    return PROTOCOLS[protocol]


def scored_groups(spec: Spec, protocol: Protocol) -> tuple[str, ...]:
    """Names of the groups that `protocol` scores, in spec order.

    Raises:
        UserError: where a group the protocol names is absent or nothing is left to score.
    """
    missing = [name for name in protocol.predicted if name not in spec.names]
    require(
        not missing,
        f"protocol {protocol.name!r} scores the groups {list(protocol.predicted)}, found groups "
        f"{list(spec.names)}; regroup the demonstrations or choose another protocol",
    )
    wanted = protocol.predicted or tuple(n for n in spec.names if n not in protocol.neighbours)
    groups = tuple(name for name in spec.names if name in wanted)
    require(
        len(groups) > 0,
        f"protocol {protocol.name!r} scores no group of {list(spec.names)}; regroup the "
        "demonstrations or choose another protocol",
    )
    return groups


def cut(demonstrations: Demonstrations, protocol: Protocol) -> Windows:
    """Cut the windows of `protocol` out of `demonstrations`.

    Raises:
        UserError: where rate or unit is not the protocol's, or no window is left.
    """
    if protocol.rate is not None:
        require(
            abs(demonstrations.rate / protocol.rate - 1) < 0.01,
            f"protocol {protocol.name!r} is defined at {protocol.rate:g} Hz, found "
            f"{demonstrations.rate:g} Hz; resample the demonstrations first",
        )
    require(
        protocol.unit in (None, demonstrations.unit),
        f"protocol {protocol.name!r} is defined in {protocol.unit!r}, found positions in "
        f"{demonstrations.unit!r}; convert the data with that unit or choose another protocol",
    )
    found = windows(
        demonstrations,
        protocol.length,
        stride=protocol.stride,
        agents=protocol.agents,
        least=protocol.least,
    )
    require(
        len(found.start) > 0,
        f"expected at least one window of {protocol.length} rows with {protocol.least} or more "
        f"agents, found none in {len(demonstrations)} episodes; use a shorter protocol",
    )
    return found


def thin(indices: Int[np.ndarray, " all"], limit: int | None, seed: int) -> np.ndarray:
    """All of `indices`, or `limit` of them drawn without replacement by `seed`, in order."""
    if limit is None or limit >= len(indices):
        return indices
    require(limit >= 1, f"expected to score at least one window, found a limit of {limit}")
    drawn = np.random.default_rng(seed).choice(len(indices), size=limit, replace=False)
    return indices[np.sort(drawn)]


def bounds_of(
    demonstrations: Demonstrations, protocol: Protocol
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Low and high corner of the field of play, or None where nobody knows it.

    The protocol's come first; else those in the demonstrations' context, if all episodes agree.
    """
    if protocol.bounds is not None:
        return protocol.bounds
    known = field(demonstrations)
    return None if known is None else (tuple(known[0].tolist()), tuple(known[1].tolist()))


def horizons(protocol: Protocol, rate: float) -> tuple[int, ...]:
    """Rows at which errors are reported: each whole second, and the last row."""
    seconds = range(1, int(protocol.horizon / rate) + 1)
    return tuple(sorted({*(round(s * rate) for s in seconds), protocol.horizon} - {0}))
