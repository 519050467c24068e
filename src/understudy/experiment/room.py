"""Is there room for what algorithms remember? Asked before training starts, not in its middle."""

from __future__ import annotations

import functools
import math
import os
from typing import Any

import jax

from understudy.data.replay import Replay
from understudy.types import Spec, Statistics, require

SHARE = 0.5
"""Of the machine's memory, for replay buffers: programs hold a second copy for a while."""


def remembered_bytes(algorithm: Any, spec: Spec, statistics: Statistics | None) -> int:
    """Bytes of the replay buffers of one seed.

    Args:
        algorithm: whose state they are in.
        spec: of the game.
        statistics: of the demonstrations, if there are any.
    """
    init = functools.partial(algorithm.init, spec, statistics)
    state = jax.eval_shape(init, jax.random.key(0))
    found = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, Replay))
    buffers = [node for node in found if isinstance(node, Replay)]
    return sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(buffers)
    )  # fmt: skip


def check(stages: Any, spec: Spec, statistics: Statistics | None, seeds: int) -> None:
    """Refuse replay buffers that do not fit into memory.

    Args:
        stages: algorithms and their steps.
        spec: of the game.
        statistics: of the demonstrations.
        seeds: trained side by side, each with buffers of its own.

    Raises:
        UserError: when they take more than `SHARE` of what there is.
    """
    room = SHARE * machine_bytes()
    for algorithm, _ in stages.stages:
        each = remembered_bytes(algorithm, spec, statistics)
        require(
            each * seeds <= room,
            f"expected replay buffers of at most {room / 2**30:.1f} GiB, half of this machine's "
            f"memory, found {each / 2**30:.2f} GiB for each of {seeds} seeds; give a smaller "
            "remembered, or fewer seeds",
        )


def machine_bytes() -> int:
    """Bytes of the memory that arrays live in."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
