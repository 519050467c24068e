"""From a log to simulators of both sides, and a report of how far each can be trusted.

Sessions are split, and from the first part are learned

- **cloning**: behaviour cloning of both halves;
- **world**: an ensemble of world models, in which the cloned agent acts;
- **magail**: adversarial imitation of both halves together, from cloning on.

All of them are runs in the folder, and are measured on the sessions that were held out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from understudy.algorithms import presets
from understudy.algorithms.world_model import WorldModel
from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics.simulator import OfNetwork, OfWorld, Simulator, halves
from understudy.envs.logged import HORIZON, Logged
from understudy.experiment.checkpoint import write_atomic
from understudy.experiment.run import Run
from understudy.experiment.simulation_page import simulation_report
from understudy.experiment.simulation_results import SimulationReport
from understudy.experiment.train import train
from understudy.networks.actions import action_of
from understudy.networks.discriminators import MLPDiscriminator
from understudy.types import Spec, UserError, require

CLONING = {"batch": 128, "learning_rate": 2e-3, "weight_decay": 1.0}
"""Of the cloned halves."""
UPDATES = {"cloning": 1_500, "world": 1_500}
STEPS = 64_000
"""Env steps of adversarial imitation."""
METHODS = ("cloning", "world", "magail")


def magail(steps: int = STEPS, **changes: Any) -> Any:
    """Adversarial imitation of both halves, held near where it begins.

    Args:
        steps: env steps over which step sizes fall.
        changes: any other field of the policy optimiser.
    """
    optimiser = presets.MAPPO(**{
        "envs": 64, "rollout": HORIZON, "epochs": 2, "minibatches": 2, "learning_rate": 1e-4,
        "entropy": 0.0, "anchor": 1.0, "cloning_weight": 0.1, "decay": steps // (64 * HORIZON),
        **changes,
    })  # fmt: skip
    return presets.MAGAIL(
        cloning=0, optimiser=optimiser, reward="logit", standardise=True, passes=4, minibatch=256,
        learning_rate=3e-4, noise=0.3, discriminator=MLPDiscriminator(reads="own"),
    )  # fmt: skip


def simulate(
    demonstrations: Demonstrations,
    out: str | Path,
    *,
    test: Demonstrations | None = None,
    methods: tuple[str, ...] = METHODS,
    share: float = 0.8,
    seed: int = 0,
    steps: int = STEPS,
    progress: Callable[[str], None] | None = None,
    **asked: Any,
) -> SimulationReport:
    """Learn simulators of both sides of a log, and measure them.

    Args:
        demonstrations: with a group that advances the state.
        out: folder of runs, ``simulation.json`` and ``simulation.html``.
        test: other sessions to measure on; then all of `demonstrations` are learned from.
        methods: which simulators, of `METHODS`.
        share: of the sessions to learn from where there is no `test`; the others are held out.
        seed: of the split and of what is learned.
        steps: env steps of adversarial imitation.
        progress: told in a sentence what happens now.
        asked: ``outcome``, ``group`` and ``time`` of the report.

    Raises:
        UserError: for other demonstrations, unknown methods, or a folder that holds something.
    """
    out, say = Path(out), progress or (lambda _: None)
    halves(demonstrations.spec)
    unknown = sorted(set(methods) - set(METHODS))
    require(not unknown, f"expected methods among {list(METHODS)}, found {unknown}")
    require(0 < share < 1, f"expected a share of sessions between 0 and 1, found {share}")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"expected an empty folder, found files in {out}; give another --out")
    if test is None:
        learned, _, held = demonstrations.split("session", (share, 0.0, 1.0 - share), seed=seed)
    else:
        learned, held = demonstrations, as_learned(test, demonstrations.spec)
    say(f"{len(learned)} sessions to learn from, {len(held)} held out")
    _learn(learned, out, methods, seed=seed, steps=steps, say=say)
    simulators = {name: load(out, name) for name in METHODS if name in methods}
    say("measuring on the sessions held out")
    report = simulation_report(simulators, learned, held, seed=seed, out=out, **asked)
    settings = {
        "methods": list(methods), "share": share if test is None else None, "seed": seed,
        "steps": steps,
    }  # fmt: skip
    write_atomic(out / "settings.json", json.dumps(settings, indent=1).encode())
    return report


def _learn(
    learned: Demonstrations,
    out: Path,
    methods: tuple[str, ...],
    *,
    seed: int,
    steps: int,
    say: Callable[[str], None],
) -> None:
    """Train a run for each method; cloning, which the others begin with or act by, always."""
    say("cloning both halves")
    cloned = train(
        presets.BC(decay=UPDATES["cloning"], **CLONING), demonstrations=learned,
        steps=UPDATES["cloning"], out=out / "cloning", seed=seed,
    )  # fmt: skip
    if "world" in methods:
        say("learning a world")
        train(
            WorldModel(decay=UPDATES["world"]), demonstrations=learned, steps=UPDATES["world"],
            out=out / "world", seed=seed,
        )  # fmt: skip
    if "magail" in methods:
        say("imitating both halves together")
        train(
            magail(steps), env=Logged.of(learned, starts="any"), demonstrations=learned,
            warm_start=cloned, steps=steps, out=out / "magail", seed=seed,
        )  # fmt: skip


def as_learned(test: Demonstrations, spec: Spec) -> Demonstrations:
    """Other sessions of a log, with the constant sections of the sessions that are learned from.

    Raises:
        UserError: for other columns, or where a section changes that never did.
    """
    constant = spec.world.constant
    groups = [dataclasses.replace(g, constant=constant) if g.advances else g
              for g in test.spec.groups]  # fmt: skip
    found = dataclasses.replace(test.spec, groups=tuple(groups))
    require(
        found == spec,
        "expected a test log with the columns of the one that is learned from, found "
        f"{[(g.name, g.observation) for g in found.groups]} instead of "
        f"{[(g.name, g.observation) for g in spec.groups]}; read both with one schema",
    )
    world = spec.world
    now = test.features[world.name][:, 0]
    legal = np.asarray(world.stays_legal(now))
    known, done = test.known_actions()[world.name][:, 0], (test.actions or {})[world.name][:, 0]
    first = np.cumsum([0, *action_of(world).sections[:-1]]).astype(int)
    for section in constant:
        column = first[section] + done[:, section].astype(int)
        rows = np.flatnonzero(known & ~np.take_along_axis(legal, column[:, None], 1)[:, 0])
        require(
            not len(rows),
            f"expected section {section} never to change in a session, as in the log that is "
            f"learned from, found a change in frame {int(rows[0]) if len(rows) else 0} of the test "
            "log; name the sections that never do under constant in the schema",
        )
    masks = None
    if constant:
        masks = {g.name: np.ones((*test.alive[g.name].shape, action_of(g).choices), bool)
                 for g in spec.groups} | {world.name: legal[:, None]}  # fmt: skip
    return dataclasses.replace(test, spec=spec, legal=masks)


def load(folder: str | Path, name: str, seed: int = 0) -> Simulator:
    """A simulator of `simulate`.

    Args:
        folder: of it.
        name: one of `METHODS`.
        seed: number of the seed in its run.
    """
    folder = Path(folder)
    if name == "world":
        return OfWorld(load(folder, "cloning", seed), Run(folder / "world").world(seed))
    return OfNetwork(Run(folder / name).policy(seed).network)
