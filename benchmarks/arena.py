"""Two arms on a platform: does it pay to cooperate, and how fast is the game (E.5)?

    python benchmarks/arena.py

Four rows over the same starts, as far as they go, episodes of 600 steps: random torques held for 10
steps; a planner that knows the true simulator and moves both arms; the same with one arm, the other
limp; and one planner that pushes against one that keeps, each planning as if the other arm were
limp. The planner draws 32 sequences of torques (held for 10 steps, uniform, widened by half and
clipped), plays each for 100 steps, takes the best and plans again after 20. Best is a block that
falls, and soon; else one near an edge, with hands near the block (0.1 times as much). A keeper
wants a block that stays on, or falls late; else one far from every edge, with its hand between the
block and the nearest edge, where a push would meet it.

Batches of 20 episodes are kept in `--runs`, so that a run that was ended goes on. The speed is that
of one thread, random torques, every observation and reward read; beside it a loop in Python over
MuJoCo's own step. Steps are counted per second of processor time, which is what a core gives
however busy it is, and per second of the clock.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from results import command, summary, table, target, write
from understudy.envs.adapters.two_arms import Platforms, TwoArmPlatform
from understudy.envs.adapters.two_arms_model import Workbench
from understudy.envs.adapters.two_arms_physics import PLACE, Physics, fallen, hands, views
from understudy.functional.statistics import mean_interval

SAMPLES, AHEAD, HELD, AGAIN = 32, 100, 10, 20
GUARD = 0.15
"""Metres from the block's middle towards the nearest edge, where a keeper wants its hand."""
BATCH, FIRST = 20, 2000
"""Episodes played side by side, and the seed of the first: sizes were chosen on seeds below."""
LEFT, RIGHT = 0, 1
GAMES, STEPS, ROUNDS = 64, 100, 5


