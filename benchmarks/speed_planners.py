"""Seconds of a replan, ours and in PyTorch, and plans per second of every method (E.10).

    UNDERSTUDY_PEER_PYTHON=peers/bin/python python benchmarks/speed_planners.py

Two robots of 21 observations and 2 actions each, random weights, which take as long as any. A
replan looks 20 segments of 20 steps ahead: 10 restarts against 10 others, 30 steps of Adam, as
published. It is timed for the default model, and for a model of the published size (three residual
blocks of two gated convolutions of 64 channels), where also the share of the machine's arithmetic
is told: multiplications and additions of the products in the decoder, as an unabridged program
takes them, over what one large product reaches between the rounds.

The peer (``benchmarks/peers/segment_planner.py``) has the published size; both take `--iterations`
steps of Adam there, and the programs take turns. It judges the last plan once and ours twice, which
counts against ours. Last, every method plans for 64 games at once, 5 segments of 10 steps ahead.
Medians of rounds count; every plan enters a checksum. Seconds of processor time stand beside those
by the clock, as other programs may want the same cores. Each of `--cases` is written as a part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import understudy as us
from race import Program, race
from results import command, summary, table, target, write
from understudy.networks.segment_bodies import SegmentNetwork

SEEN, ACTED, GAMES = 21, 2, 64
SEGMENTS, PAIRS, ITERATIONS = 20, 100, 30
PEERS = {"eager": "none", "compiled decoder": "segment", "compiled whole": "whole"}
PLANE = us.ActionSpec(low=(-1.0,) * ACTED, high=(1.0,) * ACTED)
SPEC = us.Spec((us.Group("left", 1, SEEN, PLANE), us.Group("right", 1, SEEN, PLANE)))
CASES = ("replans", "peers", "methods")
Call = Callable[[], float]


def reward(features: Any) -> Any:
    """Minus the square of one observation."""
    return {name: -jnp.square(x[..., 18]) for name, x in features.items()}


def published() -> us.SegmentVAE:
    """The model of the two robots, at its published size."""
    network = SegmentNetwork(kind="convolution", channels=64, dilations=(1, 3, 9), last=128)
    return us.SegmentVAE(
        factorisation="mutual_information", past=20, length=20, own=6, free=4, network=network
    )


def plan(algorithm: us.SegmentVAE, planner: us.Planner, games: int = 1) -> Call:
    """A call that plans once for so many games and returns the checksum."""
    model = algorithm.model(algorithm.init(SPEC, None, jax.random.key(0)))
    choose = planner.policy(model, reward, [("left", 0)]).choose
    pasts = 1.0 + 0.1 * jax.random.normal(jax.random.key(1), (games, algorithm.past, 2 * SEEN))
    before = jnp.zeros((planner.segments, model.sizes.latent))
    number = 0

    @jax.jit
    def search(model: Any, pasts: Any, key: Any) -> Any:
        if games == 1:
            return choose(model, pasts[0], before, key).sum()
        keys = jax.random.split(key, games)
        return jax.vmap(lambda past, key: choose(model, past, before, key).sum())(pasts, keys).sum()

    def call() -> float:
        nonlocal number
        number += 1
        return float(search(model, pasts, jax.random.key(number)))

    return call


def far(iterations: int = ITERATIONS) -> us.Planner:
    """The published search."""
    return us.Planner(
        method="adam", mode="worst", segments=SEGMENTS, candidates=10, others=10,
        iterations=iterations,
    )  # fmt: skip


class Timed(Program):
    """A program whose processor time counts too."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(words)
        self.core_seconds: list[float] = []

    def round(self) -> None:
        before = self._used()
        super().round()
        self.core_seconds.append(self._used() - before)

    def _used(self) -> float:
        """Seconds of all threads, from Linux's table of processes."""
        table = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = table.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def work(iterations: int) -> None:
    """Serve rounds: a line of JSON when warm, then one for every line on standard input."""
    start = time.perf_counter()
    call = plan(published(), far(iterations))
    checksum = call()
    about = {
        "first_step_seconds": time.perf_counter() - start,
        "framework": f"jax {jax.__version__}",
        "sequences": 1,
    }
    checksum += call()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        checksum += call()
        seconds = time.perf_counter() - start
        print(json.dumps({**about, "seconds_per_step": seconds, "checksum": checksum}), flush=True)


def peak() -> tuple[float, float]:
    """Float32 GFLOP/s of one large product, by the clock and per second of processor time."""
    size = 2048
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    product(x, x).block_until_ready()
    found = []
    for _ in range(5):
        begin, cpu = time.perf_counter(), time.process_time()
        product(x, x).block_until_ready()
        work = 2 * size**3 / 1e9
        found.append((work / (time.perf_counter() - begin), work / (time.process_time() - cpu)))
    by_clock, by_core = zip(*found)
    return max(by_clock), max(by_core)


def gflops(judged: int, climbed: int) -> float:
    """Of decoding all segments, `judged` times forward only and `climbed` times with gradients.

    A gradient with respect to latents takes as many operations as the way there.
    """
    rows, channels, last, numbers = 40, 64, 128, 2 * (SEEN + ACTED)
    segment = rows * (2 * SEEN + 1) * channels + 6 * rows * 3 * channels * 2 * channels
    segment += 20 * (channels * last + last * numbers)
    return 2.0 * segment * PAIRS * SEGMENTS * (judged + 2 * climbed) / 1e9


