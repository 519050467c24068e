"""The parts of a report that only a policy in a game has: its score, its rollouts, its env."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.experiment import games, page
from understudy.experiment.contenders import title
from understudy.experiment.run import Run
from understudy.experiment.scores import EXPERT
from understudy.experiment.tables import Evaluation, number
from understudy.types import UserError
from understudy.visualise.films import record
from understudy.visualise.rollouts import draw_films, write

STEPS = 120
"""Steps of an episode that a report shows at most."""
MOVING, STILL = 2, 3
"""Episodes that move, and others that do not."""


def learned_in(run: Run) -> str | None:
    """The game a run learned in, as the object of a sentence; None where there was none."""
    kept = run.config["env"]
    if kept is None:
        return None
    steps = round(run.config["steps"] * run.step / max(1, run.updates))
    return f"{kept['name']}, {steps:,} steps of it"


def headlines(row: Mapping[str, Any], floor: str) -> list[tuple[str, str]]:
    """Up to three figures of a policy that say most."""
    found = []
    robust = row.get("normalised_iqm")
    score = row.get("normalised") if robust is None else robust
    if score is not None:
        mean = "" if robust is None else ", interquartile mean over seeds"
        found.append((f"{score:.2f}", f"score: 0 is {floor}, 1 the expert{mean}"))
    if row.get("success_rate") is not None:
        found.append((f"{row['success_rate']:.0%}", "of episodes solved"))
    if row.get("mean_return") is not None:
        found.append((number(row["mean_return"]), "mean return"))
    return found


def rollouts(run: Run, evaluation: Evaluation | None, env: Any) -> str:
    """Episodes of the first seed that is well and of the expert, moving and still."""
    heading = "How it plays"
    well = [seed for seed in range(run.seeds) if seed not in run.diverged]
    try:
        game = games.env_of(run) if env is None else env
        policies = {f"{title(run)}, seed {seed}": run.policy(seed) for seed in well[:1]}
    except UserError as error:
        return page.section(heading, page.paragraph(f"Nothing is shown: {error}."))
    if not policies:
        return page.section(heading, page.paragraph("Nothing is shown: every seed diverged."))
    expert = _expert(game, evaluation)
    if expert is not None:
        policies[f"{EXPERT} ({expert.name})"] = expert.make(game)
    steps = min(game.spec.horizon or STEPS, STEPS)
    films = [
        record(game, policy, name, episodes=MOVING + STILL, seed=0, steps=steps)
        for name, policy in policies.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        moving = page.picture(
            write([film.take(slice(0, MOVING)) for film in films], Path(folder) / "rollout.gif"),
            "The same initial states, whoever plays; trails are the last steps of each agent.",
        )
    rest = [film.take(slice(MOVING, None)) for film in films]
    still = page.picture(draw_films(rest), "More episodes, each as it ended.")
    return page.section(heading, moving, still)


def _expert(game: Any, evaluation: Evaluation | None) -> games.Expert | None:
    """The expert of the evaluation, where it is one by name; else the one the game has."""
    name = games.OWN if evaluation is None else evaluation.setting.get("expert")
    try:
        return games.expert_of(game, name)
    except UserError:  # a policy or a run that was only given then
        return None


def settings(run: Run) -> list[tuple[str, Any]]:
    """The env and its hyper-parameters."""
    kept = run.config["env"]
    rows = [("env", kept["name"])]
    fields = {k: v for k, v in (kept["config"] or {}).items() if k != "type"}
    rows += [(name.replace("_", " "), json.dumps(value)) for name, value in fields.items()]
    for group in run.spec.groups:
        acts = "" if group.action is None else f", {_actions(group.action)}"
        rows.append(
            (f"group {group.name}", f"{group.agents} agents, {group.observation} features{acts}")
        )
    return [*rows, ("horizon", run.spec.horizon or "none")]


def _actions(action: Any) -> str:
    parts = [f"{choices} choices" for choices in action.sections]
    parts += [f"{len(action.low)} continuous"] if action.low else []
    return "actions: " + " and ".join(parts)
