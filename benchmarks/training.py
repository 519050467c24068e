"""What the experiments share: training one model after the other, and sampling in bulk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from understudy.data.demonstrations import Demonstrations
from understudy.experiment.folder import TIMING
from understudy.types import Given, Observation


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
        folder = runs / name
        if (folder / "config.json").exists():
            run = us.resume(
                folder, demonstrations=train, validation=validation, progress=progress(name)
            )
        else:
            run = us.train(
                algorithm,
                demonstrations=train,
                validation=validation,
                steps=steps,
                seeds=seeds,
                out=folder,
                progress=progress(name),
            )
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


def plan(models: Iterable[str], *, steps: int, milliseconds: float, evaluation: float) -> str:
    """The compute hours an experiment needs, written down before it is started.

    Args:
        models: names.
        steps: updates per model.
        milliseconds: measured time of an update of all seeds, mean over models.
        evaluation: hours of sampling and scoring per model.
    """
    names = list(models)
    each = steps * milliseconds / 3.6e6
    return (
        f"{len(names)} models ({', '.join(names)}): {steps} updates at {milliseconds:.0f} ms = "
        f"{each:.2f} h each, scoring {evaluation:.2f} h each, "
        f"{len(names) * (each + evaluation):.1f} h together on 2 CPU cores"
    )


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
