"""Scripted policies of cooperative navigation with local observations (C.1).

    python benchmarks/local_anchors.py

Mean reward of a step (`Spread.goodai`, 100 steps) of five policies at N = 4, 12 and 80: doing
nothing, random actions, each to the nearest landmark, the local rule, and the assignment of least
total distance; the last three steer by PD control with a gain of 8 and a damping of 1.5. Beside
them what an independent numpy version of the published rules earned (2,000, 500 and 30 episodes),
and the same policies steered as the library's experts are. Both have to agree within three
standard errors of their difference, that of the other version taken from the spread of ours.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy.envs import movers
from understudy.envs.steering import PD
from understudy.experiment.returns import play

EPISODES = {4: (20_000, 2_000), 12: (4_000, 500), 80: (60, 30)}
"""Number of agents -> episodes of ours and of the other version."""
OTHER = {
    "no action": (-12.93, -89.0, -3304.0),
    "random": (-15.60, -100.6, -3490.0),
    "nearest landmark": (-11.2, -65.4, -1938.0),
    "local rule": (-8.19, -43.5, -1212.0),
    "assignment": (-4.94, -18.9, -345.0),
}
"""What the numpy version earned at 4, 12 and 80 agents."""
OWN = {"nearest landmark": "nearest", "local rule": "local-rule", "assignment": "hungarian"}


def policies(env: Any) -> dict[str, Any]:
    """The five, as the numpy version played them."""
    steering = PD()
    return {
        "no action": us.experts.noop(env),
        "random": us.experts.random(env),
        "nearest landmark": movers.Local(steering, 0, 1),
        "local rule": movers.Local(steering, 3, 4),
        "assignment": movers.Hungarian(steering),
    }


def measured(policy: Any, env: Any, episodes: int) -> dict[str, Any]:
    """Mean reward of a step with its standard error, and what the game says."""
    played = play(policy, env, episodes=episodes, seed=0)
    reward = played.team() / env.spec.horizon
    said = {name: float(np.mean(played.figures[name])) for name in type(env).figures}
    error = float(reward.std(ddof=1) / np.sqrt(episodes))
    return {"reward": float(reward.mean()), "standard_error": error, **said}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows, targets = [], []
    for column, (agents, (episodes, others)) in enumerate(EPISODES.items()):
        env = us.envs.make(f"spread-goodai:agents={agents}")
        for name, policy in policies(env).items():
            found, other = measured(policy, env, episodes), OTHER[name][column]
            error = found["standard_error"] * np.sqrt(1.0 + episodes / others)
            apart = (found["reward"] - other) / error
            rows.append({"agents": agents, "policy": name, "episodes": episodes, **found,
                         "other": other, "standard_errors_apart": float(apart)})  # fmt: skip
            targets.append(target(
                f"C.1 {name}, N = {agents}", f"{name} at N = {agents}, standard errors between two "
                "versions of the game", "<=", 3.0, abs(float(apart)),
            ))  # fmt: skip
        for name, expert in OWN.items():
            found = measured(us.experts.EXPERTS[expert](env), env, episodes)
            rows.append(
                {"agents": agents, "policy": f"{name}, ours", "episodes": episodes, **found}
            )
        print(table(rows), flush=True)
    print(summary(targets))
    write("local_anchors", command=command(), seeds=[0], rows=rows, targets=targets)


if __name__ == "__main__":
    main()
