"""Agent steps per second of `spread-goodai` from 4 to 1,000 agents, against numpy (C.2).

    python benchmarks/speed_spread_scaling.py

Local observations in a world that grows with the team, directions drawn at random inside the loop,
episodes of 100 steps and auto-reset, every observation and reward in a checksum, on both sides.
Ours is `rollout.advance`, the step that training takes; theirs `peers/spread_vectorised.py`, the
same rules in numpy. All programs, of every size, are started and warmed up, then they take turns
for `--rounds` rounds of at least half a second, so that a round also compares the sizes with each
other. Figures are medians of the rounds; ours may use every core, numpy uses one.

``original`` are the env steps per second of badger-2019's own python loops, as we measured them on
one core of another machine; they take no part in the race.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from race import BUSY, Program
from random_play import play_at_random
from results import command, summary, table, target, write

HERE = Path(__file__).parent
ENVS = {4: 1_000, 12: 300, 80: 20, 1_000: 2}
"""Agents -> games side by side."""
STEPS = {"ours": {4: 100, 12: 100, 80: 100, 1_000: 100}, "numpy": {4: 25, 12: 25, 80: 25, 1_000: 4}}
"""Of one call."""
ORIGINAL = {4: 1_540.0, 12: 84.0, 80: 0.5}
"""Env steps per second of the published program; at 80 agents it stays below that."""
GROWTH = 3.0
"""What a step of an agent may cost among 1,000, over what it costs among 80."""


def work(agents: int, envs: int, steps: int) -> None:
    """Random play, in a process of its own."""
    import jax

    from understudy.envs.spread import Spread

    def draw(key: Any) -> Any:
        return jax.random.uniform(key, (envs, agents, 2), minval=-1.0, maxval=1.0)

    play_at_random(Spread.goodai(agents=agents), draw, envs=envs, steps=steps)


def start(agents: int, label: str) -> Program:
    script = [__file__, "--worker"]
    if label == "numpy":
        script = [str(HERE / "peers" / "spread_vectorised.py")]
    sizes = {"agents": agents, "envs": ENVS[agents], "steps": STEPS[label][agents]}
    words = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    return Program([sys.executable, *script, *words])


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "lowest_round": min(values),
        "highest_round": max(values),
    }


def measure(sizes: list[int], rounds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and targets, after all programs of all sizes took turns."""
    programs = {(n, label): start(n, label) for n in sizes for label in STEPS}
    for _ in range(rounds):
        for program in programs.values():
            program.round()
    rows = []
    for (agents, label), program in programs.items():
        speeds = spread([agents / seconds for seconds in program.seconds])
        rows.append(
            {
                "agents": agents,
                "envs": ENVS[agents],
                "program": label,
                "framework": program.about["framework"],
                "agent_steps_per_second": speeds["median"],
                "lowest_round": speeds["lowest_round"],
                "highest_round": speeds["highest_round"],
                "env_steps_per_second": speeds["median"] / agents,
                "original_env_steps_per_second": ORIGINAL.get(agents),
                "rounds": rounds,
                "load": os.getloadavg()[0],
                "first_call_seconds": program.about["first_step_seconds"],
                "checksum": program.about["checksum"],
            }
        )
        program.close()

    def ratios(upper: tuple[int, str], lower: tuple[int, str]) -> dict[str, float]:
        """Seconds of an agent's step over another's, round by round."""
        pairs = zip(programs[upper].seconds, programs[lower].seconds, strict=True)
        return spread([(a / upper[0]) / (b / lower[0]) for a, b in pairs])

    def line(id: str, what: str, comparator: str, wanted: float, found: dict[str, float]) -> Any:
        interval = (found["lowest_round"], found["highest_round"])
        return target(id, what, comparator, wanted, found["median"], interval)

    lines = [
        line(
            f"C.2{'abcd'[list(ENVS).index(n)]}",
            f"agent steps/s of spread-goodai over numpy, {n} agents, {ENVS[n]} envs",
            ">",
            1.0,
            ratios((n, "numpy"), (n, "ours")),
        )
        for n in sizes
    ]
    if {80, 1_000} <= set(sizes):
        what = "cost of an agent's step among 1,000 agents over that among 80"
        lines.append(
            line("C.2e", what, "<=", GROWTH, ratios((1_000, "ours"), (80, "ours")))
        )  # fmt: skip
    return rows, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", choices=tuple(ENVS), default=list(ENVS))
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--agents", type=int, default=80)
    parser.add_argument("--envs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    if options.worker:
        work(options.agents, options.envs, options.steps)
        return
    load = os.getloadavg()[0]
    if load > BUSY and not options.dry:
        raise SystemExit(
            f"expected a machine with nothing else to do, found a load of {load:.1f}; wait, or "
            "rehearse with --dry"
        )
    rows, lines = measure(options.sizes, options.rounds)
    print(table(rows))
    if not options.dry:
        write("speed_spread_scaling", command=command(), seeds=[0], rows=rows, targets=lines)
    print(summary(lines))


if __name__ == "__main__":
    main()
