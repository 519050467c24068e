"""Training and sampling speed against PyTorch peers (A1.13, A1.14, A1.15).

    UNDERSTUDY_PEER_PYTHON=peers/bin/python python benchmarks/speed_generators.py

The peers (``benchmarks/peers``, an interpreter of their own, see ``benchmarks/README.md``) have the
same sizes, batch, data shape and clipping, float32, all cores. A step is a whole training step:
forward, backward, clipping, Adam. Every program is started and warmed up, then they take turns for
`--rounds` rounds; a round's figure is a peer's median step, and our mean step (training runs many
steps in one program, so that is what is timed); a program's is the median of its rounds. The
published sampler draws five plays at a time unless told; it is measured so and at its best. The
loss of every step, and the sum of every sample, enters a checksum. Ratios above 1: ours is faster.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from race import BUSY, Program, race
from results import command, summary, table, target, write

HERE = Path(__file__).parent
ROWS, BURN_IN, BATCH, ROLLOUTS, FEW, CELLS = 50, 10, 64, 1000, 5, 90


@dataclasses.dataclass(frozen=True)
class Case:
    """One contest: our arguments, the peers', and how long a round is."""

    ours: str
    peers: dict[str, list[str]]
    steps: int
    sample: bool = False
    units: int = 0
    """Units of every layer; 0 for the published sizes."""


def loop(model: str, mode: str = "train", **options: int) -> list[str]:
    """The loop over time and agents."""
    words = ["agent_loop.py", "--model", model, "--mode", mode]
    return words + [word for name, value in options.items() for word in (f"--{name}", str(value))]


FEW_LOOP = "loop, 5 at a time"


def bulk(model: str) -> dict[str, list[str]]:
    """1,000 rollouts at once, and 5 at a time as the published program does unless told."""
    at_a_time = loop(model, "sample", batch=FEW, calls=20)
    return {"loop": loop(model, "sample", batch=ROLLOUTS), FEW_LOOP: at_a_time}


EAGER, COMPILED = ["vrnn_joint.py"], ["vrnn_joint.py", "--compile", "whole"]
CASES = {
    "joint": Case("joint", {"eager": EAGER, "compiled": COMPILED}, 10),
    "independent": Case("independent", {"loop": loop("independent")}, 3),
    "intents": Case("intents", {"loop": loop("intents")}, 3),
    "labels": Case("labels", {"loop": loop("intents", "label")}, 3),
    "independent, 64 units": Case(
        "independent", {"loop": loop("independent", units=64)}, 5, units=64
    ),
    "intents, 64 units": Case("intents", {"loop": loop("intents", units=64)}, 5, units=64),
    "independent, sampling": Case("independent", bulk("independent"), 1, sample=True),
    "intents, sampling": Case("intents", bulk("intents"), 1, sample=True),
}
TARGETS = (
    ("A1.13", "joint", "eager", 1.3, "training sequences/s, joint VRNN, over torch eager"),
    ("A1.13b", "joint", "compiled", 1.0, "training sequences/s, joint VRNN, over torch.compile"),
    (
        "A1.14",
        "independent",
        "loop",
        4.0,
        "training, independent, published sizes, over the loop",
    ),
    (
        "A1.14b",
        "intents",
        "loop",
        4.0,
        "training, intents, published sizes, over the loop",
    ),
    (
        "A1.14c",
        "independent, 64 units",
        "loop",
        4.0,
        "training, independent, CPU preset, over the loop",
    ),
    ("A1.14d", "intents, 64 units", "loop", 4.0, "training, intents, CPU preset, over the loop"),
    ("A1.15", "independent, sampling", "loop", 10.0, "1,000 rollouts, the loop over all at once"),
    ("A1.15b", "intents, sampling", "loop", 10.0, "the same with intents"),
    (
        "A1.15c",
        "independent, sampling",
        FEW_LOOP,
        10.0,
        "1,000 rollouts, the loop, 5 at a time",
    ),
    ("A1.15d", "intents, sampling", FEW_LOOP, 10.0, "the same with intents"),
)


# --- our side, in a process of its own ---


