"""Moving pictures of plays: what happened, and samples of what could have happened, side by side.

Each panel is drawn once; a frame only moves the agents over it (blitting), so fifty frames of
three panels take a second or two.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_rgba
from PIL import Image

from understudy.data.grid import Grid
from understudy.types import UserError, require
from understudy.visualise import style
from understudy.visualise.plays import box, draw_plays
from understudy.visualise.scene import Scene, draw
from understudy.visualise.tracks import Bounds, Plays, Track, ground, tracks

TRAIL = 14
"""Rows of the past drawn behind an agent."""


def animate(
    plays: Plays,
    path: str | Path,
    *,
    scenes: int = 1,
    samples: int = 2,
    grid: Grid | None = None,
    bounds: Bounds | None = None,
    speed: float | int = 1.0,
    hold: float | int = 1.0,
) -> Path:
    """Write plays as a GIF, an MP4 or a still PNG, by the ending of `path`.

    Args:
        plays: what `understudy.generate` returned.
        path: ends in ``.gif``, ``.mp4`` (extra ``video``) or ``.png``.
        scenes: scenes to show, one row of panels each.
        samples: samples beside the truth of each scene.
        grid: cells of the intents, drawn as soft boxes; without it intents are not drawn.
        bounds: of the field, where the demonstrations do not say.
        speed: 1 plays in real time.
        hold: seconds the last frame stays.

    Returns:
        The path written.

    Raises:
        UserError: for another ending, or MP4 without the extra.
    """
    path = Path(path)
    require(
        path.suffix in WRITERS,
        f"expected a path ending in {', '.join(WRITERS)}, found {path.name!r}; rename it",
    )
    shown = min(scenes, len(plays.truth))
    panels = [tracks(plays, scene, samples) for scene in range(shown)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write = WRITERS[path.suffix]
    if write is None:
        draw_plays(plays, scenes=shown, samples=samples, grid=grid, bounds=bounds).savefig(path)
        return path
    pictures = frames(panels, ground(plays, panels, bounds), plays.truth.rate, grid)
    write(path, pictures, plays.truth.rate * speed, hold)
    return path


def frames(
    panels: list[list[Track]], scene: Scene, rate: float, grid: Grid | None = None
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield one picture per row of time."""
    with style.styled():
        columns = max(len(row) for row in panels)
        width = {1: 4.6, 2: 7.6}.get(columns, 3.1 * columns) * (1.25 if scene.aspect > 1.5 else 1)
        each = width / columns / max(scene.aspect, 0.5)
        figure = style.figure(width, len(panels) * (each + 0.28) + 0.42, dpi=84)
        height = figure.get_figheight()
        grid_axes = figure.subplots(
            len(panels), columns, squeeze=False,
            gridspec_kw={
                "left": 0.015, "right": 0.985, "bottom": 0.1 / height,
                "top": 1 - 0.66 / height, "wspace": 0.03, "hspace": 0.14,
            },
        )  # fmt: skip
        clock = figure.text(0.015, 1 - 0.26 / height, "", color=style.INK, fontsize=9.5)
        clock.set_animated(True)
        actors = []
        for axes, row in zip(grid_axes, panels, strict=True):
            for axis in axes[len(row) :]:
                axis.set_axis_off()
            for axis, track in zip(axes, row, strict=False):
                draw(axis, scene)
                axis.set_title(track.title, fontsize=9, pad=4, fontweight="normal")
                actors.append(_Actor(axis, track, grid))
        canvas: Any = figure.canvas
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        for row in range(max(len(actor.track.positions) for actor in actors)):
            canvas.restore_region(background)
            seen = row < actors[0].track.observed
            clock.set_text(f"{row / rate:4.1f} s   {'observed' if seen else 'generated'}")
            clock.set_color(style.MUTED if seen else style.INK)
            figure.draw_artist(clock)
            for actor in actors:
                actor.draw(row)
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Actor:
    """The moving artists of one panel."""

    def __init__(self, axis: Any, track: Track, grid: Grid | None) -> None:
        self.axis, self.track, self.grid = axis, track, grid
        self.colours = np.array([to_rgba(c) for c in track.colours])
        self.boxes = PatchCollection([], zorder=1, animated=True)
        self.trails = LineCollection([], linewidths=1.5, zorder=2, animated=True)
        self.dots = axis.scatter(
            *track.positions[0].T, s=[(2 * size) ** 2 for size in track.sizes],
            c=self.colours, edgecolors="white", linewidths=0.9, zorder=3, animated=True,
        )  # fmt: skip
        for collection in (self.boxes, self.trails):
            axis.add_collection(collection, autolim=False)

    def draw(self, row: int) -> None:
        """Draw the panel's agents as of `row`."""
        track = self.track
        row = min(row, len(track.positions) - 1)
        first = max(0, row - TRAIL)
        past = track.positions[first : row + 1]
        pieces = np.stack([past[:-1], past[1:]], 2).reshape(-1, 2, 2)
        fade = np.linspace(0.05, 0.75, TRAIL)[TRAIL - (row - first) :]
        colours = np.tile(self.colours, (row - first, 1))
        colours[:, 3] = np.repeat(fade, track.positions.shape[1])
        rows = np.arange(first + 1, row + 1)
        seen = np.repeat(rows < track.observed, track.positions.shape[1])
        colours[seen, :3] = to_rgba(style.MUTED)[:3]
        whole = np.isfinite(pieces).all((1, 2))
        self.trails.set_segments(list(pieces[whole]))
        self.trails.set_color(colours[whole])  # pyright: ignore[reportArgumentType]
        self.dots.set_offsets(track.positions[row])
        self._point(row)
        for artist in (self.boxes, self.trails, self.dots):
            self.axis.draw_artist(artist)

    def _point(self, row: int) -> None:
        """Light up the cell each agent heads for."""
        if self.grid is None or self.track.intents is None:
            return
        known = [(i, c) for i, c in enumerate(self.track.intents[row]) if c >= 0]
        self.boxes.set_paths([box(self.grid, int(intent)) for _, intent in known])
        face = self.colours[[agent for agent, _ in known]].reshape(-1, 4).copy()
        face[:, 3] = 0.22
        self.boxes.set_facecolor(face)  # pyright: ignore[reportArgumentType]


