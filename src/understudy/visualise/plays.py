"""Still pictures of plays: small multiples with the observed part, the paths and the intents."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from understudy.data.grid import Grid
from understudy.visualise import style
from understudy.visualise.scene import draw
from understudy.visualise.tracks import Bounds, Plays, Track, ground, tracks


def draw_plays(
    plays: Plays,
    *,
    scenes: int = 3,
    samples: int = 3,
    grid: Grid | None = None,
    bounds: Bounds | None = None,
) -> Figure:
    """Draw the truth and some samples of some scenes, one row per scene.

    The observed rows are the grey, softly shaded part of each path; paths darken with time; the
    cell an intent pointed at longest after that is a box, the stronger the longer.

    Args:
        plays: what `understudy.generate` returned.
        scenes: rows of the picture, from the first scene on.
        samples: samples beside the truth.
        grid: cells of the intents; without it intents are not drawn.
        bounds: of the field, where the demonstrations do not say.
    """
    panels = [tracks(plays, scene, samples) for scene in range(min(scenes, len(plays.truth)))]
    scene = ground(plays, panels, bounds)
    columns = max(len(row) for row in panels)
    with style.styled():
        each = 2.5 * min(max(scene.aspect, 0.8), 1.4)
        height = len(panels) * (each / scene.aspect + 0.3) + 0.4
        figure = style.figure(columns * each + 0.2, height, dpi=120)
        axes = figure.subplots(
            len(panels), columns, squeeze=False,
            gridspec_kw={
                "left": 0.01, "right": 0.99, "bottom": 0.4 / height, "top": 1 - 0.3 / height,
                "wspace": 0.04, "hspace": 0.3 / (each / scene.aspect),
            },
        )  # fmt: skip
        for row, line in zip(axes, panels, strict=True):
            for axis in row[len(line) :]:
                axis.set_axis_off()
            for axis, track in zip(row, line, strict=False):
                draw(axis, scene)
                draw_track(axis, track, grid)
                axis.set_title(track.title, fontsize=9, pad=3, fontweight="normal")
        _key(figure, plays, panels[0][0], height)
    return figure


def draw_track(axis: Any, track: Track, grid: Grid | None = None) -> None:
    """Draw one panel: shaded burn-in, paths that darken with time, first and last positions."""
    if grid is not None and track.intents is not None:
        _boxes(axis, track, grid)
    seen, rows, agents = track.observed, len(track.positions), track.positions.shape[1]
    pieces = np.stack([track.positions[:-1], track.positions[1:]], 2)
    whole = np.isfinite(pieces).all((2, 3))
    past = np.repeat(np.arange(1, rows) < seen, agents).reshape(rows - 1, agents)
    shade = LineCollection(
        [path[np.isfinite(path).all(1)] for path in track.positions[:seen].swapaxes(0, 1)],
        colors=to_rgba(style.MUTED, 0.22), linewidths=6, zorder=1.5, capstyle="round",
    )  # fmt: skip
    axis.add_collection(shade, autolim=False)
    colours = np.tile(np.array([to_rgba(c) for c in track.colours]), (rows - 1, 1, 1))
    strength = 0.35 + 0.6 * np.clip((np.arange(1, rows) - seen) / max(1, rows - seen), 0, 1)
    colours[..., 3] = strength[:, None]
    colours[past] = to_rgba(style.MUTED, 0.9)
    lines = LineCollection(
        list(pieces[whole]), colors=colours[whole], linewidths=1.3, zorder=2, capstyle="butt"
    )
    axis.add_collection(lines, autolim=False)
    now = track.positions[max(0, seen - 1)]
    area = np.array([size**2 for size in track.sizes])
    axis.scatter(
        *now.T, s=area * 0.8, facecolors=style.PAPER, edgecolors=track.colours, linewidths=0.9,
        zorder=3,
    )  # fmt: skip
    axis.scatter(*last(track).T, s=area * 2.2, c=track.colours, edgecolors="white", linewidths=0.7,
                 zorder=4)  # fmt: skip


def last(track: Track) -> np.ndarray:
    """Last known position of every agent, ``[agents, 2]``; NaN where it was never there."""
    out = track.positions[0].copy()
    for row in track.positions[1:]:
        out = np.where(np.isfinite(row), row, out)
    return out


def _boxes(axis: Any, track: Track, grid: Grid) -> None:
    """The cell each agent headed for longest after the observed part, as strong as it was long."""
    assert track.intents is not None
    future = track.intents[track.observed :]
    for agent in range(future.shape[1]):
        held = future[:, agent][future[:, agent] >= 0]
        if len(held) == 0:
            continue
        intents, counts = np.unique(held, return_counts=True)
        share = counts.max() / len(held)
        patch = box(grid, int(intents[counts.argmax()]))
        patch.set(
            facecolor=to_rgba(track.colours[agent], 0.06 + 0.28 * share),
            edgecolor=to_rgba(track.colours[agent], 0.15 + 0.45 * share),
            linewidth=0.8,
            zorder=1,
        )
        axis.add_patch(patch)


def box(grid: Grid, intent: int) -> Rectangle:
    """The cell of an intent."""
    (width, height), middle = grid.size, grid.centre(np.asarray(intent))
    return Rectangle((middle[0] - width / 2, middle[1] - height / 2), width, height)


def _key(figure: Figure, plays: Plays, track: Track, height: float) -> None:
    """Say what the colours are, below the panels."""
    handles = [Line2D([], [], color=style.MUTED, linewidth=4, alpha=0.5, label="observed")]
    slot = 0
    for group in plays.truth.spec.groups:
        for agent in range(slot, slot + group.agents):
            colour = track.colours[agent]
            if all(handle.get_color() != colour for handle in handles):
                name = _name(plays, group.name, agent - slot)
                handles.append(
                    Line2D(
                        [], [], color=colour, marker="o", linewidth=1.3, markersize=4, label=name
                    )
                )
        slot += group.agents
    figure.legend(
        handles=handles, loc="lower left", ncols=len(handles), fontsize=8, labelcolor=style.MUTED,
        bbox_to_anchor=(0.0, 0.02 / height), handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


def _name(plays: Plays, group: str, slot: int) -> str:
    teams = plays.truth.agent_labels.get("team", {})
    label = str(np.asarray(teams[group])[0][slot]) if group in teams else ""
    return label or group
