"""A few whole episodes kept for drawing: what everybody saw, did and earned, and how it looked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from understudy.envs import rollout
from understudy.envs.policies import expected
from understudy.envs.scenes import Scene
from understudy.types import Env, HostEnv, Policy, Spec, Step, require

STEPS = 200
"""Longest episode recorded of an env that has no horizon."""


@dataclasses.dataclass(frozen=True)
class Film:
    """Episodes of one policy, ``[episodes, time, ...]``; what lies past an end repeats it."""

    player: str
    """Who plays."""
    spec: Spec
    features: dict[str, Float[np.ndarray, "episodes rows agents obs"]]
    """One row more than there are steps."""
    alive: dict[str, Bool[np.ndarray, "episodes rows agents"]]
    actions: dict[str, Float[np.ndarray, "episodes steps agents act"]]
    rewards: dict[str, Float[np.ndarray, "episodes steps agents"]]
    """0 after the end."""
    lengths: Int[np.ndarray, " episodes"]
    """Steps."""
    success: Bool[np.ndarray, "episodes steps"] | None
    """None for a game without such a notion."""
    scenes: Scene | None = None
    """``[episodes, rows, ...]`` of a game that can be drawn."""
    pictures: UInt8[np.ndarray, "episodes rows height width 3"] | None = None
    """Of a host env that renders."""
    ahead: Float[np.ndarray, "episodes rows time things 2"] | None = None
    """Where things were expected to go, by a policy that plans in a game with ``places``: in the
    game's units, or in shares of a picture's width and height from its lower left corner."""

    @property
    def steps(self) -> int:
        """Of the longest episode."""
        return int(self.lengths.max())

    def take(self, episodes: slice) -> Film:
        """Some of the episodes."""
        parts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        whole = {name: parts.pop(name) for name in ("player", "spec")}
        return Film(**whole, **jax.tree.map(lambda leaf: leaf[episodes], parts))

    def earned(self, group: str) -> Float[np.ndarray, "episodes rows"]:
        """Return so far, a mean over the agents of a group that were ever there; 0 at first."""
        there = np.any(self.alive[group], 1)
        paid = np.where(there[:, None], self.rewards[group], 0.0).sum(-1)
        mean = paid / np.maximum(there.sum(-1), 1)[:, None]
        return np.concatenate([np.zeros((len(mean), 1)), np.cumsum(mean, 1)], 1)


def record(
    env: Env | HostEnv, policy: Policy, player: str, *, episodes: int, seed: int, steps: int | None
) -> Film:
    """Play whole episodes and keep everything; episode i is the one that an evaluation plays.

    Args:
        env: a game; ``scene(state)`` of a JAX env and ``render()`` of a host env are kept.
        policy: who acts.
        player: what it is called.
        episodes: how many.
        seed: of the initial states, as in an evaluation.
        steps: longest episode; None: the horizon, or `STEPS`.

    Raises:
        UserError: no episode or step.
    """
    longest = steps or env.spec.horizon or STEPS
    require(episodes > 0 and longest > 0, f"expected episodes and steps, found {episodes} episodes")
    play = _host if isinstance(env, HostEnv) else _jax
    rows = play(env, policy, episodes, seed, longest)
    played = ~rows["over"]
    lengths = played.sum(1)
    last = int(lengths.max())
    rewards = {n: np.where(played[..., None], r, 0.0)[:, :last] for n, r in rows["reward"].items()}
    success = rows["success"]
    held = np.minimum(np.arange(last + 1)[None], lengths[:, None])

    def hold(leaf: Any) -> np.ndarray:
        """Repeat the last row of an episode that ended."""
        return np.stack([np.asarray(own)[at] for own, at in zip(leaf, held, strict=True)])

    scenes, pictures, ahead = rows["scene"], rows["picture"], rows["ahead"]
    return Film(
        player, env.spec,
        features={n: hold(x) for n, x in rows["features"].items()},
        alive={n: hold(x) for n, x in rows["alive"].items()},
        actions={n: np.asarray(x)[:, :last] for n, x in rows["action"].items()},
        rewards=rewards,
        lengths=lengths,
        success=None if success is None else (success & played)[:, :last],
        scenes=None if scenes is None else jax.tree.map(hold, scenes),
        pictures=None if pictures is None else hold(pictures),
        ahead=None if ahead is None else hold(np.concatenate([ahead[:, :1], ahead], 1)),
    )  # fmt: skip


def _jax(env: Any, policy: Policy, episodes: int, seed: int, steps: int) -> dict[str, Any]:
    draws = hasattr(env, "scene")

    def episode(number: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), number)
        reset_key, act_key, step_key = jax.random.split(key, 3)
        state, observation = env.reset(reset_key)
        memory = policy.memory(rollout.agents_of(observation))
        first = (observation, env.scene(state) if draws else None)

        def row(carry: Any, t: Any) -> tuple[Any, Any]:
            state, observation, memory, over = carry
            action, memory = policy.act(observation, memory, jax.random.fold_in(act_key, t))
            state, step = env.step(state, action, jax.random.fold_in(step_key, t))
            kept = {
                "seen": (step.observation, env.scene(state) if draws else None),
                "action": step.action, "reward": step.reward, "over": over,
                "success": _success(step), "ahead": _ahead(env, policy, memory),
            }  # fmt: skip
            over = over | step.terminated | step.truncated
            return (state, step.observation, memory, over), kept

        start = (state, observation, memory, jnp.asarray(False))
        _, rows = jax.lax.scan(row, start, jnp.arange(steps, dtype=jnp.int32))
        rows["seen"] = jax.tree.map(
            lambda one, more: jnp.concatenate([one[None], more]), first, rows["seen"]
        )
        return rows

    rows = jax.jit(jax.vmap(episode))(jnp.arange(episodes, dtype=jnp.int32))
    rows = jax.tree.map(np.asarray, rows)
    observation, scene = rows.pop("seen")
    return {
        **rows, "features": observation.features, "alive": observation.alive, "scene": scene,
        "picture": None,
    }  # fmt: skip


def _host(env: Any, policy: Policy, episodes: int, seed: int, steps: int) -> dict[str, Any]:
    """As many episodes as fit into the env's games at a time."""
    parts = []

    def answer(observation: Any, memory: Any, key: Any) -> Any:
        action, memory = policy.act(observation, memory, key)
        return action, memory, _ahead(env, policy, memory)

    act = jax.jit(jax.vmap(answer))
    for first in range(0, episodes, env.envs):
        numbers = range(first, first + env.envs)
        parts.append(_games(act, env, policy, numbers, seed, steps))
    most = max(len(part["over"]) for part in parts)
    parts = [_fill(part, most) for part in parts]
    # [time, games, ...] -> [episodes, time, ...]
    return jax.tree.map(
        lambda *leaves: np.concatenate([leaf.swapaxes(0, 1) for leaf in leaves])[:episodes], *parts
    )


