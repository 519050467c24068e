"""Imitating three agents on spread: every method, few and many demonstrations (B2.3).

    python benchmarks/spread_imitation.py --plan
    python benchmarks/spread_imitation.py --runs runs
    python benchmarks/spread_imitation.py --runs runs --only BC MAGAIL --demonstrations 5 200

The expert is MAPPO of three million env steps (``zoo:spread``) and samples its actions; nobody sees
the env's reward. Sizes, steps and learning rates of a method are the same for every number of
demonstrations, and were chosen at 200 (`imitators`). Scores are between a random policy (0) and the
expert (1) on the same 200 initial states, of the last checkpoint; ``execution`` says whether agents
act on what they see alone. A run that exists is gone on with, so the table can be made in pieces.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import understudy as us
from imitators import (
    IMITATE,
    JUDGE,
    OWN,
    TEAM,
    Cell,
    arguments,
    clone,
    make,
    promised,
    scores,
    train,
)
from understudy.networks.discriminators import TransformerDiscriminator

DEMONSTRATIONS = (1, 5, 20, 200)
EPISODES = 200
STEPS = {"own": 400_000, "team": 100_000}
"""Env steps of policies that act alone, and of transformers, which take ten times as long."""
CURVES = ("BC", "BC, independent", "BC, joint", "MAGAIL", "MILD²")
"""Methods that also learn from fewer."""
LONGER = 3_000_000
"""Env steps of MAGAIL without a warm start, at 200 demonstrations, once more."""
WANTED = {"MILD²": 0.95, "MAGAIL": 0.90}


def methods() -> dict[str, tuple[Any, int]]:
    """Name -> algorithm without a warm start, and env steps; 0: it only clones."""
    own, team = STEPS["own"], STEPS["team"]
    joint = dataclasses.replace(OWN, network=dataclasses.replace(OWN.network, sharing="joint"))
    team_judge, own_judge = (
        {"discriminator": TransformerDiscriminator(mask=mask, **JUDGE), **IMITATE}
        for mask in ("full", "diagonal")
    )
    return {
        "BC": (clone(), 0),
        "BC, independent": (clone(dataclasses.replace(OWN.network, sharing="independent")), 0),
        "BC, joint": (clone(TEAM.network), 0),
        "GAIL": (us.GAIL(optimiser=joint, **IMITATE), own),
        "MAGAIL": (us.MAGAIL(optimiser=OWN, **IMITATE), own),
        "MAGAIL, central": (us.MAGAIL("central", optimiser=OWN, **IMITATE), own),
        "MAGAIL discriminator, MAT": (us.MAGAIL(optimiser=TEAM, **IMITATE), team),
        "MILD² discriminator, PPO": (us.MILD2(optimiser=OWN, **team_judge), own),
        "MILD²-GD": (us.MILD2(optimiser=TEAM, **own_judge), team),
        "MILD²": (us.MILD2(optimiser=TEAM, **team_judge), team),
    }


def cells(counts: list[int]) -> list[Cell]:
    """All of the table; of few demonstrations what curves are drawn of, with a warm start."""
    most = max(DEMONSTRATIONS)
    found = [
        Cell(name, algorithm, steps, warm, (count,))
        for count in sorted(counts, reverse=True)
        for name, (algorithm, steps) in methods().items()
        if count == most or name in CURVES
        for warm in ([True, False] if steps and count == most else [True])
    ]
    longer = Cell("MAGAIL", methods()["MAGAIL"][0], LONGER, False, (most, "3M steps"))
    return [*found, longer] if most in counts else found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--demonstrations", nargs="*", type=int, default=list(DEMONSTRATIONS))
    options = parser.parse_args()
    env = us.envs.make("spread")
    expert = us.load_policy("zoo:spread", mode="sample")
    demos = us.collect(env, expert, episodes=max(DEMONSTRATIONS), seed=0)

    def rows_of(cell: Cell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        count = cell.words[0]
        run = train(cell, env, demos[:count], options.runs)
        rows = [{"demonstrations": count, "env_steps": cell.steps, **row}
                for row in scores(cell, run, env, expert, EPISODES)]  # fmt: skip
        if count < max(DEMONSTRATIONS) or cell.name not in WANTED:
            return rows, []
        words = f"{cell.name}, {cell.steps / 1e6:g}M env steps, "
        words += "warm start" if cell.warm else "no warm start"
        return rows, [promised(f"B2.3 {words}", f"spread, {words}, {count} demonstrations",
                               WANTED[cell.name], rows)]  # fmt: skip

    make("spread_imitation", cells(options.demonstrations), options, rows_of)


if __name__ == "__main__":
    main()
