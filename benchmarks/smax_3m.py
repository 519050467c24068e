"""Imitating a trained expert of SMAX 3m, from 100,000 recorded steps (B2.7).

    python benchmarks/experts.py --game smax --runs runs
    python benchmarks/smax_3m.py --runs runs --expert runs/smax-mappo-1500000

The expert is the seed of that run that wins most, most likely actions. Battles end early, so the
reward is ``logit``, which can be of either sign, fixed before the first run: one that is always
positive pays for staying alive whatever the discriminator thinks. Whoever acts begins with the
clone. The control is MAGAIL with a discriminator that never learns. Scores are between a random
policy (0) and the expert (1), of 200 battles from the same initial states; `share` is the rate of
battles won over the expert's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import understudy as us
from imitators import IMITATE, JUDGE, Cell, arguments, best, clone, make, scores, train
from results import target
from understudy.experiment.returns import play
from understudy.networks.discriminators import TransformerDiscriminator

TRANSITIONS, EPISODES = 100_000, 200
PARTS: dict[str, Any] = {**IMITATE, "reward": "logit"}
OWN = us.MAPPO(hidden=(128, 128), learning_rate=5e-4, entropy=0.003)
TEAM = us.MAT(
    normalise=False, activation="tanh", learning_rate=5e-4, entropy=0.003, envs=16, epochs=2,
    minibatches=2,
)  # fmt: skip


def methods() -> dict[str, tuple[Any, int]]:
    """Name -> algorithm without a warm start, and env steps; 0: it only clones."""
    never = {**PARTS, "learning_rate": 0.0}
    judge = TransformerDiscriminator(**JUDGE)
    return {
        "BC": (clone(OWN.network), 0),
        "BC, joint": (clone(TEAM.network), 0),
        "MAGAIL": (us.MAGAIL(optimiser=OWN, **PARTS), 300_000),
        "constant reward": (us.MAGAIL(optimiser=OWN, **never), 300_000),
        "MILD²": (us.MILD2(optimiser=TEAM, discriminator=judge, **PARTS), 100_000),
    }


def won(policy: Any, env: Any) -> float:
    """Share of battles won."""
    found = play(policy, env, episodes=EPISODES, seed=0).success
    assert found is not None
    return float(np.mean(found))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--expert", type=Path, required=True, help="run of experts.py")
    options = parser.parse_args()
    env, run = us.envs.make("smax:map=3m"), us.Run(options.expert)
    wins = [won(run.policy(seed=seed, mode="mode"), env) for seed in range(run.seeds)]
    expert = run.policy(seed=int(np.argmax(wins)), mode="mode")
    demos = us.collect(env, expert, transitions=TRANSITIONS, seed=0)

    def rows_of(cell: Cell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        made = train(cell, env, demos, options.runs)
        rows = [{**row, "share": row["success"] / max(wins), "expert_wins": max(wins)}
                for row in scores(cell, made, env, expert, EPISODES)]  # fmt: skip
        if cell.name != "MILD²":
            return rows, []
        return rows, [target("B2.7", "SMAX 3m, battles won by MILD² over the expert's", ">=", 0.9,
                             best(rows)["share"])]  # fmt: skip

    make("smax_3m", [
        Cell(name, algorithm, steps, words=("3m",))
        for name, (algorithm, steps) in methods().items()
    ], options, rows_of)  # fmt: skip


if __name__ == "__main__":
    main()