def _fill(part: dict[str, Any], steps: int) -> dict[str, Any]:
    """Repeat the last rows until there are `steps` steps, all of them over."""
    lack = steps - len(part["over"])
    longer = jax.tree.map(lambda leaf: np.concatenate([leaf, *[leaf[-1:]] * lack]), part)
    longer["over"][steps - lack :] = True
    return longer


def _games(
    act: Any, env: Any, policy: Policy, numbers: range, seed: int, steps: int
) -> dict[str, Any]:
    """One episode in every game, ``[time, games, ...]``."""
    entropy = [np.random.SeedSequence([seed, n]) for n in numbers]
    seeds = np.array([int(e.generate_state(1)[0]) for e in entropy])
    keys = jax.vmap(lambda n: jax.random.fold_in(jax.random.key(seed), n))(jnp.array(numbers))
    observation = env.reset(seeds)
    memory = rollout.blank(policy, observation, env.envs)
    over = np.zeros(env.envs, bool)
    seen, rows, pictures = [observation], [], [_picture(env)]
    for t in range(steps):
        row_keys = jax.vmap(lambda k, t=t: jax.random.fold_in(k, t))(keys)
        action, memory, ahead = act(observation, memory, row_keys)
        step = env.step({name: np.asarray(a) for name, a in action.items()})
        rows.append(
            {
                "action": step.action, "reward": step.reward, "over": over.copy(),
                "success": _success(step), "ahead": ahead,
            }
        )  # fmt: skip
        seen.append(step.observation)
        pictures.append(_picture(env))
        ended = np.asarray(step.terminated | step.truncated)
        over |= ended
        if over.all():
            break
        observation = env.reset(seeds, ended) if ended.any() else step.observation
    kept = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    watched = jax.tree.map(lambda *leaves: np.stack(leaves), *seen)
    drawn = [picture for picture in pictures if picture is not None]
    return {
        **kept, "features": watched.features, "alive": watched.alive, "scene": None,
        "picture": np.stack(drawn) if drawn else None,
    }  # fmt: skip


def _ahead(env: Any, policy: Policy, memory: Any) -> Any:
    """Where a policy that plans expects things to go, in a game that says where they are."""
    seen = expected(policy, memory) if hasattr(env, "places") else None
    return None if seen is None else env.places(seen)


def _success(step: Step) -> Any:
    return step.info.get("success") if isinstance(step.info, Mapping) else None


def _picture(env: Any) -> UInt8[np.ndarray, "games height width 3"] | None:
    """What a host env shows of each game; None if it cannot."""
    drawn = env.render() if hasattr(env, "render") else None
    return None if drawn is None else np.asarray(drawn, np.uint8)
