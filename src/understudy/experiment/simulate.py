"""From a log to simulators of both sides, and a report of how far each can be trusted.

Sessions are split, and from the first part are learned

- **cloning**: behaviour cloning of both halves;
- **world**: an ensemble of world models, in which the cloned agent acts;
- **magail**: adversarial imitation of both halves together, from cloning on.

All of them are runs in the folder, and are measured on the sessions that were held out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from understudy.networks.discriminators import MLPDiscriminator
from understudy.types import UserError, require

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
        methods: which simulators, of `METHODS`.
        share: of the sessions to learn from; the others are held out.
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
    learned, _, held = demonstrations.split("session", (share, 0.0, 1.0 - share), seed=seed)
    say(f"{len(learned)} sessions to learn from, {len(held)} held out")
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
    simulators = {name: load(out, name) for name in METHODS if name in methods}
    say("measuring on the sessions held out")
    report = simulation_report(simulators, learned, held, seed=seed, out=out, **asked)
    settings = {"methods": list(methods), "share": share, "seed": seed, "steps": steps}
    write_atomic(out / "settings.json", json.dumps(settings, indent=1).encode())
    return report


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
