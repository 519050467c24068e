"""What the tables of imitation share: cells, warm starts, runs that go on, and their scores."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import understudy as us
from results import command, summary, table, target, write
from understudy.algorithms.ppo import PPO
from understudy.networks.transformer import Transformer

SEEDS = 5
CLONING = {"own": 4_000, "team": 800}
"""Updates of behaviour cloning, alone and as a warm start, after which what was held out of 200
demonstrations of spread was about likeliest: perceptrons (tried: 1,500 to 4,000 updates, 64 to 256
units, weights that decay), transformers (300 to 2,000, width 64 and 128, with and without layer
normalisation and identities, GELU and tanh)."""
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


def clone(**arguments: Any) -> Any:
    """Behaviour cloning of policies that act on what they see."""
    return us.BC(network=dataclasses.replace(OWN.network, **arguments), decay=CLONING["own"])


def joint_clone() -> Any:
    """Behaviour cloning of policies that act in turn."""
    return us.BC(network=TEAM.network, decay=CLONING["team"])


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training of a table, all seeds."""

    name: str
    algorithm: Any
    """Without a warm start."""
    steps: int = 0
    """Env steps; 0: it only clones."""
    warm: bool = True
    """It begins with behaviour cloning, and goes on with some of it."""
    words: tuple[Any, ...] = ()
    """What else tells its folder from others."""

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
    """The cell's run, trained now or gone on with if it exists."""
    given, algorithm, steps = env if cell.steps else None, cell.algorithm, cell.steps
    if not steps:
        steps = CLONING[_kind(algorithm.network)]
    elif isinstance(algorithm.optimiser, PPO):  # step sizes of policies fall to 0
        optimiser = algorithm.optimiser
        decay = steps // (optimiser.envs * optimiser.rollout)
        weight = CLONING_WEIGHT if cell.warm else 0.0
        optimiser = dataclasses.replace(optimiser, decay=decay, cloning_weight=weight)
        algorithm = dataclasses.replace(algorithm, optimiser=optimiser)
    if cell.steps and cell.warm:
        network = algorithm.optimiser.network
        updates = CLONING[_kind(network)]
        algorithm = us.Stages(
            ((us.BC(network=network, decay=updates), updates), (algorithm, 1)),
            handover="copy_policy", stretch="last",
        )  # fmt: skip
        steps += updates
    out = folder / cell.folder
    if (out / "config.json").exists():
        run = us.Run(out)
        return run if run.finished else us.resume(out, env=given, demonstrations=demonstrations)
    return us.train(
        algorithm, env=given, demonstrations=demonstrations, steps=steps, seeds=SEEDS, out=out
    )


def _kind(network: Any) -> str:
    return "team" if isinstance(network, Transformer) else "own"


def scores(cell: Cell, run: Any, env: Any, expert: Any, episodes: int) -> list[dict[str, Any]]:
    """Means over seeds, of sampled and of most likely actions."""
    found = us.evaluate(run, env=env, expert=expert, episodes=episodes, mode="both")
    seconds = json.loads((run.folder / "timing.json").read_text())["seconds"]
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
            "diverged": len(run.diverged), "minutes": round(seconds / 60, 1),
        })  # fmt: skip
    return rows


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
