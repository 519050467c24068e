"""``evaluate``, ``compare`` and ``export``: what a run is worth, and its weights."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Evaluate(console.Verb):
    """Measure a run beside constant velocity, stay-put and random walk."""

    run: Positional[Path]
    """Folder of the run."""
    demos: Path | None = None
    """Demonstration folder to measure on; the validation set of the run if not given."""
    protocol: str | None = None
    """Windows to forecast: socialvae, groupnet, eth_ucy, halfcourt, boids."""
    samples: int = 20
    """Futures drawn per window, the K of every best-of-K figure."""
    episodes: int = 100
    """Games played, for policies in an env."""
    agents: tuple[int, ...] = ()
    """Numbers of agents to try, for policies that transfer."""
    seed: int = 0
    """Of the evaluation, apart from those of training."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def __call__(self) -> None:
        """Evaluate every seed and print the tables."""
        from understudy.experiment.evaluate import evaluate

        evaluation = evaluate(
            self.run,
            demonstrations=self.demos,
            protocol=self.protocol,
            samples=self.samples,
            episodes=self.episodes,
            agents=self.agents or None,
            seed=self.seed,
        )
        if self.json:
            console.show_json(evaluation.json())
        else:
            console.show(str(evaluation))


@dataclasses.dataclass(frozen=True)
class Compare(console.Verb):
    """Put several evaluated runs side by side."""

    runs: Positional[tuple[Path, ...]]
    """Folders of runs."""
    out: Path | None = None
    """Folder for the report; printed only if not given."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def __call__(self) -> None:
        """Compare and print."""
        from understudy.experiment.compare import compare

        comparison = compare(list(self.runs), out=self.out)
        if self.json:
            console.show_json(comparison.json())
        else:
            console.show(str(comparison))


@dataclasses.dataclass(frozen=True)
class Export(console.Verb):
    """Copy what one seed learned: files to load anywhere, without the run."""

    run: Positional[Path]
    """Folder of the run."""
    out: Path
    """Folder to write; it must not exist yet."""
    seed: int = 0
    """Seed to take."""

    def __call__(self) -> None:
        """Copy the exported weights, each verified, all or none."""
        from understudy.experiment import run as runs
        from understudy.types import require

        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        run = runs.Run(self.run)
        require(
            0 <= self.seed < run.seeds,
            f"expected a seed below {run.seeds} of {self.run}, found {self.seed}",
        )
        source = self.run / "policy" / f"seed_{self.seed}"
        files = sorted(source.glob("*.safetensors"))
        require(files, f"expected exported weights in {source}, found none; finish the run first")
        for file in files:
            runs.load(file)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.out.parent, prefix=".partial-") as work:
            shutil.copytree(source, Path(work) / "weights").rename(self.out)
        for file in files:
            console.show(f"understudy.load_{file.stem}({str(self.out)!r})")
