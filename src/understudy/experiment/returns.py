"""What a policy earns: whole episodes from the same initial states, whoever plays."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from understudy.envs import rollout
from understudy.envs.wrappers import bare
from understudy.experiment.loops import Parts
from understudy.networks.policy import NetworkPolicy
from understudy.types import Env, HostEnv, Policy, Step, UserError, record, require

FEWEST = 8
"""Games of a host env that are asked for actions at once, at least: fewer are not quicker."""
MOST_PAIRS = 2**22
"""Pairs of agents, over all episodes, that are looked at in one step: it bounds memory."""

Returns = dict[str, Float[np.ndarray, "episodes agents"]]
"""Sum of rewards per episode and agent, by group."""


@record
class Played:
    """Whole episodes of one policy."""

    returns: Any
    """`Returns`."""
    present: Any
    """``{group: [episodes, agents]}``: agents that were alive at any time; the others are padding
    and count in no mean."""
    lengths: Any
    """``[episodes]``: steps until the end, or the horizon."""
    success: Any
    """``[episodes]``: any step counted as solved or won; None for a game without such a notion."""
    figures: Any
    """``{name: [episodes]}``: what else the game says of an episode, by the names of its
    ``figures``, and ``solved_at``: steps until it was first solved, NaN where it never was."""

    def team(self, group: str | None = None) -> Float[np.ndarray, " episodes"]:
        """Return per episode, averaged over the agents of one group, or over all agents."""
        names = list(self.returns) if group is None else [group]
        earned = np.concatenate([self.returns[n] for n in names], 1).astype(np.float64)
        there = np.concatenate([self.present[n] for n in names], 1)
        return np.where(there, earned, 0).sum(1) / np.maximum(there.sum(1), 1)


def episode_returns(
    policy: Policy, env: Env | HostEnv, *, episodes: int, seed: int, horizon: int | None = None
) -> Returns:
    """Play `episodes` episodes and add up the rewards of each agent; see `play`."""
    return play(policy, env, episodes=episodes, seed=seed, horizon=horizon).returns


def play(
    policy: Policy, env: Env | HostEnv, *, episodes: int, seed: int, horizon: int | None = None
) -> Played:
    """Play whole episodes.

    Episode i begins in a state that `seed` and i decide, and the env's own chance is the same for
    every policy, so differences between two policies are theirs.

    Args:
        policy: who acts.
        env: where.
        episodes: how many.
        seed: of the evaluation; keep it apart from those of training.
        horizon: longest episode in steps; that of the spec if left out.

    Raises:
        UserError: when nobody says how long an episode may last.
    """
    require(episodes > 0, f"expected at least one episode, found {episodes}")
    policy = policy.fitted(env.spec) if isinstance(policy, NetworkPolicy) else policy
    horizon = env.spec.horizon if horizon is None else horizon
    if horizon is None:
        raise UserError("expected a horizon for an env that has none; give horizon=")
    if isinstance(env, HostEnv):
        return _host(policy, env, episodes, seed, horizon)
    env_parts, player = Parts.of(env), Parts.of(policy)
    piece = max(1, MOST_PAIRS // sum(group.agents for group in env.spec.groups) ** 2)
    parts = [
        _compiled(
            player.arrays, env_parts.arrays, jax.random.key(seed),
            jnp.arange(first, min(first + piece, episodes), dtype=jnp.int32),
            rest=(player.rest, env_parts.rest), horizon=horizon,
        )
        for first in range(0, episodes, piece)
    ]  # fmt: skip
    return _joined(parts)


def _joined(parts: Sequence[Played]) -> Played:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def known_success(step: Step) -> Any:
    """Whether a step counts as solved or won; None where the game does not say."""
    return step.info.get("success") if isinstance(step.info, Mapping) else None


@functools.partial(jax.jit, static_argnames=("rest", "horizon"))
def _compiled(
    policy: Any, env: Any, key: Any, numbers: Any, *, rest: tuple[Any, Any], horizon: int
) -> Played:
    player, game = Parts(policy, rest[0]).whole(), Parts(env, rest[1]).whole()
    return episodes_of(player, game, key, numbers, horizon=horizon)


def episodes_of(player: Any, game: Any, key: Any, numbers: Any, *, horizon: int) -> Played:
    """Play the episodes of these numbers in a JAX env, within a compiled program."""
    reported = getattr(bare(game), "figures", {})

    def episode(number: Any) -> Played:
        reset_key, act_key, step_key = jax.random.split(jax.random.fold_in(key, number), 3)
        state, observation = game.reset(reset_key)
        memory = player.memory(rollout.agents_of(observation))
        totals = {name: jnp.zeros(a.shape[-1]) for name, a in observation.alive.items()}

        def row(carry: Any, t: Any) -> tuple[Any, Any]:
            state, observation, memory, totals, present, over = carry
            action, memory = player.act(observation, memory, jax.random.fold_in(act_key, t))
            state, step = game.step(state, action, jax.random.fold_in(step_key, t))
            totals = {
                name: total + jnp.where(over, 0.0, step.reward[name])
                for name, total in totals.items()
            }
            alive = step.observation.alive
            present = {name: seen | (alive[name] & ~over) for name, seen in present.items()}
            won = known_success(step)
            won = None if won is None else won & ~over
            after = over | step.terminated | step.truncated
            said = {name: step.info[name] for name in reported}
            return (state, step.observation, memory, totals, present, after), (~over, won, said)

        over = jnp.asarray(False)
        start = (state, observation, memory, totals, dict(observation.alive), over)
        steps = jnp.arange(horizon, dtype=jnp.int32)
        end, (played, won, said) = jax.lax.scan(row, start, steps)
        length = jnp.sum(played, dtype=jnp.int32)
        rows = jnp.arange(1.0, horizon + 1.0)
        figures = {
            name: values[length - 1]
            if reported[name] == "last"
            else jnp.where(played, values, 0.0).sum() / rows[length - 1]
            for name, values in said.items()
        }
        success = None
        if won is not None:
            success = won.any()
            figures["solved_at"] = jnp.where(success, rows[jnp.argmax(won)], jnp.nan)
        return Played(end[3], end[4], length, success, figures)

    return jax.vmap(episode)(numbers)


def _host(policy: Policy, env: HostEnv, episodes: int, seed: int, horizon: int) -> Played:
    """As many episodes at a time as the env has games; the last ones are played and left out."""
    act = jax.jit(jax.vmap(lambda o, m, k: policy.act(o, m, k)))
    parts = [
        _host_games(act, policy, env, range(first, first + env.envs), seed, horizon)
        for first in range(0, episodes, env.envs)
    ]
    return jax.tree.map(lambda leaf: leaf[:episodes], _joined(parts))


def _host_games(
    act: Any, policy: Policy, env: HostEnv, numbers: range, seed: int, horizon: int
) -> Played:
    """Play one episode in every game."""
    entropy = [np.random.SeedSequence([seed, n]) for n in numbers]
    seeds = np.array([int(e.generate_state(1)[0]) for e in entropy])
    observation = env.reset(seeds)
    memory = rollout.blank(policy, observation, env.envs)
    keys = jax.vmap(lambda n: jax.random.fold_in(jax.random.key(seed), n))(jnp.array(numbers))
    totals = {name: np.zeros(a.shape, np.float32) for name, a in observation.alive.items()}
    present = {name: np.array(a) for name, a in observation.alive.items()}
    over, lengths = np.zeros(env.envs, bool), np.zeros(env.envs, np.int32)
    success, solved_at = None, np.full(env.envs, np.nan, np.float32)
    asked = np.arange(env.envs)
    for t in range(horizon):
        row_keys = jax.vmap(lambda k, t=t: jax.random.fold_in(k, t))(keys)
        seen = jax.tree.map(lambda leaf, who=asked: np.asarray(leaf)[who], observation)
        action, memory = act(seen, memory, row_keys)
        step = env.step({name: _spread(np.asarray(a), asked, env) for name, a in action.items()})
        for name, total in totals.items():
            total += np.where(over[:, None], 0.0, step.reward[name])
            present[name] |= np.asarray(step.observation.alive[name]) & ~over[:, None]
        won = known_success(step)
        if won is not None:
            won = np.asarray(won) & ~over
            solved_at[won & np.isnan(solved_at)] = t + 1
            success = won if success is None else success | won
        lengths += ~over
        ended = np.asarray(step.terminated | step.truncated)
        over |= ended
        if over.all():
            break
        size = _worth_asking(over[asked])
        if size < len(asked):
            rows = np.argsort(over[asked], kind="stable")[:size]
            asked, keys = asked[rows], keys[rows]
            memory = jax.tree.map(lambda leaf, rows=rows: leaf[rows], memory)
        observation = env.reset(seeds, ended) if ended.any() else step.observation
    figures = {} if success is None else {"solved_at": solved_at}
    return Played(totals, present, lengths, success, figures)


def _worth_asking(over: np.ndarray) -> int:
    """How many games to go on asking for actions: half of them, and half again, as games end."""
    size = len(over)
    while size // 2 >= max(FEWEST, np.count_nonzero(~over)):
        size //= 2
    return size


def _spread(action: np.ndarray, asked: np.ndarray, env: HostEnv) -> np.ndarray:
    """Actions of the games that were asked; the others are over and do as the first."""
    found = np.repeat(action[:1], env.envs, 0)
    found[asked] = action
    return found
