"""Which gap a runner plans to take while the other is blocked (E.4).

    python benchmarks/box_bumper.py --plan
    python benchmarks/box_bumper.py --runs RUNS

A blocker stands in the gap that is nearer to the runner. The runner plans eighty steps ahead
against ten draws of the blocker's latents, the worst of them or their mean: with a model that holds
both apart, and with one in which the blocker only reacts. Counted is how many first plans get below
the wall on the free side. Beside it how many get below at all, how many make for the free side
(there they are, or come nearest to that), through which gap the runner goes within 100 steps,
planning again every ten while the blocker stays where it is, and whether it arrives.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from training import trained
from understudy.envs import rollout
from understudy.envs.box_bumper import WALL_Y, BoxBumper, reach
from understudy.functional.statistics import mean_interval

EPISODES, UPDATES, SEEDS, GAMES, HORIZON = 20_000, 8_000, 3, 32, 100
MODELS = {
    kind: us.SegmentVAE(
        factorisation=kind, length=10, own=8, free=0, kl_weight=0.005, decay=UPDATES
    )
    for kind in ("factored", "conditional")
}  # fmt: skip
PLANNER = us.Planner(method="cem", segments=8, candidates=48, iterations=3)
MODES = ("worst", "mean")
WANTED = 0.8
HOURS = "about 0.3 hours of training and 0.3 of planning on one core"


def game(horizon: int = HORIZON, **words: Any) -> BoxBumper:
    """With forces in any direction."""
    return BoxBumper(action="plane", horizon=horizon, **words)


def below(way: Any, blocker: Any) -> tuple[Any, Any]:
    """Whether runners get below the wall, and on which side they first do or else come nearest.

    Args:
        way: places, ``[games, time, 2]``.
        blocker: where the other stands along x, ``[games]``.

    Returns:
        Whether they get below, and whether that side is free.
    """
    under = way[..., 1] < WALL_Y
    at = jnp.where(under.any(1), under.argmax(1), way[..., 1].argmin(1))
    x = jnp.take_along_axis(way[..., 0], at[:, None], 1)[:, 0]
    return under.any(1), jnp.sign(x) != jnp.sign(blocker)


def played(model: Any, mode: Any) -> dict[str, float]:
    """Shares of first plans, and of games, that go where."""
    env = game(start="blocked")
    runner = dataclasses.replace(PLANNER, mode=mode).policy(model, reach, [("runner", 0)])
    team = us.envs.assign(env.spec, {("runner", 0): runner, ("blocker", 0): us.experts.noop(env)})

    @jax.jit
    def play(key: Any) -> Any:
        actor = rollout.begin(env, team, key, envs=GAMES)
        keys = jax.random.split(jax.random.key(7), GAMES)
        memory = rollout.blank(runner, actor.observation, GAMES)
        _, memory = jax.vmap(runner.act)(actor.observation, memory, keys)
        blocker = actor.observation.features["blocker"][:, 0, 0]
        passes, free = below(memory["imagined"][..., :2], blocker)
        _, rows = rollout.collect(env, team, actor, key, steps=HORIZON)
        way = jnp.swapaxes(rows.observation.features["runner"][:, :, 0, :2], 0, 1)
        goes, freely = below(way, blocker)
        return {
            "free_gap": passes & free, "passes": passes, "towards_free": free,
            "goes_free": goes & freely, "goes_blocked": goes & ~freely,
            "arrives": rows.info["success"].any(0),
        }  # fmt: skip

    return {name: float(np.mean(x)) for name, x in play(jax.random.key(100)).items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/box_bumper"))
    parser.add_argument("--plan", action="store_true", help="say how long it takes")
    options = parser.parse_args()
    if options.plan:
        print(HOURS)
        return
    env, rows = game(75), []
    log = us.collect(env, us.experts.wander(env), episodes=EPISODES, seed=0)
    for name, algorithm in MODELS.items():
        run = trained(
            algorithm, options.runs / name, demonstrations=log, steps=UPDATES, seeds=SEEDS
        )
        for seed in range(SEEDS):
            model = run.policy(seed=seed).model
            for mode in MODES:
                rows.append({"model": name, "against": mode, "seed": seed, **played(model, mode)})
            print(table(rows[-len(MODES) :]), flush=True)
    targets = []
    for mode in MODES:
        shares = [r["free_gap"] for r in rows if (r["model"], r["against"]) == ("factored", mode)]
        found = mean_interval(np.asarray(shares))
        targets.append(
            target(f"E.4 factored, {mode}", "share of first plans through the free gap, agents "
                   f"held apart, against the {mode} of ten others", ">=", WANTED, found.estimate,
                   (found.low, found.high))
        )  # fmt: skip
    write("box_bumper", command=command(), seeds=range(SEEDS), rows=rows, targets=targets)
    print(summary(targets))


if __name__ == "__main__":
    main()
