"""Performance profiles: for every score, the share of training runs that got beyond it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from understudy.functional.statistics import Profile
from understudy.types import require
from understudy.visualise import style


def draw_profiles(profiles: Mapping[str, Profile]) -> Figure:
    """Draw one falling line per model, with the band of its bootstrap; higher is better.

    Args:
        profiles: what `understudy.functional.statistics.performance_profile` returned, by model;
            scores are 0 for a random policy and 1 for an expert.

    Raises:
        UserError: without a profile.
    """
    require(len(profiles) > 0, "expected a profile to draw, found none")
    with style.styled():
        figure = style.figure(6.4, 3.3, dpi=120)
        axis = figure.subplots()
        for number, (name, profile) in enumerate(profiles.items()):
            colour = style.colour(number)
            axis.fill_between(
                profile.thresholds, profile.low, profile.high, color=colour, alpha=0.14,
                linewidth=0, step="post",
            )  # fmt: skip
            axis.step(
                profile.thresholds, profile.share, where="post", color=colour, linewidth=1.8,
                label=name,
            )  # fmt: skip
        for score, word in ((0.0, "random"), (1.0, "expert")):
            axis.axvline(score, color=style.MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
            axis.text(score, 1.03, word, fontsize=8, color=style.MUTED, ha="center")
        axis.set_ylim(0, 1.02)
        first = next(iter(profiles.values()))
        axis.set_xlim(first.thresholds[0], first.thresholds[-1])
        axis.set_xlabel("score")
        axis.set_ylabel("share of seeds above it")
        axis.legend(
            fontsize=8, labelcolor=style.INK, handlelength=1.4, loc="center left",
            bbox_to_anchor=(1.01, 0.5),
        )  # fmt: skip
        figure.tight_layout(pad=0.8)
    return figure
