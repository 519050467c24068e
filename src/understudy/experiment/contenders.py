"""What is evaluated: the seeds of a run, or a bare generator or policy, and the baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from understudy.algorithms import baselines
from understudy.data.demonstrations import Demonstrations
from understudy.experiment.run import Run
from understudy.types import Mode, Spec, Statistics, UserError

KINDS = {"generator": "sample", "policy": "act"}
"""What can be evaluated -> the method that shows it."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """One line of a table before it has figures: a name and what each seed made."""

    name: str
    made: Mapping[int, Any]
    """Generator or policy by seed; seeds that diverged are not among them."""
    failed: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Seeds that diverged, and when."""
    prepare: Callable[[Demonstrations], Demonstrations] | None = None
    """Labels the demonstrations the way the algorithm needs them."""
    run: Run | None = None
    reference: bool = False
    """A baseline, printed beside the models."""
    mode: Mode | None = None
    """How a policy of a run chooses its actions."""

    @property
    def window(self) -> int | None:
        """Rows of a training window, where it was trained on windows."""
        return None if self.run is None else getattr(self.run.algorithm, "window", None)


def contenders(what: Any, kind: str = "generator", mode: Mode | None = None) -> list[Contender]:
    """Turn a run, a folder, a generator or policy, or a list of them into contenders.

    Args:
        what: one of them, or a list.
        kind: one of `KINDS`: what is taken from a run.
        mode: how policies of a run choose their actions.

    Raises:
        UserError: for anything else.
    """
    items = list(what) if isinstance(what, list | tuple) else [what]
    found = [contender(item, kind, mode) for item in items]
    names = [c.name for c in found]
    return [
        dataclasses.replace(c, name=f"{c.name} ({_mark(c, i)})") if names.count(c.name) > 1 else c
        for i, c in enumerate(found)
    ]


def _mark(found: Contender, index: int) -> str:
    """What tells contenders of one name apart."""
    return str(index + 1) if found.run is None else found.run.folder.resolve().name


def contender(item: Any, kind: str = "generator", mode: Mode | None = None) -> Contender:
    """One contender out of a run, the folder of one, or a generator or policy."""
    if isinstance(item, str | Path):
        item = Run(item)
    if isinstance(item, Run):
        seeds = [seed for seed in range(item.seeds) if seed not in item.diverged]
        options = {} if mode is None else {"mode": mode}
        return Contender(
            title(item),
            {seed: getattr(item, kind)(seed, **options) for seed in seeds},
            {seed: f"diverged at update {update}" for seed, update in item.diverged.items()},
            getattr(item.algorithm, "prepare", None),
            item,
            mode=mode,
        )
    if callable(getattr(item, KINDS[kind], None)):
        return Contender(label(item), {0: item}, prepare=getattr(item, "prepare", None))
    raise UserError(
        f"expected a run, the folder of a run or a {kind}, found {type(item).__name__}; "
        "pass what understudy.train returned"
    )


def title(run: Run) -> str:
    """What a run is called in a table: what its algorithm calls itself, or its class."""
    return str(getattr(run.algorithm, "title", run.name))


def label(generator: Any) -> str:
    """What a bare generator or policy is called: its class, in lower case with spaces."""
    name = type(generator).__name__
    return "".join(f" {c.lower()}" if c.isupper() and i else c for i, c in enumerate(name)).lower()


def references(spec: Spec, statistics: Statistics) -> list[Contender]:
    """The rows printed beside every model: constant velocity, stay put, random walk.

    Args:
        spec: groups that are scored; likelihoods count no others.
        statistics: of the training split.
    """
    made = (baselines.ConstantVelocity, baselines.StayPut, baselines.RandomWalk)
    return [
        Contender(label(generator), {0: generator}, reference=True)
        for generator in (build(spec, statistics) for build in made)
    ]


def deterministic(generator: Any) -> bool:
    """All its samples are alike, so one is enough."""
    return getattr(generator, "noise", True) is False


def execution(generator: Any) -> str:
    """``decentralised`` where each agent's future comes from its own past alone, else ``joint``."""
    return "decentralised" if getattr(generator, "decentralised", False) else "joint"
