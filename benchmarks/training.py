"""What the experiments share: training one model after the other, and sampling in bulk."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from understudy.data import sampling
from understudy.data.demonstrations import Demonstrations
from understudy.data.statistics import statistics as measure
from understudy.experiment.folder import TIMING
from understudy.experiment.plan import stretch
from understudy.types import Batch, Given, Observation


def trained(
    algorithm: Any,
    out: Path,
    *,
    env: Any = None,
    demonstrations: Demonstrations | None = None,
    validation: Demonstrations | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    **arguments: Any,
) -> Any:
    """The finished run in `out`: trained now, gone on with, or only read, as far as it exists."""
    given = {"env": env, "demonstrations": demonstrations, "validation": validation}
    if not (out / "config.json").exists():
        return us.train(algorithm, **given, out=out, progress=progress, **arguments)
    run = us.Run(out)
    return run if run.finished else us.resume(out, **given, progress=progress)


def train_all(
    models: Mapping[str, Any],
    runs: Path,
    train: Demonstrations,
    validation: Demonstrations,
    *,
    steps: int,
    seeds: int,
) -> Iterator[tuple[str, Any]]:
    """Yield ``(name, run)`` per model.

    A run that is already in ``runs/NAME`` is resumed from its last checkpoint; one that had ended
    is returned as it is.
    """
    for name, algorithm in models.items():
        run = trained(
            algorithm, runs / name, demonstrations=train, validation=validation, steps=steps,
            seeds=seeds, progress=progress(name),
        )  # fmt: skip
        print(f"{name}: {run}, {hours(run):.2f} h", flush=True)
        yield name, run


def progress(name: str) -> Callable[[dict[str, Any]], None]:
    """Say about every minute where a training stands."""
    last = [time.monotonic()]

    def say(event: dict[str, Any]) -> None:
        if "steps" in event and time.monotonic() - last[0] > 60:
            last[0] = time.monotonic()
            print(f"{name}: {event.get('step')} of {event.get('steps')}", flush=True)

    return say


def hours(run: Any) -> float:
    """Wall-clock hours that training took, all calls together."""
    path = run.folder / TIMING
    return json.loads(path.read_text())["seconds"] / 3600 if path.exists() else 0.0


def plan(models: Mapping[str, Any], train: Demonstrations, *, steps: int, seeds: int) -> str:
    """The compute hours an experiment needs, from a few updates of every model on this machine."""
    lines, total = [], 0.0
    for name, algorithm in models.items():
        stages = stretch(algorithm, steps).stages
        each = sum(seconds(stage, train, seeds) * updates for stage, updates in stages) / 3600
        lines.append(f"{name:20} {each:6.2f} h for {steps} updates of {seeds} seeds")
        total += each
    lines.append(f"{'together':20} {total:6.2f} h, and about a tenth of that for scoring")
    return "\n".join(lines)


def seconds(algorithm: Any, train: Demonstrations, seeds: int) -> float:
    """Median time of an update of all seeds, compilation apart."""
    some = train[:256]
    if hasattr(algorithm, "resolve"):
        algorithm = algorithm.resolve(some)
    some = algorithm.prepare(some) if hasattr(algorithm, "prepare") else some
    found = sampling.windows(some, algorithm.window)
    window = sampling.gather(sampling.rows(some), found, np.arange(algorithm.batch) % len(found))
    batch = jax.tree.map(jnp.asarray, Batch(demonstrations=window))
    moments, keys = measure(some), jax.random.split(jax.random.key(0), seeds)

    @jax.jit
    def begin(keys: Any) -> Any:
        return jax.vmap(lambda key: algorithm.init(some.spec, moments, key))(keys)

    @jax.jit
    def update(states: Any, keys: Any) -> Any:
        return jax.vmap(lambda s, k: algorithm.update(s, batch, jnp.asarray(0), k))(states, keys)

    states, times = begin(keys), []
    for _ in range(6):
        start = time.perf_counter()
        states, metrics = update(states, keys)
        float(metrics["loss"].sum())
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def futures(
    generator: Any,
    shown: np.ndarray,
    horizon: int,
    *,
    samples: int = 1,
    intents: np.ndarray | None = None,
    seed: int = 0,
    chunk: int = 64,
) -> np.ndarray:
    """Continue the rows shown of many windows.

    Args:
        generator: of one group.
        shown: ``[windows, rows, agents, 2]``.
        horizon: rows to draw.
        samples: continuations of each window.
        intents: commands ``[windows, agents]`` for all rows; -1 where the generator may choose.
        seed: window i draws from ``fold_in(key(seed), i)``.
        chunk: windows at a time; changes nothing.

    Returns:
        ``[windows, samples, horizon, agents, 2]``.
    """
    key, parts = jax.random.key(seed), []
    for first in range(0, len(shown), chunk):
        numbers = np.arange(first, first + chunk).clip(max=len(shown) - 1)
        command = None if intents is None else jnp.asarray(intents[numbers], jnp.int32)
        drawn = _futures(
            generator, jnp.asarray(shown[numbers]), command, key, numbers, samples, horizon
        )
        parts.append(np.asarray(drawn)[: len(shown) - first])
    return np.concatenate(parts)


@eqx.filter_jit
def _futures(
    generator: Any, shown: Any, intents: Any, key: Any, numbers: Any, samples: int, horizon: int
) -> Any:
    def one(shown: Any, intents: Any, number: Any) -> Any:
        context = Observation(
            {generator.group: shown}, {generator.group: jnp.ones(shown.shape[:-1], bool)}
        )
        command = None
        if intents is not None:
            wanted = jnp.broadcast_to(intents, (horizon, *intents.shape))
            command = Given({generator.group: wanted}, {generator.group: wanted >= 0})
        return generator.sample(
            context,
            jax.random.fold_in(key, number),
            samples=samples,
            horizon=horizon,
            intents=command,
        ).features[generator.group]

    return jax.vmap(one, (0, None if intents is None else 0, 0))(shown, intents, numbers)
