"""Which half of MILD² is it: the discriminator over the team, or agents that act in turn?

    python benchmarks/xor.py --runs runs
    python benchmarks/xor.py --game roles --runs runs
    python benchmarks/xor.py --game "roles seen" --only independent --runs runs

Two games whose expert cannot be told from chance by looking at one agent: `envs.Xor` (one step; one
of two agents plays 1) and `envs.Roles` (three agents share out three roles anew in each of ten
steps, and see the role they took last; in ``roles seen`` they see everybody's).
Every discriminator meets every policy, without a warm start, with a reward that is always positive
(softplus) and with one that is not (logit); 8 seeds each, all sizes alike, nothing is tuned by
reward. Beside them: what behaviour cloning makes of the same demonstrations, and the best that
agents which do not see each other's choice can do.

`success` is the share of steps that pay; `distance` the total variation between the joint actions
of the policy and of the expert, both over 4,000 games; a perfect sampler of four joint actions has
about 0.008 of it, one of 27 about 0.03.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize

import understudy as us
from results import command, summary, table, target, write
from understudy.envs import rollout
from understudy.networks.discriminators import MLPDiscriminator, TransformerDiscriminator

SEEDS = 8
GAMES = {
    "xor": us.envs.Xor(),
    "roles": us.envs.Roles(shows="own"),
    "roles seen": us.envs.Roles(shows="everybody"),
}
STEPS = {"xor": 64_000, "roles": 128_000, "roles seen": 128_000}
WIDTH = 32
"""Of all transformers; perceptrons have two layers of twice that."""
EPISODES = {"xor": 2_000, "roles": 400, "roles seen": 400}
PLAYED = 4_000
DISCRIMINATORS: dict[str, Any] = {
    "independent": MLPDiscriminator(hidden=(2 * WIDTH, 2 * WIDTH)),
    "joint": MLPDiscriminator(reads="team", hidden=(2 * WIDTH, 2 * WIDTH)),
    "transformer, full": TransformerDiscriminator(width=WIDTH, mask="full"),
    "transformer, diagonal": TransformerDiscriminator(width=WIDTH, mask="diagonal"),
    "transformer, causal": TransformerDiscriminator(width=WIDTH, mask="causal"),
}
ENVS, ROLLOUT = 64, 4
RATES = {"policy": 3e-4, "discriminator": 1e-3}
"""Step sizes: a policy that learns as fast as its judge runs from it in circles."""
ENTROPY = 0.05
"""What holds a policy still while its rewards say nothing."""
POLICIES = ("independent", "autoregressive")
REWARDS = ("softplus", "logit")


def decay(game: str) -> int:
    """Updates of a training: all step sizes fall to 0 over them."""
    return STEPS[game] // (ENVS * ROLLOUT)


def optimiser(game: str, policy: str) -> Any:
    """PPO of a policy, sized alike."""
    sizes: dict[str, Any] = {
        "envs": ENVS, "rollout": ROLLOUT, "epochs": 4, "minibatches": 1, "decay": decay(game),
        "learning_rate": RATES["policy"], "entropy": ENTROPY,
    }  # fmt: skip
    if policy == "autoregressive":
        return us.MAT(**sizes, width=WIDTH)
    return us.MAPPO(**sizes, sharing="independent")


def joint_actions(env: Any, policy: Any, seed: int = 0) -> np.ndarray:
    """How often every joint action is played, all steps of `PLAYED` episodes together."""
    steps = env.spec.horizon or 1

    def play(key: Any) -> Any:
        actor = rollout.begin(env, policy, key, envs=PLAYED // steps)
        return rollout.collect(env, policy, actor, key, steps=steps)[1].action

    played = np.asarray(jax.jit(play)(jax.random.key(seed))["agents"])[..., 0].astype(int)
    group = env.spec.groups[0]
    counts = np.zeros((group.action.sections[0],) * group.agents)
    np.add.at(counts, tuple(played.reshape(-1, group.agents).T), 1.0)
    return counts / counts.sum()


def expert_actions(env: Any) -> np.ndarray:
    """The expert's joint actions: all that pay, alike."""
    group = env.spec.groups[0]
    choices, agents = group.action.sections[0], group.agents
    pays = np.zeros((choices,) * agents)
    for joint in itertools.product(range(choices), repeat=agents):
        won = sum(joint) % 2 == 1 if isinstance(env, us.envs.Xor) else len(set(joint)) == agents
        pays[joint] = float(won)
    return pays / pays.sum()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation."""
    return 0.5 * float(np.abs(one - other).sum())


def best_apart(expert: np.ndarray) -> tuple[float, float]:
    """Least total variation of agents that act on their own, and the success of that policy.

    Each agent has its own marginal; the best of many starts.
    """
    agents, choices = expert.ndim, expert.shape[0]

    def product(logits: np.ndarray) -> np.ndarray:
        p = np.exp(logits.reshape(agents, choices))
        p = p / p.sum(1, keepdims=True)
        joint = p[0]
        for row in p[1:]:
            joint = np.multiply.outer(joint, row)
        return joint

    random = np.random.default_rng(0)
    ends = [
        minimize(lambda x: apart(product(x), expert), 3 * random.normal(size=agents * choices),
                 method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6, "fatol": 1e-9})
        for _ in range(20)
    ]  # fmt: skip
    best = min(ends, key=lambda end: end.fun)
    return float(best.fun), float(product(best.x)[expert > 0].sum())


def row_of(env: Any, run: Any, expert: np.ndarray) -> dict[str, Any]:
    """Success and distance of every seed of a run."""
    joints = [joint_actions(env, run.policy(seed=seed), seed) for seed in range(run.seeds)]
    success = [float(joint[expert > 0].sum()) for joint in joints]
    distance = [apart(joint, expert) for joint in joints]
    return {
        "success": float(np.mean(success)), "lowest": min(success), "highest": max(success),
        "distance": float(np.mean(distance)), "largest_distance": max(distance),
    }  # fmt: skip


def references(expert: np.ndarray) -> list[dict[str, Any]]:
    """What can be had without imitating: chance, and the best without seeing others' choices."""
    distance, success = best_apart(expert)
    uniform = np.full(expert.shape, 1 / expert.size)
    return [
        {"discriminator": "best without seeing others", "policy": "independent",
         "success": success, "distance": distance},
        {"discriminator": "chance", "policy": "independent",
         "success": float(uniform[expert > 0].sum()), "distance": apart(uniform, expert)},
    ]  # fmt: skip


