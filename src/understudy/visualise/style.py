"""One look for every picture: colours that survive colour blindness, quiet axes, no display."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PAPER = "#fdfcfa"
INK = "#23211f"
MUTED = "#8d867d"
RULE = "#e4dfd7"
GROUND = "#f6f3ee"
COURT = "#f4ece0"
LINES = "#c5b49b"

AGENTS = ("#1f5fa6", "#d0502a", "#2f8f83", "#8a4fa0", "#b8860b", "#5b6670")
"""Colours of groups or teams, in spec order."""
BALL = "#2b2b2b"

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": RULE,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": PAPER,
    "svg.hashsalt": "understudy",  # the same picture, the same file
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
}


def styled() -> AbstractContextManager[Any]:
    """Give a context in which figures are drawn in this style."""
    return rc_context(RC)


def figure(width: float, height: float, dpi: int = 110) -> Figure:
    """Make a figure of `width` x `height` inches on an Agg canvas; nothing global is touched."""
    made = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(made)
    return made


def colour(index: int) -> str:
    """Colour of the `index`-th group, team or model."""
    return AGENTS[index % len(AGENTS)]
