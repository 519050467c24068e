"""Train on four agents, run on twelve, eighty and a thousand (C.3 to C.7).

    python benchmarks/local_transfer.py --plan
    python benchmarks/local_transfer.py --runs runs
    python benchmarks/local_transfer.py --runs runs --only "DDPG, shared" BC

The game is `Spread.goodai`: agents see the nearest three others and four landmarks, in a world that
grows with the team. Every row is trained with the number of agents it says, and runs with all of
`TESTS` if its policy transfers. Scores are between doing nothing (0) and the assignment of least
total distance, which sees everything (1), on the same initial states; actions are the most likely
ones, seeds the interval. The demonstrations of imitators are episodes of that assignment among four
agents, 200 where the row does not say otherwise.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import understudy as us
from imitators import IMITATE, JUDGE, OWN, Cell, arguments, cloned, make, minutes, train
from results import FOLDER, command, summary, target, write
from training import trained
from understudy.networks.communication import Communicating
from understudy.networks.discriminators import TransformerDiscriminator

TESTS = {4: 200, 12: 200, 80: 30, 1_000: 2}
"""Agents -> episodes."""
FEW, MANY = 3, 5
"""Seeds among twelve agents, and among four."""
STEPS, COMPARED = 1_000_000, 200_000
"""Env steps of the policy that is to transfer, and of every row that is compared with others."""
RATES: dict[str, Any] = {
    "hidden": (128, 128), "discount": 0.9, "reward_scale": 0.1, "passes": 200, "batch": 64,
    "remembered": 50_000, "noise": 0.5, "noise_keeps": 0.75,
}  # fmt: skip
"""Of DDPG, for every sharing. Tried with one seed, 200,000 env steps, noise 0.2 of which half stays
and 20,000 remembered, scores: 40 steps on 256 rows 0.52 (160 s), 80 on 128 0.79 (160 s), 200 on 64
0.84 (200 s); of 40 on 256, a central critic 0.46, twin critics and 3 steps 0.65. With 50,000
remembered: 400 on 32 0.85; noise 0.4 and 200 on 64 0.90, a critic rate of 2e-3 besides 0.85. After
500,000 steps: noise 0.4 of which half stays 0.952, 0.5 of which three quarters stay 0.958."""
CLONE: dict[str, Any] = {"batch": 128, "learning_rate": 2e-3, "weight_decay": 0.03}
"""Of behaviour cloning. Tried with one seed, 200 demonstrations: 16,000 updates so score 0.92 with
four agents, 8,000 of 256 rows with step size 1e-3 and ten times the decay 0.81."""
TALK: dict[str, Any] = {"passes": 40, "batch": 16}
"""Of both with which communication is measured: a pass takes much longer with it."""
WANTED = {("DDPG, shared", 4): 0.92, ("DDPG, shared", 12): 0.85, ("DDPG, shared", 80): 0.75}
IDS = {4: "C.3", 12: "C.5 N = 12", 80: "C.5 N = 80"}


@dataclasses.dataclass(frozen=True)
class Route:
    """One way to a policy."""

    algorithm: Any
    steps: int = COMPARED
    """Env steps; 0: it clones."""
    agents: int = 4
    """Trained with."""
    rules: str = ""
    """More of the game's words."""
    shown: int = 0
    """Demonstrations it imitates."""
    cloned: bool = False
    """It begins with what BC learns from them, and then learns from rewards."""

    @property
    def seeds(self) -> int:
        return MANY if self.agents == 4 else FEW

    def cell(self, name: str) -> Cell:
        """Its part of the table."""
        return Cell(name, self.algorithm, self.steps, words=("local",), start=bc())


def ddpg(steps: int = COMPARED, **changes: Any) -> Any:
    """DDPG whose noise and step sizes fall over its training."""
    made = us.DDPG(**{**RATES, **changes})
    updates = steps // (made.envs * made.rollout)
    return dataclasses.replace(made, decay=updates, noise_decay=updates)


def bc(network: Any = OWN.network, updates: int = 16_000) -> us.BC:
    """Behaviour cloning whose step size falls over its training."""
    return us.BC(network=network, decay=updates, **CLONE)


