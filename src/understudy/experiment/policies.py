"""Measure policies by what they earn: same initial states for all, a random policy beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

from understudy.experiment.contenders import Contender, execution
from understudy.experiment.returns import episode_returns
from understudy.experiment.tables import Evaluation
from understudy.functional.statistics import interquartile_mean, mean_interval, stratified_bootstrap
from understudy.types import (
    Actions,
    ActionSpec,
    Memory,
    Observation,
    Rewards,
    Spec,
    UserError,
    require,
)


class Random(eqx.Module):
    """Acts without looking: every legal choice alike, every bounded dimension uniformly."""

    spec: Spec = eqx.field(static=True)
    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """Draw an action for every agent; a dimension without bounds is standard normal."""
        actions = {}
        for number, group in enumerate(self.spec.groups):
            agents = observation.alive[group.name].shape[-1]
            legal = None if observation.legal is None else observation.legal.get(group.name)
            drawn = _draw(group.action, agents, legal, jax.random.fold_in(key, number))
            actions[group.name] = drawn
        return actions, memory

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Log-probability and entropy; a legal mask is not counted, unbounded means N(0, 1)."""
        found, entropies = {}, {}
        for group in self.spec.groups:
            value, entropy = _measure(group.action, actions[group.name])
            found[group.name] = value
            entropies[group.name] = jnp.broadcast_to(entropy, value.shape)
        return found, entropies


def _bounded(action: ActionSpec) -> list[bool]:
    return [bool(np.isfinite([low, high]).all()) for low, high in zip(action.low, action.high)]


def _measure(action: ActionSpec | None, actions: Array) -> tuple[Array, Array]:
    value = jnp.zeros(actions.shape[:-1])
    if action is None:
        return value, jnp.zeros(())
    flat = sum(np.log(choices) for choices in action.sections)
    total = float(flat)
    first = len(action.sections)
    for number, bounded in enumerate(_bounded(action)):
        if bounded:
            width = float(np.log(action.high[number] - action.low[number]))
            flat, total = flat + width, total + width
        else:
            column = actions[..., first + number]
            value = value - 0.5 * jnp.square(column) - 0.5 * float(np.log(2 * np.pi))
            total += 0.5 * float(np.log(2 * np.pi * np.e))
    return value - float(flat), jnp.asarray(total, jnp.float32)


def _draw(action: ActionSpec | None, agents: int, legal: Any, key: Any) -> Array:
    if action is None:
        return jnp.zeros((agents, 0))
    columns, first = [], 0
    for number, choices in enumerate(action.sections):
        allowed = jnp.zeros((agents, choices))
        if legal is not None:
            allowed = jnp.where(legal[:, first : first + choices], 0.0, -jnp.inf)
        drawn = jax.random.categorical(jax.random.fold_in(key, number), allowed)
        columns.append(drawn.astype(jnp.float32)[:, None])
        first += choices
    for number, bounded in enumerate(_bounded(action)):
        own = jax.random.fold_in(key, len(action.sections) + number)
        low, high = action.low[number], action.high[number]
        if bounded:
            columns.append(jax.random.uniform(own, (agents, 1), minval=low, maxval=high))
        else:
            columns.append(jnp.clip(jax.random.normal(own, (agents, 1)), low, high))
    return jnp.concatenate(columns, axis=1)


def evaluate_policies(
    models: Sequence[Contender],
    env: Any,
    *,
    episodes: int,
    agents: Sequence[int] | None,
    seed: int,
) -> Evaluation:
    """Play episodes with every seed of every model, and with a random policy.

    A return is the sum of rewards of an episode, averaged over its agents.

    Raises:
        UserError: where a policy does not transfer to another number of agents, or the env has
            no number of agents to change.
    """
    rows: list[dict[str, Any]] = []
    returns: dict[str, Any] = {}
    name = type(env).__name__
    for count in agents or (None,):
        game = env if count is None else resized(env, count)
        task = "agents" if count is None else f"{count} agents"
        random = Contender("random", {0: Random(game.spec)}, reference=True)
        for model in (*models, random):
            if count is not None:
                _check_transfer(model)
            played = {
                number: _team(episode_returns(policy, game, episodes=episodes, seed=seed))
                for number, policy in model.made.items()
            }
            rows += _rows(model, played, name, task, seed)
            record = returns.setdefault(name, {}).setdefault(task, {})
            record[model.name] = {
                f"seed_{number}": _marl_eval(model, values) for number, values in played.items()
            }
    setting = {"env": name, "episodes": episodes, "seed": seed, "agents": list(agents or ())}
    notes = [
        f"{model.name}: seed {number} {why} and counts as failed."
        for model in models
        for number, why in model.failed.items()
    ]
    return Evaluation(rows, setting, notes, returns)


def resized(env: Any, agents: int) -> Any:
    """The same env with another number of agents."""
    if not dataclasses.is_dataclass(env) or "agents" not in {f.name for f in fields(env)}:
        raise UserError(
            f"expected an env with a number of agents to change, found {type(env).__name__}; "
            "leave agents out"
        )
    changed: Any = env
    return dataclasses.replace(changed, agents=agents)


def _check_transfer(model: Contender) -> None:
    for policy in model.made.values():
        require(
            bool(getattr(policy, "transfers", False)),
            f"expected a policy that runs on other numbers of agents, {model.name} does not; "
            "leave agents out",
        )


def _team(returns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return per episode, averaged over all agents."""
    return np.concatenate(list(returns.values()), axis=1).mean(1)


def _rows(
    model: Contender, played: Mapping[int, np.ndarray], env: str, task: str, seed: int
) -> list[dict[str, Any]]:
    rows = []
    shared = {
        "model": model.name,
        "execution": execution(next(iter(model.made.values()))),
        "reference": model.reference,
        "env": env,
        "task": task,
    }
    for number, values in played.items():
        interval = mean_interval(values.astype(np.float64), seed=seed)
        rows.append(
            {
                **shared,
                "seed": None if model.reference or model.run is None else number,
                "episodes": len(values),
                "mean_return": float(values.mean()),
                "intervals": {"mean_return": [interval.low, interval.high]},
            }
        )
    if len(played) > 1:
        each = np.array([[values.mean()] for values in played.values()], np.float64)
        over = stratified_bootstrap(each, interquartile_mean, seed=seed)
        rows.append(
            {
                **shared,
                "seed": "mean",
                "episodes": sum(len(values) for values in played.values()),
                "mean_return": float(each.mean()),
                "interquartile_mean": over.estimate,
                "intervals": {"mean_return": [over.low, over.high]},
                "seeds": len(played),
                "failed": sorted(model.failed),
            }
        )
    return rows


def _marl_eval(model: Contender, values: np.ndarray) -> dict[str, Any]:
    """One seed in the layout of marl-eval: returns at the last step, and again as absolute."""
    step = 0 if model.run is None else int(model.run.step)
    listed = [float(value) for value in values]
    return {
        f"step_{step}": {"step_count": step, "mean_episode_return": listed},
        "absolute_metrics": {"mean_episode_return": listed},
    }
