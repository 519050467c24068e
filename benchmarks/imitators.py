"""What the tables of imitation share: cells, warm starts, runs that go on, and their scores."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import understudy as us
from results import command, summary, table, target, write
from training import trained
from understudy.algorithms.ppo import PPO
from understudy.experiment.material import fingerprint
from understudy.networks.transformer import Transformer

SEEDS = 5
CLONING = {"own": 8_000, "team": 3_000}
"""Updates of behaviour cloning, alone and as a warm start, whose step size falls to 0."""
WEIGHT_DECAY = {"own": 0.3, "team": 1.0}
"""Of both. Tried on two other seeds, 200 demonstrations of spread, scores: perceptrons of 128 after
4,000 updates without decay of weights 0.91, after 8,000 with 0.3 of it 0.95, with 1.0 0.73 (256
units, 5,000 updates, 0.3: 0.95); transformers after 800 updates 0.70, after 3,000 0.86, with 0.3 of
it 0.91, with 1.0 0.94 (width 128: 0.93 and 0.92, in four times the time)."""
CLONING_WEIGHT = 0.1
"""Beside the learned reward, of policies that begin with cloning."""
OWN = us.MAPPO(hidden=(128, 128), discount=0.95, learning_rate=1e-3, entropy=0.005)
"""Policies that act on what they see."""
TEAM = us.MAT(
    identity=False, normalise=False, activation="tanh", discount=0.95, learning_rate=5e-4,
    entropy=0.005, envs=16, epochs=2, minibatches=2,
)  # fmt: skip
"""Policies that act in turn."""
JUDGE: dict[str, Any] = {"normalise": False, "activation": "tanh"}
"""Of discriminators that are transformers, as of the policies."""
IMITATE: dict[str, Any] = {
    "cloning": 0, "passes": 8, "minibatch": 512, "learning_rate": 1e-3, "noise": 0.3
}  # fmt: skip
"""Of adversarial imitation. Tried for MAGAIL on spread: 4 to 48 passes, step sizes 3e-4 and 1e-3,
noise, dropout, gradient penalties of 1 and 10, least squares."""


def clone(network: Any = OWN.network) -> Any:
    """Behaviour cloning of policies that are built so."""
    kind = _kind(network)
    return us.BC(network=network, decay=CLONING[kind], weight_decay=WEIGHT_DECAY[kind])


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training of a table, all seeds."""

    name: str
    algorithm: Any
    """Without a warm start."""
    steps: int = 0
    """Env steps; 0: it only clones."""
    warm: bool = True
    """It begins with behaviour cloning."""
    words: tuple[Any, ...] = ()
    """What else tells its folder from others."""
    cloning_weight: float = CLONING_WEIGHT
    """Of a warm start, some of which goes on."""
    start: us.BC | None = None
    """Its warm start, where it is not `clone`'s."""

    @property
    def part(self) -> str:
        """Its name among all cells."""
        start = ["warm"] if self.steps and self.warm else []
        return ", ".join([self.name, *map(str, self.words), *start])

    @property
    def folder(self) -> str:
        """Its part as a file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.part.lower().replace("²", "2")).strip("-")


def train(cell: Cell, env: Any, demonstrations: us.Demonstrations, folder: Path) -> Any:
    """The cell's run, trained now or gone on with if it exists; so is the one it begins with."""
    if not cell.steps:
        return cloned(cell.algorithm, demonstrations, folder)
    algorithm, start = cell.algorithm, None
    if cell.warm:
        first = cell.start or clone(algorithm.optimiser.network)
        start = cloned(first, demonstrations, folder)
    if isinstance(algorithm.optimiser, PPO):  # step sizes of policies fall to 0
        optimiser = algorithm.optimiser
        decay = cell.steps // (optimiser.envs * optimiser.rollout)
        weight = cell.cloning_weight if cell.warm else 0.0
        optimiser = dataclasses.replace(optimiser, decay=decay, cloning_weight=weight)
        algorithm = dataclasses.replace(algorithm, optimiser=optimiser)
    return trained(
        algorithm, folder / cell.folder, env=env, demonstrations=demonstrations, warm_start=start,
        steps=cell.steps, seeds=SEEDS,
    )  # fmt: skip


def cloned(algorithm: us.BC, demonstrations: us.Demonstrations, folder: Path) -> Any:
    """The run of behaviour cloning whose step size falls to 0 at its end."""
    about = f"{algorithm!r} {fingerprint(demonstrations)}"
    name = f"cloned-{hashlib.sha256(about.encode()).hexdigest()[:12]}"
    return trained(
        algorithm, folder / name, demonstrations=demonstrations, steps=algorithm.decay,
        seeds=SEEDS,
    )  # fmt: skip


def _kind(network: Any) -> str:
    return "team" if isinstance(network, Transformer) else "own"


def scores(cell: Cell, run: Any, env: Any, expert: Any, episodes: int) -> list[dict[str, Any]]:
    """Means over seeds, of sampled and of most likely actions."""
    found = us.evaluate(run, env=env, expert=expert, episodes=episodes, mode="both")
    rows = []
    for row in found.rows:
        if row.get("seed") != "mean" or row.get("reference"):
            continue
        low, high = row["intervals"]["normalised_iqm"]
        rows.append({
            "method": cell.name, "warm_start": bool(cell.steps and cell.warm), "mode": row["mode"],
            "execution": row["execution"], "score": row["normalised_iqm"], "low": low,
            "high": high, "return": row["mean_return"],
            **({"success": row["success_rate"]} if row.get("success_rate") is not None else {}),
            "diverged": len(run.diverged), "minutes": minutes(run),
        })  # fmt: skip
    return rows


def minutes(run: Any) -> float:
    """Of training, all seeds, its warm start included."""
    seconds = json.loads((run.folder / "timing.json").read_text())["seconds"]
    start = run.config.get("warm_start")
    return round(seconds / 60, 1) + (minutes(us.Run(start)) if start else 0.0)


def best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The way of acting that scores more."""
    return max(rows, key=lambda row: row["score"])


def promised(id: str, what: str, wanted: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A target for the better way of acting."""
    row = best(rows)
    words = f"{what}, score of {SEEDS} seeds, {row['mode']}"
    return target(id, words, ">=", wanted, row["score"], (row["low"], row["high"]))


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every table can be asked."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="*", help="names of methods")
    parser.add_argument("--plan", action="store_true", help="say what will be trained, no more")
    return parser


def make(
    name: str,
    cells: Sequence[Cell],
    options: argparse.Namespace,
    rows_of: Callable[[Cell], tuple[list[dict[str, Any]], list[dict[str, Any]]]],
) -> None:
    """Train and score cell after cell; each is a part of ``NAME.json``, written at once.

    Args:
        name: of the results.
        cells: of the table.
        options: of `arguments`.
        rows_of: rows and targets of a cell, which it trains.
    """
    chosen = [cell for cell in cells if not options.only or cell.name in options.only]
    if options.plan:
        print("\n".join(cell.part for cell in chosen))
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    for cell in chosen:
        begun = time.monotonic()
        rows, targets = rows_of(cell)
        write(name, command=command(), seeds=range(SEEDS), rows=rows, targets=targets,
              part=cell.part)  # fmt: skip
        print(table(rows), f"{time.monotonic() - begun:.0f} s", flush=True)
        if targets:
            print(summary(targets), flush=True)
