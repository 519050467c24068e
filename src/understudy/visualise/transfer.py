"""Scores of policies against the number of agents they run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from understudy.visualise import style


def draw_transfer(
    rows: Sequence[Mapping[str, Any]], *, trained: int | None = None, floor: str = "random"
) -> Figure:
    """Draw a line per model over numbers of agents, with 95 % intervals.

    Args:
        rows: ``label``, ``agents`` and ``score``, with ``intervals["score"]`` where known;
            ``reference`` leaves a row out, since references are 0 and 1.
        trained: number of agents that policies were trained with; marked.
        floor: who scores 0.
    """
    models = list(dict.fromkeys(row["label"] for row in rows if not row.get("reference")))
    with style.styled():
        figure = style.figure(5.2, 3.1, dpi=120)
        axis = figure.subplots()
        axis.set_xscale("log")
        for level, name in ((0.0, floor), (1.0, "expert")):
            axis.axhline(level, color=style.MUTED, linewidth=1.0)
            axis.annotate(
                name, (1.0, level), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                color=style.MUTED,
            )  # fmt: skip
        if trained is not None:
            axis.axvline(trained, color=style.MUTED, linewidth=1.0, linestyle=":")
        for number, model in enumerate(models):
            own = sorted((r for r in rows if r["label"] == model), key=lambda r: r["agents"])
            ends = [r.get("intervals", {}).get("score") or [r["score"]] * 2 for r in own]
            at, colour = [r["agents"] for r in own], style.colour(number)
            low, high = zip(*ends, strict=True)
            axis.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
            axis.plot(at, [r["score"] for r in own], "o-", color=colour, label=model, markersize=4)
        counts = sorted({row["agents"] for row in rows})
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
        axis.set_xlabel("agents" if trained is None else f"agents (dotted: trained with {trained})")
        axis.set_ylabel("score")
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.tight_layout(pad=0.6)
    return figure
