"""Imitating three agents on spread: every method, few and many demonstrations (B2.3).

    python benchmarks/spread_imitation.py --plan
    python benchmarks/spread_imitation.py --runs runs
    python benchmarks/spread_imitation.py --runs runs --only BC MAGAIL --demonstrations 5 200

The expert is scripted (it solves the assignment and steers); nobody sees the env's reward. Sizes,
steps and learning rates of a method are the same for every number of demonstrations. Scores are
between a random policy (0) and the expert (1) on the same 200 initial states, of the last
checkpoint; ``execution`` says whether agents act on what they see alone. A run that exists is gone
on with, so the table can be made in pieces.
"""

from __future__ import annotations

from typing import Any

import understudy as us
from imitators import IMITATE, OWN, TEAM, Cell, arguments, make, promised, scores, train

DEMONSTRATIONS = (1, 5, 20, 200)
EPISODES = 200
STEPS = {"own": 500_000, "team": 100_000}
"""Env steps of policies that act alone, and of transformers, which take 30 times as long."""
WANTED = {"MILD²": 0.95, "MAGAIL": 0.90}


def methods() -> dict[str, tuple[Any, int]]:
    """Name -> algorithm without a warm start, and env steps; 0: it only clones."""
    own, team = STEPS["own"], STEPS["team"]
    joint = us.MAPPO(discount=0.95, learning_rate=5e-4, sharing="joint")
    return {
        "BC": (us.BC(), 0),
        "BC, independent": (us.BC(sharing="independent"), 0),
        "BC, joint": (us.JointBC(), 0),
        "GAIL": (us.GAIL(optimiser=joint, **IMITATE), own),
        "MAGAIL": (us.MAGAIL(optimiser=OWN, **IMITATE), own),
        "MAGAIL, central": (us.MAGAIL("central", optimiser=OWN, **IMITATE), own),
        "MAGAIL discriminator, MAT": (us.MAGAIL(optimiser=TEAM, **IMITATE), team),
        "MILD² discriminator, PPO": (us.MILD2(optimiser=OWN, **IMITATE), own),
        "MILD²-GD": (us.MILD2GD(optimiser=TEAM, **IMITATE), team),
        "MILD²": (us.MILD2(optimiser=TEAM, **IMITATE), team),
    }


def cells(counts: list[int]) -> list[Cell]:
    """All of the table; without a warm start only where most is shown."""
    return [
        Cell(name, algorithm, steps, warm, (count,))
        for count in counts
        for name, (algorithm, steps) in methods().items()
        for warm in ([True, False] if steps and count == max(DEMONSTRATIONS) else [True])
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--demonstrations", nargs="*", type=int, default=list(DEMONSTRATIONS))
    options = parser.parse_args()
    env = us.envs.make("spread")
    demos = us.collect(env, us.experts.hungarian(env), episodes=max(DEMONSTRATIONS), seed=0)

    def rows_of(cell: Cell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        count = cell.words[0]
        run = train(cell, env, demos[:count], options.runs)
        rows = [{"demonstrations": count, **row}
                for row in scores(cell, run, env, "hungarian", EPISODES)]  # fmt: skip
        if count < max(DEMONSTRATIONS) or cell.name not in WANTED:
            return rows, []
        start = "warm start" if cell.warm else "no warm start"
        return rows, [promised(f"B2.3 {cell.name}, {start}", f"spread, {cell.name}, {start}, "
                               f"{count} demonstrations", WANTED[cell.name], rows)]  # fmt: skip

    make("spread_imitation", cells(options.demonstrations), options, rows_of)


if __name__ == "__main__":
    main()