def routes() -> dict[str, Route]:
    """Name -> how it is trained."""
    team = {
        "discriminator": TransformerDiscriminator(**JUDGE), "optimiser": OWN, **IMITATE
    }  # fmt: skip
    sets = dataclasses.replace(OWN.network, sets=32)
    talk = Communicating(thought=32)
    slow = {"learning_rate": 3e-4, "entropy": 0.0, "decay": STEPS // (OWN.envs * OWN.rollout)}
    tuned = dataclasses.replace(OWN, **slow)
    found = {
        "DDPG, shared": Route(ddpg(STEPS), STEPS),
        "DDPG, shared, in short": Route(ddpg()),
        "DDPG, shared, in short, numbers seen": Route(ddpg(), rules="ids=true"),
        "TD3, shared": Route(ddpg(critics=2, target_noise=0.1)),
        "DDPG, independent": Route(ddpg(sharing="independent")),
        "DDPG, global": Route(ddpg(sharing="joint")),
        "DDPG, independent, N = 12": Route(ddpg(sharing="independent"), agents=12),
        "DDPG, global, N = 12": Route(ddpg(sharing="joint"), agents=12),
        "BC": Route(bc(), steps=0, shown=200),
        "BC, 1,000 shown": Route(bc(updates=40_000), steps=0, shown=1_000),
        "BC, then MAPPO": Route(tuned, shown=200, cloned=True),
        "BC, sets": Route(bc(sets), steps=0, shown=200),
        "MAGAIL": Route(us.MAGAIL(optimiser=OWN, **IMITATE), 400_000, shown=200),
        "MILD² discriminator, PPO": Route(us.MILD2(**team), 400_000, shown=200),
    }
    for name, network in {
        "ATOC, N = 12": talk,
        "ATOC without communication, N = 12": dataclasses.replace(talk, communicates=False),
    }.items():
        steps = 200_000
        found[name] = Route(
            dataclasses.replace(ddpg(steps, **TALK), network=network), steps, 12, "ids=true"
        )
    return found


def game(route: Route, agents: int) -> Any:
    """The env of a route with so many agents."""
    return us.envs.make(f"spread-goodai:agents={agents}" + f",{route.rules}" * bool(route.rules))


def scored(name: str, route: Route, run: Any) -> list[dict[str, Any]]:
    """A row per number of agents, over all seeds."""
    rows = []
    moves = run.policy(seed=0).transfers
    for agents in TESTS if moves else [route.agents]:
        env = game(route, agents)
        found = us.evaluate(
            run, env=env, expert="hungarian", floor="noop", episodes=TESTS[agents], mode="mode"
        )
        row = next(r for r in found.rows if r.get("seed") == "mean" and not r.get("reference"))
        low, high = row["intervals"]["normalised"]
        rows.append({
            "route": name, "trained_with": route.agents, "agents": agents,
            "execution": row["execution"], "score": row["normalised"], "low": low, "high": high,
            "reward": row["mean_return"] / env.spec.horizon,
            **{key: row[f"game/{key}"] for key in ("distance", "covered", "touches")},
            "env_steps": route.steps, "seeds": run.seeds, "diverged": len(run.diverged),
            "minutes": minutes(run),
        })  # fmt: skip
    return rows


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What rows say beside each other, as far as they are there.

    A difference of two rows lies within that of the ends of their intervals, which is wider than
    its own.
    """
    by = {(row["route"], row["agents"]): row for row in rows if "route" in row}
    lines = []
    for name in ("DDPG, independent", "DDPG, global"):
        for agents, key in ((4, name), (12, f"{name}, N = 12")):
            if row := by.get((key, agents)):
                lines.append(
                    target(
                        f"C.4 {key}",
                        f"{name} with {agents} agents above doing nothing",
                        ">",
                        0.0,
                        row["score"],
                        (row["low"], row["high"]),
                    )
                )
    routes = {name: row for (name, agents), row in by.items()
              if agents == 80 and row["trained_with"] == 4}  # fmt: skip
    if routes:
        best = max(routes, key=lambda name: routes[name]["score"])
        row = routes[best]
        lines.append(target("C.6", f"best of {len(routes)} routes with 80 agents: {best}", ">=",
                            0.85, row["score"], (row["low"], row["high"])))  # fmt: skip
    pair = [by.get((f"ATOC{kind}, N = 12", 12)) for kind in ("", " without communication")]
    if all(pair):
        talks, silent = pair
        least, most = talks["low"] - silent["high"], talks["high"] - silent["low"]
        lines.append(target("C.7", "least that communication surely adds to the score, N = 12", ">",
                            0.0, least, (least, most)))  # fmt: skip
    return lines


def main() -> None:
    options = arguments(__doc__).parse_args()
    kinds = routes()

    def rows_of(cell: Cell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        route, demos = kinds[cell.name], None
        env = game(route, route.agents)
        if route.shown:
            demos = us.collect(env, us.experts.hungarian(env), episodes=route.shown, seed=0)
        if demos is not None and not route.cloned:
            run = train(cell, env, demos, options.runs)
        else:
            run = trained(
                route.algorithm, options.runs / cell.folder, env=env, steps=route.steps,
                seeds=route.seeds,
                warm_start=None if demos is None else cloned(bc(), demos, options.runs),
            )  # fmt: skip
        rows = scored(cell.name, route, run)
        lines = [
            target(f"{IDS[row['agents']]} {cell.name}", f"{cell.name}, score with {row['agents']} "
                   "agents", ">=", WANTED[cell.name, row["agents"]], row["score"],
                   (row["low"], row["high"]))
            for row in rows if (cell.name, row["agents"]) in WANTED
        ]  # fmt: skip
        return rows, lines

    make("local_transfer", [
        route.cell(name) for name, route in kinds.items()
    ], options, rows_of)  # fmt: skip
    if options.plan:
        return
    rows = json.loads((FOLDER / "local_transfer.json").read_text())["rows"]
    lines = compared(rows)
    write("local_transfer", command=command(), seeds=range(MANY), rows=[], targets=lines,
          part="beside each other")  # fmt: skip
    print(summary(lines))


if __name__ == "__main__":
    main()
