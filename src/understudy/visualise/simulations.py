"""Pictures of simulators beside each other: a line or a dot for each, bands and bars are 95 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from understudy.functional.statistics import Interval
from understudy.types import require
from understudy.visualise import style

WIDEST = 40
"""Most columns that are drawn; those in which simulators are furthest from the log."""


def draw_lines(
    curves: Mapping[str, Sequence[Interval]],
    names: Sequence[str],
    *,
    x: str,
    y: str,
    reference: tuple[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw a line for each simulator, with its interval.

    Args:
        curves: of each simulator, an interval for each of `names`.
        names: of the places on the horizontal axis, in order.
        x: what they are.
        y: what is drawn.
        reference: a grey line, and what it is.

    Raises:
        UserError: where there is nothing to draw.
    """
    require(len(curves) > 0 and len(names) > 0, "expected simulators to draw, found none")
    with style.styled():
        figure = style.figure(7.6, 3.2, dpi=120)
        axis, at = figure.subplots(), range(len(names))
        if reference is not None:
            axis.plot(at, reference[1], color=style.MUTED, linestyle=":", label=reference[0])
        for number, (name, held) in enumerate(curves.items()):
            colour = style.colour(number)
            low, high = [i.low for i in held], [i.high for i in held]
            axis.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
            axis.plot(at, [i.estimate for i in held], label=name, **_line(number))
        axis.set_xticks(at, names)
        _finish(figure, axis, x, y)
    return figure


def draw_dots(
    columns: Mapping[str, Sequence[Interval]],
    names: Sequence[str],
    *,
    y: str,
    reference: tuple[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw a dot for each simulator over every column, with its interval.

    Args:
        columns: of each simulator, an interval for each of `names`.
        names: of the columns; where there are very many, those with the largest are drawn.
        y: what is drawn.
        reference: grey bars, and what they are.

    Raises:
        UserError: where there is nothing to draw.
    """
    require(len(columns) > 0 and len(names) > 0, "expected simulators to draw, found none")
    largest = [max(held[j].estimate for held in columns.values()) for j in range(len(names))]
    kept = sorted(sorted(range(len(names)), key=lambda j: -largest[j])[:WIDEST])
    with style.styled():
        figure = style.figure(max(7.6, 1.6 + 0.26 * len(kept)), 3.4, dpi=120)
        axis, count = figure.subplots(), len(columns)
        if reference is not None:
            name, heights = reference
            axis.bar(range(len(kept)), [heights[j] for j in kept], width=0.8, color=style.RULE,
                     label=name)  # fmt: skip
        for number, (name, held) in enumerate(columns.items()):
            at = [i + 0.7 * ((number + 0.5) / count - 0.5) for i in range(len(kept))]
            some, colour = [held[j] for j in kept], style.colour(number)
            axis.vlines(at, [i.low for i in some], [i.high for i in some], color=colour, alpha=0.5,
                        linewidth=1.0)  # fmt: skip
            marker = "o" if number < len(style.AGENTS) else "D"
            axis.plot(at, [i.estimate for i in some], marker, color=colour, label=name, ms=3.2)
        axis.set_xticks(range(len(kept)), [names[j] for j in kept], rotation=60, ha="right")
        _finish(figure, axis, "", y)
    return figure


def _line(number: int) -> dict[str, Any]:
    """Another dash for each round through the colours."""
    dash = ("-", "--", "-.")[number // len(style.AGENTS) % 3]
    return {"color": style.colour(number), "linestyle": dash, "marker": "o", "markersize": 3.2}


def _finish(figure: Figure, axis: Any, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    figure.tight_layout(pad=0.6)