def algorithm(name: str, units: int) -> Any:
    """The published inputs and targets, at the published sizes or with all layers alike."""
    from understudy.algorithms import presets

    other: dict[str, Any] = {"clip": 10.0}
    if units:
        other |= {"width": units, "rnn": units}

    if name == "joint":
        sizes = {"latent_size": 16, "width": 200, "rnn": 200}
        return presets.VRNN("joint", **{**presets.PUBLISHED, **sizes, **other})
    if name == "independent":
        return presets.published_vrnn_independent(**other)
    if units:
        other["intent_rnn"] = units
    part = "intents" if name == "labels" else "plays"
    return presets.published_intent_vrnn(stages=False, rule=None, classes=CELLS, part=part, **other)


def ours(
    name: str, batch: int, steps: int, sample: bool, units: int
) -> tuple[Callable[[int], float], int]:
    """So many training steps as `understudy.train` takes them, or bulks of rollouts; weights."""
    import jax
    import jax.numpy as jnp

    from understudy.experiment import loops
    from understudy.types import Group, Observation, Spec, Statistics, Window

    spec = Spec((Group("team", 5, 2, features=("x", "y")),))
    one = {"team": jnp.ones(2)}
    moments = Statistics({"team": jnp.zeros(2)}, one, one, one, one, one, jnp.asarray(5.0))
    method = algorithm(name, units)
    state = jax.jit(lambda: method.init(spec, moments, jax.random.key(0)))()
    weights = sum(leaf.size for leaf in jax.tree.leaves(state.params) if leaf.dtype == jnp.float32)
    keys = jax.random.split(jax.random.key(1), 3)
    shape = (steps, batch, ROWS, 5)
    speed = 0.02 * jax.random.normal(keys[0], (steps, batch, 1, 5, 2))
    plays = jnp.cumsum(speed + 0.005 * jax.random.normal(keys[1], (*shape, 2)), 2)
    labels = jax.random.randint(keys[2], shape, 0, CELLS)
    here, none = jnp.ones(shape, bool), jnp.zeros(shape[:-1], bool)
    if sample:
        generator = method.generator(state)

        @jax.jit
        def draw(shown: Any, key: Any) -> Any:
            def each(shown: Any, key: Any) -> Any:
                context = Observation({"team": shown}, {"team": jnp.ones(shown.shape[:-1], bool)})
                horizon = ROWS - BURN_IN
                drawn = generator.sample(context, key, samples=1, horizon=horizon)
                return drawn.features["team"].sum()

            return jax.vmap(each)(shown, jax.random.split(key, batch)).sum()

        def bulks(count: int) -> float:
            return sum(float(draw(plays[i, :, :BURN_IN], jax.random.key(i))) for i in range(count))

        return bulks, weights

    observation = Observation({"team": plays}, {"team": here})
    windows = Window(observation, none, none, {"team": ~here}, intents={"team": labels})
    env, key = loops.Parts.of(None), loops.seed_keys(0, 1, 0, loops.UPDATE)
    whole = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state)
    carry = loops.Carry(whole, jnp.full(1, loops.ALIVE, jnp.int32))

    def train(steps: int) -> float:
        nonlocal carry
        at = (jnp.int32(0), jnp.int32(steps), jnp.int32(0))
        carry, metrics = loops.chunk(
            method, carry, windows, env.arrays, key, at,
            env_rest=env.rest, sizes=loops.Sizes(envs=0, rollout=0),
        )  # fmt: skip
        return steps * float(metrics["loss"][0])

    return train, weights


def work(name: str, batch: int, steps: int, sample: bool, units: int) -> None:
    """Serve rounds: a line of JSON when warm, then one for every line on standard input."""
    import jax

    start = time.perf_counter()
    call, weights = ours(name, batch, steps, sample, units)
    checksum = call(1)
    about = {
        "first_step_seconds": time.perf_counter() - start,
        "framework": f"jax {jax.__version__}",
        "batch": batch,
        "sequences": batch,
        "parameters": weights,
    }
    checksum += call(steps)
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        checksum += call(steps)
        mean = (time.perf_counter() - start) / steps
        print(json.dumps({**about, "seconds_per_step": mean, "checksum": checksum}), flush=True)


# --- the match ---


