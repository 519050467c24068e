"""The basketball array of STATS (now Stats Perform): key ``data``, ``(scenes, 50, 22)``, feet.

The 22 columns are x, y of the ball, five attackers, five defenders; half-court plays toward the
left basket. The format says neither game nor rate: 5 Hz is taken unless told otherwise (the paper
that used it first says 6 Hz, a later copy of the data 5 Hz).

Source: the layout documented with the gen-MA-BC experiments (Zhan et al. 2019, ICLR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import require

RATE = 5.0
SIZES = {"ball": 1, "offence": 5, "defence": 5}


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
    order: Sequence[str] = ("ball", "offence", "defence"),
) -> Demonstrations:
    """Read ``data`` arrays of half-court plays.

    Args:
        sources: A file, folder, pattern, or list of .npz files.
        rate: Rows per second; 5 if not given.
        unit: Feet if not given.
        say: Called with one sentence per thing worth knowing.
        order: Which of ball, offence, defence comes first, second, third in the columns.

    Raises:
        UserError: naming the file whose array has another shape, or infinite numbers.
    """
    require(
        sorted(order) == sorted(SIZES),
        f"expected order to hold ball, offence and defence once each, found {tuple(order)}",
    )
    if rate is None:
        rate = RATE
        say(f"the format does not say its rate; taken as {RATE:g} Hz")
    rate, unit = check_scale(rate, "ft" if unit is None else unit, "stats_npz", "5 or 6")
    paths = files.expand(sources, (".npz",))
    episodes: list[Episode] = []
    for path, name in zip(paths, files.names(paths), strict=True):
        data = files.arrays(path).get("data")
        require(
            data is not None and data.ndim == 3 and data.shape[-1] == 22 and data.size > 0,
            f"expected an array 'data' of shape (scenes, time, 22) in {path}, found "
            f"{None if data is None else data.shape}; another reader may fit",
        )
        assert data is not None
        require(data.dtype.kind == "f", f"expected real numbers in {path}, found {data.dtype}")
        episodes += _episodes(data, name, order)
    return assemble(episodes, rate=rate, unit=unit)


def _episodes(data: np.ndarray, name: str, order: Sequence[str]) -> list[Episode]:
    scenes, time, _ = data.shape
    tracks = data.reshape(scenes, time, 11, 2)
    edges = np.cumsum([0, *(SIZES[g] for g in order)])
    columns = {g: slice(a, b) for g, a, b in zip(order, edges[:-1], edges[1:], strict=True)}
    ids = {g: [str(i) for i in range(n)] for g, n in SIZES.items()}
    return [
        Episode(
            f"{files.stem(name)}#{scene}",
            name,
            {g: tracks[scene, :, columns[g]] for g in ("offence", "defence", "ball")},
            {"id": ids},
        )
        for scene in range(scenes)
    ]
