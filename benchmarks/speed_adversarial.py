"""Adversarial imitation: env steps per second against `imitation`, and where MILD²'s time goes.

    UNDERSTUDY_PEER_IMITATION=peers_imitation/bin/python python benchmarks/speed_adversarial.py
    python benchmarks/speed_adversarial.py --only parts

``steps`` (B2.8): GAIL of one agent on CartPole, equal networks (two tanh layers of 64, also of the
discriminator), 8 games of 128 steps, 4 epochs of 4 minibatches, two steps of the discriminator on
512 demonstrated rows and as many of its own; warmed up, the two take turns. ``return`` (B2.8b):
seconds of training until 20 episodes earn 475 on average, compiling included, reward ``logit``,
five seeds of ours and of the peer's. Ours learns from rewards that are standardised over each
rollout (``standardise``). Beside it are the same with a discriminator that never learns, the logit
as it is, a positive reward with a discriminator that never learns, and the peer's own reward
(``softplus``, always positive). ``parts``
(B2.9): MILD² on spread, milliseconds of an update spent playing, on the discriminator and on the
policy, each compiled and timed alone, and the share of this machine's arithmetic (a large matrix
product) that all its matrix products reach; nothing was promised of these.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from race import BUSY, Program, race
from results import command, summary, table, target, write

HERE = Path(__file__).parent
PEER = "UNDERSTUDY_PEER_IMITATION"
SIZES = {"envs": 8, "rollout": 128, "epochs": 4, "minibatches": 4}
HIDDEN, PAIRS, PASSES = 64, 512, 2
RATE, JUDGE_RATE = 3e-3, 1e-4
STEPS, GOAL, MOST = 16_384, 475.0, 400_000
EPISODES, SEEDS = 20, 5
STANDARD = {"standardise": True}


def demonstrations() -> Any:
    """Episodes of an expert that never lets the pole fall."""
    import understudy as us

    env = us.envs.make("cartpole")
    return us.collect(env, us.experts.cartpole(env), episodes=10, seed=0)


def algorithm(**changes: Any) -> Any:
    """GAIL of one agent, sized as the peer."""
    import understudy as us
    from understudy.networks.discriminators import MLPDiscriminator

    given = {
        "optimiser": us.IPPO(hidden=(HIDDEN, HIDDEN), learning_rate=RATE, **SIZES),
        "discriminator": MLPDiscriminator(hidden=(HIDDEN, HIDDEN)),
        "reward": "logit", "passes": PASSES, "minibatch": PAIRS, "learning_rate": JUDGE_RATE,
        "cloning": 0,
    }  # fmt: skip
    return us.GAIL(**{**given, **changes})


class Ours:
    """Training as `understudy.train` compiles it, without checkpoints."""

    def __init__(self, made: Any, env: Any, demos: Any, seed: int = 0) -> None:
        import jax.numpy as jnp

        from understudy.data.statistics import statistics
        from understudy.experiment import loops, material

        self.made, self.env, self.step = made, env, 0
        self.parts = loops.Parts.of(env)
        init, begin, self.keys = (
            loops.seed_keys(seed, 1, 0, p) for p in (loops.INIT, loops.BEGIN, loops.UPDATE)
        )
        states = loops.initialise(made, statistics(demos), init, spec=env.spec)
        actors = loops.begin(
            made, states, self.parts.arrays, begin, env_rest=self.parts.rest, envs=made.envs
        )
        self.carry = loops.Carry(states, jnp.full(1, loops.ALIVE, jnp.int32), actors)
        cut = material.cut(made, demos)
        self.feed = material.make_feed(made, cut, seed=seed, stage=0, resident_bytes=2**30)

    def train(self, updates: int) -> float:
        """So many updates; the sum of all metrics that are numbers."""
        import jax.numpy as jnp

        from understudy.experiment import loops

        windows = self.feed.chunk(self.step, updates)
        at = (jnp.int32(self.step), jnp.int32(updates), jnp.int32(0))
        self.carry, metrics = loops.chunk(
            self.made, self.carry, windows, self.parts.arrays, self.keys, at,
            env_rest=self.parts.rest, sizes=loops.Sizes(self.made.envs, self.made.rollout),
        )  # fmt: skip
        self.step += updates
        return float(sum(leaf.sum() for leaf in metrics.values() if leaf.ndim == 1))

    @property
    def each(self) -> int:
        """Env steps of an update."""
        return self.made.envs * self.made.rollout

    def earned(self) -> float:
        """Mean return of the most likely actions."""
        import jax

        from understudy.experiment.returns import episode_returns

        state = jax.tree.map(lambda leaf: leaf[0], self.carry.states)
        found = episode_returns(
            self.made.policy(state, "mode"), self.env, episodes=EPISODES, seed=1
        )
        return float(np.mean(found["agents"]))


def work() -> None:
    """Serve rounds: a line of JSON when warm, then one for every line on standard input."""
    import jax

    import understudy as us

    start = time.perf_counter()
    ours = Ours(algorithm(), us.envs.make("cartpole"), demonstrations())
    updates = STEPS // ours.each
    ours.train(updates)
    params = ours.carry.states.optimiser.params
    about = {
        "framework": f"jax {jax.__version__}",
        "first_step_seconds": time.perf_counter() - start,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "sequences": 1,
    }
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        checksum = ours.train(updates)
        taken = (time.perf_counter() - start) / (updates * ours.each)
        print(json.dumps({**about, "seconds_per_step": taken, "checksum": checksum}), flush=True)


def peer(folder: str, *more: str) -> list[str]:
    """The peer's command, on demonstrations written into `folder`."""
    python = os.environ.get(PEER, "")
    if not python:
        raise SystemExit(
            f"expected {PEER} to name an interpreter with imitation, found nothing; "
            "benchmarks/README.md says how to make one, or leave its parts out with --only"
        )
    demos = demonstrations()
    known = demos.known_actions()["agents"][:, 0]
    rows = np.flatnonzero(known)
    path = Path(folder) / "demonstrations.npz"
    np.savez(
        path, obs=demos.features["agents"][rows, 0], next_obs=demos.features["agents"][rows + 1, 0],
        acts=demos.actions["agents"][rows, 0, 0].astype(np.int64), dones=~known[rows + 1],
    )  # fmt: skip
    sizes = {**SIZES, "hidden": HIDDEN, "pairs": PAIRS, "passes": PASSES,
             "learning-rate": RATE, "judge-rate": JUDGE_RATE}  # fmt: skip
    words = [w for name, value in sizes.items() for w in (f"--{name}", str(value))]
    return [python, str(HERE / "peers" / "gail_imitation.py"), "--demonstrations", str(path),
            "--folder", folder, *words, *more]  # fmt: skip


