"""Pictures of adversarial training: rewards, the discriminator, what the policy earns.

Several runs are drawn side by side (a column each) or over each other (a colour each). Whoever
calls has read the metrics; here they are arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, PercentFormatter

from understudy.functional.statistics import RESAMPLES
from understudy.types import require
from understudy.visualise import style

MOST = 8
"""Agents that are drawn; the others would make a picture too tall to be looked at."""
POINTS = 150
"""Points of a line at which an interval is worked out, at most."""
DASHES = ("-", (0, (3, 1.6)), ":")
"""How the names of one panel are told apart."""
EARLY = 1.0
"""Spans of the rest beyond which the first tenth of a line may run off its panel."""
LITTLE = 0.002
"""Share of rows below which a bin at the edge of a histogram is not worth its place."""


class Quantiles(NamedTuple):
    """Rewards of one run over training."""

    label: str
    steps: Float[np.ndarray, " points"]
    panels: Mapping[str, Float[np.ndarray, "points 5"]]
    """Who -> quantiles at 5, 25, 50, 75 and 95 %."""


class Histograms(NamedTuple):
    """Rewards of one run at one moment."""

    label: str
    panels: Mapping[str, Float[np.ndarray, " bins"]]
    """Who -> share of rows per bin; bins are equal, the outermost hold what lies beyond."""
    low: float
    """Left end of the first bin."""
    high: float
    """Right end of the last bin."""
    beyond: tuple[bool, bool] = (True, True)
    """Rewards can be lower than the first bin, and higher than the last."""


class Lines(NamedTuple):
    """Numbers of one run over training."""

    label: str
    values: Mapping[str, tuple[Float[np.ndarray, " points"], Float[np.ndarray, "points seeds"]]]
    """Name -> where along the axis, and the value of each seed, NaN where unknown."""


class Panel(NamedTuple):
    """One figure over training; names after the first are drawn as broken lines."""

    title: str
    unit: str
    names: tuple[str, ...]
    words: tuple[str, ...] = ()
    """What the names are, where there are several."""


def draw_rewards(runs: Sequence[Quantiles], *, axis: str = "env steps") -> Figure:
    """Draw how rewards are spread over training: a column per run, a row per agent.

    Raises:
        UserError: where there is nothing to draw.
    """
    rows = _rows([run.panels for run in runs])
    with style.styled():
        figure, axes = _grid(rows, runs, height=1.25, sharex=True, sharey=True)
        for column, run in enumerate(runs):
            for row, name in enumerate(rows):
                place = axes[row, column]
                if name not in run.panels:
                    place.set_axis_off()
                    continue
                low, quarter, middle, three, high = run.panels[name].T
                colour = style.colour(column)
                place.fill_between(
                    run.steps, low, high, color=colour, alpha=0.16, linewidth=0, label="5 to 95 %"
                )
                place.fill_between(
                    run.steps, quarter, three, color=colour, alpha=0.36, linewidth=0,
                    label="25 to 75 %",
                )  # fmt: skip
                place.plot(run.steps, middle, color=colour, linewidth=1.7, label="median")
            _along(axes[-1, column], axis)
        _name_rows(axes, rows, "reward")
        _legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def draw_histograms(runs: Sequence[Histograms]) -> Figure:
    """Draw the rewards of single rows at one moment: a column per run, a row per agent.

    Raises:
        UserError: where there is nothing to draw.
    """
    rows = _rows([run.panels for run in runs])
    with style.styled():
        figure, axes = _grid(rows, runs, height=1.15, sharex="col", sharey="row")
        for column, run in enumerate(runs):
            alike = [other for other in runs if other[2:] == run[2:]]
            seen = _seen([shares for other in alike for shares in other.panels.values()])
            for row, name in enumerate(rows):
                place = axes[row, column]
                if name not in run.panels:
                    place.set_axis_off()
                    continue
                shares = run.panels[name]
                edges = np.linspace(run.low, run.high, len(shares) + 1)
                place.bar(
                    edges[:-1], shares, np.diff(edges), align="edge", color=style.colour(column),
                    alpha=0.8, edgecolor=style.PAPER, linewidth=0.5,
                )  # fmt: skip
                place.set_xlim(edges[seen.start], edges[seen.stop])
                place.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
                place.locator_params(axis="y", nbins=3)
                place.locator_params(axis="x", nbins=5, prune="upper")
                _name_ends(place, run, shares)
            axes[-1, column].set_xlabel("reward")
        _name_rows(axes, rows, "share of rows")
        figure.tight_layout(pad=0.7, w_pad=1.2, h_pad=0.7)
    return figure


def draw_lines(
    runs: Sequence[Lines],
    panels: Sequence[Panel],
    *,
    axis: str = "env steps",
    references: Mapping[str, Mapping[str, float]] | None = None,
    columns: int = 3,
) -> Figure:
    """Draw numbers over training, runs over each other.

    A strong line is the mean over seeds, a band its 95 % bootstrap interval.

    Args:
        runs: to draw.
        panels: those in which no run has a value are left out.
        axis: what the steps are.
        references: level lines, ``{name of a metric: {word: value}}``: an expert's return, say.
        columns: panels per row.

    Raises:
        UserError: where there is nothing to draw.
    """
    panels = [p for p in panels if any(_known(run, name) for run in runs for name in p.names)]
    require(
        len(panels) > 0,
        "expected metrics of adversarial training or of evaluations to draw, found none; train "
        "with evaluate_every, or name another run",
    )
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    with style.styled():
        figure = style.figure(max(3.5 * columns, 4.6), 2.35 * lines + 0.35, dpi=120)
        axes = figure.subplots(lines, columns, squeeze=False)
        for place, panel in zip(axes.flat, panels, strict=False):
            seen = [
                _line(place, *run.values[name], style.colour(number), dash)
                for number, run in enumerate(runs)
                for name, dash in zip(panel.names, DASHES, strict=False)
                if _known(run, name)
            ]
            levels = (references or {}).get(panel.names[0], {})
            for word, value in levels.items():
                _level(place, word, value)
            _limits(place, seen, list(levels.values()))
            place.set_title(panel.title)
            place.set_ylabel(panel.unit)
            place.locator_params(axis="y", nbins=5)
            place.ticklabel_format(axis="y", style="plain", useOffset=False)
            _along(place, axis)
            _name_dashes(place, panel)
        for place in axes.flat[len(panels) :]:
            place.set_axis_off()
        colours = [style.colour(number) for number in range(len(runs))]
        handles = [Line2D([], [], color=colour, linewidth=2) for colour in colours]
        words = "line: mean over seeds, band: 95 % interval"
        seeds = max(v.shape[1] for run in runs for _, v in run.values.values())
        _legend_below(figure, handles, [run.label for run in runs], words if seeds > 1 else "")
    return figure


def _name_ends(place: Any, run: Histograms, shares: np.ndarray) -> None:
    """Say of an outermost bin that it holds what lies beyond, where it does."""
    for bin, x, side, words in (
        (0, 0.01, "left", "first bar: and less"),
        (-1, 0.99, "right", "last bar: and more"),
    ):
        if run.beyond[bin] and shares[bin] > LITTLE:
            place.text(
                x, 0.95, words, fontsize=7, color=style.MUTED, ha=side, va="top",
                transform=place.transAxes,
            )  # fmt: skip


def _known(run: Lines, name: str) -> bool:
    return name in run.values and bool(np.isfinite(run.values[name][1]).any())


def _line(
    place: Any, steps: np.ndarray, values: np.ndarray, colour: str, dash: Any
) -> Float[np.ndarray, "lines points"]:
    """Mean over the seeds known at each point, and where they allow it, its interval."""
    some = np.isfinite(values).any(1)
    steps, values = steps[some], values[some]
    middle = np.nanmean(values, 1)
    marker = "o" if len(steps) < 8 else None
    place.plot(steps, middle, color=colour, linewidth=1.7, linestyle=dash, marker=marker, ms=3)
    if values.shape[1] < 2:
        return middle[None]
    at = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS)).round().astype(int))
    ends = _interval(values[at])
    place.fill_between(steps[at], *ends, color=colour, alpha=0.17, linewidth=0)
    return np.stack([middle[at], *ends])


def _interval(values: Float[np.ndarray, "points seeds"]) -> Float[np.ndarray, "2 points"]:
    """95 % bootstrap interval of the mean over the seeds known at each point."""
    seeds = values.shape[1]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES).astype(float)
    known = np.isfinite(values)
    count = drawn @ known.T.astype(float)
    total = drawn @ np.where(known, values, 0.0).T
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.nanquantile(means, (0.025, 0.975), axis=0)


def _limits(place: Any, seen: Sequence[np.ndarray], levels: Sequence[float]) -> None:
    """Let a first tenth that is far from the rest run off the panel, so that it can be read."""
    late = np.concatenate([lines[:, lines.shape[1] // 10 :].ravel() for lines in seen] + [levels])
    every = np.concatenate([lines.ravel() for lines in seen] + [levels])
    low, high = late.min(), late.max()
    span = max(high - low, 1e-6 * max(1.0, abs(high)))
    low = low if every.min() < low - EARLY * span else min(low, every.min())
    high = high if every.max() > high + EARLY * span else max(high, every.max())
    pad = 0.06 * max(high - low, 1e-3 * max(1e-3, abs(high)))
    place.set_ylim(low - pad, high + pad)


def _level(place: Any, word: str, value: float) -> None:
    place.axhline(value, color=style.MUTED, linewidth=1.1, linestyle=(0, (5, 2.5)))
    place.text(
        0.995, value, word, fontsize=7.5, color=style.MUTED, ha="right", va="bottom",
        transform=place.get_yaxis_transform(),
    )  # fmt: skip


def _name_dashes(place: Any, panel: Panel) -> None:
    for word, dash in zip(panel.words, DASHES, strict=False):
        place.plot([], [], color=style.MUTED, linestyle=dash, linewidth=1.5, label=word)
    if panel.words:
        place.legend(
            fontsize=7.5, labelcolor=style.MUTED, handlelength=1.7, ncols=3, columnspacing=0.9,
            loc="lower right", bbox_to_anchor=(1.01, 0.985), borderpad=0.2,
        )  # fmt: skip


def _legend_below(
    figure: Figure, handles: Sequence[Any], labels: Sequence[str], words: str = ""
) -> None:
    """Leave a strip under the panels, and name colours in it; `words` go to its right end."""
    strip = 0.3 / figure.get_figheight()
    figure.tight_layout(pad=0.7, w_pad=1.4, h_pad=1.0, rect=(0, strip, 1, 1))
    figure.legend(
        handles, labels, loc="lower left", ncols=4, fontsize=8, labelcolor=style.INK,
        handlelength=1.4, bbox_to_anchor=(0.01, 0.0),
    )  # fmt: skip
    figure.text(0.985, 0.45 * strip, words, fontsize=7.5, color=style.MUTED, ha="right")


def _rows(panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who is drawn, in order: the first of them."""
    names = list(dict.fromkeys(name for found in panels for name in found))
    require(
        len(names) > 0,
        "expected reward_quantiles and reward_histogram among the metrics, found none; name runs "
        "of adversarial imitation",
    )
    return names[: MOST + 1]


