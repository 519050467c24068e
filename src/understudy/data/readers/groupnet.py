"""GroupNet / LED arrays: ``.npy`` of ``(scenes, 30, 11, 2)``, feet, ten players then the ball.

Windows of 6 s cut from 25 Hz tracking: 30 rows are every fifth moment (5 Hz), 15 rows every tenth
(2.5 Hz). Players come as in the raw log, the five of the home team first. Windows were shuffled
over games before they were saved, so no game is known and a split by game is not possible.

Source: GroupNet (Xu et al. 2022, CVPR) and LED (Mao et al. 2023, CVPR), the order of columns from
the script that made the array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files
from understudy.data.readers.assemble import Episode, assemble, check_scale
from understudy.types import require

SECONDS = 6.0
"""What a window of the original set lasts."""
TEAMS = {"player": ["home"] * 5 + ["visitor"] * 5, "ball": [""]}
IDS = {"player": [str(i) for i in range(10)], "ball": ["-1"]}


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
) -> Demonstrations:
    """Read scene arrays.

    Args:
        sources: A file, folder, pattern, or list of .npy files.
        rate: Rows per second; time / 6 s if not given and the array has 30 or 15 rows.
        unit: Feet if not given.
        say: Called with one sentence per thing worth knowing.

    Raises:
        UserError: naming the file whose array has another shape, or infinite numbers.
    """
    paths = files.expand(sources, (".npy",))
    episodes: list[Episode] = []
    for path, name in zip(paths, files.names(paths), strict=True):
        data = files.array(files.content(path), str(path))
        require(
            data.ndim == 4
            and data.shape[2:] == (11, 2)
            and data.size > 0
            and data.dtype.kind == "f",
            f"expected real numbers of shape (scenes, time, 11, 2) in {path}, found {data.shape} "
            f"{data.dtype}; another reader may fit",
        )
        if rate is None and data.shape[1] in (15, 30):
            rate = data.shape[1] / SECONDS
            say(f"{data.shape[1]} rows are 6 s: taken as {rate:g} Hz")
        episodes += _episodes(data, name)
    lengths = {len(e.positions["ball"]) for e in episodes}
    require(len(lengths) == 1, f"expected windows of one length, found {sorted(lengths)} rows")
    rate, unit = check_scale(rate, "ft" if unit is None else unit, "groupnet", "5 or 2.5")
    return assemble(episodes, rate=rate, unit=unit)


def _episodes(data: np.ndarray, name: str) -> list[Episode]:
    return [
        Episode(
            f"{files.stem(name)}#{scene}",
            name,
            {"player": window[:, :10], "ball": window[:, 10:]},
            {"id": IDS, "team": TEAMS},
        )
        for scene, window in enumerate(data)
    ]
