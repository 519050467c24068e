"""Live curves in outside tools; off unless asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from understudy.types import UserError

Tracker = Callable[[dict[str, Any]], None]
"""Takes one line of ``metrics.jsonl``."""


def tensorboard(folder: Path) -> Tracker:
    """Write event files into ``tensorboard/`` of the run."""
    writer = _import("tensorboardX", "tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def track(row: dict[str, Any]) -> None:
        for name, value in _scalars(row).items():
            writer.add_scalar(name, value, row["step"])
        writer.flush()

    return track


def wandb(folder: Path) -> Tracker:
    """Log to Weights & Biases; a resumed run goes on under its name."""
    module = _import("wandb", "wandb")
    run = module.init(project="understudy", name=folder.name, dir=str(folder), resume="allow")
    return lambda row: run.log(_scalars(row), step=row["step"])


TRACKERS: dict[str, Callable[[Path], Tracker]] = {"tensorboard": tensorboard, "wandb": wandb}
"""Name -> what opens it in a run's folder."""


def start(names: tuple[str, ...], folder: Path) -> list[Tracker]:
    """Open the trackers of these names.

    Raises:
        UserError: for a package that is not installed.
    """
    return [TRACKERS[name](folder) for name in names]


def check(names: tuple[str, ...]) -> None:
    """Raise `UserError` for a name that no tracker has."""
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise UserError(f"expected trackers among {sorted(TRACKERS)}, found {unknown}")


def _import(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"expected {module} to be installed; pip install 'understudy[{extra}]'"
        ) from error


def _scalars(row: dict[str, Any]) -> dict[str, float]:
    """One number per metric and seed; a metric that is an array is left out."""
    return {
        f"{name}/seed_{seed}": value
        for name, values in row.items()
        if isinstance(values, list)
        for seed, value in enumerate(values)
        if isinstance(value, float | int)
    }
