"""Two arms from above, drawn in memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from understudy.envs.adapters.two_arms_model import (
    FALLEN,
    HALF_THICKNESS,
    HAND,
    LINK,
    Workbench,
)

WIDTH, FINE = 360, 3
"""Pixels across, and how many times finer it is drawn before it is made smaller."""
MARGIN = 1.15
"""The picture is this much wider than the platform."""
GROUND, TABLE, BLOCK, FELL = "#f6f3ee", "#dcd2c2", "#b8860b", "#d9b25c"
ARMS = ("#1f5fa6", "#d0502a")


def pictures(
    bench: Workbench, states: Float[np.ndarray, "games numbers=21"]
) -> UInt8[np.ndarray, "games height width 3"]:
    """Every game from above: platform, block (paler once it has fallen), left arm, right arm.

    Args:
        bench: sizes.
        states: as in observations of `TwoArmPlatform`.
    """
    return np.stack([_picture(bench, state) for state in states])


def shown(bench: Workbench) -> tuple[float, float]:
    """How far a picture reaches from the middle, along and across, metres."""
    half = MARGIN * bench.half_width
    return half, max(bench.half_depth, bench.upper + bench.lower) + half - bench.half_width


def _picture(bench: Workbench, state: Float[np.ndarray, " numbers=21"]) -> UInt8[np.ndarray, "..."]:
    half, deep = shown(bench)
    scale = WIDTH * FINE / 2 / half
    size = (WIDTH * FINE, round(2 * deep * scale / FINE) * FINE)
    image = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(image)

    def pixels(points: np.ndarray) -> list[tuple[float, float]]:
        """Places in metres, the y axis up."""
        return [((x + half) * scale, (deep - y) * scale) for x, y in points]

    corner = np.array([bench.half_width, bench.half_depth])
    draw.rectangle([*pixels(np.stack([-corner, corner]) * [1, -1])], fill=TABLE)
    fell = state[6] < FALLEN
    draw.polygon(pixels(outline(bench, state)), fill=FELL if fell else BLOCK)
    for arm, colour in enumerate(ARMS):
        joints = chain(bench, state, arm)
        draw.line(pixels(joints), fill=colour, width=round(2 * LINK * scale))
        for place, radius in zip(joints, (1.6 * LINK, LINK, HAND), strict=True):
            draw.ellipse([*pixels(place + np.array([[-radius, radius], [radius, -radius]]))],
                         fill=colour)  # fmt: skip
    return np.asarray(image.resize((WIDTH, size[1] // FINE), Image.Resampling.BOX))


def outline(bench: Workbench, state: Float[np.ndarray, " numbers=21"]) -> Float[np.ndarray, "12 2"]:
    """Corners of the plus as seen from above, metres."""
    long, thin = bench.bar, HALF_THICKNESS
    quarter = np.array([[long, -thin], [long, thin], [thin, thin]])
    flat = np.concatenate([quarter @ _turned(k * np.pi / 2).T for k in range(4)])
    w, x, y, z = state[7:11]
    across = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z)],
        ]
    )
    return flat @ across.T + state[4:6]


def chain(
    bench: Workbench, state: Float[np.ndarray, " numbers=21"], arm: int
) -> Float[np.ndarray, "3 2"]:
    """Shoulder, elbow and hand of an arm, metres."""
    angles = np.cumsum(state[2 * arm : 2 * arm + 2]) + np.pi * arm
    links = np.stack([np.cos(angles), np.sin(angles)], -1) * [[bench.upper], [bench.lower]]
    shoulder = np.array([[(2 * arm - 1) * bench.half_width, 0.0]])
    return np.concatenate([shoulder, shoulder + np.cumsum(links, 0)])


def _turned(angle: float) -> Float[np.ndarray, "2 2"]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
