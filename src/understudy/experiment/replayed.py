"""What an off-policy learner remembers, as demonstrations: everything its games went through.

A replay is a ring of steps of several games in turn. A game's steps follow each other as long as
one begins where the last one led; where it does not, an episode ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.experiment import checkpoint, folder, loops
from understudy.experiment.run import Run
from understudy.networks.actions import action_of
from understudy.networks.deterministic import of_unit
from understudy.types import UserError, require


def replayed(run: Run | str | Path, *, seed: int = 0, rate: float = 1.0) -> Demonstrations:
    """Episodes that the replay in the last checkpoint of a run holds, oldest first.

    The first episode of every game may lack its beginning, and the last one its end.

    Args:
        run: of an algorithm that keeps a replay, such as MADDPG; or its folder.
        seed: number of the seed.
        rate: rows per second.

    Raises:
        UserError: for a run without a replay or checkpoint, or one that remembers several steps as
            one.
    """
    run = run if isinstance(run, Run) else Run(run)
    algorithm, paths = run.algorithm, folder.checkpoints(run.folder)
    require(
        hasattr(algorithm, "remembered"),
        f"expected a run of an algorithm that keeps a replay, found {run.name}; train DDPG, MADDPG "
        "or TD3",
    )
    require(
        algorithm.n_step == 1,
        f"expected single steps in the replay, found {algorithm.n_step} as one; train with "
        "n_step=1",
    )
    require(bool(paths), f"expected a checkpoint in {run.folder}, found none; train first")
    require(0 <= seed < run.seeds, f"expected a seed below {run.seeds}, found {seed}")
    stage = run.header["stage"]
    keys = loops.seed_keys(run.config["seed"], run.seeds, stage, loops.INIT)
    like = jax.eval_shape(lambda: loops.states(algorithm, run.statistics, keys, spec=run.spec))
    kept = jax.tree.map(
        lambda leaf: leaf[seed], checkpoint.load(paths[-1], like, ".states").replay
    )  # fmt: skip
    count, capacity = int(kept.size), jax.tree.leaves(kept.entries)[0].shape[0]
    if not count:
        raise UserError(f"expected steps in the replay of {run.folder}, found none; train longer")
    order = (int(kept.cursor) - count + np.arange(count)) % capacity
    rows = jax.tree.map(lambda leaf: np.asarray(leaf)[order], kept.entries)
    return _episodes(rows, algorithm.envs, run, rate)


def _episodes(rows: Any, envs: int, run: Run, rate: float) -> Demonstrations:
    """Episodes of every game, one after the other.

    Args:
        rows: transitions, oldest first; the newest is of the last game.
        envs: games that were played in turn.
        run: where they come from.
        rate: rows per second.
    """
    spec, count = run.spec, len(rows.terminated)
    game = (envs - 1 - (count - 1 - np.arange(count))) % envs
    order = np.argsort(game, kind="stable")
    rows, game = jax.tree.map(lambda leaf: leaf[order], rows), game[order]
    goes_on = ~rows.terminated[:-1] & (game[1:] == game[:-1])
    for name in spec.names:
        led, then = rows.observation_next.features[name][:-1], rows.observation.features[name][1:]
        goes_on &= (led == then).reshape(count - 1, -1).all(1)
    last = np.flatnonzero(~np.concatenate([goes_on, [False]]))
    lengths = np.diff(np.concatenate([[-1], last]))
    # each episode has one row more: where its last step led
    behind = np.repeat(np.arange(len(last)), lengths) + np.arange(count)
    total = count + len(last)
    ends = last + np.arange(len(last)) + 1

    def spread(now: np.ndarray, led: np.ndarray | None = None) -> np.ndarray:
        found = np.zeros((total, *now.shape[1:]), now.dtype)
        found[behind] = now
        if led is not None:
            found[ends] = led[last]
        return found

    seen, after = rows.observation, rows.observation_next
    names = np.asarray([f"episode {i}" for i in range(len(last))])
    return Demonstrations(
        spec=spec,
        starts=np.concatenate([[0], ends + 1]),
        features={n: spread(seen.features[n], after.features[n]) for n in spec.names},
        alive={n: spread(seen.alive[n], after.alive[n]) for n in spec.names},
        actions={
            g.name: spread(np.asarray(of_unit(action_of(g), jnp.asarray(rows.action[g.name]))))
            for g in spec.groups
        },
        rewards={n: spread(rows.reward[n]) for n in spec.names},
        state=None if seen.state is None else spread(seen.state, after.state),
        terminated=spread(rows.terminated),
        truncated=spread(~rows.terminated & ~np.concatenate([goes_on, [False]])),
        rate=rate,
        unit="",
        labels={"episode": names, "source": np.full(len(names), "replay")},
        provenance={"env": run.config["env"], "policy": run.name},
    )
