"""Imitation on the classic games of particles: speaker and listener, tag, push (B2.4).

    python benchmarks/classic_suite.py --runs runs
    python benchmarks/classic_suite.py --runs runs --games tag push --only BC MAGAIL

Experts are the trained policies that come with the library; they play both sides, and both sides
are imitated at once from 200 episodes. In tag and push the sides are opponents: a score is the
return of one side between a random one (0) and the expert's (1) while the *other side is the
expert*, so that nobody scores by meeting a weak opponent. In speaker and listener the two are one
team. Rates are those of `spread_imitation.py`, untouched, and steps half as many; everybody who
acts begins with the clone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import understudy as us
from imitators import IMITATE, JUDGE, OWN, TEAM, Cell, arguments, clone, make, minutes, train
from understudy.envs.policies import assign
from understudy.experiment.returns import play
from understudy.functional.statistics import stratified_bootstrap
from understudy.networks.discriminators import TransformerDiscriminator

GAMES = ("speaker-listener", "tag", "push")
OPPOSED = ("tag", "push")
DEMONSTRATIONS, EPISODES = 200, 200
STEPS = {"own": 200_000, "team": 50_000}


def methods(opposed: bool) -> dict[str, tuple[Any, int]]:
    """Name -> algorithm without a warm start, and env steps; 0: it only clones."""
    own, team = STEPS["own"], STEPS["team"]
    judge = {"discriminator": TransformerDiscriminator(**JUDGE)}
    found = {
        "BC": (clone(), 0),
        "BC, joint": (clone(TEAM.network), 0),
        "MAGAIL": (us.MAGAIL(optimiser=OWN, **IMITATE), own),
        "MAGAIL, central": (us.MAGAIL("central", optimiser=OWN, **IMITATE), own),
    }
    if opposed:
        found["MAGAIL, zero-sum"] = (us.MAGAIL("zero_sum", optimiser=OWN, **IMITATE), own)
    return {**found, "MILD²": (us.MILD2(optimiser=TEAM, **judge, **IMITATE), team)}


def played(env: Any, team: Any, side: str | None, expert: Any) -> float:
    """Mean return per agent of one side that meets the expert, or of all agents (None)."""
    if side is None:
        found = play(team, env, episodes=EPISODES, seed=0)
    else:
        places = {(g.name, i): team if g.name == side else expert
                  for g in env.spec.groups for i in range(g.agents)}  # fmt: skip
        found = play(assign(env.spec, places), env, episodes=EPISODES, seed=0)
    return float(found.team(side).mean())


def scores(cell: Cell, run: Any, env: Any, expert: Any) -> list[dict[str, Any]]:
    """A row per side, over all seeds, most likely actions of what was learned."""
    game = cell.words[0]
    sides = [g.name for g in env.spec.groups] if game in OPPOSED else [None]
    references, rows = (us.experts.random(env), expert), []
    for side in sides:
        low, high = (played(env, policy, side, expert) for policy in references)
        earned = np.array([
            played(env, run.policy(seed=seed, mode="mode"), side, expert)
            for seed in range(run.seeds)
        ])  # fmt: skip
        found = stratified_bootstrap((earned[:, None] - low) / (high - low))
        rows.append({
            "game": game, "method": cell.name, "side": side or "team",
            "warm_start": bool(cell.steps and cell.warm), "score": found.estimate, "low": found.low,
            "high": found.high, "return": float(earned.mean()), "random": low, "expert": high,
            "diverged": len(run.diverged), "minutes": minutes(run),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--games", nargs="*", choices=GAMES, default=list(GAMES))
    options = parser.parse_args()
    for game in options.games:
        env = us.envs.make(game)
        expert = us.load_policy(f"zoo:{game}", mode="mode")
        demos = us.collect(env, expert, episodes=DEMONSTRATIONS, seed=0)
        cells = [Cell(name, algorithm, steps, words=(game,))
                 for name, (algorithm, steps) in methods(game in OPPOSED).items()]  # fmt: skip

        def rows_of(
            cell: Cell, env: Any = env, expert: Any = expert, demos: Any = demos
        ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            return scores(cell, train(cell, env, demos, options.runs), env, expert), []

        make("classic_suite", cells, options, rows_of)


if __name__ == "__main__":
    main()