def train(game: str, algorithm: Any, demos: Any, steps: int, out: Path) -> Any:
    """The run, trained now or gone on with if it exists."""
    if (out / "config.json").exists():
        run = us.Run(out)
        return run if run.finished else us.resume(out, env=GAMES[game], demonstrations=demos)
    options = us.TrainOptions(checkpoint_every=None)
    env = GAMES[game] if "env" in algorithm.needs else None
    return us.train(algorithm, env=env, demonstrations=demos, steps=steps, seeds=SEEDS, out=out,
                    options=options)  # fmt: skip


def play(game: str, folder: Path, only: list[str] | None) -> None:
    """All of one game's table; runs that exist are not made again."""
    env = GAMES[game]
    demos = us.collect(env, us.experts.own(env), episodes=EPISODES[game], seed=0)
    expert = expert_actions(env)
    rows = references(expert)
    for name, clone in (
        ("independent", us.BC(sharing="independent")),
        ("autoregressive", us.JointBC(width=WIDTH)),
    ):
        run = train(game, clone, demos, 2_000, folder / f"{game}-bc-{name}".replace(" ", "-"))
        rows.append({"discriminator": "none (behaviour cloning)", "policy": name,
                     **row_of(env, run, expert)})  # fmt: skip
        print(table(rows[-1:]), flush=True)
    for judge, policy, reward in itertools.product(only or DISCRIMINATORS, POLICIES, REWARDS):
        algorithm = us.Adversarial(
            optimiser(game, policy), DISCRIMINATORS[judge], reward=reward, passes=8,
            minibatch=128, learning_rate=RATES["discriminator"], decay=decay(game),
        )  # fmt: skip
        words = f"{game}-{judge}-{policy}-{reward}".replace(", ", "-").replace(" ", "-")
        start = time.monotonic()
        run = train(game, algorithm, demos, STEPS[game], folder / words)
        rows.append({"discriminator": judge, "policy": policy, "reward": reward,
                     **row_of(env, run, expert)})  # fmt: skip
        print(table(rows[-1:]), f"{time.monotonic() - start:.0f} s", flush=True)
        keep(game, rows)
    print(summary(targets(game, rows)))


def keep(game: str, rows: list[dict[str, Any]]) -> None:
    """Write what there is so far."""
    write("xor", command=command(), seeds=range(SEEDS), rows=[{"game": game, **r} for r in rows],
          targets=targets(game, rows), part=f"xor {game}")  # fmt: skip


def targets(game: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the table was made for."""
    number = {"xor": "B2.1", "roles": "B2.2"}.get(game)
    if number is None:
        return []
    chance = next(r for r in rows if r["discriminator"] == "chance")["success"]
    found = []
    alone = [r for r in rows if r["discriminator"] == "independent"]
    furthest = max((r["success"] for r in alone), key=lambda s: abs(s - chance), default=None)
    if furthest is not None:
        found.append(target(
            f"{number} independent", f"{game}: success of either policy with an independent "
            f"discriminator, furthest from chance ({chance:.2f}), mean of {SEEDS} seeds; distance "
            "from chance", "<=", 0.1, abs(furthest - chance)))  # fmt: skip
    for judge in ("joint", "transformer, full"):
        both = [r for r in rows if r["discriminator"] == judge and r["policy"] == "autoregressive"]
        for r in both:
            words = f"{game}: {judge} discriminator, agents in turn, {r['reward']}"
            found.append(target(f"{number} {judge} {r['reward']} success", f"{words}: success",
                                ">=", 0.95, r["success"], (r["lowest"], r["highest"])))  # fmt: skip
            found.append(target(f"{number} {judge} {r['reward']} distance", f"{words}: distance",
                                "<=", 0.05, r["distance"], None))  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--game", choices=tuple(GAMES), default="xor")
    parser.add_argument("--only", nargs="*", choices=tuple(DISCRIMINATORS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    play(options.game, options.runs, options.only)


if __name__ == "__main__":
    main()
