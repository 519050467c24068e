"""``understudy quickstart``: a few minutes from nothing to a report."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Quickstart(console.Verb):
    """Make demonstrations, learn from them, and leave a report."""

    problem: Positional[Literal["spread", "boids"]] = "spread"
    """What to learn: to act like a team that shares out landmarks, or to fly like flocks."""
    out: Path = Path("quickstart")
    """Folder to write; it must not exist yet."""

    def __call__(self) -> int:
        """Run every step and show what came of it."""
        begun = time.monotonic()
        console.say("importing JAX")
        from understudy.experiment.quickstart import quickstart

        with console.progress(self.out / "run") as progress:
            outcome = quickstart(self.problem, out=self.out, tell=console.say, progress=progress)
        show(outcome, time.monotonic() - begun)
        return 3 if any(run.diverged for run in outcome.runs) else 0


def show(outcome: Any, seconds: float) -> None:
    """A small table, what it does not say, and where to look next."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heading, *rows = outcome.table
    table = Table(box=box.SIMPLE_HEAD)
    for column in heading:
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        table.add_row(*row)
    out = Console(highlight=False)
    out.print(table)
    out.print(f"{outcome.words}\n")
    for name, path in outcome.files.items():
        out.print(f"  {name:<16}{path}")
    commands = "\n".join(f"  {command}" for command in outcome.commands)
    out.print(
        f"\n{seconds:.0f} s. Open the report, watch the animation, then try another:\n\n{commands}",
        soft_wrap=True,
    )
