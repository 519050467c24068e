"""Where positions are among the features of a group."""

from __future__ import annotations

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
