"""Compiled programs: a process does not hold more than the system grants memory maps for."""

from __future__ import annotations

from pathlib import Path

import jax

MOST_MAPS = 20_000
"""Memory maps of a process from which on it forgets its programs; Linux allows 65,530."""


def forget_many(most: int = MOST_MAPS) -> None:
    """Forget all that this process has compiled, if it holds very many programs.

    Each takes memory maps of its own, and a process that trains one model after the other would end
    where the system grants no more. What is used again is compiled again. Only where ``/proc`` says
    how many maps there are.
    """
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > most:
        jax.clear_caches()
