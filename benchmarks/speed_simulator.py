"""Steps per second of learned simulators as envs (D.7).

    python benchmarks/speed_simulator.py

`rollout.advance`, the step that training takes, of `Answered` envs side by side: actions drawn at
random inside the loop, auto-reset, every observation and reward in a checksum. Worlds are ensembles
as large as those of a real log (15 sections of 132 choices, 23 values, 6 actions), with random
weights, which take as long as any; and the planted market, known in closed form. Rounds of at least
half a second alternate; the median counts. Compilation is apart.

With uncertainty every step also tells how far members are apart. Beside steps per second by the
clock are those per second of processor time, as other programs may want the same cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy.algorithms.world_model import WorldModel
from understudy.envs import rollout
from understudy.envs.answered import Answered
from understudy.envs.market import Market
from understudy.envs.planted import SPEND, start

SECTIONS = (5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3)
VALUES, ACTIONS, HORIZON = 23, 6, 10
ENVS, STEPS, SECONDS = 2_048, 20, 0.5


def last(now: Any, done: Any, after: Any) -> Any:
    """The last value of the state."""
    return after[-1]


def spent(now: Any, done: Any, after: Any) -> Any:
    """What the user paid."""
    return after[SPEND]


def of_log(constant: tuple[int, ...] = ()) -> us.Spec:
    """A spec as large as that of a real log."""
    whole = us.ActionSpec(SECTIONS, (-np.inf,) * VALUES, (np.inf,) * VALUES)
    size = whole.choices + VALUES
    action = us.ActionSpec(low=(-1.0,) * ACTIONS, high=(1.0,) * ACTIONS)
    agent = us.Group("agent", 1, size, action)
    world = us.Group(
        "environment", 1, size, whole, sees=("agent",), advances=True, constant=constant
    )
    return us.Spec((agent, world), horizon=HORIZON)


def ensemble(members: int, *, constant: tuple[int, ...] = (), unsure: bool) -> Answered:
    """An env that an ensemble of default size answers in."""
    spec, algorithm = of_log(constant), WorldModel(members=members)
    world = algorithm.world(algorithm.init(spec, None, jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), 2)
    picked = [jax.random.randint(jax.random.fold_in(keys[0], i), (500,), 0, n)
              for i, n in enumerate(SECTIONS)]  # fmt: skip
    starts = jnp.concatenate(
        [*(jax.nn.one_hot(p, n) for p, n in zip(picked, SECTIONS)),
         jax.random.normal(keys[1], (500, VALUES))], 1,
    )  # fmt: skip
    env = Answered.of(world, states(spec, np.asarray(starts)), reward=last)
    return env if unsure else Answered(env.spec, env.starts, env.answer, env.reward)


def states(spec: us.Spec, begin: np.ndarray) -> us.Demonstrations:
    """Sessions that show no more than where they begin."""
    count = len(begin)
    ids = np.asarray([f"session {i}" for i in range(count)])
    return us.Demonstrations(
        spec=spec,
        starts=np.arange(count + 1),
        features=dict.fromkeys(spec.names, begin[:, None]),
        alive={name: np.ones((count, 1), bool) for name in spec.names},
        rate=1.0,
        unit="",
        labels={"episode": ids, "source": ids},
    )


def market() -> Answered:
    """The planted market."""
    users, spec = Market().truth(), Market().spec
    starts = jax.vmap(start)(jax.random.split(jax.random.key(0), 500))
    agent = us.Spec(spec.groups[:1], horizon=HORIZON)

    def answer(now: Any, done: Any, key: Any) -> Any:
        return users.answer(now[None], done[None], key)[0]

    return Answered(agent, starts, answer, spent)


def player(env: Any, envs: int, steps: int) -> Callable[[], float]:
    """A call that plays `steps` steps of all games and returns the checksum."""
    group = env.spec.groups[0]
    count = len(group.action.sections)
    sizes = jnp.asarray(group.action.sections, jnp.float32)

    def draw(key: Any) -> Any:
        drawn = jax.random.uniform(key, (envs, 1, group.action.size))
        chosen = jnp.floor(drawn[..., :count] * sizes)
        return jnp.concatenate([chosen, 2.0 * drawn[..., count:] - 1.0], -1)

    def step(carry: Any, key: Any) -> Any:
        state, checksum = carry
        act_key, step_key = jax.random.split(key)
        state, seen, after = rollout.advance(env, state, {group.name: draw(act_key)}, step_key)
        told = sum(leaf.sum() for leaf in jax.tree.leaves(after.info))
        checksum += seen.features[group.name].sum() + after.reward[group.name].sum() + told
        return (state, checksum), None

    @jax.jit
    def play(state: Any, key: Any) -> Any:
        keys = jax.random.split(key, steps + 1)
        (state, checksum), _ = jax.lax.scan(step, (state, 0.0), keys[1:])
        return state, keys[0], checksum

    key = jax.random.key(0)
    state, _ = rollout.reset(env, key, envs=envs)

    def call() -> float:
        nonlocal state, key
        state, key, checksum = play(state, key)
        return float(checksum)

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--envs", type=int, default=ENVS)
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args()
    envs = {
        "world model, 5 members": ensemble(5, unsure=False),
        "world model, 5 members, uncertainty": ensemble(5, unsure=True),
        "world model, 5 members, 10 constant sections": ensemble(
            5, constant=tuple(range(10)), unsure=False
        ),
        "world model, 1 member": ensemble(1, unsure=False),
        "market": market(),
    }
    calls, first = {}, {}
    for name, env in envs.items():
        begin = time.perf_counter()
        calls[name] = player(env, options.envs, STEPS)
        calls[name]()
        first[name] = time.perf_counter() - begin
    wall: dict[str, list[float]] = {name: [] for name in envs}
    used: dict[str, list[float]] = {name: [] for name in envs}
    checks = dict.fromkeys(envs, 0.0)
    for _ in range(options.rounds):
        for name, call in calls.items():
            count, begin, cpu = 0, time.perf_counter(), time.process_time()
            while (seconds := time.perf_counter() - begin) < SECONDS:
                checks[name] += call()
                count += 1
            done = count * STEPS * options.envs
            wall[name].append(done / seconds)
            used[name].append(done / (time.process_time() - cpu))
    rows = [
        {
            "simulator": name,
            "envs": options.envs,
            "steps_per_second": statistics.median(wall[name]),
            "lowest_round": min(wall[name]),
            "highest_round": max(wall[name]),
            "steps_per_core_second": statistics.median(used[name]),
            "first_call_seconds": first[name],
            "checksum": checks[name],
            "load": os.getloadavg()[0],
        }
        for name in envs
    ]
    targets = [
        target(f"D.7 {r['simulator']}", f"env steps/s, {r['simulator']}, {r['envs']} envs", ">=",
               1e5, r["steps_per_second"], (r["lowest_round"], r["highest_round"]))
        for r in rows
    ]  # fmt: skip
    print(table(rows))
    if not options.dry:
        write("speed_simulator", command=command(), seeds=[0], rows=rows, targets=targets)
    print(summary(targets))


if __name__ == "__main__":
    main()
