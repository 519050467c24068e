"""Games of spread that a run plays, written down as badger-2019 did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.envs.spread import AGENT_RADIUS, COVERED, Spread
from understudy.experiment import games, goodai
from understudy.experiment.collect import collect
from understudy.experiment.run import Run
from understudy.types import Mode, UserError, require


def bench(played: Demonstrations, env: Spread) -> list[goodai.Bench]:
    """What agent 0 met with in recorded episodes.

    Args:
        played: as `collect` recorded them, with the state of the game.
        env: in which.
    """
    assert played.state is not None
    found = []
    for first, end in zip(played.starts[:-1], played.starts[1:], strict=True):
        after = np.asarray(played.state[first + 1 : end])
        agents, _, landmarks = np.split(after, [2 * env.agents, 4 * env.agents], axis=1)
        places = agents.reshape(len(after), env.agents, 2)
        targets = landmarks.reshape(len(after), 1, env.targets, 2)
        nearest = np.linalg.norm(places[:, :, None] - targets, axis=-1).min(1)
        apart = np.linalg.norm(places - places[:, :1], axis=-1)
        collisions = (apart < 2 * AGENT_RADIUS).sum(1)
        distance = nearest.sum(1).astype(np.float64)
        found.append(
            goodai.Bench(-distance - collisions, collisions, distance, (nearest < COVERED).sum(1))
        )
    return found


def files_of(run: Run | str | Path, folder: str | Path) -> dict[int, tuple[Path, Path]]:
    """Where `play` writes: ``RUN-SEED.rewards`` and ``.bench`` of every seed that is well.

    Raises:
        UserError: when one exists already, or no seed is well.
    """
    run = run if isinstance(run, Run) else Run(run)
    stem = Path(folder) / run.folder.resolve().name
    found = {
        seed: (goodai.new(f"{stem}-{seed}.rewards"), goodai.new(f"{stem}-{seed}.bench"))
        for seed in range(run.seeds)
        if seed not in run.diverged
    }
    require(found, f"expected a seed that is well in {run.folder}, found that all have diverged")
    return found


def play(
    run: Run | str | Path,
    folder: str | Path,
    *,
    env: Any = None,
    episodes: int = 100,
    mode: Mode = "sample",
    seed: int = 0,
) -> list[Path]:
    """Let every seed of a run play spread, and write what agent 0 earned and met with.

    Args:
        run: what was trained.
        folder: for the files, see `files_of`.
        env: a `Spread`; the one it was trained in if left out.
        episodes: of each seed.
        mode: how policies act.
        seed: of initial states and of chance.

    Returns:
        The files.

    Raises:
        UserError: for another game, for files that exist, or a full disk.
    """
    run = run if isinstance(run, Run) else Run(run)
    env, places = spread_of(run, env), files_of(run, folder)
    for number, (rewards, benches) in places.items():
        played = collect(env, run.policy(number, mode=mode), episodes=episodes, seed=seed)
        assert played.rewards is not None
        steps = np.delete(played.rewards["agents"][:, 0], played.starts[1:] - 1)
        goodai.write_rewards(rewards, steps)
        goodai.write_bench(benches, bench(played, env))
    return [path for pair in places.values() for path in pair]


def spread_of(run: Run, env: Any = None) -> Spread:
    """The `Spread` that a run plays.

    Raises:
        UserError: for another game.
    """
    env = games.env_of(run) if env is None else env
    if not isinstance(env, Spread):
        raise UserError(
            f"expected the game Spread, of which badger-2019 has records, found "
            f"{type(env).__name__}; give an env such as spread-goodai"
        )
    return env
