"""A predator that plans with segments, or with single steps (E.3).

    python benchmarks/predator_prey.py --plan
    python benchmarks/predator_prey.py --runs RUNS

Both models learn from the same wandering predators and prey. Then the predator plans fifty steps
ahead against the worst of ten draws of what the prey may do, plays ten and plans again, against a
prey that wanders. Cost: mean distance of a step, games of fifty steps, from the same or from
different sides of the wall. Seeds are of training; games are the same for all.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from training import trained
from understudy.envs import rollout
from understudy.envs.predator_prey import PredatorPrey, chase
from understudy.functional.statistics import mean_interval
from understudy.networks.segment_bodies import SegmentNetwork

EPISODES, UPDATES, SEEDS, GAMES = 8_000, 6_000, 3, 64
SHARED: dict[str, Any] = {"length": 10, "free": 0, "kl_weight": 0.005, "decay": UPDATES}
MODELS = {
    "segments": us.SegmentVAE(own=8, **SHARED),
    "single step": us.SegmentVAE(
        factorisation="single_step", past=1, network=SegmentNetwork(hidden=(128,) * 3), **SHARED
    ),
}  # fmt: skip
PLANNERS = {
    "adam": us.Planner(mode="worst", segments=5),
    "shooting": us.Planner(method="shooting", mode="worst", segments=5, candidates=100),
}
STARTS = ("same", "different")
WANTED = 0.15
HOURS = "about 0.2 hours of training and 0.5 of planning on one core"


def costs(team: Any, game: Any) -> np.ndarray:
    """Mean distance of every game."""

    @jax.jit
    def play(key: Any) -> Any:
        actor = rollout.begin(game, team, key, envs=GAMES)
        _, played = rollout.collect(game, team, actor, key, steps=game.horizon)
        return -played.reward["predator"][..., 0].mean(0)

    return np.asarray(play(jax.random.key(100)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/predator_prey"))
    parser.add_argument("--planners", nargs="*", choices=PLANNERS, default=list(PLANNERS))
    parser.add_argument("--plan", action="store_true", help="say how long it takes")
    options = parser.parse_args()
    if options.plan:
        print(HOURS)
        return
    env = PredatorPrey()
    log = us.collect(env, us.experts.wander(env), episodes=EPISODES, seed=0)
    rows: list[dict[str, Any]] = []
    found: dict[tuple[str, str, str], list[float]] = {}
    for start in STARTS:
        game = PredatorPrey(start=start)
        wandered = costs(us.experts.wander(game), game)
        rows.append({"start": start, "model": "wandering", "cost": float(wandered.mean())})
    for name, algorithm in MODELS.items():
        run = trained(
            algorithm, options.runs / name.replace(" ", "_"), demonstrations=log, steps=UPDATES,
            seeds=SEEDS,
        )  # fmt: skip
        for planner in options.planners:
            for start in STARTS:
                game = PredatorPrey(start=start)
                for seed in range(SEEDS):
                    model = run.policy(seed=seed).model
                    hunter = PLANNERS[planner].policy(model, chase, [("predator", 0)])
                    players = {("predator", 0): hunter, ("prey", 0): us.experts.wander(game)}
                    each = costs(us.envs.assign(game.spec, players), game)
                    found.setdefault((name, planner, start), []).append(float(each.mean()))
                    rows.append({
                        "start": start, "model": name, "planner": planner, "seed": seed,
                        "cost": float(each.mean()), "error": float(each.std() / GAMES**0.5),
                    })  # fmt: skip
                print(table(rows[-SEEDS:]), flush=True)
    targets = []
    for planner in options.planners:
        for start in STARTS:
            ours, theirs = (np.asarray(found[m, planner, start]) for m in MODELS)
            less = mean_interval(1.0 - ours / theirs)
            targets.append(target(
                f"E.3 {planner}, {start}", f"share by which segments cost less than single steps, "
                f"{planner}, {start} side", ">=", WANTED, less.estimate, (less.low, less.high),
            ))  # fmt: skip
    write("predator_prey", command=command(), seeds=range(SEEDS), rows=rows, targets=targets)
    print(summary(targets))


if __name__ == "__main__":
    main()
