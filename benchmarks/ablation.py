"""Which part of MILD² does what: on spread one part at a time is another (B2.5).

    python benchmarks/ablation.py --plan
    python benchmarks/ablation.py --runs runs

Five seeds, 200 episodes of the expert of `spread_imitation.py`. Every row begins with policies that
were cloned from what it is shown, and nothing but the learned reward holds them afterwards, so that
what a reward is worth shows in what becomes of them. Rates are MILD²'s own for every row.
Beside the score: the variance of what the discriminator paid, and of advantages, as it is
(``advantage_variance``) and over the variance of returns (``advantage_share``), means of the last
tenth of training; at the end, how their ranks go with those of the scores.
Which discriminator meets which policy is the other half of the ablation, and is in `xor.py`, where
that alone decides.

``shuffled agents``: in every demonstrated step the agents, what they saw and did, trade places;
each is as in the demonstrations, and the team is not.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

import understudy as us
from imitators import IMITATE, JUDGE, SEEDS, TEAM, Cell, arguments, make, scores, train
from results import FOLDER, command, table, write
from understudy.networks.discriminators import MLPDiscriminator, TransformerDiscriminator

DEMONSTRATIONS, EPISODES = 200, 200
STEPS = 40_000
SHUFFLED = "shuffled agents"
MEASURED = (
    "advantage_variance", "explained_variance", "reward_correlation", "lipschitz",
    "discriminator_loss",
)  # fmt: skip


def judge(**changes: Any) -> dict[str, Any]:
    """Another transformer that judges."""
    return {"discriminator": TransformerDiscriminator(**{**JUDGE, **changes})}


CHANGES: dict[str, dict[str, Any]] = {
    "MILD²": {},
    "objective bce": {"objective": "bce"},
    "objective bce+gp": {"objective": "bce+gp"},
    "objective wgan-gp": {"objective": "wgan-gp"},
    "objective lsgan": {"objective": "lsgan"},
    "Ω square": {"omega": "square"},
    "Ω entropic": {"omega": "entropic"},
    "distance own": {"metric": "own"},
    "reward logit": {"reward": "logit"},
    "reward neg": {"reward": "neg"},
    "reward prob": {"reward": "prob"},
    "attention dot": judge(attention="dot"),
    "attention l2": judge(attention="l2"),
    "normalisation none": judge(normalisation="none"),
    "normalisation spectral": judge(normalisation="spectral"),
    "mask causal": judge(mask="causal"),
    "mask diagonal": judge(mask="diagonal"),
    "perceptron, team": {"discriminator": MLPDiscriminator(reads="team")},
    "perceptron, own": {"discriminator": MLPDiscriminator()},
    "policy alone (MAT-Dec)": {
        "optimiser": dataclasses.replace(
            TEAM, network=dataclasses.replace(TEAM.network, decoder="independent")
        )
    },
    SHUFFLED: {},
}
"""Row -> what is not MILD²'s own."""


def shuffled(demonstrations: us.Demonstrations, seed: int = 0) -> us.Demonstrations:
    """Agents of each step in an order of their own, with all that is theirs."""
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random(demonstrations.alive["agents"].shape), 1)

    def traded(arrays: Any) -> Any:
        rows = arrays["agents"]
        at = order.reshape(*order.shape, *(1,) * (rows.ndim - 2))
        return {"agents": np.take_along_axis(rows, at, 1)}

    return dataclasses.replace(
        demonstrations, features=traded(demonstrations.features),
        alive=traded(demonstrations.alive), actions=traded(demonstrations.actions),
        action_known=None, rewards=None,
    )  # fmt: skip


def measured(run: Any) -> dict[str, float]:
    """Means over seeds and the last tenth of training."""
    last = [row for row in run.metrics if "discriminator_loss" in row]
    last = last[-max(1, len(last) // 10) :]
    found = {name: float(np.nanmean([row[name] for row in last])) for name in MEASURED}
    moments = np.asarray([row["reward_moments/agents"] for row in last], float)
    share = 1 - found.pop("explained_variance")
    return {"reward_variance": float(np.nanmean(moments[..., 1])), "advantage_share": share} | found


def explained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spearman's rank correlation of each figure with the score, over all rows."""

    def ranks(name: str) -> np.ndarray:
        return np.argsort(np.argsort([row[name] for row in rows]))

    names = ("reward_variance", "advantage_variance", "advantage_share", "reward_correlation")
    return [
        {"figure": name, "rows": len(rows),
         "rank_correlation": float(np.corrcoef(ranks(name), ranks("score"))[0, 1])}
        for name in names
    ]  # fmt: skip


def main() -> None:
    options = arguments(__doc__).parse_args()
    env = us.envs.make("spread")
    expert = us.load_policy("zoo:spread", mode="sample")
    demos = us.collect(env, expert, episodes=DEMONSTRATIONS, seed=0)
    traded = shuffled(demos)
    mild2 = us.MILD2(optimiser=TEAM, **judge(), **IMITATE)
    cells = [
        Cell(name, dataclasses.replace(mild2, **changes), STEPS, cloning_weight=0.0)
        for name, changes in CHANGES.items()
    ]

    def rows_of(cell: Cell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        run = train(cell, env, traded if cell.name == SHUFFLED else demos, options.runs)
        said = measured(run)
        return [{**row, **said} for row in scores(cell, run, env, expert, EPISODES)], []

    make("ablation", cells, options, rows_of)
    rows = json.loads((FOLDER / "ablation.json").read_text())["rows"]
    modes = [row for row in rows if row.get("mode") == "mode"]
    if len(modes) == len(CHANGES) and not options.plan:
        said = explained(modes)
        write("ablation", command=command(), seeds=range(SEEDS), rows=said, targets=[],
              part="what goes with scores")  # fmt: skip
        print(table(said))


if __name__ == "__main__":
    main()
