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
    """Generate demonstrations, train a model, sample plays, and leave a report."""

    problem: Positional[Literal["boids"]] = "boids"
    """What to learn: a flock, half of whose episodes are unfriendly."""
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
        return 3 if outcome.run.diverged else 0


def show(outcome: Any, seconds: float) -> None:
    """A small table, what came of the commands, and where to look next."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    summary = outcome.summary
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("", "minADE", "minFDE", "best of", "nats per flock"):
        table.add_column(column, justify="right" if column else "left")
    for row in summary["rows"]:
        elbo = "" if row.get("elbo") is None else f"{row['elbo']:,.0f}"
        errors = f"{row['minADE']:.2f}", f"{row['minFDE']:.2f}"
        table.add_row(row["model"], *errors, str(row["samples"]), elbo)
    out = Console(highlight=False)
    out.print(table)
    obeyed, apart = summary["obeyed"], summary["pair_distance"]
    out.print(
        f"At temperature {summary['temperature']:g}, told to keep together, "
        f"{obeyed['together']:.0%} of the flocks did; told to keep apart, {obeyed['apart']:.0%}.\n"
        f"They ended {apart['together']:.2f} and {apart['apart']:.2f} from "
        "one another on average.\n"
    )
    for name, path in outcome.files.items():
        out.print(f"  {name:<16}{path}")
    demos = outcome.files["demonstrations"]
    out.print(
        f"\n{seconds:.0f} s. Open the report, watch the animation, then try another model:\n\n"
        f"  understudy train vrnn --demos {demos} --steps 2000 --out runs/vrnn\n"
        f"  understudy evaluate runs/vrnn --demos {demos}/test --protocol boids"
    )