def draw(
    chance: np.random.Generator, shape: tuple[int, ...], steps: int, arms: tuple[int, ...]
) -> np.ndarray:
    """Torques ``[*shape, steps, 4]``, held, of some arms; the others are limp."""
    torques = np.clip(1.5 * chance.uniform(-1, 1, (*shape, steps // HELD, 4)), -1, 1)
    moved = np.isin([LEFT, LEFT, RIGHT, RIGHT], arms)
    return np.repeat(torques * moved, HELD, -2)


def plan(
    physics: Physics,
    states: np.ndarray,
    arms: tuple[int, ...],
    keep: bool,
    chance: np.random.Generator,
) -> np.ndarray:
    """The first `AGAIN` torques of the best of `SAMPLES` plans, ``[games, AGAIN, 4]``."""
    games = len(states)
    torques = draw(chance, (games * SAMPLES,), AHEAD, arms)
    frames = physics.roll(np.repeat(states, SAMPLES, 0), torques)
    score = (kept_well if keep else pushed_well)(physics.bench, frames, arms)
    best = score.reshape(games, SAMPLES).argmax(1)
    return torques.reshape(games, SAMPLES, AHEAD, 4)[np.arange(games), best, :AGAIN]


def pushed_well(bench: Workbench, frames: np.ndarray, arms: tuple[int, ...]) -> np.ndarray:
    """How much a pusher likes what is to come, ``[plans]``."""
    last, fell = frames[:, -1], fallen(frames)
    place = last[:, PLACE][:, :2]
    apart = np.linalg.norm(hands(bench, last) - place[:, None], axis=-1)
    falls = 10.0 - fell.argmax(1) / AHEAD
    return np.where(fell.any(1), falls, -bench.edge(place)) - 0.1 * apart[:, list(arms)].sum(1)


def kept_well(bench: Workbench, frames: np.ndarray, arms: tuple[int, ...]) -> np.ndarray:
    """How much a keeper likes what is to come, ``[plans]``."""
    fell, place = fallen(frames), frames[..., PLACE][..., :2]
    gaps = np.array([bench.half_width, bench.half_depth]) - np.abs(place)
    outward = (np.arange(2) == gaps.argmin(-1)[..., None]) * np.sign(place)
    hand = hands(bench, frames)[:, :, arms[0]]
    apart = np.linalg.norm(hand - place - GUARD * outward, axis=-1)
    stays = np.where(fell.any(1), fell.argmax(1) / AHEAD - 10.0, 2 * bench.edge(place[:, -1]))
    return stays - 0.3 * (apart[:, -1] + apart.mean(1))


def random_torques(physics: Physics, states: np.ndarray, chance: Any) -> np.ndarray:
    held = chance.uniform(-1, 1, (len(states), AGAIN // HELD, 4))
    return np.repeat(held, HELD, 1)


def both_arms(physics: Physics, states: np.ndarray, chance: Any) -> np.ndarray:
    return plan(physics, states, (LEFT, RIGHT), False, chance)


def one_arm(physics: Physics, states: np.ndarray, chance: Any) -> np.ndarray:
    return plan(physics, states, (LEFT,), False, chance)


def push_against_keep(physics: Physics, states: np.ndarray, chance: Any) -> np.ndarray:
    return one_arm(physics, states, chance) + plan(physics, states, (RIGHT,), True, chance)


EPISODES = {
    "random": 500, "both arms": 100, "one arm, the other limp": 300, "push against keep": 300
}  # fmt: skip
"""More where shares are small or near each other."""
PLAYERS: dict[str, Callable[[Physics, np.ndarray, Any], np.ndarray]] = {
    "random": random_torques,
    "both arms": both_arms,
    "one arm, the other limp": one_arm,
    "push against keep": push_against_keep,
}


def batch(player: str, number: int, bench: Workbench, games: int = BATCH) -> list[int]:
    """Steps until the block fell in each of some episodes; 0 where it did not."""
    env = TwoArmPlatform(envs=games, workers=1, bench=bench)
    platforms: Any = env.games
    assert isinstance(platforms, Platforms)
    env.reset(FIRST + np.arange(number * games, (number + 1) * games))
    chance = np.random.default_rng([number, list(PLAYERS).index(player)])
    steps, going, t = np.zeros(games, int), np.ones(games, bool), 0
    while going.any():
        torques = np.zeros((games, AGAIN, 4))
        torques[going] = PLAYERS[player](platforms.physics, platforms.states[going], chance)
        for now in np.swapaxes(torques, 0, 1):
            step: Any = env.step({"arms": now.reshape(games, 2, 2)})
            t += 1
            steps[going & step.terminated] = t
            going &= ~(step.terminated | step.truncated)
    env.close()
    return steps.tolist()


def kept(folder: Path, bench: Workbench, player: str, episodes: int) -> tuple[np.ndarray, float]:
    """Steps of all episodes of a player, and the minutes that took; plays what is missing."""
    path = folder / f"{player.replace(' ', '_').replace(',', '')}.json"
    key = dataclasses.asdict(bench)
    found = json.loads(path.read_text()) if path.exists() else {}
    if found.get("bench") != json.loads(json.dumps(key)):
        found = {"bench": key, "batches": [], "minutes": 0.0}
    while len(found["batches"]) * BATCH < episodes:
        started = time.perf_counter()
        found["batches"].append(batch(player, len(found["batches"]), bench))
        found["minutes"] += (time.perf_counter() - started) / 60
        folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(found))
        scratch.replace(path)
        print(player, f"{np.mean(np.concatenate(found['batches']) > 0):.2f}", flush=True)
    return np.concatenate(found["batches"])[:episodes], found["minutes"]


def fast() -> Callable[[np.ndarray], float]:
    """Our env, all games at once on one thread."""
    env = TwoArmPlatform(envs=GAMES, workers=1)
    env.reset(np.arange(GAMES))

    def step(moves: np.ndarray) -> float:
        answer: Any = env.step({"arms": moves})
        over = answer.terminated | answer.truncated
        if over.any():
            env.reset(np.arange(GAMES), over)
        seen = answer.observation
        return float(seen.features["arms"].sum() + seen.state.sum() + answer.reward["arms"].sum())

    return step


def loop() -> Callable[[np.ndarray], float]:
    """A loop over games in Python, MuJoCo's own step, what is seen of each game by itself."""
    import mujoco

    from understudy.envs.adapters.two_arms_model import PHYSICS, mjcf

    bench = Workbench()
    physics, model = Physics(bench), mujoco.MjModel.from_xml_string(mjcf(bench))
    datas = [mujoco.MjData(model) for _ in range(GAMES)]
    for seed, data in enumerate(datas):
        start = physics.begin(seed)
        data.qpos[:], data.qvel[:] = start[1:12], start[12:]

    def step(moves: np.ndarray) -> float:
        total = 0.0
        for data, move in zip(datas, moves, strict=True):
            data.ctrl[:] = move.ravel()
            mujoco.mj_step(model, data, PHYSICS)
            state = np.concatenate([[data.time], data.qpos, data.qvel])
            total += float(views(bench, state).sum() + state[1:].sum())
            if fallen(state):
                start = physics.begin(0)
                data.qpos[:], data.qvel[:] = start[1:12], start[12:]
        return total

    return step


def speeds() -> list[dict[str, Any]]:
    """Control steps per second of both ways, medians over rounds in turns."""
    ways = {"all games at once": fast(), "loop in Python": loop()}
    moves = np.random.default_rng(0).uniform(-1, 1, (STEPS, GAMES, 2, 2)).astype(np.float32)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, step in ways.items():
            clock, busy = time.perf_counter(), time.process_time()
            assert np.isfinite(sum(step(move) for move in moves))
            spent = time.process_time() - busy, time.perf_counter() - clock
            found[name].append((GAMES * STEPS / spent[0], GAMES * STEPS / spent[1]))
    return [
        {
            "program": name,
            "games": GAMES,
            "steps_per_core_second": float(np.median([one for one, _ in rounds])),
            "lowest": min(one for one, _ in rounds),
            "highest": max(one for one, _ in rounds),
            "steps_per_clock_second": float(np.median([two for _, two in rounds])),
        }
        for name, rounds in found.items()
    ]


def targets_of(fell: dict[str, np.ndarray], speed: dict[str, Any]) -> list[dict[str, Any]]:
    """What E.5 asks for."""
    chance, two, one, duel = (fell[name] for name in PLAYERS)
    lines = []
    for id, what, comparator, wanted, values in (
        ("E.5 random, at least", "blocks pushed off by random torques", ">=", 0.05, chance),
        ("E.5 random, at most", "blocks pushed off by random torques", "<=", 0.25, chance),
        ("E.5 both arms", "blocks pushed off by both arms", ">=", 0.8, two),
        ("E.5 one arm, at most", "blocks pushed off by one arm, the other limp", "<=", 0.5, one),
        ("E.5 two against one", "both arms' share less one arm's, same starts", ">=", 0.2,
         two - one[: len(two)]),
        ("E.5 keeper", "one arm's share less that against a keeper, same starts", ">", 0.0,
         one - duel[: len(one)]),
    ):  # fmt: skip
        found = mean_interval(values)
        lines.append(target(id, what, comparator, wanted, found.estimate, (found.low, found.high)))
    lines.append(target(
        "E.5 speed", "control steps per second of one core, observations included", ">=", 5000.0,
        speed["steps_per_core_second"], (speed["lowest"], speed["highest"]),
    ))  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/arena"))
    options = parser.parse_args()
    bench, rows, fell = Workbench(), [], {}
    for player in PLAYERS:
        steps, minutes = kept(options.runs, bench, player, EPISODES[player])
        fell[player] = (steps > 0).astype(float)
        share, won = mean_interval(fell[player]), steps[steps > 0]
        returns = np.where(steps > 0, 1 - 0.005 * steps, -0.005 * TwoArmPlatform().horizon)
        rows.append({
            "player": player, "episodes": len(steps), "fell": share.estimate, "low": share.low,
            "high": share.high, "return": float(returns.mean()),
            "steps_10_50_90": np.percentile(won, [10, 50, 90]).tolist() if len(won) else None,
            "minutes": minutes,
        })  # fmt: skip
        print(table(rows), flush=True)
    ways = speeds()
    targets = targets_of(fell, ways[0])
    print(table(ways))
    print(summary(targets))
    write("arena", command=command(), seeds=[FIRST], rows=[*rows, *ways], targets=targets)


if __name__ == "__main__":
    main()
