"""``evaluate``, ``compare`` and ``export``: what a run is worth, and its weights."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Evaluate(console.Verb):
    """Measure a run: generators beside constant velocity, stay-put and random walk, policies
    between a random policy and an expert."""

    run: Positional[Path]
    """Folder of the run."""
    demos: Path | None = None
    """Demonstration folder to measure on; the validation set of the run if not given."""
    protocol: str | None = None
    """Windows to forecast: socialvae, groupnet, eth_ucy, halfcourt, boids."""
    samples: int = 20
    """Futures drawn per window, the K of every best-of-K figure."""
    windows: int | None = None
    """Windows scored at most, drawn by the seed; every window if not given."""
    env: str | None = None
    """Env to play in, such as spread:agents=6; the one the run was trained in if not given."""
    expert: str = "own"
    """Who scores 1: the name of an expert, the folder of a run, own for the one the env is known
    to have, or none."""
    floor: Literal["random", "noop"] = "random"
    """Who scores 0: random actions, or no action."""
    mode: Literal["sample", "mode", "both"] = "sample"
    """Policies draw their actions, take the most likely one, or are measured both ways."""
    episodes: int = 100
    """Games played, for policies in an env."""
    agents: tuple[int, ...] = ()
    """Numbers of agents to try, for policies that transfer."""
    seed: int = 0
    """Of the evaluation, apart from those of training."""
    report: bool = True
    """Write RUN/report.html as well."""
    write_goodai: Path | None = None
    """Folder for the files of badger-2019, RUN-SEED.rewards and RUN-SEED.bench, of as many games
    of spread more."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def __call__(self) -> None:
        """Evaluate every seed, print the tables, write the report."""
        from understudy.envs import make
        from understudy.experiment import games
        from understudy.experiment.arena import Options
        from understudy.experiment.evaluate import evaluate
        from understudy.experiment.report import report
        from understudy.experiment.run import Run

        run = Run(self.run)
        plays = self.env is not None or (self.demos is None and games.plays(run))
        env = None if self.env is None else make(self.env)
        if self.write_goodai is not None:
            self._check_files(run, env)
        demos = self.demos or (None if plays else _held_out(run))
        evaluation = evaluate(
            run,
            demonstrations=demos,
            env=env,
            protocol=self.protocol,
            samples=self.samples,
            expert=None if self.expert == "none" else self.expert,
            episodes=self.episodes,
            agents=self.agents or None,
            mode=self.mode,
            floor=self.floor,
            seed=self.seed,
            options=Options(windows=self.windows),
        )
        if self.report:
            written = report(run, evaluation=evaluation, demonstrations=demos, env=env)
            console.say(f"the report is in {written}")
        if self.write_goodai is not None:
            self._write_files(run, env)
        if self.json:
            console.show_json(evaluation.json())
        else:
            console.show(str(evaluation))

    def _check_files(self, run: Any, env: Any) -> None:
        """See that files of badger-2019 can be written, before anything is measured."""
        from understudy.experiment import goodai_games

        if self.demos is not None or self.agents or self.mode == "both":
            raise console.UsageError(
                "expected --write-goodai without --demos, --agents or --mode both; give "
                "--env spread-goodai:agents=N for another number of agents"
            )
        goodai_games.spread_of(run, env)
        goodai_games.files_of(run, self.write_goodai or "")

    def _write_files(self, run: Any, env: Any) -> None:
        """Play once more and write the files."""
        from understudy.experiment import goodai_games

        written = goodai_games.play(
            run, self.write_goodai or "", env=env, episodes=self.episodes, seed=self.seed,
            mode="mode" if self.mode == "mode" else "sample",
        )  # fmt: skip
        console.say(f"wrote {', '.join(map(str, written))}")


def _held_out(run: Any) -> Path:
    """The validation set a run was trained with.

    Raises:
        UsageError: where it is not known.
    """
    kept = run.config["validation"]
    if kept is None or kept["path"] is None:
        raise console.UsageError(
            f"expected --demos DIR to measure {run.folder} on, found none, and it was trained "
            "without a validation set on disk; give a demonstration folder"
        )
    return Path(kept["path"])


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
