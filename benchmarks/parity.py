"""The particle games against mpe2 1.1.1, and against plain loops over agents (B1.1).

    python benchmarks/parity.py

Theirs play `--episodes` episodes of random actions, every second one begun in a crowd so that discs
touch. *One step*: our state is set to theirs before every step, and what follows is compared, in
float32. *Whole episode*: only the first state is theirs, in float64 (a process of its own, as it is
a setting of JAX). What is compared is every number of every observation and reward.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from peers.spread_numpy import RULES, PlainSpread
from results import command, summary, table, target, write
from understudy import envs
from understudy.envs.push import PushState
from understudy.envs.speaker_listener import SpeakerListenerState
from understudy.envs.spread import SpreadState
from understudy.envs.tag import TagState

EPISODES = 20
WANTED = 1e-5


class Played(NamedTuple):
    """What theirs did, ``[episodes, time, ...]``."""

    states: Any
    """Before every step, as a state of ours."""
    actions: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    rewards: dict[str, np.ndarray]


# --- mpe2 ---


def bodies(entities: list[Any], what: str = "p_pos") -> np.ndarray:
    return np.array([getattr(entity.state, what) for entity in entities], float).reshape(-1, 2)


def goal(world: Any, landmark: Any) -> np.ndarray:
    return np.int32([mark is landmark for mark in world.landmarks].index(True))


def built(kind: Any, *values: np.ndarray) -> Any:
    """A state of ours, in the precision of the process."""
    return kind(*map(jnp.asarray, values))


def spread_state(world: Any, time: Any) -> Any:
    places, speeds = bodies(world.agents), bodies(world.agents, "p_vel")
    return built(SpreadState, places, speeds, bodies(world.landmarks), time)


def tag_state(world: Any, time: Any) -> Any:
    places, speeds = bodies(world.agents), bodies(world.agents, "p_vel")
    return built(TagState, places, speeds, bodies(world.landmarks), time)


def push_state(world: Any, time: Any) -> Any:
    places, speeds = bodies(world.agents), bodies(world.agents, "p_vel")
    meant = goal(world, world.agents[1].goal_a)
    return built(PushState, places, speeds, bodies(world.landmarks), meant, time)


def talk_state(world: Any, time: Any) -> Any:
    speaker, listener = world.agents
    word = np.array([speaker.state.c], float)
    marks, meant = bodies(world.landmarks), goal(world, speaker.goal_b)
    return built(
        SpeakerListenerState,
        bodies([listener]),
        bodies([listener], "p_vel"),
        marks,
        meant,
        word,
        time,
    )


class Game(NamedTuple):
    module: str
    state: Callable[[Any, Any], Any]
    groups: dict[str, str]
    """Our group -> how the names of their agents begin."""
    theirs: dict[str, Any]
    ours: dict[str, Any]


TEAM = {"agents": "agent"}
PREY = {"adversary": "adversary", "good": "agent"}
PAIR = {"adversary": "adversary", "agent": "agent"}
TALK = {"speaker": "speaker", "listener": "listener"}
MANY = {"num_adversaries": 4, "num_good": 3, "num_obstacles": 1}
RATIO = {"local_ratio": 0.2}
GAMES = {
    "spread": Game("simple_spread_v3", spread_state, TEAM, {}, {}),
    "spread:agents=6": Game("simple_spread_v3", spread_state, TEAM, {"N": 6, **RATIO}, RATIO),
    "speaker-listener": Game("simple_speaker_listener_v4", talk_state, TALK, {}, {}),
    "tag": Game("simple_tag_v3", tag_state, PREY, {}, {}),
    "tag:adversaries=4,good=3,obstacles=1": Game("simple_tag_v3", tag_state, PREY, MANY, {}),
    "push": Game("simple_push_v3", push_state, PAIR, {}, {}),
}


def play_mpe2(name: str, action: str, episodes: int) -> tuple[Any, Played]:
    """Our env of that name, and what mpe2's did."""
    game = GAMES[name]
    env = envs.make(name, action=action, **game.ours)
    theirs = importlib.import_module(f"mpe2.{game.module}").parallel_env(
        continuous_actions=action == "boxes", **game.theirs
    )
    rng, rows = np.random.default_rng(0), []
    for episode in range(episodes):
        theirs.reset(seed=episode)
        world = theirs.aec_env.unwrapped.world
        if episode % 2:
            for agent in world.agents:
                agent.state.p_pos = 0.3 * agent.state.p_pos
        for time in range(env.spec.horizon):
            state = game.state(world, np.int32(time))
            asked, actions = {}, {}
            for group in env.spec.groups:
                names = [n for n in theirs.agents if n.startswith(game.groups[group.name])]
                assert group.action is not None
                if action == "boxes":
                    rows_of = rng.uniform(0, 1, (len(names), group.action.size))
                    rows_of = rows_of.astype(np.float32)
                    asked |= dict(zip(names, rows_of, strict=True))
                else:
                    rows_of = rng.integers(0, group.action.sections[0], (len(names), 1))
                    asked |= {n: int(a) for n, (a,) in zip(names, rows_of, strict=True)}
                actions[group.name] = rows_of.astype(float)
            seen, paid, *_ = theirs.step(asked)

            def by_group(values: dict[str, Any]) -> dict[str, np.ndarray]:
                return {
                    group: np.array([v for n, v in values.items() if n.startswith(begin)], float)
                    for group, begin in game.groups.items()
                }

            rows.append((state, actions, by_group(seen), by_group(paid)))
    return env, together(rows, episodes)


