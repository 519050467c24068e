"""The ground agents stand on: a basketball court, half of one, or plain bounds."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Rectangle

from understudy.visualise import style

FEET = {"ft": 1.0, "m": 0.3048, "yd": 1 / 3}
"""Units per foot."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """What to draw behind the agents."""

    low: tuple[float, float]
    high: tuple[float, float]
    kind: Literal["court", "half court", "plain"] = "plain"
    foot: float = 1.0
    """Units per foot, for the lines of a court."""
    field: bool = True
    """The bounds are those of the field of play (drawn); otherwise merely those of the tracks."""

    @property
    def aspect(self) -> float:
        """Width over height."""
        return (self.high[0] - self.low[0]) / (self.high[1] - self.low[1])


def scene_of(
    points: Float[np.ndarray, "... 2"],
    *,
    unit: str = "",
    bounds: Float[np.ndarray, "2 2"] | None = None,
) -> Scene:
    """Choose the ground for `points`.

    Args:
        points: positions in units; NaN where an agent is absent.
        unit: ft, m, yd, px or "".
        bounds: low and high corner of the field, if known: 94 x 50 ft draws a court and 47 x 50 ft
            half of one, anything else a plain field. None: the extent of the points.
    """
    if bounds is not None:
        low, high = np.asarray(bounds, float)
        foot = FEET.get(unit, 1.0)
        size = (high - low) / foot
        kind: Literal["court", "half court", "plain"] = "plain"
        if unit in FEET and np.allclose(low, 0) and abs(size[1] - 50) < 0.5:
            kind = (
                "court"
                if abs(size[0] - 94) < 0.5
                else "half court"
                if abs(size[0] - 47) < 0.5
                else "plain"
            )
        return Scene((low[0], low[1]), (high[0], high[1]), kind, foot)
    finite = points.reshape(-1, 2)[np.isfinite(points).reshape(-1, 2).all(-1)]
    if len(finite) == 0:
        finite = np.zeros((1, 2))
    low, high = finite.min(0), finite.max(0)
    half = np.maximum((high - low).max() / 3, (high - low) / 2) * 1.08 + 1e-6
    middle = (low + high) / 2
    low, high = middle - half, middle + half
    return Scene((low[0], low[1]), (high[0], high[1]), field=False)


def draw(axis: Any, scene: Scene) -> None:
    """Draw the ground of `scene` and fix the limits of `axis` to it."""
    width, height = scene.high[0] - scene.low[0], scene.high[1] - scene.low[1]
    pad = 0.045 * max(width, height) if scene.field else 0.0
    axis.set_xlim(scene.low[0] - pad, scene.high[0] + pad)
    axis.set_ylim(scene.low[1] - pad, scene.high[1] + pad)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if not scene.field:
        rounded = FancyBboxPatch(
            scene.low,
            width,
            height,
            boxstyle="round,pad=0",
            facecolor="#f6f3ee",
            edgecolor="none",
            zorder=0,
        )
        axis.add_patch(rounded)
        return
    face = style.PAPER if scene.kind == "plain" else style.COURT
    ground = Rectangle(
        scene.low, width, height, facecolor=face, edgecolor=style.LINES, linewidth=1.2, zorder=0
    )
    axis.add_patch(ground)
    if scene.kind != "plain":
        _court(axis, scene)


def _court(axis: Any, scene: Scene) -> None:
    """Lines of an NBA court, from the rule book, in feet times `scene.foot`."""
    foot, middle = scene.foot, 25.0 * scene.foot
    line = {"edgecolor": style.LINES, "facecolor": "none", "linewidth": 0.9, "zorder": 0.5}
    ends = (0.0, 94.0) if scene.kind == "court" else (0.0,)
    for end in ends:
        inward = 1.0 if end == 0 else -1.0

        def at(feet: float, end: float = end, inward: float = inward) -> float:
            return (end + inward * feet) * foot

        left = min(at(0), at(19))
        axis.add_patch(Rectangle((left, middle - 8 * foot), 19 * foot, 16 * foot, **line))
        axis.add_patch(Circle((at(19), middle), 6 * foot, **line))
        axis.add_patch(Circle((at(5.25), middle), 0.75 * foot, **line))
        axis.plot(
            [at(4), at(4)],
            [middle - 3 * foot, middle + 3 * foot],
            color=style.LINES,
            linewidth=1.4,
            zorder=0.5,
        )
        corner = np.sqrt(23.75**2 - 22.0**2)
        for side in (-1, 1):
            y = middle + side * 22 * foot
            axis.plot(
                [at(0), at(5.25 + corner)], [y, y], color=style.LINES, linewidth=0.9, zorder=0.5
            )
        reach = float(np.degrees(np.arctan2(22.0, corner)))
        turn = 0.0 if end == 0 else 180.0
        arc = Arc(
            (at(5.25), middle),
            47.5 * foot,
            47.5 * foot,
            angle=turn,
            theta1=-reach,
            theta2=reach,
            edgecolor=style.LINES,
            linewidth=0.9,
            zorder=0.5,
        )
        axis.add_patch(arc)
    if scene.kind == "court":
        x = 47 * foot
        axis.plot([x, x], [0, 50 * foot], color=style.LINES, linewidth=0.9, zorder=0.5)
        axis.add_patch(Circle((x, middle), 6 * foot, **line))
    else:
        axis.add_patch(
            Arc(
                (47 * foot, middle),
                12 * foot,
                12 * foot,
                theta1=90,
                theta2=270,
                edgecolor=style.LINES,
                linewidth=0.9,
                zorder=0.5,
            )
        )
