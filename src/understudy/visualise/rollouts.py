"""Pictures of any env being played: several policies and episodes side by side.

A game with ``scene(state)`` is drawn as discs and lines, a host env that renders by what it
renders, anything else as strips of what its agents see, do and earn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from understudy.types import Env, HostEnv, Policy, require
from understudy.visualise import style
from understudy.visualise.animate import WRITERS
from understudy.visualise.films import Film, record
from understudy.visualise.panels import panel_of

HEADING, CLOCK = 0.27, 0.24
"""Inches over each panel, and over all of them."""
HOLD = 1.5
"""Seconds the last picture stays."""


def watch(
    env: Env | HostEnv,
    policy: Policy | Mapping[str, Policy],
    path: str | Path,
    *,
    episodes: int = 2,
    seed: int = 0,
    steps: int | None = None,
    rate: float | int = 10.0,
) -> Path:
    """Draw episodes of an env as a GIF, an MP4 or a still PNG, by the ending of `path`.

    Episode i of `seed` is the one that `evaluate` plays, whoever plays.

    Args:
        env: any game.
        policy: who plays, or several by name, one row of panels each.
        path: ends in ``.gif``, ``.mp4`` (extra ``video``) or ``.png``.
        episodes: episodes side by side.
        seed: of the initial states.
        steps: longest episode shown; None: the horizon of the env.
        rate: steps per second.

    Returns:
        The path written.

    Raises:
        UserError: for another ending, or MP4 without the extra.
    """
    _check(Path(path))
    players = policy if isinstance(policy, Mapping) else {_called(policy): policy}
    films = [
        record(env, one, name, episodes=episodes, seed=seed, steps=steps)
        for name, one in players.items()
    ]
    return write(films, path, rate=rate)


def write(films: Sequence[Film], path: str | Path, *, rate: float | int = 10.0) -> Path:
    """Draw recorded episodes, a row per film; see `watch`."""
    path = Path(path)
    _check(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save = WRITERS[path.suffix]
    if save is None:
        draw_films(films).savefig(path)
    else:
        save(path, frames(films), float(rate), HOLD)
    return path


def _check(path: Path) -> None:
    require(
        path.suffix in WRITERS,
        f"expected a path ending in {', '.join(WRITERS)}, found {path.name!r}; rename it",
    )


def _called(policy: Policy) -> str:
    """A policy without a name is called by its class."""
    name = type(policy).__name__
    return "".join(f" {c.lower()}" if c.isupper() and i else c for i, c in enumerate(name)).lower()


def draw_films(films: Sequence[Film]) -> Figure:
    """Draw episodes as they ended, with the ways that led there."""
    with style.styled():
        figure, panels, clock = _lay_out(films, dpi=120)
        clock.set_text(f"whole episodes of up to {max(film.steps for film in films)} steps")
        clock.set_animated(False)
        for panel in panels:
            panel.still()
        figure.canvas.draw()
    return figure


def frames(films: Sequence[Film]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield one picture per step; only what moves is drawn again."""
    with style.styled():
        figure, panels, clock = _lay_out(films, dpi=84)
        steps = max(film.steps for film in films)
        canvas: Any = figure.canvas
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        for row in range(steps + 1):
            canvas.restore_region(background)
            clock.set_text(f"step {row} of {steps}")
            figure.draw_artist(clock)
            for panel in panels:
                panel.draw(row)
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _lay_out(films: Sequence[Film], dpi: int) -> tuple[Figure, list[Any], Any]:
    """A grid of panels, a row per film and a column per episode, and the text of the clock."""
    columns = len(films[0].lengths)
    make, aspect = panel_of(films)
    wide = {1: 4.6, 2: 7.6}.get(columns, 3.1 * columns)
    each = wide / columns
    high = len(films) * (each / aspect + HEADING) + CLOCK + 0.06
    figure = style.figure(wide, high, dpi=dpi)
    axes = figure.subplots(
        len(films), columns, squeeze=False,
        gridspec_kw={
            "left": 0.06 / wide, "right": 1 - 0.06 / wide, "bottom": 0.06 / high,
            "top": 1 - (CLOCK + HEADING) / high, "wspace": 0.03,
            "hspace": HEADING / (each / aspect),
        },
    )  # fmt: skip
    clock = figure.text(
        0.06 / wide, 1 - 0.2 / high, "", color=style.MUTED, fontsize=8.5, animated=True
    )
    panels = [
        make(axis, film, episode)
        for row, film in zip(axes, films, strict=True)
        for episode, axis in enumerate(row)
    ]
    return figure, panels, clock
