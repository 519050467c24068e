"""Steps per second of HalfCheetah 6x1: all games at once against gymnasium-robotics' loop (B1.11).

    python benchmarks/speed_mujoco.py

A step is one control step (five physics steps) of one game, all six agents. Programs take turns for
`--rounds` rounds with random actions made beforehand; every observation and reward enters a
checksum; a figure is the median of the rounds. Three loops are measured:

- `scalar`: gymnasium-robotics' parallel env, one game after the other, as it comes;
- `loop`: the same games through our host env (stacked observations, global state);
- `rollout`: our robots, all at once in MuJoCo's threads.

`physics` is the call into MuJoCo alone, which bounds `rollout`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from results import command, summary, table, target, write
from understudy.envs.adapters.mujoco import MaMuJoCo, scalar

GAMES, THREADS, SECONDS = (1, 64, 256), (1, 2), 1.0
HEADLINE = (64, 2)


def timed(step: Callable[[int], float], games: int) -> float:
    """Game steps per second over about `SECONDS`."""
    started, steps, checksum = time.perf_counter(), 0, 0.0
    while time.perf_counter() - started < SECONDS:
        checksum += step(steps)
        steps += 1
    elapsed = time.perf_counter() - started
    assert np.isfinite(checksum)
    return games * steps / elapsed


def gymnasium_loop() -> Callable[[int], float]:
    """One game as gymnasium-robotics plays it, begun again at its end."""
    env = scalar("HalfCheetah", "6x1", 0, False).env
    chance = np.random.default_rng(0)
    moves = chance.uniform(-1, 1, (512, 6, 1)).astype(np.float32)
    actions = [dict(zip(env.possible_agents, move, strict=True)) for move in moves]
    env.reset(seed=0)

    def step(t: int) -> float:
        seen, paid, _, late, _ = env.step(actions[t % 512])
        if late["agent_0"]:
            env.reset(seed=t)
        return sum(row.sum() + paid[agent] for agent, row in seen.items())

    return step


def host(games: int, threads: int, engine: str) -> Callable[[int], float]:
    """Our host env."""
    env = MaMuJoCo(envs=games, workers=threads, engine=engine)
    chance = np.random.default_rng(0)
    actions = chance.uniform(-1, 1, (64, games, 6, 1)).astype(np.float32)
    seeds = np.arange(games)
    env.reset(seeds)

    def step(t: int) -> float:
        answer = env.step({"agents": actions[t % 64]})
        if answer.truncated.any():
            env.reset(seeds + t, answer.truncated)
        seen = answer.observation
        return seen.features["agents"].sum() + seen.state.sum() + answer.reward["agents"].sum()

    return step


def physics(games: int, threads: int) -> Callable[[int], float]:
    """The call into MuJoCo alone, from where random play leads."""
    env = MaMuJoCo(envs=games, workers=threads)
    env.reset(np.arange(games))
    robots = env.games
    chance = np.random.default_rng(0)
    controls = chance.uniform(-1, 1, (64, games, 1, 6)).repeat(5, 2)

    def step(t: int) -> float:
        robots._pool.rollout(
            robots._models, robots._datas, robots._state, controls[t % 64], skip_checks=True,
            nstep=5, state=robots._frames, sensordata=robots._sensors, chunk_size=robots._chunk,
        )  # fmt: skip
        robots._state[:] = robots._frames[:, -1]
        return robots._state[0, 1]

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    programs: dict[tuple[str, int, int], Callable[[int], float]] = {
        ("scalar", 1, 1): gymnasium_loop(),
        ("loop", 64, 1): host(64, 1, "loop"),
    }
    for games in GAMES:
        for threads in THREADS:
            programs["rollout", games, threads] = host(games, threads, "rollout")
            programs["physics", games, threads] = physics(games, threads)
    speeds: dict[tuple[str, int, int], list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, step in programs.items():
            speeds[name].append(timed(step, name[1]))
    scalars = speeds["scalar", 1, 1]
    rows = []
    for (program, games, threads), found in speeds.items():
        ratios = [one / base for one, base in zip(found, scalars, strict=True)]
        rows.append({
            "env": "HalfCheetah 6x1",
            "program": program,
            "games": games,
            "threads": threads,
            "steps_per_second": statistics.median(found),
            "lowest": min(found),
            "highest": max(found),
            "over_scalar": statistics.median(ratios),
        })  # fmt: skip
    best = [one / base for one, base in zip(speeds["rollout", *HEADLINE], scalars, strict=True)]
    targets = [
        target(
            "B1.11",
            f"HalfCheetah 6x1 steps/s with {HEADLINE[0]} games on {HEADLINE[1]} threads, over "
            "gymnasium-robotics' scalar loop",
            ">=",
            3.0,
            statistics.median(best),
            (min(best), max(best)),
        )
    ]
    print(table(rows))
    print(summary(targets))
    print(f"load {os.getloadavg()[0]:.1f}")
    write("speed_envs", command=command(), seeds=[0], rows=rows, targets=targets)


if __name__ == "__main__":
    main()