def _grid(rows: Sequence[str], runs: Sequence[Any], *, height: float, **shared: Any) -> Any:
    """A column per run and a row per name; the top of each column says which run it is."""
    width = max(3.3 * len(runs), 4.6)
    figure = style.figure(width + 0.5, height * len(rows) + 0.75, dpi=120)
    axes = figure.subplots(len(rows), len(runs), squeeze=False, **shared)
    for place, run in zip(axes[0], runs, strict=True):
        place.set_title(run.label)
    return figure, axes


def _name_rows(axes: Any, rows: Sequence[str], unit: str) -> None:
    for place, name in zip(axes[:, 0], rows, strict=True):
        place.set_ylabel(f"{name}\n{unit}")


def _along(place: Any, axis: str) -> None:
    place.xaxis.set_major_formatter(EngFormatter(sep=""))
    place.locator_params(axis="x", nbins=5)
    place.set_xlabel(axis)


def _seen(histograms: Sequence[np.ndarray]) -> slice:
    """Bins that hold something worth seeing in any histogram, with one to spare on either side."""
    most = np.max(np.stack(list(histograms)), axis=0)
    full = np.flatnonzero(most > LITTLE)
    if not len(full):
        return slice(0, len(most))
    return slice(max(0, int(full[0]) - 1), min(len(most), int(full[-1]) + 2))
