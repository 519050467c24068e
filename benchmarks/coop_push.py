"""Two arms that push together: planning with a model of a log, against who wrote the log.

    python benchmarks/coop_push.py --plan
    python benchmarks/coop_push.py --runs RUNS [--parts push ablation demonstrations]

``push`` (E.6): MADDPG plays 650,000 steps; a segment model learns from its replay, once, and both
arms plan with it. That against the same MADDPG, and against MADDPG after 3.3 million steps. The
planner knows how the game pays, MADDPG is only paid. Five seeds, each with its own log; 100
episodes, the same for all.

``ablation`` (E.8): the published table: factorisations, without search and without restarts, and
other ways to search, on logs of 650,000 steps, three seeds, 20 episodes.

``demonstrations`` (E.9): the log is 400 episodes of MADDPG after 3.3 million steps, 80 of each
seed. Draws from the prior are cloning; planning goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import two_arms as arms
import understudy as us
from results import FOLDER, command, summary, table, target, write
from understudy.data.regroup import concatenate
from understudy.envs.adapters.two_arms import TwoArmPlatform

PARTS = ("push", "ablation", "demonstrations")
HOURS = """hours of one core, together about 4.5
push           MADDPG 5 x (0.05 + 0.23), models 5 x 0.1, games 0.4
ablation       models 3 x 3 x 0.1, games 1.0
demonstrations model 3 x 0.1, games 0.2"""
FACTORISATIONS = ("factored", "mutual_information", "gradient", "conditional")
FEW_SEEDS, FEW_GAMES, SHOWN = 3, 20, 80


def team(run: Any, how: us.Planner) -> Any:
    """Both arms, moved by one plan."""
    model = run.policy().model
    return how.policy(model, arms.COOPERATIVE, arms.BOTH, execute=arms.EXECUTE)


def push(runs: Path) -> None:
    """E.6."""
    rows: list[dict[str, Any]] = []
    for seed in range(arms.SEEDS):
        after = {steps: arms.learner(runs, "cooperative", steps, seed)
                 for steps in (arms.SHORT, arms.LONG)}  # fmt: skip
        model = arms.model(runs, seed)
        for name, policy in (
            ("MADDPG, 650,000 steps", after[arms.SHORT].policy(seed=0, mode="mode")),
            ("MADDPG, 3,300,000 steps", after[arms.LONG].policy(seed=0, mode="mode")),
            ("draws from the prior", model.policy()),
            ("planner, log of 650,000 steps", team(model, arms.PLANNER)),
        ):
            rows.append({"player": name, "seed": seed, **arms.games(policy)})
        print(table(rows[-4:]), flush=True)
    finish("push", rows, pushed(rows), range(arms.SEEDS))


def pushed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What E.6 asks for."""
    early, late, _, ours = (
        arms.over_seeds(rows, "return", player=name)
        for name in dict.fromkeys(row["player"] for row in rows)
    )
    first, second = arms.interval(ours - early), arms.interval(ours - late)
    as_good = second[1][1] >= 0
    return [
        target("E.6 log", "return of the planner less that of MADDPG that wrote the log, lower end "
               "of the interval over seeds above", ">", 0.0, first[1][0], first[1]),
        target("E.6 log, exact", "chance of as large a mean difference if signs of seeds were "
               "drawn (one-sided; looked at after the interval)", "<=", 0.05,
               arms.chance(ours - early)),
        target("E.6 longer", "return of the planner less that of MADDPG after 3.3 million steps, "
               "upper end of the interval over seeds (not surely worse)", ">=", 0.0,
               second[1][1], second[1]),
        target("E.6 efficiency", "env steps of MADDPG over those of the log, where the planner is "
               "not surely worse (none otherwise)", ">=", 10.0,
               arms.LONG / arms.SHORT if as_good else None),
    ]  # fmt: skip


def recorded(part: str) -> list[dict[str, Any]]:
    """Rows of a part that were written before."""
    path = FOLDER / "coop_push.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    return [{k: v for k, v in row.items() if k != "part"} for row in kept if row["part"] == part]


