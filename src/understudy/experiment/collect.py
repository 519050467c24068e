"""Collecting demonstrations: an expert, or any policy, plays an env and is written down."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import understudy
from understudy.data import store
from understudy.data.demonstrations import Demonstrations
from understudy.data.regroup import concatenate
from understudy.data.writer import Writer
from understudy.envs import rollout
from understudy.experiment import config, games
from understudy.experiment.contenders import label
from understudy.experiment.loops import Parts
from understudy.experiment.recording import Episode, Recorder, demonstrations
from understudy.types import Env, HostEnv, Policy, Rollout, UserError, require

CHUNK_STEPS = 128
"""Steps played before rows leave the device, at most."""
CHUNK_BYTES = 2**26
"""Rows on the device, at most, about."""


def collect(
    env: Env | HostEnv,
    policy: Policy,
    *,
    episodes: int | None = None,
    transitions: int | None = None,
    seed: int = 0,
    envs: int = 64,
    out: str | Path | None = None,
    name: str | None = None,
) -> Demonstrations:
    """Let a policy play an env and record it: exactly so many episodes, or so many transitions.

    Episodes are the first ones by when they began, so long and short ones are there as often as
    they happen. The observation an episode led to is kept as its last row. The same arguments
    give the same set.

    Args:
        env: a game in JAX, or a `HostEnv`. Its ``rate`` (Hz) and ``unit``, if it has them, become
            those of the set.
        policy: an expert or a trained policy; whether it samples is its own matter.
        episodes: how many.
        transitions: how many steps, all episodes together; the last episode is cut there and
            marked as truncated.
        seed: of initial states and of chance.
        envs: games side by side, at most; a `HostEnv` has its own number. It is part of what
            decides the set.
        out: folder to write to, with bounded memory; the set is then read from there.
        name: what the policy is called in the set; that of its class if left out.

    Returns:
        The set. ``provenance`` says how it was made, its mean return (of an episode, over agents)
        and its success rate; the label ``success`` is there where the game knows success.

    Raises:
        UserError: unless one of `episodes` and `transitions` is given, for a folder that exists,
            and for games that never end.
    """
    if (episodes is None) == (transitions is None):
        raise UserError(
            f"expected either episodes or transitions, found episodes={episodes} and "
            f"transitions={transitions}; give one of them"
        )
    for what, count in (("episodes", episodes), ("transitions", transitions), ("envs", envs)):
        require(count is None or count > 0, f"expected {what} above 0, found {count}")
    require(seed >= 0, f"expected a seed of 0 or above, found {seed}")
    require(
        hasattr(policy, "act"),
        f"expected a policy to record, found {policy!r}; give one, such as us.experts.own(env) or "
        "run.policy()",
    )
    if isinstance(env, HostEnv):
        side_by_side = env.envs
        chunks = _host_rows(env, policy, seed, side_by_side)
    else:
        side_by_side = _side_by_side(env, episodes, transitions, envs)
        chunks = _rows(env, policy, seed, side_by_side)
    tally = _Tally(env, name or label(policy), seed, side_by_side)
    recorder = Recorder(episodes=episodes, transitions=transitions)
    blocks = _blocks(chunks, recorder, tally)
    if out is None:
        parts = list(blocks)
        return concatenate(parts).replace(provenance=tally.provenance())
    with Writer(out) as writer:
        for block in blocks:
            writer.append(block)
        writer.provenance = tally.provenance()
    return store.load(out)


def _blocks(
    chunks: Iterator[Rollout], recorder: Recorder, tally: _Tally
) -> Iterator[Demonstrations]:
    while not recorder.complete:
        due = recorder.add(next(chunks))
        if due:
            yield tally.block(due)


def _side_by_side(env: Env, episodes: int | None, transitions: int | None, envs: int) -> int:
    """No more games side by side than there are episodes to play."""
    if episodes is not None:
        return min(envs, episodes)
    longest = env.spec.horizon or transitions
    assert longest is not None
    return min(envs, math.ceil((transitions or 0) / longest))


@dataclasses.dataclass
class _Tally:
    """Names the episodes, and adds up what they earned."""

    env: Any
    policy: str
    seed: int
    games: int
    given: int = 0
    steps: int = 0
    returns: list[float] = dataclasses.field(default_factory=list)
    """Of every episode that was not cut, averaged over its agents."""
    successes: list[bool] = dataclasses.field(default_factory=list)

    def block(self, episodes: list[Episode]) -> Demonstrations:
        """The next episodes as a set."""
        numbers = range(self.given, self.given + len(episodes))
        game = games.name_of(self.env)
        labels = {
            "episode": np.array([f"{self.policy}-{self.seed}-{n:06d}" for n in numbers]),
            "source": np.full(len(episodes), f"{game} played by {self.policy}, seed {self.seed}"),
        }
        known = [e.success for e in episodes]
        if None not in known:
            labels["success"] = np.array(["yes" if won else "no" for won in known])
        whole = [e for e in episodes if not e.cut]
        self.given += len(episodes)
        self.steps += sum(e.steps for e in episodes)
        self.returns += [float(e.returns.mean()) for e in whole]
        self.successes += [e.success for e in whole if e.success is not None]
        return demonstrations(
            episodes,
            self.env.spec,
            rate=float(getattr(self.env, "rate", 1.0)),
            unit=str(getattr(self.env, "unit", "")),
            labels=labels,
            licence="generated",
        )

    def provenance(self) -> dict[str, Any]:
        """How the set was made, and what was earned."""
        found = {
            "env": _describe(self.env),
            "policy": self.policy,
            "seed": self.seed,
            "envs": self.games,
            "understudy": understudy.__version__,
            "episodes": self.given,
            "transitions": self.steps,
        }
        if self.returns:
            found["mean_return"] = float(np.mean(self.returns))
        if self.successes:
            found["success_rate"] = float(np.mean(self.successes))
        return found


def _describe(env: Any) -> Any:
    """The configuration of an env; its class alone where it has no JSON form."""
    try:
        return config.to_json(env)
    except UserError:
        return {"type": f"{type(env).__module__}:{type(env).__qualname__}"}


def _rows(env: Env, policy: Policy, seed: int, games: int) -> Iterator[Rollout]:
    """Rows of a JAX env, ``[time, games, ...]``, chunk after chunk."""
    key = jax.random.fold_in(jax.random.key(seed), _PURPOSE)
    player, game = Parts.of(policy), Parts.of(env)
    rest = (player.rest, game.rest)
    actor = _begin(player.arrays, game.arrays, key, rest=rest, games=games)
    row = sum(leaf.nbytes for leaf in jax.tree.leaves((actor.observation, actor.observation)))
    steps = min(env.spec.horizon or CHUNK_STEPS, CHUNK_STEPS, max(1, CHUNK_BYTES // max(row, 1)))
    number = 1
    while True:
        actor, rows = _play(
            player.arrays, game.arrays, actor, jax.random.fold_in(key, number),
            rest=rest, steps=steps,
        )  # fmt: skip
        yield jax.device_get(rows)
        number += 1


_PURPOSE = 0x636F6C
"""Keeps the keys apart from those of training and evaluation."""


@functools.partial(jax.jit, static_argnames=("rest", "games"))
def _begin(policy: Any, env: Any, key: Any, *, rest: tuple[Any, Any], games: int) -> rollout.Actor:
    player, game = Parts(policy, rest[0]).whole(), Parts(env, rest[1]).whole()
    return rollout.begin(game, player, key, envs=games)


@functools.partial(jax.jit, static_argnames=("rest", "steps"))
def _play(policy: Any, env: Any, actor: Any, key: Any, *, rest: tuple[Any, Any], steps: int) -> Any:
    player, game = Parts(policy, rest[0]).whole(), Parts(env, rest[1]).whole()
    actor, rows = rollout.collect(game, player, actor, key, steps=steps)
    info = rows.info if isinstance(rows.info, dict) else {}
    success = {name: value for name, value in info.items() if name == "success"}
    return actor, dataclasses.replace(rows, memory=(), kept=(), info=success)


def _host_rows(env: HostEnv, policy: Policy, seed: int, games: int) -> Iterator[Rollout]:
    """Rows of a host env, ``[time, games, ...]``, chunk after chunk."""
    key = jax.random.fold_in(jax.random.key(seed), _PURPOSE)
    act = jax.jit(lambda *arguments: rollout.act(policy, *arguments))
    steps = min(env.spec.horizon or CHUNK_STEPS, CHUNK_STEPS)
    observation = env.reset(_episode_seeds(seed, 0, games))
    memory, starts = rollout.blank(policy, observation, games), np.ones(games, bool)
    played = 0
    while True:
        kept = []
        for _ in range(steps):
            own = jax.random.fold_in(key, np.uint32(played))
            action, memory = act(observation, memory, starts, jax.random.split(own, games))
            step = env.step({name: np.asarray(a) for name, a in action.items()})
            played += 1
            ended = np.asarray(step.terminated) | np.asarray(step.truncated)
            info = step.info if isinstance(step.info, dict) else {}
            row = Rollout(
                observation=observation,
                observation_next=step.observation,
                action=step.action,
                reward=step.reward,
                terminated=step.terminated,
                truncated=step.truncated,
                starts=starts,
                memory=(),
                info={name: value for name, value in info.items() if name == "success"},
            )
            kept.append(jax.tree.map(np.array, row))  # a simulator may use its arrays again
            observation, starts = step.observation, ended
            if ended.any():
                observation = env.reset(_episode_seeds(seed, played, games), ended)
        yield jax.tree.map(lambda *leaves: np.stack(leaves), *kept)


def _episode_seeds(seed: int, played: int, games: int) -> np.ndarray:
    """Seeds of the episodes that begin after `played` steps, one per game."""
    return np.random.SeedSequence([seed, played]).generate_state(games).astype(np.int64)
