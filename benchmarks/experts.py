"""Train experts with every policy optimiser: spread, SMAX 3m and HalfCheetah 6x1, five seeds each.

    python benchmarks/experts.py --game spread --runs runs
    python benchmarks/experts.py --game smax --runs runs --only MAPPO HAPPO
    python benchmarks/experts.py --game halfcheetah --runs runs --minutes 60

Seeds of one optimiser train in one program. A run that exists is not trained again, one that was
stopped goes on. Rows hold the wall-clock time of training, compiling included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import understudy as us
from results import command, summary, table, target, write
from training import trained

SEEDS = 5
SPREAD = {"discount": 0.95}
GAMES: dict[str, dict[str, Any]] = {
    "spread": {
        "env": "spread",
        "steps": 1_000_000,
        "longer": {"MAPPO": 3_000_000, "HAPPO": 3_000_000},
        "algorithms": {
            "MAPPO": us.MAPPO(**SPREAD, learning_rate=3e-3, epochs=8),
            "HAPPO": us.HAPPO(**SPREAD),
            "MAT": us.MAT(**SPREAD, epochs=2),
        },
    },
    "smax": {
        "env": "smax:map=3m",
        "steps": 1_500_000,
        "own": {"HAPPO": 3_000_000, "MAT": 1_000_000},
        "algorithms": {
            "MAPPO": us.MAPPO(epochs=8, decay=240),
            "HAPPO": us.HAPPO(),
            "MAT": us.MAT(envs=32, epochs=4),
        },
    },
    "halfcheetah": {
        "env": "halfcheetah-6x1",
        "steps": 10_000_000,
        "algorithms": {
            "MAPPO": us.MAPPO(
                sharing="independent",
                hidden=(64, 64),
                normalise=True,
                std="sigmoid",
                std_start=1.0,
                rollout=256,
                envs=16,
                learning_rate=5e-4,
                epochs=5,
                entropy=0.0,
            )
        },
    },
}
"""What is trained where, for how many env steps a seed; some for longer as well (``longer``), or
for a number of steps of their own (``own``)."""


def expert(game: str, name: str, folder: Path, steps: int | None = None) -> Any:
    """The finished run of one optimiser, trained now if it is not there."""
    plan = GAMES[game]
    steps = plan["steps"] if steps is None else steps
    return trained(
        plan["algorithms"][name], folder / f"{game}-{name.lower()}-{steps}", env=made(plan),
        steps=steps, seeds=SEEDS, options=us.TrainOptions(checkpoint_every=None),
        progress=say(name),
    )  # fmt: skip


def made(plan: dict[str, Any]) -> Any:
    """The env of a plan; host envs with games for every seed."""
    name = plan["env"]
    return us.envs.make(name, envs=16 * SEEDS) if "cheetah" in name else us.envs.make(name)


def say(name: str) -> Any:
    """A line every so often."""
    begun = time.monotonic()

    def progress(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint":
            print(f"{name}: {event['step']} updates, {time.monotonic() - begun:.0f} s", flush=True)

    return progress


def seconds(run: Any) -> float:
    """Wall-clock time of a training."""
    return json.loads((run.folder / "timing.json").read_text())["seconds"]


def spread(folder: Path, peer: str | None) -> None:
    """Scores between a random policy and the Hungarian expert, at equal env steps and beyond."""
    rows: list[dict[str, Any]] = []
    plan = GAMES["spread"]
    scores = {}
    budgets = [(name, plan["steps"]) for name in plan["algorithms"]]
    for name, steps in [*budgets, *plan["longer"].items()]:
        run = expert("spread", name, folder, steps)
        for mode in ("sample", "mode"):
            found = us.evaluate(run, episodes=400, mode=mode)
            rows += [row_of(name, row, run, mode) for row in own_rows(found)]
        overall = next(row for row in found.rows if row.get("seed") == "mean")
        scores[f"{name}, {steps / 1e6:g}M steps"] = (
            overall["normalised_iqm"], overall["intervals"].get("normalised_iqm")
        )  # fmt: skip
    references = {row["model"]: row for row in found.rows if row.get("reference")}
    rows += [
        {
            "optimiser": name,
            "mean_return": row["mean_return"],
            "interval": row["intervals"]["mean_return"],
        }
        for name, row in references.items()
    ]
    if peer is not None:
        for steps in (plan["steps"], max(plan["longer"].values())):
            rows += peer_rows(peer, steps, references)
    best = max(scores, key=lambda name: scores[name][0])
    finish("spread", rows, [
        target("B1.3", f"spread N=3, best interquartile mean score between random and Hungarian "
               f"({best}, most likely actions)", ">=", 0.9, scores[best][0], scores[best][1]),
    ])  # fmt: skip


def own_rows(found: Any) -> list[dict[str, Any]]:
    """Rows of what was trained, without the references."""
    return [row for row in found.rows if not row.get("reference")]


def row_of(name: str, row: dict[str, Any], run: Any, mode: str) -> dict[str, Any]:
    """What a table keeps of an evaluation."""
    kept = ("seed", "execution", "normalised", "normalised_iqm", "mean_return", "success_rate")
    return {
        "optimiser": name,
        "mode": mode,
        **{key: row[key] for key in kept if row.get(key) is not None},
        "interval": row.get("intervals", {}),
        "env_steps": int(run.folder.name.split("-")[-1]),
        "minutes": round(seconds(run) / 60, 1),
    }


def peer_rows(python: str, steps: int, references: dict[str, Any]) -> list[dict[str, Any]]:
    """The JaxMARL recipe at as many env steps, five seeds."""
    script = Path(__file__).parent / "peers" / "ippo_jaxmarl.py"
    words = [python, str(script), "--steps", str(steps), "--seeds", str(SEEDS), "--at", str(steps)]
    answer = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    low, high = (references[name]["mean_return"] for name in ("random", "expert"))
    rows = []
    for mode, ours in (("sampled", "sample"), ("greedy", "mode")):
        returns = answer["evaluations"][-1][mode]
        mean = sum(returns) / len(returns)
        rows.append({
            "optimiser": "JaxMARL's IPPO recipe", "mode": ours, "mean_return": mean,
            "normalised": (mean - low) / (high - low), "env_steps": steps,
        })  # fmt: skip
    return rows


def smax(folder: Path, only: list[str] | None) -> None:
    """Battles won on 3m, a part of the results per optimiser."""
    plan = GAMES["smax"]
    for name in only or plan["algorithms"]:
        run, rows = expert("smax", name, folder, plan["own"].get(name)), []
        for mode in ("sample", "mode"):
            found = us.evaluate(run, episodes=200, mode=mode, expert=None)
            rows += [row_of(name, row, run, mode) for row in own_rows(found)]
        mean = next(row for row in found.rows if row.get("seed") == "mean")
        finish(f"smax {name}", rows, [
            target(f"B1.4 {name}", f"SMAX 3m, battles won by {name}, most likely actions, mean of "
                   f"{SEEDS} seeds; {seconds(run) / 60:.0f} minutes", ">=", 0.9,
                   mean["success_rate"], mean["intervals"].get("success_rate")),
        ])  # fmt: skip


def halfcheetah(folder: Path, minutes: float) -> None:
    """Return over wall-clock time."""
    out = folder / "halfcheetah-mappo"
    begun, curve = time.monotonic(), []

    class Enough(Exception):
        pass

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            reward = event["metrics"]["reward"]
            returns = [1000 * value for value in reward]
            mean = sum(returns) / len(returns)
            curve.append({"minutes": (time.monotonic() - begun) / 60, "update": event["step"],
                          "return": mean, "worst": min(returns), "best": max(returns)})  # fmt: skip
            print(f"{curve[-1]['minutes']:.1f} min: {mean:.0f}", flush=True)
        if event["event"] == "checkpoint" and time.monotonic() - begun > 60 * minutes:
            raise Enough

    plan = GAMES["halfcheetah"]
    with contextlib.suppress(Enough):
        us.train(
            plan["algorithms"]["MAPPO"], env=made(plan), steps=10 * plan["steps"], seeds=SEEDS,
            out=out, options=us.TrainOptions(log_every=5, checkpoint_every=20), progress=watch,
        )  # fmt: skip
    reached = next((row["minutes"] for row in curve if row["return"] >= 2000), None)
    thinned = curve[:: max(1, len(curve) // 60)] + curve[-1:]
    finish("halfcheetah", thinned, [
        target("B1.5", f"HalfCheetah 6x1, minutes to a return of 2,000 (mean of {SEEDS} seeds that "
               f"train side by side, reward of a rollout times 1,000); best after {minutes:g} "
               f"minutes: {max(row['return'] for row in curve):.0f}", "<=", minutes, reached),
    ])  # fmt: skip


def finish(game: str, rows: list[dict[str, Any]], targets: list[dict[str, Any]]) -> None:
    """Write and print."""
    write("experts", command=command(), seeds=range(SEEDS), rows=rows, targets=targets,
          part=f"experts {game}")  # fmt: skip
    print(table(rows))
    print(summary(targets))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--game", choices=tuple(GAMES), required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="*", help="optimisers on SMAX")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--peer", default=sys.executable, help="python with jaxmarl; '' for none")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.game == "spread":
        spread(options.runs, options.peer or None)
    elif options.game == "smax":
        smax(options.runs, options.only)
    else:
        halfcheetah(options.runs, options.minutes)


if __name__ == "__main__":
    main()
