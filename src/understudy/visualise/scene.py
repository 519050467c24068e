"""The ground agents stand on: a basketball court, half of one, or plain bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.patches import Arc, Circle, Rectangle

from understudy.visualise import style

FEET = {"ft": 1.0, "m": 0.3048, "yd": 1 / 3}
"""Units per foot."""
LINE: Any = {
    "edgecolor": style.LINES, "facecolor": "none", "linewidth": 0.9, "zorder": 0.5
}  # fmt: skip


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
            if abs(size[0] - 94) < 0.5:
                kind = "court"
            elif abs(size[0] - 47) < 0.5:
                kind = "half court"
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
        axis.add_patch(Rectangle(scene.low, width, height, facecolor=style.GROUND, zorder=0))
        return
    face = style.PAPER if scene.kind == "plain" else style.COURT
    ground = Rectangle(
        scene.low, width, height, facecolor=face, edgecolor=style.LINES, linewidth=1.2, zorder=0
    )
    axis.add_patch(ground)
    if scene.kind != "plain":
        _court(axis, scene)


def _court(axis: Any, scene: Scene) -> None:
    """Draw the lines of an NBA court, from the rule book, in feet times `scene.foot`."""
    foot = scene.foot
    _end(axis, foot, 0.0, 1.0)
    if scene.kind == "court":
        _end(axis, foot, 94.0, -1.0)
        _line(axis, [47 * foot] * 2, [0.0, 50 * foot])
        axis.add_patch(Circle((47 * foot, 25 * foot), 6 * foot, **LINE))
    else:
        half = {"theta1": 90, "theta2": 270}
        axis.add_patch(Arc((47 * foot, 25 * foot), 12 * foot, 12 * foot, **half, **LINE))


def _end(axis: Any, foot: float, baseline: float, inward: float) -> None:
    """One end: lane, free-throw circle, board, hoop and three-point line.

    Args:
        axis: to draw on.
        foot: units per foot.
        baseline: its x, feet.
        inward: 1 if the court lies to the right of it, else -1.
    """
    near, middle = baseline * foot, 25 * foot
    hoop, lane, board = (near + inward * feet * foot for feet in (5.25, 19.0, 4.0))
    corner = np.sqrt(23.75**2 - 22.0**2)
    axis.add_patch(Rectangle((min(near, lane), 17 * foot), 19 * foot, 16 * foot, **LINE))
    axis.add_patch(Circle((lane, middle), 6 * foot, **LINE))
    axis.add_patch(Circle((hoop, middle), 0.75 * foot, **LINE))
    _line(axis, [board, board], [22 * foot, 28 * foot])
    for y in (3 * foot, 47 * foot):
        _line(axis, [near, hoop + inward * corner * foot], [y, y])
    reach = float(np.degrees(np.arctan2(22.0, corner)))
    turn = {"angle": 0.0 if inward > 0 else 180.0, "theta1": -reach, "theta2": reach}
    axis.add_patch(Arc((hoop, middle), 47.5 * foot, 47.5 * foot, **turn, **LINE))


def _line(axis: Any, x: Sequence[float], y: Sequence[float]) -> None:
    axis.plot(x, y, color=style.LINES, linewidth=0.9, zorder=0.5)
