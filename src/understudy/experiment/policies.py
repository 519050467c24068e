"""Measure policies by what they earn: same initial states for all, between random and expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.envs.chance import Noop, Random
from understudy.experiment import games
from understudy.experiment.contenders import Contender
from understudy.experiment.returns import Played, play
from understudy.experiment.scores import EXPERT, NOOP, RANDOM, Floor, Games, Table
from understudy.experiment.tables import Evaluation
from understudy.types import Spec, require

FEW = 5
"""Fewer seeds than this make the intervals over them too narrow."""


def evaluate_policies(
    models: Sequence[Contender],
    env: Any,
    *,
    expert: Any,
    episodes: int,
    agents: Sequence[int] | None,
    floor: Floor,
    seed: int,
) -> Evaluation:
    """Play episodes with every seed of every model, with an expert, and with a random policy.

    A return is the sum of rewards of an episode, averaged over the agents of the group that the
    setting calls ``headline``, or over all agents where every group earns the same.

    Args:
        models: whom to measure.
        env: a JAX env or a host env.
        expert: what `games.expert_of` takes.
        episodes: of each policy.
        agents: numbers of agents to play with; None: the env's own.
        floor: who scores 0.
        seed: of the initial states and of the bootstrap.

    Raises:
        UserError: where a policy does not transfer to another number of agents, or the env has
            no number of agents to change.
    """
    chosen = games.expert_of(env, expert)
    everybody, played = list(models), {}
    for count in agents or (None,):
        game = env if count is None else games.resized(env, count)
        everybody = [*models, *_references(game, chosen, floor)]
        for model in everybody if count is not None else ():
            _check_transfer(model)
        played["agents" if count is None else f"{count} agents"] = {
            model.name: {
                number: play(policy, game, episodes=episodes, seed=seed)
                for number, policy in model.made.items()
            }
            for model in everybody
        }
    headline = _headline(env.spec, list(played.values()))
    table = Table(games.name_of(env), env.spec.names, headline, seed, floor)
    rows = [
        row for task, own in played.items() for m in everybody for row in table.rows(m, task, own)
    ]
    rows += table.overall(rows, list(played))
    setting = {
        "env": table.env,
        "env_config": games.describe(env)["config"],
        "episodes": episodes,
        "initial_states": seed,
        "agents": list(agents or ()),
        "expert": None if chosen is None else chosen.name,
        "floor": floor,
        "headline": headline or "all agents",
        "modes": sorted({m.mode for m in models if m.mode is not None}),
    }
    returns = {table.env: {t: table.marl_eval(everybody, own) for t, own in played.items()}}
    return Evaluation(rows, setting, _notes(models, chosen, table, played), returns)


def _references(game: Any, chosen: games.Expert | None, floor: Floor) -> list[Contender]:
    """The expert, where there is one, and policies that do not look."""
    blind = [Contender(RANDOM, {0: Random(game.spec)}, reference=True)]
    if floor == NOOP:
        blind.append(Contender(NOOP, {0: Noop(game.spec)}, reference=True))
    if chosen is None:
        return blind
    return [Contender(EXPERT, {0: chosen.make(game)}, reference=True), *blind]


def _check_transfer(model: Contender) -> None:
    for policy in model.made.values():
        why = getattr(getattr(policy, "network", None), "bound_by", None)
        require(
            bool(getattr(policy, "transfers", False)),
            f"expected a policy that runs on other numbers of agents, {model.name} does not"
            f"{f' ({why})' if why else ''}; leave agents out",
        )


def _headline(spec: Spec, tasks: Sequence[Games]) -> str | None:
    """None where all groups always earn the same, else the first group whose return varies."""
    everything: list[Played] = [
        played for own in tasks for seeds in own.values() for played in seeds.values()
    ]
    by_group = {name: np.concatenate([p.team(name) for p in everything]) for name in spec.names}
    first = by_group[spec.names[0]]
    if all(np.allclose(first, other, rtol=1e-4, atol=1e-5) for other in by_group.values()):
        return None
    return next((n for n, earned in by_group.items() if np.ptp(earned) > 0), spec.names[0])


def _notes(
    models: Sequence[Contender], chosen: games.Expert | None, table: Table, played: Any
) -> list[str]:
    """Plain sentences a reader has to know."""
    notes = []
    if chosen is not None:
        notes.append(chosen.note)
    else:
        notes.append(f"No expert is known for {table.env}, so returns are not normalised.")
    for task, own in played.items():
        if chosen is not None and table.scale(own) is None:
            where = table.env if task == "agents" else f"{table.env} with {task}"
            notes.append(
                f"The expert earns no more than the policy that scores 0 in {where}, so there is "
                "no score between them."
            )
    if table.headline is not None:
        notes.append(
            f"Groups earn differently: the headline is the return of {table.headline!r}, and the "
            "same policy plays all groups."
        )
    for model in models:
        seeds = len(model.made) + len(model.failed)
        if 1 < seeds < FEW:
            notes.append(
                f"{model.name}: an interval over {seeds} seeds is too narrow; train {FEW} or more."
            )
    return notes + [
        f"{model.name}: seed {number} {why} and counts as failed, like the worse of a random "
        "policy and the worst seed that is well."
        for model in models
        for number, why in model.failed.items()
    ]
