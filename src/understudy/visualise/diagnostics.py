"""Pictures of diagnostics: error beside spread, ranks of the truth, intents against labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from understudy.visualise import style

HEAT = LinearSegmentedColormap.from_list("heat", [style.PAPER, "#8fb0d0", style.AGENTS[0]])


def draw_spread(
    error: Float[np.ndarray, " time"],
    spread: Float[np.ndarray, " time"],
    ranks: Float[np.ndarray, " ranks"],
    *,
    rate: float,
    unit: str,
) -> Figure:
    """Draw how wrong and how unsure samples are over time, and the rank histogram beside it."""
    with style.styled():
        figure = style.figure(7.6, 2.5, dpi=120)
        left, right = figure.subplots(1, 2)
        seconds = np.arange(1, len(error) + 1) / rate
        left.plot(seconds, error, color=style.AGENTS[1], linewidth=1.8, label="how wrong")
        left.plot(seconds, spread, color=style.AGENTS[0], linewidth=1.8, label="how unsure")
        left.fill_between(seconds, error, spread, color=style.RULE, alpha=0.6, linewidth=0)
        left.set_ylim(bottom=0)
        left.set_title(f"error and spread of samples ({unit or 'units'})")
        left.set_xlabel("seconds after the observed part")
        left.legend(fontsize=8, labelcolor=style.MUTED, loc="upper left")
        right.bar(np.arange(len(ranks)), ranks, width=0.86, color=style.AGENTS[0], alpha=0.75)
        right.axhline(1 / len(ranks), color=style.AGENTS[1], linewidth=1.2)
        right.set_title("rank of the truth among the samples")
        right.set_xlabel("samples below the truth (flat is calibrated)")
        right.set_yticks([])
        right.grid(False)
        figure.tight_layout(pad=0.6, w_pad=2.0)
    return figure


def draw_intents(
    accuracy: Float[np.ndarray, " time"],
    confusion: Float[np.ndarray, "classes classes"],
    chance: float,
    *,
    rate: float,
) -> Figure:
    """Draw how often a sampled intent is the label over time, and which are taken for which."""
    with style.styled():
        figure = style.figure(7.6, 2.8, dpi=120)
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        seconds = np.arange(1, len(accuracy) + 1) / rate
        left.plot(seconds, accuracy, color=style.AGENTS[0], linewidth=1.8)
        left.axhline(chance, color=style.AGENTS[1], linewidth=1.2, linestyle=(0, (4, 2)))
        left.set_ylim(0, 1)
        under = accuracy[-1] >= chance
        left.text(
            seconds[-1], chance + (-0.02 if under else 0.02), "most frequent label", fontsize=8,
            color=style.AGENTS[1], ha="right", va="top" if under else "bottom",
        )  # fmt: skip
        left.set_title("sampled intent is the label")
        left.set_xlabel("seconds after the observed part")
        right.imshow(confusion, cmap=HEAT, vmin=0, vmax=max(confusion.max(), 1e-9), aspect="auto")
        right.set_title("label ↓   sampled →")
        right.grid(False)
        if len(confusion) <= 12:
            right.set_xticks(range(len(confusion)))
            right.set_yticks(range(len(confusion)))
        figure.tight_layout(pad=0.6, w_pad=2.0)
    return figure