def judge() -> None:
    """E.6 of the rows that were recorded, without playing again."""
    rows = recorded("push")
    finish("push", rows, pushed(rows), range(arms.SEEDS))


def ablation(runs: Path, seeds: list[int]) -> None:
    """E.8; rows of other seeds that were recorded before stay."""
    rows = [row for row in recorded("ablation") if row["seed"] not in seeds]
    planner = functools.partial(dataclasses.replace, arms.PLANNER)
    ways = {
        "cem": planner(),
        "no search, 64 draws": planner(method="shooting"),
        "no search, 320 draws": planner(method="shooting", candidates=320),
        "one draw": planner(method="shooting", candidates=1),
        "adam, 10 restarts, 10 steps": planner(method="adam", candidates=10, iterations=10),
        "adam, 1 restart, 10 steps": planner(method="adam", candidates=1, iterations=10),
        "mppi": planner(method="mppi"),
    }
    for seed in seeds:
        for kind in FACTORISATIONS:
            model = arms.model(runs, seed, kind)
            wanted = ways if kind == "factored" else dict(list(ways.items())[:2])
            for name, how in wanted.items():
                found = arms.games(team(model, how), episodes=FEW_GAMES)
                rows.append({"model": kind, "planner": name, "seed": seed, **found})
                print(table(rows[-1:]), flush=True)
    finish("ablation", rows, [], sorted({row["seed"] for row in rows}))


def shown(runs: Path) -> Any:
    """Demonstrations of all learners."""
    parts = []
    for seed in range(arms.SEEDS):
        expert = arms.learner(runs, "cooperative", arms.LONG, seed).policy(mode="mode")
        env = TwoArmPlatform(envs=SHOWN, workers=1)
        parts.append(us.collect(env, expert, episodes=SHOWN, seed=100 + seed))
        env.close()
    return concatenate(parts)


def demonstrations(runs: Path) -> None:
    """E.9."""
    log, rows = shown(runs), []
    print(f"{len(log)} episodes, {int(np.sum(log.terminated))} blocks fell", flush=True)
    for seed in range(FEW_SEEDS):
        model = arms.modelled(runs / "model_shown", log, seed)
        for name, policy in (
            ("draws from the prior", model.policy()),
            ("middle of the prior", model.policy(mode="mode")),
            ("planner", team(model, arms.PLANNER)),
        ):
            found = arms.games(policy, episodes=FEW_GAMES)
            rows.append({"player": f"{name}, demonstrations", "seed": seed, **found})
        print(table(rows[-3:]), flush=True)
    clone, _, ours = (
        arms.over_seeds(rows, "return", player=name)
        for name in dict.fromkeys(row["player"] for row in rows)
    )
    better = arms.interval(ours - clone)
    finish("demonstrations", rows, [
        target("E.9", "return of planning on top of the prior less that of draws from it, lower "
               "end of the interval over seeds", ">", 0.0, better[1][0], better[1]),
    ], range(FEW_SEEDS))  # fmt: skip


def finish(part: str, rows: list[dict[str, Any]], targets: list[Any], seeds: Sequence[int]) -> None:
    """Write a part."""
    write("coop_push", command=command(), seeds=seeds, rows=rows, targets=targets, part=part)
    print(summary(targets), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/two_arms"))
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(FEW_SEEDS)),
                        help="of the ablation")  # fmt: skip
    parser.add_argument("--judge", action="store_true", help="judge recorded rows of push again")
    parser.add_argument("--plan", action="store_true", help="say how long it takes")
    options = parser.parse_args()
    if options.plan:
        print(HOURS)
        return
    if options.judge:
        judge()
        return
    parts = {
        "push": push, "demonstrations": demonstrations,
        "ablation": functools.partial(ablation, seeds=options.seeds),
    }  # fmt: skip
    for part in options.parts:
        parts[part](options.runs)


if __name__ == "__main__":
    main()
