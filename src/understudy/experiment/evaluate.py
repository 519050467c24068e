"""Measure runs honestly: one protocol, the baselines beside them, every figure with its setting.

Generators are scored on the windows of a protocol, policies by the returns of their episodes
between a random policy and an expert.
Each row says how it executes (joint or decentralised) and how many samples K it drew; seeds have a
row each and one for their mean; intervals draw games (or episodes) with replacement.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from understudy.data import store
from understudy.data.demonstrations import Demonstrations
from understudy.data.statistics import statistics as measure
from understudy.experiment import games, programs, protocols
from understudy.experiment.arena import Arena, Options
from understudy.experiment.contenders import Contender, contenders, references
from understudy.experiment.policies import evaluate_policies
from understudy.experiment.protocols import Protocol
from understudy.experiment.run import Run
from understudy.experiment.scores import Floor
from understudy.experiment.tables import Evaluation
from understudy.types import Mode, UserError, require

FILE = "evaluation.json"
MODES: tuple[Mode, ...] = ("sample", "mode")
"""Ways to act that are worth measuring."""


def evaluate(
    run: Any,
    *,
    demonstrations: Demonstrations | str | Path | None = None,
    env: Any = None,
    protocol: str | Protocol | None = None,
    samples: int = 20,
    expert: Any = games.OWN,
    episodes: int = 100,
    agents: Sequence[int] | None = None,
    mode: Mode | Literal["both"] = "sample",
    floor: Floor = "random",
    seed: int = 0,
    options: Options | None = None,
) -> Evaluation:
    """Evaluate a run, or several under the same protocol.

    Args:
        run: a run, its folder, a generator or policy, or a list of them.
        demonstrations: held-out episodes, or their folder, to score generators on; None: the
            validation set the run was trained with.
        env: what to run policies in; None: the env the first run was trained with, if its
            algorithm acts. Generators need none.
        protocol: a name of `protocols.PROTOCOLS` or a `Protocol`; None observes a fifth of the
            training window.
        samples: futures drawn per window, K; every best-of-K figure falls as K grows.
        expert: of policies, who scores 1: a policy, a run or its folder, a name of
            `envs.experts.EXPERTS`, None for nobody; ``"own"`` takes the one known for the env.
        episodes: episodes per policy and number of agents.
        agents: numbers of agents to run a policy with; None: the env's own.
        mode: how policies of runs act: as trained (``"sample"``), most likely action (``"mode"``),
            or ``"both"``, a row each.
        floor: of policies, who scores 0: ``"random"`` actions, or ``"noop"``, no action.
        seed: of the samples, of windows drawn and of the bootstrap; never a training key.
        options: what is rarely changed.

    Returns:
        Rows and settings; ``print`` shows tables. Every run among `run` gets ``evaluation.json``.

    Raises:
        UserError: without demonstrations or env, or where they do not fit the protocol.
    """
    items = list(run) if isinstance(run, list | tuple) else [run]
    items = [Run(item) if isinstance(item, str | Path) else item for item in items]
    require(len(items) > 0, "expected at least one run to evaluate, found none; pass one")
    require(
        env is None or demonstrations is None,
        "expected demonstrations (to score a generator) or an env (to run a policy), found "
        "both; pass one of them",
    )
    programs.forget_many()
    if env is None and demonstrations is None and games.plays(items[0]):
        env = games.env_of(items[0])
    if env is not None:
        models = players(items, mode)
        found = evaluate_policies(
            models, env, expert=expert, episodes=episodes, agents=agents, floor=floor, seed=seed
        )
    else:
        models = contenders(items)
        held_out = read(demonstrations, models)
        found = evaluate_generators(
            models, held_out, protocol, samples=samples, seed=seed, options=options or Options()
        )
    for model in models:
        if model.run is not None:
            found.save(model.run.folder / FILE)
    return found


def players(items: Sequence[Any], mode: Mode | Literal["both"]) -> list[Contender]:
    """Policies of every run, in one mode or in two."""
    require(mode in (*MODES, "both"), f"expected mode 'sample', 'mode' or 'both', found {mode!r}")
    if mode != "both":
        return contenders(items, "policy", mode)
    found = []
    for ways in zip(*(contenders(items, "policy", way) for way in MODES), strict=True):
        named = [dataclasses.replace(c, name=f"{c.name}, {c.mode}") for c in ways]
        found += named if ways[0].run is not None else ways[:1]
    return found


def read(given: Demonstrations | str | Path | None, models: Sequence[Contender]) -> Demonstrations:
    """Read held-out demonstrations: those given, or the validation set of the first run.

    Raises:
        UserError: where there are none.
    """
    if isinstance(given, Demonstrations):
        return given
    folder = given
    if folder is None:
        kept = [m.run.config.get("validation") for m in models if m.run is not None]
        folder = next((k["path"] for k in kept if k and k.get("path")), None)
    if folder is None:
        raise UserError(
            "expected demonstrations to score a generator on, found none, and no validation set "
            "on disk; pass held-out demonstrations"
        )
    return store.load(folder)


def evaluate_generators(
    models: Sequence[Contender],
    demonstrations: Demonstrations,
    protocol: str | Protocol | None,
    *,
    samples: int,
    seed: int,
    options: Options,
) -> Evaluation:
    """Score generators on the windows of a protocol, baselines beside them.

    Raises:
        UserError: where models, demonstrations and protocol do not fit each other.
    """
    require(samples >= 1, f"expected at least one sample per window, found {samples}; draw more")
    rules = protocols.choose(
        protocol,
        max((m.window or 0 for m in models), default=0),
        tuple(dict.fromkeys(g.group for m in models for g in m.made.values() if has_group(g))),
    )
    arena = Arena(demonstrations, rules, seed, options)
    rows, notes = [arena.truth_row()], arena.notes()
    for model in models:
        rows += arena.rows(model, samples)
        notes += [
            f"{model.name}: seed {number} {why} and counts as failed."
            for number, why in model.failed.items()
        ]
    if options.baselines:
        trained = next((m.run.statistics for m in models if m.run is not None), None)
        known = measure(demonstrations) if trained is None else trained
        if trained is None:
            notes.append("No run among the models: baselines are scaled by the data scored.")
        for reference in references(arena.scored, known):
            rows += arena.rows(reference, samples)
    return Evaluation(rows, arena.setting_json(samples), notes)


def has_group(generator: Any) -> bool:
    """The generator models one group and says which."""
    return isinstance(getattr(generator, "group", None), str)
