"""Figures of several models side by side: a dot each, a line for the interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from understudy.visualise import style


def draw_intervals(
    rows: Sequence[Mapping[str, Any]], panels: Sequence[tuple[str, str]], columns: int = 3
) -> Figure:
    """Draw one panel per figure with a line per row; lower rows are baselines.

    Args:
        rows: rows of an evaluation; ``label`` names them, ``reference`` greys them.
        panels: ``(key, title)`` of each figure; rows without it are left out of its panel.
        columns: panels per row of panels.
    """
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    with style.styled():
        figure = style.figure(3.4 * columns, lines * (0.62 + 0.24 * len(rows)), dpi=120)
        axes = figure.subplots(lines, columns, squeeze=False)
        for number, axis in enumerate(axes.flat):
            if number >= len(panels):
                axis.set_axis_off()
                continue
            key, title = panels[number]
            for place, row in enumerate(rows):
                if row.get(key) is not None:
                    _dot(axis, len(rows) - 1 - place, row, key)
            axis.set_ylim(-0.6, len(rows) - 0.4)
            axis.set_yticks([len(rows) - 1 - i for i in range(len(rows))])
            first = number % columns == 0
            axis.set_yticklabels([r["label"] for r in rows] if first else [], color=style.INK)
            axis.set_title(title)
            axis.grid(True, axis="x")
            axis.grid(False, axis="y")
            axis.spines["left"].set_visible(False)
            axis.margins(x=0.12)
            axis.locator_params(axis="x", nbins=5)
        figure.tight_layout(pad=0.6, w_pad=1.2, h_pad=1.0)
    return figure


def _dot(axis: Any, place: int, row: Mapping[str, Any], key: str) -> None:
    colour = style.MUTED if row.get("reference") else style.AGENTS[0]
    ends = row.get("intervals", {}).get(key)
    if ends is not None:
        axis.plot(ends, [place, place], color=colour, linewidth=2.4, alpha=0.45)
    axis.plot([row[key]], [place], "o", color=colour, markersize=5)
