"""Train several models one after the other; stop and start again at will."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import understudy as us
from understudy.data.demonstrations import Demonstrations
from understudy.experiment.folder import TIMING


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
        if time.monotonic() - last[0] > 60:
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