# --- plain loops ---


def play_plain(name: str, agents: int, episodes: int) -> tuple[Any, Played]:
    """Our env of that name, and what the plain program did."""
    rules = RULES[name]
    ids: dict[str, Any] = {"ids": True} if rules.local else {}
    env = envs.make(f"spread-{name}", agents=agents, **ids)
    rng, rows = np.random.default_rng(0), []
    for episode in range(episodes):
        game = PlainSpread(rules, agents, seed=episode, crowded=bool(episode % 2))
        for time in range(rules.horizon):
            places = (np.array(game.positions), np.array(game.velocities))
            state = built(SpreadState, *places, np.array(game.landmarks), np.int32(time))
            if rules.one_hot:
                actions = rng.integers(0, 5, (agents, 1)).astype(float)
            else:
                actions = rng.uniform(-1, 1, (agents, 2)).astype(np.float32).astype(float)
            seen, paid, over = game.step(list(actions))
            assert over == (time + 1 == rules.horizon), "random play covered every landmark"
            everyone = np.full(agents, paid)
            rows.append(
                (state, {"agents": actions}, {"agents": np.array(seen)}, {"agents": everyone})
            )
    return env, together(rows, episodes)


def together(rows: list[Any], episodes: int) -> Played:
    flat = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    return Played(*jax.tree.map(lambda leaf: leaf.reshape(episodes, -1, *leaf.shape[1:]), flat))


# --- ours ---


def device(values: Any) -> Any:
    """As JAX holds it: float32, or float64 where that is enabled."""
    return jax.tree.map(jnp.asarray, values)


def one_step(env: Any, played: Played) -> dict[str, float]:
    """Largest differences after one step from every state."""

    def step(state: Any, action: Any) -> Any:
        _, after = env.step(state, action, jax.random.key(0))
        return after.observation.features, after.reward

    found = jax.jit(jax.vmap(jax.vmap(step)))(device(played.states), device(played.actions))
    return differences(found, played)


def whole_episode(env: Any, played: Played) -> dict[str, float]:
    """Largest differences over episodes of which only the first state is given."""

    def episode(states: Any, actions: Any) -> Any:
        def step(state: Any, action: Any) -> Any:
            state, after = env.step(state, action, jax.random.key(0))
            return state, (after.observation.features, after.reward)

        return jax.lax.scan(step, jax.tree.map(lambda leaf: leaf[0], states), actions)[1]

    found = jax.jit(jax.vmap(episode))(device(played.states), device(played.actions))
    return differences(found, played)


def differences(found: Any, played: Played) -> dict[str, float]:
    def worst(ours: Any, theirs: Any) -> float:
        return max(float(np.abs(np.asarray(ours[g]) - theirs[g]).max()) for g in theirs)

    return {
        "observation": worst(found[0], played.features),
        "reward": worst(found[1], played.rewards),
    }


def measure(compare: Callable[..., dict[str, float]], episodes: int) -> list[dict[str, Any]]:
    """One row per game."""
    about = {
        "compared": compare.__name__.replace("_", " "),
        "precision": "float64" if jax.config.values["jax_enable_x64"] else "float32",
    }
    rows = []
    for name in GAMES:
        for action in ("discrete", "boxes"):
            env, played = play_mpe2(name, action, episodes)
            first = {"game": name, "actions": action, "with": "mpe2 1.1.1"}
            rows.append(first | about | compare(env, played))
    for name in RULES:
        for agents in (4, 7):
            env, played = play_plain(name, agents, episodes)
            kind = "discrete" if RULES[name].one_hot else "plane"
            first = {"game": f"spread-{name}:agents={agents}", "actions": kind}
            rows.append(first | {"with": "plain loops"} | about | compare(env, played))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--worker", action="store_true", help="whole episodes, as JSON")
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(whole_episode, options.episodes)))
        return
    rows = measure(one_step, options.episodes)
    words = [sys.executable, __file__, "--worker", "--episodes", str(options.episodes)]
    environment = {**os.environ, "JAX_ENABLE_X64": "1"}
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows += json.loads(done.stdout.splitlines()[-1])
    print(table(rows))

    def worst(compared: str, other: str) -> float:
        chosen = [row for row in rows if row["compared"] == compared and row["with"] == other]
        return max(max(row["observation"], row["reward"]) for row in chosen)

    what = "largest difference of an observation or reward"
    lines = [
        target(
            f"B1.1{letter}", f"{what}, {compared}, {other}", "<=", WANTED, worst(compared, other)
        )
        for letter, compared, other in (
            ("", "one step", "mpe2 1.1.1"),
            ("b", "whole episode", "mpe2 1.1.1"),
            ("c", "one step", "plain loops"),
            ("d", "whole episode", "plain loops"),
        )
    ]
    write("parity", command=command(), seeds=[0], rows=rows, targets=lines)
    print(summary(lines))


if __name__ == "__main__":
    main()