def match(name: str, peer_python: str, rounds: int, tiny: bool) -> list[dict[str, Any]]:
    """Alternate ours and the peers on one case; one row per program."""
    case = CASES[name]
    batch = ROLLOUTS if case.sample else BATCH
    common = ["--steps", str(case.steps), "--batch", str(8 if tiny else batch)]
    mine = [sys.executable, __file__, "--worker", case.ours, "--units", str(case.units)]
    programs = {"ours": Program([*mine, *common, *(["--sample"] if case.sample else [])])}
    for peer, (script, *extra) in case.peers.items():
        path, own = str(HERE / "peers" / script), [*common, "--warmup", "1", *extra]
        own += ["--batch", "4", "--calls", "2"] if tiny and case.sample else []
        programs[peer] = Program([peer_python, path, *own, "--serve"])
    rows = []
    for label, figures in race(programs, rounds).items():
        program = programs[label]
        seconds = statistics.median(program.seconds)
        rows.append(
            {
                "case": name,
                **figures,
                "seconds_per_sequence": seconds,
                "sequences_per_second": 1 / seconds,
                "gflops_per_second": flops(case) / seconds / 1e9,
                "first_step_seconds": program.about["first_step_seconds"],
                "parameters": program.about["parameters"],
                "batch": program.about["batch"],
            }
        )
        program.close()
    return rows


def flops(case: Case) -> float:
    """Floating-point operations of the linear maps for one sequence; training counts thrice."""

    def net(inputs: int, outputs: int) -> int:
        return inputs * width + width * width + 2 * width * outputs

    def gru(inputs: int, hidden: int) -> int:
        return 3 * hidden * (inputs + hidden) + 6 * hidden * hidden

    width = case.units or 200
    rnn = case.units or (250 if case.ours == "independent" else 200)
    labels = gru(5 * CELLS, rnn) + 5 * ((10 + rnn) * width + width * CELLS)
    if case.ours == "joint":
        each = net(10 + rnn, 16) + net(20 + rnn, 16) + net(26 + rnn, 10) + gru(26, rnn)
    elif case.ours == "labels":
        each = labels
    else:
        cells = CELLS if case.ours == "intents" else 0
        seen = cells or 10
        each = net(seen + rnn, 16) + net(26 + cells + rnn, 2) + gru(18, rnn)
        each += 0 if case.sample else net(2 + seen + rnn, 16)
        each = 5 * each + (labels if cells and case.sample else 0)
    return 2.0 * each * (ROWS - 1) * (1 if case.sample else 3)


def peak() -> dict[str, Any]:
    """What this machine reaches in one large product: the ceiling of every program here."""
    import jax
    import jax.numpy as jnp

    size = 2048
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    product(x, x).block_until_ready()
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        product(x, x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    best = statistics.median(seconds)
    return {"case": f"one product {size} x {size}", "gflops_per_second": 2 * size**3 / best / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal of small batches, dry")
    parser.add_argument("--worker", choices=("joint", "independent", "intents", "labels"))
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--units", type=int, default=0)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.batch, options.steps, options.sample, options.units)
        return
    peer_python = os.environ.get("UNDERSTUDY_PEER_PYTHON")
    if not peer_python:
        raise SystemExit(
            "expected UNDERSTUDY_PEER_PYTHON to name an interpreter with torch; "
            "benchmarks/README.md says how to make one in two lines"
        )
    load = os.getloadavg()[0]
    if load > BUSY and not (options.dry or options.tiny):
        raise SystemExit(
            f"expected a machine with nothing else to do, found a load of {load:.1f}; programs "
            "whose threads wait for each other suffer most, so wait, or rehearse with --dry"
        )
    rows: list[dict[str, Any]] = [peak()]
    for name in options.cases:
        rows += match(name, peer_python, options.rounds, options.tiny)
        print(table([row for row in rows if row["case"] == name]), flush=True)
    found = {(row["case"], row.get("program")): row for row in rows}
    lines = [
        target(
            id,
            what,
            ">=",
            wanted,
            found[case, peer]["ours_faster"],
            (found[case, peer]["lowest_round"], found[case, peer]["highest_round"]),
        )
        for id, case, peer, wanted, what in TARGETS
        if (case, peer) in found
    ]
    print(table(rows), summary(lines), sep="\n\n")
    if not (options.dry or options.tiny):
        write("speed_generators", command=command(), seeds=[0], rows=rows, targets=lines)


if __name__ == "__main__":
    main()