def timed(calls: dict[str, Call], rounds: int) -> tuple[dict[str, dict[str, Any]], list[Any]]:
    """Seconds of every call, in turn; and the best product between rounds."""
    first, checks = {}, {}
    for name, call in calls.items():
        begin = time.perf_counter()
        checks[name] = call()
        first[name] = time.perf_counter() - begin
    wall: dict[str, list[float]] = {name: [] for name in calls}
    used: dict[str, list[float]] = {name: [] for name in calls}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for name, call in calls.items():
            begin, cpu = time.perf_counter(), time.process_time()
            checks[name] += call()
            wall[name].append(time.perf_counter() - begin)
            used[name].append(time.process_time() - cpu)
    found = {
        name: {
            "case": name,
            "seconds": statistics.median(wall[name]),
            "lowest_round": min(wall[name]),
            "highest_round": max(wall[name]),
            "core_seconds": statistics.median(used[name]),
            "first_call_seconds": first[name],
            "rounds": rounds,
            "checksum": checks[name],
            "load": os.getloadavg()[0],
        }
        for name in calls
    }
    return found, peaks


def replans(rounds: int, full: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The published search, with the default model and with the published one."""
    default, _ = timed({"default model": plan(us.SegmentVAE(), far())}, rounds)
    large, peaks = timed({"published size": plan(published(), far())}, full)
    small, row = default["default model"], large["published size"]
    done = gflops(2, ITERATIONS)
    clock, core = max(p[0] for p in peaks), max(p[1] for p in peaks)
    row |= {
        "gflop": done,
        "peak_gflops_per_second": clock,
        "peak_gflops_per_core_second": core,
        "share_of_peak": done / row["seconds"] / clock,
        "share_of_core_peak": done / row["core_seconds"] / core,
    }
    lines = [
        target("E.10", "seconds of a replan, default model, 10 x 10 x 20 segments x 30 steps",
               "<=", 2.0, small["seconds"], (small["lowest_round"], small["highest_round"]))
    ]  # fmt: skip
    return [small, row], lines


def match(
    peer_python: str, rounds: int, iterations: int, chosen: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ours and the peers in turn, at the published size and with fewer steps of Adam."""
    script = str(Path(__file__).parent / "peers" / "segment_planner.py")
    steps = ["--iterations", str(iterations)]
    programs = {"ours": Timed([sys.executable, __file__, "--worker", *steps])}
    own = ["--steps", "1", "--warmup", "2", "--batch", "1", "--serve"]
    for name in chosen:
        programs[name] = Timed([peer_python, script, *steps, *own, "--compile", PEERS[name]])
    rows = []
    for name, figures in race(programs, rounds).items():
        program = programs[name]
        cores = statistics.median(program.core_seconds)
        rows.append(
            {
                "case": f"published size, {iterations} steps",
                **figures,
                "seconds": statistics.median(program.seconds),
                "core_seconds": cores,
                "ours_faster_by_core": cores / statistics.median(programs["ours"].core_seconds),
                "first_call_seconds": program.about["first_step_seconds"],
            }
        )
        program.close()
    lines = [
        target(f"E.10 {r['program']}", f"published size, torch {r['program']} over ours",
               ">=", 2.0, r["ours_faster"], (r["lowest_round"], r["highest_round"]))
        for r in rows[1:]
    ]  # fmt: skip
    return rows, lines


def methods(rounds: int) -> list[dict[str, Any]]:
    """Every method, 5 segments of 10 steps, 64 games at once."""
    algorithm = us.SegmentVAE(length=10)
    calls = {
        f"{method}, {GAMES} games": plan(algorithm, us.Planner(method=method, mode="worst"), GAMES)
        for method in us.Planner.METHODS
    }
    found, _ = timed(calls, rounds)
    return [
        {
            **row,
            "plans_per_second": GAMES / row["seconds"],
            "plans_per_core_second": GAMES / row["core_seconds"],
        }
        for row in found.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", type=int, default=3, help="rounds of what takes longer")
    parser.add_argument("--iterations", type=int, default=4, help="steps of Adam beside the peers")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        work(options.iterations)
        return
    peer_python = os.environ.get("UNDERSTUDY_PEER_PYTHON", "")
    if "peers" in options.cases and not peer_python:
        raise SystemExit(
            "expected UNDERSTUDY_PEER_PYTHON to name an interpreter with torch; "
            "benchmarks/README.md says how to make one in two lines, or give other --cases"
        )
    for case in options.cases:
        lines: list[dict[str, Any]] = []
        if case == "replans":
            rows, lines = replans(options.rounds, options.long)
        elif case == "peers":
            rows, lines = match(peer_python, options.rounds, options.iterations, options.peers)
        else:
            rows = methods(options.long)
        print(table(rows), summary(lines), sep="\n\n", flush=True)
        if not options.dry:
            write("speed_planners", command=command(), seeds=[0], rows=rows, targets=lines,
                  part=case)  # fmt: skip


if __name__ == "__main__":
    main()