def _gif(path: Path, pictures: Iterator[np.ndarray], rate: float, hold: float) -> None:
    """One palette for all frames, no dithering: small files that do not flicker."""
    images = [Image.fromarray(picture) for picture in pictures]
    spread = [*images[:: max(1, len(images) // 4)], images[-1]]
    band = max(8, images[0].height // 16)  # keeps the ink of the few words in the palette
    montage = Image.new("RGB", (images[0].width, images[0].height * len(spread) + band), style.INK)
    for i, image in enumerate(spread):
        montage.paste(image, (0, i * images[0].height))
    palette = montage.quantize(128, dither=Image.Dither.NONE)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    step = max(20, round(1000 / rate / 10) * 10)
    durations = [step] * (len(flat) - 1) + [step + int(1000 * hold)]
    flat[0].save(
        path, save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=True
    )


def _mp4(path: Path, pictures: Iterator[np.ndarray], rate: float, hold: float) -> None:
    try:
        import imageio.v2 as imageio
    except ImportError as missing:
        raise UserError(
            "expected imageio for MP4, found none; run pip install 'understudy[video]' "
            "or write a GIF"
        ) from missing
    with warnings.catch_warnings():
        # the encoder is another program, which touches nothing of JAX
        warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
        writer: Any = imageio.get_writer(path, fps=rate, macro_block_size=2)
        with writer:
            last: list[np.ndarray] = []
            for picture in map(_even, pictures):
                writer.append_data(picture)
                last = [picture]
            for picture in last * round(hold * rate):
                writer.append_data(picture)


def _even(picture: np.ndarray) -> np.ndarray:
    """Cut to even numbers of pixels, which most codecs want."""
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


WRITERS: dict[str, Callable[..., None] | None] = {".gif": _gif, ".mp4": _mp4, ".png": None}
