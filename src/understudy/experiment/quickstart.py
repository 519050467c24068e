"""The quick start: a whole problem from data to report, small enough for a laptop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from understudy.experiment.run import Run
from understudy.experiment.session import Progress
from understudy.types import require

PROBLEMS = {
    "spread": "understudy.experiment.quickstart_spread",
    "boids": "understudy.experiment.quickstart_boids",
}
"""Name -> module with ``Size`` (how much of everything) and ``play``."""

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a quick start found, and where it lies."""

    runs: list[Run]
    summary: dict[str, Any]
    """What ``summary.json`` says."""
    files: dict[str, Path]
    """Name -> path, in the order to look at them."""
    table: list[tuple[str, ...]]
    """Rows to show, the heading first."""
    words: str
    """What the table does not say."""
    commands: list[str]
    """What to try next."""


def quickstart(
    problem: str = "spread",
    *,
    out: str | Path,
    size: Any = None,
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Make demonstrations, train, evaluate, draw and report; the same every time.

    Args:
        problem: one of `PROBLEMS`.
        out: a new folder.
        size: how much of everything, the ``Size`` of the problem's module.
        tell: called with one sentence per step.
        progress: as in `train`.

    Raises:
        UserError: an unknown problem, or a folder that is there already.
    """
    require(problem in PROBLEMS, f"expected a problem among {list(PROBLEMS)}, found {problem!r}")
    out = Path(out)
    require(not out.exists(), f"{out} already exists; choose another folder with --out")
    module = import_module(PROBLEMS[problem])
    return module.play(out, size or module.Size(), tell or _silent, progress)


def _silent(sentence: str) -> None:
    """Say nothing."""
