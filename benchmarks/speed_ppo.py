"""Training PPO on spread, against JaxMARL's recipe and BenchMARL (B1.8, B1.9, B1.10).

    UNDERSTUDY_PEER_JAXMARL=peers_jaxmarl/bin/python \\
    UNDERSTUDY_PEER_BENCHMARL=peers_benchmarl/bin/python python benchmarks/speed_ppo.py

Three agents, five choices, episodes of 25 steps. ``recipe`` and the ``equal`` cases have the same
networks (own critics, two tanh layers of 64), 16 games of 128 steps, 4 epochs of 4 minibatches on
all sides; BenchMARL plays PettingZoo's game and the vectorised one of VMAS. The ``defaults`` cases
leave every side its own defaults: other networks, batches and epochs, so other work per step.
Ours is the loop that `understudy.train` compiles, without checkpoints.

Every program is started and warmed up, then they take turns for `--rounds` rounds of some seconds.
A program's figure is the median of its rounds. ``collect_ms`` and ``learn_ms`` are milliseconds of
one update spent acting and learning: by its own timers for BenchMARL, each compiled and timed alone
for the others. The ``seeds`` cases are ours against ours: ten seeds in one program, and ten runs
one after the other of the program for one. Ratios above 1: ours (ten in one) is faster.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from race import BUSY, Program, race
from results import command, summary, table, target, write

HERE = Path(__file__).parent
SEEDS = 10
SIZES = {"envs": 16, "rollout": 128, "epochs": 4, "minibatches": 4}
HIDDEN = 64
JAXMARL, BENCHMARL = "UNDERSTUDY_PEER_JAXMARL", "UNDERSTUDY_PEER_BENCHMARL"


@dataclasses.dataclass(frozen=True)
class Case:
    """One contest: our arguments, and the other program."""

    ours: tuple[str, ...]
    other: tuple[str, ...]
    """Its name, the script, its arguments."""
    id: str
    wanted: float
    what: str
    peer: str = ""
    """The variable that names its interpreter; empty for this one."""


def steps(count: int, *words: str) -> tuple[str, ...]:
    """Arguments for so many env steps a round."""
    return (*words, "--steps", str(count))


SAME = tuple(w for name, value in SIZES.items() for w in (f"--{name}", str(value)))
CASES = {
    "recipe": Case(
        steps(200_000), ("JaxMARL", "ippo_jaxmarl.py", *steps(200_000), *SAME, "--profile", "20"),
        "B1.8", 1.5, "training, JaxMARL's recipe for IPPO, over JaxMARL", JAXMARL,
    ),
    "equal, mpe2": Case(
        steps(200_000),
        ("BenchMARL", "mappo_benchmarl.py", "--algorithm", "ippo", "--game", "mpe2", *SAME,
         "--iterations", "3"),
        "B1.9", 3.0, "training, equal network, batch, epochs, over BenchMARL", BENCHMARL,
    ),
    "equal, vmas": Case(
        steps(200_000),
        ("BenchMARL", "mappo_benchmarl.py", "--algorithm", "ippo", "--game", "vmas", *SAME,
         "--iterations", "8"),
        "B1.9b", 3.0, "the same, over BenchMARL on VMAS' game of that name", BENCHMARL,
    ),
    "defaults, mpe2": Case(
        steps(200_000, "--defaults"),
        ("BenchMARL", "mappo_benchmarl.py", "--game", "mpe2", "--defaults", "--iterations", "1"),
        "B1.9c", 10.0, "training, own defaults, MAPPO, over BenchMARL", BENCHMARL,
    ),
    "defaults, vmas": Case(
        steps(200_000, "--defaults"),
        ("BenchMARL", "mappo_benchmarl.py", "--game", "vmas", "--defaults", "--iterations", "1"),
        "B1.9d", 10.0, "the same, over BenchMARL on VMAS' game of that name", BENCHMARL,
    ),
    "seeds": Case(
        steps(30_000, "--seeds", str(SEEDS)), ("one after the other", *steps(300_000)),
        "B1.10", 1.0, f"training, {SEEDS} seeds in one program, over {SEEDS} runs in turn",
    ),
    "seeds, defaults": Case(
        steps(30_000, "--defaults", "--seeds", str(SEEDS)),
        ("one after the other", *steps(300_000, "--defaults")),
        "B1.10b", 1.0, "the same, at our defaults",
    ),
}  # fmt: skip


# --- our side, in a process of its own ---


class Ours:
    """Training as `understudy.train` compiles it, and the two halves of an update."""

    def __init__(self, options: argparse.Namespace) -> None:
        import jax.numpy as jnp

        from understudy.algorithms import presets
        from understudy.envs.spread import Spread
        from understudy.experiment import loops

        self.env, self.seeds = Spread(), options.seeds
        if options.defaults:
            self.algorithm = presets.MAPPO()
        else:
            self.algorithm = presets.IPPO(
                hidden=(HIDDEN, HIDDEN), learning_rate=2.5e-4, value_scaling=False,
                decay=max(1, options.steps // (SIZES["envs"] * SIZES["rollout"])), **SIZES,
            )  # fmt: skip
        self.each = self.algorithm.envs * self.algorithm.rollout
        self.updates = max(1, options.steps // self.each)
        parts = loops.Parts.of(self.env)
        keys = [loops.seed_keys(0, self.seeds, 0, p) for p in (loops.INIT, loops.BEGIN)]
        states = loops.initialise(self.algorithm, None, keys[0], spec=self.env.spec)
        actors = loops.begin(
            self.algorithm, states, parts.arrays, keys[1],
            env_rest=parts.rest, envs=self.algorithm.envs,
        )  # fmt: skip
        self.parts, self.keys = parts, loops.seed_keys(0, self.seeds, 0, loops.UPDATE)
        self.carry = loops.Carry(states, jnp.full(self.seeds, loops.ALIVE, jnp.int32), actors)

    def train(self, updates: int) -> float:
        """So many updates; the sum of all metrics."""
        import jax
        import jax.numpy as jnp

        from understudy.experiment import loops

        self.carry, metrics = loops.chunk(
            self.algorithm, self.carry, None, self.parts.arrays, self.keys,
            (jnp.int32(0), jnp.int32(updates), jnp.int32(0)), env_rest=self.parts.rest,
            sizes=loops.Sizes(self.algorithm.envs, self.algorithm.rollout),
        )  # fmt: skip
        return float(sum(leaf.sum() for leaf in jax.tree.leaves(metrics)))

    def halves(self, count: int) -> dict[str, float]:
        """Seconds of one update of one seed spent on acting and on learning, each alone."""
        import jax
        import jax.numpy as jnp

        from understudy.envs import rollout
        from understudy.types import Batch

        state, actor = jax.tree.map(lambda leaf: leaf[0], (self.carry.states, self.carry.actors))
        policy, key = self.algorithm.policy(state, "explore"), jax.random.key(0)

        def collect(carry: Any, i: Any) -> tuple[Any, Any]:
            own = jax.random.fold_in(key, i)
            return rollout.collect(self.env, policy, carry, own, steps=self.algorithm.rollout)

        _, rows = jax.jit(collect)(actor, 0)

        def learn(carry: Any, i: Any) -> tuple[Any, Any]:
            return self.algorithm.update(carry, Batch(rows), i, jax.random.fold_in(key, i))

        def seconds(step: Any, carry: Any) -> float:
            def body(i: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
                carry, total = loop
                carry, found = step(carry, i)
                values = jax.tree.leaves(found)
                return carry, total + sum(leaf.astype(jnp.float32).sum() for leaf in values)

            def call(carry: Any) -> Any:
                return jax.lax.fori_loop(0, count, body, (carry, jnp.zeros(())))

            timed = jax.jit(call)
            jax.block_until_ready(timed(carry))
            start = time.perf_counter()
            jax.block_until_ready(timed(carry))
            return (time.perf_counter() - start) / count

        found = {"collect_seconds": seconds(collect, actor)}
        return {**found, "learn_seconds": seconds(learn, state)}


def work(options: argparse.Namespace) -> None:
    """Serve rounds: a line of JSON when warm, then one for every line on standard input."""
    import jax

    ours = Ours(options)
    start = time.perf_counter()
    checksum = ours.train(1)
    about: dict[str, Any] = {
        "framework": f"jax {jax.__version__}",
        "first_step_seconds": time.perf_counter() - start,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(ours.carry.states.params))
        // options.seeds,
        "sequences": 1,
        **(ours.halves(20) if options.seeds == 1 else {}),
    }
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        checksum += ours.train(ours.updates)
        taken = (time.perf_counter() - start) / (ours.updates * ours.each * options.seeds)
        print(json.dumps({**about, "seconds_per_step": taken, "checksum": checksum}), flush=True)


# --- the match ---


def other(case: Case) -> list[str]:
    """The command of the program that ours is compared with."""
    _, *words = case.other
    if not case.peer:
        return [sys.executable, __file__, "--worker", *words]
    script, *words = words
    python = os.environ.get(case.peer) or ("" if case.peer == BENCHMARL else sys.executable)
    if not python:
        raise SystemExit(
            f"expected {case.peer} to name an interpreter with that package, found nothing; "
            "benchmarks/README.md says how to make one, or leave its cases out with --only"
        )
    return [python, str(HERE / "peers" / script), *words, "--serve"]


def match(name: str, rounds: int) -> list[dict[str, Any]]:
    """Alternate ours and the other program on one case; one row for each."""
    case = CASES[name]
    programs = {
        "ours": Program([sys.executable, __file__, "--worker", *case.ours]),
        case.other[0]: Program(other(case)),
    }
    halves = {label: halves_of(program) for label, program in programs.items()}
    rows = []
    for label, figures in race(programs, rounds).items():
        program = programs[label]
        rows.append(
            {
                "case": name,
                **figures,
                "env_steps_per_second": 1 / statistics.median(program.seconds),
                **(halves[label] or halves_of(program)),
                "first_step_seconds": program.about["first_step_seconds"],
                "parameters": program.about["parameters"],
            }
        )
        program.close()
    return rows


def halves_of(program: Program) -> dict[str, float]:
    """Milliseconds of an update by its latest answer, if that says so."""
    about = program.about
    names = [name for name in ("collect", "learn") if f"{name}_seconds" in about]
    return {f"{name}_ms": 1e3 * about[f"{name}_seconds"] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--dry", action="store_true", help="under load: write nothing")
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--steps", type=int, default=200_000, help="of a worker's round, per seed")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--defaults", action="store_true")
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    load = os.getloadavg()[0]
    if load > BUSY and not options.dry:
        raise SystemExit(
            f"expected a machine with nothing else to do, found a load of {load:.1f}; programs "
            "whose threads wait for each other suffer most, so wait, or rehearse with --dry"
        )
    lines = []
    for name in options.only:
        rows = match(name, options.rounds)
        faster = next(row for row in rows if row["program"] != "ours")
        case = CASES[name]
        line = target(
            case.id,
            case.what,
            ">=",
            case.wanted,
            faster["ours_faster"],
            (faster["lowest_round"], faster["highest_round"]),
        )
        lines.append(line)
        print(table(rows), flush=True)
        if not options.dry:
            part = f"speed_ppo {name}"
            write("speed_ppo", command=command(), seeds=[0], rows=rows, targets=[line], part=part)
    print(summary(lines))


if __name__ == "__main__":
    main()
