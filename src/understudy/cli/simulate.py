"""``understudy simulate``: simulators of both sides of a log, and how far each can be trusted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Simulate(console.Verb):
    """Learn simulators of both sides of a log, and report how far each can be trusted."""

    source: Positional[Path]
    """CSV file of transitions, or a demonstration folder."""
    out: Path
    """Folder of runs and report; new or empty."""
    schema: Path | None = None
    """What the columns of a CSV file are, as JSON."""
    test: Path | None = None
    """Other sessions to measure on, a file or folder as SOURCE; then all of SOURCE is learned
    from."""
    methods: tuple[str, ...] = ("cloning", "world", "magail")
    """Which simulators to learn."""
    share: float = 0.8
    """Of the sessions to learn from where there is no --test; the others are held out."""
    seed: int = 0
    """Of the split and of what is learned."""
    steps: int = 64_000
    """Env steps of adversarial imitation."""
    outcome: str | None = None
    """Feature of the next state whose rate the report compares: "clicks" or "page=2"."""
    group: str | None = None
    """Section of the state by which the rate is told apart."""
    time: str | None = None
    """Section of the state, or "step", by which the rate is told apart."""
    json: bool = False
    """Print the report as one JSON object."""

    def __call__(self) -> None:
        """Read, learn, measure."""
        from understudy.experiment.simulate import simulate

        report = simulate(
            self._read(self.source), self.out, methods=self.methods, share=self.share,
            test=None if self.test is None else self._read(self.test), seed=self.seed,
            steps=self.steps, progress=console.say, outcome=self.outcome, group=self.group,
            time=self.time,
        )  # fmt: skip
        if self.json:
            console.show_json(report.to_json())
            return
        for finding in report.findings:
            console.show(f"{finding.level}: {finding.text}")
        console.show(f"{self.out / 'simulation.html'}")

    def _read(self, source: Path) -> Any:
        """Demonstrations of a file or folder."""
        from understudy.data import readers, store
        from understudy.types import require

        if (source / "meta.json").is_file():
            return store.load(source)
        require(
            self.schema is not None,
            f"expected --schema to say what the columns of {source} are, found none; write one as "
            "in the docs, or give a demonstration folder",
        )
        return readers.read(
            "transitions", str(source), say=console.say, schema=str(self.schema)
        )  # fmt: skip
