"""Training curves: a small panel per metric, a thin line per seed, a strong one for their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from understudy.types import require
from understudy.visualise import style

VALIDATION = "validation/"
LEAVE_OUT = ("stage", "step", "frames")
FIRST = (
    "evaluation/return",
    "return",
    "reward",
    "success",
    "loss",
    "elbo",
    "reconstruction",
    "kl",
    "intents",
)


def draw_curves(
    metrics: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None, columns: int = 3
) -> Figure:
    """Draw metrics over updates; a metric measured on validation data too shares its panel.

    Args:
        metrics: lines of ``metrics.jsonl``: ``stage``, ``step``, and a list per metric with one
            value per seed, None where a seed has diverged.
        names: metrics to draw; all that are one number per seed if None.
        columns: panels per row.

    Raises:
        UserError: where there is nothing to draw.
    """
    known = list(dict.fromkeys(n.removeprefix(VALIDATION) for n in scalars(metrics)))
    if names is None:
        rest = [name for name in known if name not in (*LEAVE_OUT, *FIRST)]
        names = [name for name in FIRST if name in known] + rest
    require(
        len(metrics) > 0 and len(names) > 0,
        "expected training metrics to draw, found none; train at least to the first log line",
    )
    with style.styled():
        columns = min(columns, len(names))
        rows = -(-len(names) // columns)
        figure = style.figure(3.3 * columns, 2.15 * rows + 0.1, dpi=120)
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            _panel(axis, metrics, name)
        for axis in axes.flat[len(names) :]:
            axis.set_axis_off()
        figure.tight_layout(pad=0.6, w_pad=1.4, h_pad=1.2)
    return figure


def scalars(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics that are one number per seed, in the order they occur."""
    arrays = {
        name
        for row in metrics
        for name, held in row.items()
        if isinstance(held, list | tuple) and any(isinstance(v, list | tuple) for v in held)
    }
    return [n for n in dict.fromkeys(n for row in metrics for n in row) if n not in arrays]


def series(
    metrics: Sequence[Mapping[str, Any]], name: str, stages: frozenset[int] | None = None
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "points seeds"]]:
    """Updates and values of one scalar metric in some stages, or in all; NaN where unknown."""
    steps, values = [], []
    for row in metrics:
        if name in row and (stages is None or row["stage"] in stages):
            held = row[name] if isinstance(row[name], list | tuple) else [row[name]]
            steps.append(row["step"])
            values.append([np.nan if v is None else float(v) for v in held])
    seeds = max((len(v) for v in values), default=0)
    table = np.full((len(values), seeds), np.nan)
    for i, held in enumerate(values):
        table[i, : len(held)] = held
    return np.asarray(steps, float), table


def arrays(
    metrics: Sequence[Mapping[str, Any]], name: str
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "points seeds ..."]]:
    """Updates and values of one metric that is an array; NaN where unknown."""
    rows = [row for row in metrics if name in row]
    steps = np.array([row["step"] for row in rows], float)
    return steps, np.array([row[name] for row in rows], float)


def _panel(axis: Any, metrics: Sequence[Mapping[str, Any]], name: str) -> None:
    """One metric: training in blue, validation in vermilion, stages apart by a rule."""
    seen = []
    for full, colour, label, stages in (
        (name, style.AGENTS[0], "training", None),
        (VALIDATION + name, style.AGENTS[1], "validation", meant(metrics, name)),
    ):
        steps, values = series(metrics, full, stages)
        if len(steps) == 0:
            continue
        if values.shape[1] > 1:
            axis.plot(steps, values, color=colour, linewidth=0.7, alpha=0.35)
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(1)
        mean = np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)
        marker = "o" if len(steps) < 8 else None
        axis.plot(steps, mean, color=colour, linewidth=1.6, label=label, marker=marker, ms=3)
        seen.append(values[len(values) // 20 :])
    _limits(axis, seen)
    for step in borders(metrics):
        axis.axvline(step, color=style.MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
    axis.set_title(name.replace("_", " "))
    axis.ticklabel_format(axis="y", style="plain", useOffset=False)
    axis.locator_params(axis="both", nbins=5)
    if len(axis.get_lines()) and len(seen) > 1:
        axis.legend(fontsize=7.5, labelcolor=style.MUTED, handlelength=1.4)


def _limits(axis: Any, seen: Sequence[np.ndarray]) -> None:
    """Let the first updates run off the panel, so that the rest can be read."""
    values = np.concatenate([v.ravel() for v in seen]) if seen else np.zeros(0)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return
    low, high = np.quantile(values, (0.01, 0.99))
    pad = 0.08 * (high - low) or 0.05 * max(1.0, abs(high))
    axis.set_ylim(low - pad, high + pad)


def meant(metrics: Sequence[Mapping[str, Any]], name: str) -> frozenset[int]:
    """Stages in which a validation metric means something: those whose training logs it too.

    A stage that trains a part of the networks is validated as a whole. Where no stage logs it, the
    last one counts, in which everything is trained.
    """
    logged = frozenset(row["stage"] for row in metrics if name in row)
    return logged or frozenset({max(row["stage"] for row in metrics)})


def borders(metrics: Sequence[Mapping[str, Any]]) -> list[float]:
    """The last update logged of each stage but the last."""
    steps, stages = series(metrics, "stage")
    if len(steps) == 0:
        return []
    change = np.flatnonzero(np.diff(stages[:, 0]))
    return [float(steps[i]) for i in change]
