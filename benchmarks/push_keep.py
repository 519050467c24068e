"""One arm pushes, the other keeps: a model of cooperative play alone, against MADDPG (E.7).

    python benchmarks/push_keep.py --plan
    python benchmarks/push_keep.py --runs RUNS

MADDPG learns the competitive game for 3.3 million steps, both arms at once. The segment model is
that of ``coop_push.py``: it saw 650,000 steps in which both arms were paid for the fall, and no
keeper ever. Planning with it, one arm pushes against MADDPG's keeper, and one keeps against
MADDPG's pusher; MADDPG against itself stands beside both. The planner knows how the game pays,
MADDPG is only paid. Five seeds, each with its own model and its own MADDPG; 100 episodes, the same
for all.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import two_arms as arms
import understudy as us
from results import command, summary, table, target, write
from understudy.envs.adapters.two_arms import TwoArmPlatform

PUSH, KEEP = ("arms", 0), ("arms", 1)
PLANNER = us.Planner(
    method="cem", mode="mean", segments=3, candidates=32, others=2, iterations=4
)  # fmt: skip
HOURS = "about 5 x 0.25 hours for MADDPG and 5 x 0.1 of games on one core, models apart"


def rows_of(runs: Path, seed: int) -> list[dict[str, Any]]:
    """All pairs of one seed."""
    learner = arms.learner(runs, "competitive", arms.LONG, seed).policy(seed=0, mode="mode")
    model = arms.model(runs, seed).policy().model
    spec = TwoArmPlatform(rewards="competitive").spec

    def planned(agent: tuple[str, int]) -> Any:
        return PLANNER.policy(model, arms.COMPETITIVE, [agent], execute=10)

    pairs = {
        ("MADDPG", "MADDPG"): learner,
        ("planner", "MADDPG"): us.envs.assign(spec, {PUSH: planned(PUSH), KEEP: learner}),
        ("MADDPG", "planner"): us.envs.assign(spec, {PUSH: learner, KEEP: planned(KEEP)}),
    }
    return [
        {"push": push, "keep": keep, "seed": seed, **arms.games(team, rewards="competitive")}
        for (push, keep), team in pairs.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/two_arms"))
    parser.add_argument("--seeds", type=int, default=arms.SEEDS)
    parser.add_argument("--plan", action="store_true", help="say how long it takes")
    options = parser.parse_args()
    if options.plan:
        print(HOURS)
        return
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        rows += rows_of(options.runs, seed)
        print(table(rows[-3:]), flush=True)
    fell = {
        (push, keep): arms.over_seeds(rows, "fell", push=push, keep=keep)
        for push, keep in (("MADDPG", "MADDPG"), ("planner", "MADDPG"), ("MADDPG", "planner"))
    }  # fmt: skip
    pushes = arms.interval(fell["planner", "MADDPG"] - fell["MADDPG", "MADDPG"])
    keeps = arms.interval(fell["MADDPG", "MADDPG"] - fell["MADDPG", "planner"])
    targets = [
        target("E.7 push", "share of blocks that a planning pusher fells more than MADDPG's, "
               "against MADDPG's keeper, lower end over seeds", ">", 0.0, pushes[1][0], pushes[1]),
        target("E.7 keep", "share of blocks that a planning keeper holds more than MADDPG's, "
               "against MADDPG's pusher, lower end over seeds", ">", 0.0, keeps[1][0], keeps[1]),
    ]  # fmt: skip
    write("push_keep", command=command(), seeds=range(options.seeds), rows=rows, targets=targets)
    print(summary(targets))


if __name__ == "__main__":
    main()