def steps(rounds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Env steps per second, in turns; the peer with one thread and with two, the faster counts."""
    with tempfile.TemporaryDirectory() as folder:
        programs = {
            "ours": Program([sys.executable, __file__, "--worker"]),
            **{
                f"imitation, {threads} threads": Program(
                    peer(folder, "--steps", str(STEPS), "--serve", "--threads", str(threads))
                )
                for threads in (1, 2)
            },
        }
        rows = []
        for label, figures in race(programs, rounds).items():
            second = 1 / statistics.median(programs[label].seconds)
            rows.append({"what": "steps", **figures, "env_steps_per_second": second})
            programs[label].close()
    best = min((r for r in rows if r["program"] != "ours"), key=lambda r: r["ours_faster"])
    return rows, [target(
        "B2.8", "GAIL of one agent on CartPole, env steps per second, over imitation", ">=", 10.0,
        best["ours_faster"], (best["lowest_round"], best["highest_round"]),
    )]  # fmt: skip


def until_goal() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Seconds to `GOAL`."""
    import understudy as us

    rows, env, demos = [], us.envs.make("cartpole"), demonstrations()
    for name, changes in {
        "ours": STANDARD,
        "ours, constant reward": {**STANDARD, "learning_rate": 0.0},
        "ours, logit as it is": {},
        "ours, constant positive reward": {"learning_rate": 0.0, "reward": "softplus"},
    }.items():
        for seed in range(SEEDS):
            start = time.perf_counter()
            ours, reached, evaluating = Ours(algorithm(**changes), env, demos, seed), None, 0.0
            while ours.step * ours.each < MOST:
                ours.train(8)
                paused = time.perf_counter()
                earned = ours.earned()
                evaluating += time.perf_counter() - paused
                if earned >= GOAL:
                    reached = time.perf_counter() - start - evaluating
                    break
            rows.append({"what": "return", "program": name, "seed": seed, "return": earned,
                         "steps": ours.step * ours.each, "seconds": reached})  # fmt: skip
            print(rows[-1], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for reward, seed in itertools.product(("logit", "softplus"), range(SEEDS)):
            words = peer(folder, "--steps", str(MOST), "--until", str(GOAL), "--seed", str(seed),
                         "--reward", reward)  # fmt: skip
            said = json.loads(
                subprocess.run(words, capture_output=True, text=True, check=True).stdout
            )
            last = said["curve"][-1]
            came = last["return"] >= GOAL
            rows.append({"what": "return", "program": f"imitation, {reward}", "seed": seed,
                         "return": last["return"], "steps": last["steps"],
                         "seconds": last["seconds"] if came else None})  # fmt: skip
            print(rows[-1], flush=True)
    ours = [r["seconds"] for r in rows if r["program"] == "ours"]
    median = None if None in ours else statistics.median(ours)
    return rows, [target("B2.8b", f"seconds to a return of {GOAL:g} on CartPole, median of "
                         f"{SEEDS} seeds", "<=", 60.0, median)]  # fmt: skip


def parts() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Where an update of MILD² on spread goes."""
    import jax
    import jax.numpy as jnp

    import understudy as us
    from understudy.envs import rollout
    from understudy.networks.entries import Entries, flat
    from understudy.types import Batch

    env = us.envs.make("spread")
    demos = us.collect(env, us.experts.hungarian(env), episodes=200, seed=0)
    made = us.MILD2(cloning=0)
    ours = Ours(made, env, demos)
    ours.train(1)
    seconds = timed(lambda: ours.train(1))
    state, actor = jax.tree.map(lambda leaf: leaf[0], (ours.carry.states, ours.carry.actors))
    window = jax.tree.map(lambda leaf: leaf[0], ours.feed.chunk(0, 1))
    key, step = jax.random.key(0), jnp.int32(0)
    policy = made.policy(state, "explore")
    play = jax.jit(lambda: rollout.collect(env, policy, actor, key, steps=made.rollout)[1])
    rows = play()

    def entries(seen: Any, acted: Any) -> Any:
        return flat(Entries(state.inputs(seen, acted), seen.alive, seen.alive))

    sides = entries(rows.observation, rows.action), entries(window.observation, window.action)
    judge = jax.jit(lambda: made.discriminate(state, *sides, step, key)[1])
    learn = jax.jit(lambda: made.optimiser.update(state.optimiser, Batch(rows), step, key))
    found = {"playing": play, "discriminator": judge, "policy": learn}
    times = {name: timed(lambda f=f: jax.block_until_ready(f())) for name, f in found.items()}
    flops = sum(products(jax.make_jaxpr(f)().jaxpr) for f in (judge, learn, play))
    big = jnp.ones((2048, 2048))
    product = jax.jit(lambda: big @ big)
    peak = 2 * 2048**3 / timed(lambda: jax.block_until_ready(product()))
    total = sum(times.values())
    rows_out = [
        {"what": "parts", "part": name, "ms": 1e3 * value, "share": value / total}
        for name, value in times.items()
    ]
    rows_out.append({"what": "parts", "id": "B2.9", "part": "whole update", "ms": 1e3 * seconds,
                     "env_steps_per_second": ours.each / seconds,
                     "counted_gflop": flops / 1e9, "gflops": flops / seconds / 1e9,
                     "peak_gflops": peak / 1e9,
                     "share_of_peak": flops / seconds / peak})  # fmt: skip
    return rows_out, []


def products(jaxpr: Any) -> float:
    """Multiplications and additions of all matrix products of a program, loops counted in full."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            ((summed, _), _) = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            depth = np.prod([left[axis] for axis in summed])
            total += 2.0 * np.prod(equation.outvars[0].aval.shape) * depth
        inner = [products(part) for part in _parts(equation.params)]
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        total += times * (max(inner) if equation.primitive.name == "cond" else sum(inner))
    return total


def _parts(params: Any) -> list[Any]:
    """The programs inside an operation."""
    import jax

    found = jax.tree.leaves(params, is_leaf=lambda leaf: hasattr(leaf, "eqns"))
    inner = [getattr(leaf, "jaxpr", leaf) for leaf in found]
    return [part for part in inner if hasattr(part, "eqns")]


def timed(function: Any, rounds: int = 5) -> float:
    """Median seconds of a call that was made before."""
    function()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=["steps", "return", "parts"],
                        choices=["steps", "return", "parts"])  # fmt: skip
    parser.add_argument("--dry", action="store_true", help="under load: write nothing")
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        work()
        return
    load = os.getloadavg()[0]
    if load > BUSY and not options.dry:
        raise SystemExit(
            f"expected a machine with nothing else to do, found a load of {load:.1f}; wait, or "
            "rehearse with --dry"
        )
    for name in options.only:
        rows, lines = {"steps": lambda: steps(options.rounds), "return": until_goal,
                       "parts": parts}[name]()  # fmt: skip
        print(table(rows), summary(lines), sep="\n\n", flush=True)
        if not options.dry:
            write("speed_adversarial", command=command(), seeds=range(SEEDS), rows=rows,
                  targets=lines, part=f"speed_adversarial {name}")  # fmt: skip


if __name__ == "__main__":
    main()
