"""Where positions are among the features of a group, and the field they lie in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, require


def xy(group: Group) -> tuple[int, int]:
    """Columns of the position in a group's features: those named x and y, else the first two.

    Raises:
        UserError: where the group observes fewer than two features.
    """
    if "x" in group.features and "y" in group.features:
        return group.features.index("x"), group.features.index("y")
    require(
        group.observation >= 2,
        f"expected positions (x, y) in group {group.name!r}, found {group.observation} feature; "
        "choose groups that have two coordinates",
    )
    return 0, 1


def field(demonstrations: Demonstrations) -> Float[np.ndarray, "2 2"] | None:
    """Low and high corner that all episodes agree on; None where nobody knows."""
    known = demonstrations.context.get("bounds")
    if known is None or len(known) == 0 or not np.all(known == known[0]):
        return None
    return np.asarray(known[0], float)
