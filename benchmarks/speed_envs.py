"""Env steps per second of `spread`, against JaxMARL and VMAS (B1.6, B1.7).

    UNDERSTUDY_PEER_VMAS=vmas/bin/python python benchmarks/speed_envs.py

Three agents, five choices drawn at random inside the loop, episodes of 25 steps and auto-reset,
every observation and reward in a checksum, on all sides. Ours is `rollout.advance`, the step that
training takes. Every program is started and warmed up, then they take turns for `--rounds` rounds
of half a second. ``ours, collect`` is not part of the contest: `rollout.collect` with a random
policy and every row kept. Ratios above 1: ours is faster.

JaxMARL runs in this interpreter unless ``UNDERSTUDY_PEER_JAXMARL`` names another; VMAS, which is
not free to be mixed with our licence, in one of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from peers.serve import serve
from race import BUSY, Program, race
from random_play import play_at_random
from results import command, summary, table, target, write

HERE = Path(__file__).parent
ENVS = (1, 100, 1_000, 10_000)
STEPS = {1: 5_000, 100: 2_500, 1_000: 500, 10_000: 100}
"""Of one call, for the programs that compile their loop."""
HORIZON = 25
PEERS = {"JaxMARL": ("spread_jaxmarl.py", "B1.6", 3.0), "VMAS": ("spread_vmas.py", "B1.7", 2.0)}


# --- our side, in a process of its own ---


def work(envs: int, steps: int) -> None:
    """Random play through `rollout.advance`."""
    import jax
    import jax.numpy as jnp

    from understudy.envs.spread import Spread

    env = Spread()

    def draw(key: Any) -> Any:
        return jnp.floor(5.0 * jax.random.uniform(key, (envs, env.agents, 1)))

    play_at_random(env, draw, envs=envs, steps=steps)


def work_collect(envs: int, steps: int) -> None:
    """A random policy through `rollout.collect`, every row kept."""
    import jax

    from understudy.envs import experts, rollout
    from understudy.envs.spread import Spread

    env = Spread()
    policy = experts.random(env)

    @jax.jit
    def play(actor: Any, key: Any) -> Any:
        key, own = jax.random.split(key)
        actor, rows = rollout.collect(env, policy, actor, own, steps=steps)
        read = (rows.observation.features, rows.observation_next.features, rows.reward, rows.action)
        return actor, key, rows, sum(leaf.sum() for leaf in jax.tree.leaves(read))

    key = jax.random.key(0)
    actor = rollout.begin(env, policy, key, envs=envs)

    def call() -> float:
        nonlocal actor, key
        actor, key, _, checksum = play(actor, key)
        return float(checksum)

    serve(call, envs=envs, steps=steps, framework=f"jax {jax.__version__}")


# --- the match ---


def match(envs: int, pythons: dict[str, str], rounds: int) -> list[dict[str, Any]]:
    """Alternate all programs at one number of envs; one row per program."""
    size = ["--envs", str(envs), "--steps"]
    mine = [sys.executable, __file__, *size]
    programs = {
        "ours": Program([*mine, str(STEPS[envs]), "--worker", "step"]),
        "ours, collect": Program([*mine, str(4 * HORIZON), "--worker", "collect"]),
    }
    for peer, python in pythons.items():
        steps = HORIZON if peer == "VMAS" else STEPS[envs]
        programs[peer] = Program([python, str(HERE / "peers" / PEERS[peer][0]), *size, str(steps)])
    rows = []
    for label, figures in race(programs, rounds).items():
        program = programs[label]
        rows.append(
            {
                "envs": envs,
                **figures,
                "env_steps_per_second": 1 / statistics.median(program.seconds),
                "first_call_seconds": program.about["first_step_seconds"],
            }
        )
        program.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", choices=ENVS, default=list(ENVS))
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--worker", choices=("step", "collect"))
    parser.add_argument("--envs", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    if options.worker:
        (work if options.worker == "step" else work_collect)(options.envs, options.steps)
        return
    vmas = os.environ.get("UNDERSTUDY_PEER_VMAS")
    if not vmas:
        raise SystemExit(
            "expected UNDERSTUDY_PEER_VMAS to name an interpreter with vmas; "
            "benchmarks/README.md says how to make one in two lines"
        )
    load = os.getloadavg()[0]
    if load > BUSY and not options.dry:
        raise SystemExit(
            f"expected a machine with nothing else to do, found a load of {load:.1f}; wait, or "
            "rehearse with --dry"
        )
    pythons = {"JaxMARL": os.environ.get("UNDERSTUDY_PEER_JAXMARL", sys.executable), "VMAS": vmas}
    rows: list[dict[str, Any]] = []
    for envs in options.sizes:
        rows += match(envs, pythons, options.rounds)
        print(table([row for row in rows if row["envs"] == envs]), flush=True)
    lines = [
        target(
            f"{PEERS[row['program']][1]}{'abcd'[ENVS.index(row['envs'])]}",
            f"env steps/s of spread over {row['program']}, {row['envs']} envs",
            ">=",
            PEERS[row["program"]][2],
            row["ours_faster"],
            (row["lowest_round"], row["highest_round"]),
        )
        for row in rows
        if row["program"] in PEERS
    ]
    if not options.dry:
        write("speed_envs", command=command(), seeds=[0], rows=rows, targets=lines)
    print(summary(lines))


if __name__ == "__main__":
    main()
