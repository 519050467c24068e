"""Imitating three agents on spread: every method, few and many demonstrations (B2.3).

    python benchmarks/spread_imitation.py --plan
    python benchmarks/spread_imitation.py --runs runs
    python benchmarks/spread_imitation.py --runs runs --only BC MAGAIL --demonstrations 5 200

The expert is scripted (it solves the assignment and steers); nobody sees the env's reward. Sizes,
steps and learning rates of a method are the same for every number of demonstrations; they were
chosen on seeds 100 and 101 by the likelihood of held-out demonstrations and by the accuracy of the
discriminator, never by return. Scores are between a random policy (0) and the expert (1) on the
same 200 initial states, of the last checkpoint; ``execution`` says whether agents act on what they
see alone. A run that exists is gone on with, so the table can be made in pieces.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import understudy as us
from results import command, summary, table, target, write

SEEDS = 5
DEMONSTRATIONS = (1, 5, 20, 200)
EPISODES = 200
CLONING = 2_000
OWN = us.MAPPO(discount=0.95, learning_rate=5e-4)
TEAM = us.MAT(discount=0.95, learning_rate=5e-4, envs=16, epochs=2, minibatches=2)
STEPS = {"own": 500_000, "team": 100_000}
"""Env steps of policies that act alone, and of transformers, which take 30 times as long."""


def methods() -> dict[str, tuple[Any, str]]:
    """Name -> algorithm without a warm start, and which of `STEPS`; ``""``: it only clones."""
    parts: dict[str, Any] = {"cloning": 0, "minibatch": 512}
    return {
        "BC": (us.BC(), ""),
        "BC, independent": (us.BC(sharing="independent"), ""),
        "BC, joint": (us.JointBC(), ""),
        "GAIL": (us.GAIL(optimiser=us.MAPPO(discount=0.95, learning_rate=5e-4, sharing="joint"),
                         **parts), "own"),
        "MAGAIL": (us.MAGAIL(optimiser=OWN, **parts), "own"),
        "MAGAIL, central": (us.MAGAIL("central", optimiser=OWN, **parts), "own"),
        "MAGAIL discriminator, MAT": (us.MAGAIL(optimiser=TEAM, **parts), "team"),
        "MILD² discriminator, PPO": (us.MILD2(optimiser=OWN, **parts), "own"),
        "MILD²-GD": (us.MILD2GD(optimiser=TEAM, **parts), "team"),
        "MILD²": (us.MILD2(optimiser=TEAM, **parts), "team"),
    }  # fmt: skip


def warm(algorithm: Any) -> Any:
    """The same after some behaviour cloning of its network."""
    clone = us.BC(network=algorithm.optimiser.network)
    return us.Stages(
        ((clone, CLONING), (algorithm, 1)), handover="copy_policy", stretch="last"
    )  # fmt: skip


def trained(name: str, count: int, started: bool, demos: us.Demonstrations, folder: Path) -> Any:
    """One cell's run, trained now or gone on with."""
    algorithm, kind = methods()[name]
    env = us.envs.make("spread") if kind else None
    steps = STEPS[kind] if kind else CLONING
    if kind and started:
        algorithm, steps = warm(algorithm), steps + CLONING
    words = name.lower().replace("²", "2").replace(", ", "-").replace(" ", "-")
    out = folder / f"{words}-{count}{'-warm' if started else ''}"
    if (out / "config.json").exists():
        return us.resume(out, env=env, demonstrations=demos)
    return us.train(algorithm, env=env, demonstrations=demos, steps=steps, seeds=SEEDS, out=out)


def cells(only: list[str] | None, counts: list[int]) -> list[tuple[str, int, bool]]:
    """Method, demonstrations, warm start; without one only where most is shown."""
    found = []
    for name, (_, kind) in methods().items():
        if only and name not in only:
            continue
        for count in counts:
            found.append((name, count, bool(kind)))
            if kind and count == max(DEMONSTRATIONS):
                found.append((name, count, False))
    return found


def rows_of(name: str, count: int, started: bool, run: Any) -> list[dict[str, Any]]:
    """The mean over seeds, sampled and most likely actions."""
    rows = []
    seconds = json.loads((run.folder / "timing.json").read_text())["seconds"]
    for mode in ("sample", "mode"):
        found = us.evaluate(
            run, env=us.envs.make("spread"), expert="hungarian", episodes=EPISODES, mode=mode
        )
        row = next(r for r in found.rows if r.get("seed") == "mean")
        interval = row["intervals"]["normalised_iqm"]
        rows.append({
            "method": name, "demonstrations": count, "warm_start": started, "mode": mode,
            "execution": row["execution"], "score": row["normalised_iqm"], "low": interval[0],
            "high": interval[1], "return": row["mean_return"],
            "diverged": len(run.diverged),
            "minutes": round(seconds / 60, 1),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--only", nargs="*", choices=tuple(methods()))
    parser.add_argument("--demonstrations", nargs="*", type=int, default=list(DEMONSTRATIONS))
    parser.add_argument("--plan", action="store_true", help="say what will be trained, no more")
    options = parser.parse_args()
    wanted = cells(options.only, options.demonstrations)
    if options.plan:
        for name, count, started in wanted:
            print(f"{name}, {count} demonstrations{', warm start' if started else ''}")
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    env = us.envs.make("spread")
    demos = us.collect(env, us.experts.hungarian(env), episodes=max(DEMONSTRATIONS), seed=0)
    for name, count, started in wanted:
        begun = time.monotonic()
        run = trained(name, count, started, demos[:count], options.runs)
        rows = rows_of(name, count, started, run)
        part = f"{name}, {count}{', warm' if started else ''}"
        write("spread_imitation", command=command(), seeds=range(SEEDS), rows=rows,
              targets=targets(rows), part=part)  # fmt: skip
        print(table(rows), f"{time.monotonic() - begun:.0f} s", flush=True)
        print(summary(targets(rows)), flush=True)


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Promises about most demonstrations; the better of the two modes of acting."""
    best = max(rows, key=lambda row: row["score"])
    wanted = {"MILD²": 0.95, "MAGAIL": 0.90}
    if best["demonstrations"] != max(DEMONSTRATIONS) or best["method"] not in wanted:
        return []
    start = "warm start" if best["warm_start"] else "no warm start"
    return [target(
        f"B2.3 {best['method']}, {start}", f"spread, {best['method']}, {start}, 200 "
        f"demonstrations, score of {SEEDS} seeds, {best['mode']}", ">=", wanted[best["method"]],
        best["score"], (best["low"], best["high"]),
    )]  # fmt: skip


if __name__ == "__main__":
    main()
