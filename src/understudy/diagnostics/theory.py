"""What is said of joint rewards, checked: by enumeration in small games, by sampling in others.

*Advantages add up* (Lemma 2). With agents in any order, and a policy that draws them one by one,

    A(s, a) = Σ_j A^j(s, a^{1:j-1}, a^j),  A^j = E[Q | a^{1:j}] - E[Q | a^{1:j-1}]

*A joint reward varies more* (Theorem 1 of rewards, Theorem 3 of advantages). By the law of total
variance, under one policy,

    Σ_k Var[r^k(s, a)] - Σ_k Var[r̄^k(s, a^k)] = Σ_k E[Var(r^k | s, a^k)] ≥ 0,
    r̄^k(s, a^k) = E[r^k(s, a) | s, a^k]

This holds where the second reward is the expectation of the first, and nowhere else: two
discriminators that were trained apart can differ either way. Nor is variance signal: a reward with
noise added varies more and teaches less.

Source: Lemma 2 of Kuba et al. 2022 (arXiv 2109.11251); Theorems 1 and 3 of the MILD² paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from scipy.special import logsumexp

from understudy.functional.statistics import RESAMPLES, Interval
from understudy.types import require

STANDARD_ERRORS = 3.0
"""How far below 0 a sampled gap may lie: one such sample in 700 does so by chance."""
DRAWS = 64
"""Redrawn joint actions per row: their noise adds a 64th of the gap, which is taken off again."""


class Decomposition(NamedTuple):
    """The advantage of every joint action of a matrix game, and its parts."""

    joint: Float[np.ndarray, "*choices"]
    """Payoff less its mean."""
    parts: Float[np.ndarray, "agents *choices"]
    """Of each agent in turn, given the actions before its own."""
    error: float
    """Largest distance of the sum of the parts from `joint`."""


def decompose(
    payoff: Float[np.ndarray, "*choices"], policy: Sequence[Float[np.ndarray, "..."]]
) -> Decomposition:
    """Split the advantage of each joint action of a one-step game among agents in turn.

    Args:
        payoff: of the team, one axis per agent.
        policy: for each agent in turn the probability of its choices (last axis) given the choices
            of the agents before it (leading axes; left out where it does not look at them).

    Raises:
        UserError: for probabilities of another shape, or that do not sum to 1.
    """
    payoff = np.asarray(payoff, np.float64)
    require(
        len(policy) == payoff.ndim,
        f"expected a policy of {payoff.ndim} agents, one per axis of the payoff, found "
        f"{len(policy)}",
    )
    turns = []
    for turn, own in enumerate(policy):
        wanted, own = payoff.shape[: turn + 1], np.asarray(own, np.float64)
        fits = own.shape in (wanted, wanted[-1:]) and np.allclose(own.sum(-1), 1)
        require(
            fits,
            f"expected probabilities of agent {turn} with shape {wanted} or {wanted[-1:]} that sum "
            f"to 1 over the last axis, found shape {own.shape}",
        )
        turns.append(np.broadcast_to(own, wanted))
    expected = [payoff]  # given all choices, given all but the last agent's, ... given none
    for own in reversed(turns):
        expected.insert(0, (own * expected[0]).sum(-1))
    parts = [_wide(after, payoff) - _wide(before, payoff) for before, after in pairwise(expected)]
    chance = np.ones(())
    for own in turns:
        chance = chance[..., None] * own
    joint = payoff - (chance * payoff).sum()
    return Decomposition(joint, np.stack(parts), float(np.abs(joint - sum(parts)).max()))


def _wide(value: Any, like: np.ndarray) -> np.ndarray:
    """`value` of the first agents' choices, repeated over those of the others."""
    value = np.asarray(value)
    rest = (1,) * (like.ndim - value.ndim)
    return np.broadcast_to(value.reshape(value.shape + rest), like.shape)


class VarianceGap(NamedTuple):
    """How much more a joint reward varies than what is expected of it given the own action."""

    joint: Float[np.ndarray, " agents"]
    """Var[r^k]."""
    own: Float[np.ndarray, " agents"]
    """Var[r̄^k]."""
    gap: float
    """Σ_k joint - Σ_k own."""
    error: float
    """Standard error of the gap; 0 where it was enumerated."""

    @property
    def holds(self) -> bool:
        """The gap is not below 0 by more than chance (or rounding) explains."""
        return self.gap >= -STANDARD_ERRORS * self.error - 1e-9 * float(self.joint.sum())


def exact_variance_gap(
    rewards: Float[np.ndarray, "states *choices agents"],
    policy: Float[np.ndarray, "states *choices"],
    states: Float[np.ndarray, " states"] | None = None,
) -> VarianceGap:
    """Enumerate a small game.

    Args:
        rewards: r^k(s, a) (or advantages) of every state and joint action.
        policy: probability of every joint action in every state, agents independent or not.
        states: how often each state is met; all alike if None.

    Raises:
        UserError: unless there is one axis of choices per agent, as many of either.
    """
    rewards, policy = np.asarray(rewards, np.float64), np.asarray(policy, np.float64)
    agents = rewards.shape[-1]
    require(
        policy.shape == rewards.shape[:-1] and policy.ndim == agents + 1,
        f"expected rewards [states, choices of {agents} agents, {agents}] and probabilities of the "
        f"same states and choices, found shapes {rewards.shape} and {policy.shape}",
    )
    met = np.full(len(policy), 1 / len(policy)) if states is None else np.asarray(states)
    chance = policy * met.reshape(-1, *(1,) * agents)
    joint, own = np.zeros(agents), np.zeros(agents)
    for k in range(agents):
        others = tuple(axis for axis in range(1, agents + 1) if axis != k + 1)
        weight = chance.sum(others)
        mean = (chance * rewards[..., k]).sum(others) / np.where(weight > 0, weight, 1)
        joint[k] = _variance(rewards[..., k], chance)
        own[k] = _variance(mean, weight)
    return VarianceGap(joint, own, float(joint.sum() - own.sum()), 0.0)


def _variance(values: np.ndarray, chance: np.ndarray) -> float:
    return float((chance * np.square(values - (chance * values).sum())).sum())


def redraw(
    reward: Callable[[np.ndarray], Any],
    draw: Callable[[Key[Array, ""]], Any],
    actions: Float[np.ndarray, "rows agents act"],
    key: Key[Array, ""],
    *,
    draws: int = DRAWS,
    conditional: Callable[[np.ndarray], Any] | None = None,
) -> tuple[Float[np.ndarray, "draws rows agents"], Float[np.ndarray, "draws rows agents"] | None]:
    """Draw teammates' actions anew given each agent's own, and look at what it is paid then.

    Teammates come from fresh joint actions. Where agents do not act independently these ignore the
    own action, and are weighted by how likely it is given theirs, ``π(a^k | s, a^{-k})``.

    Args:
        reward: of every agent for joint actions of the rows, ``[rows, agents, act] -> [rows,
            agents]``; a discriminator's, say.
        draw: a joint action of the policy at every row, ``key -> [rows, agents, act]``.
        actions: taken at the rows, drawn from the same policy.
        key: of the draws.
        draws: how many per row, 2 or more.
        conditional: ``log π(a^k | s, a^{-k})`` of joint actions, ``[rows, agents]``, as
            `full_conditionals` makes it; None for agents that act independently.

    Returns:
        What `variance_gap` takes: rewards of each agent, and the logarithms of their weights.
    """
    actions = np.asarray(actions)
    agents = actions.shape[1]
    paid, weights = [], []
    for one in jax.random.split(key, draws):
        fresh = np.array(draw(one))
        mixed = [fresh.copy() for _ in range(agents)]
        for k in range(agents):
            mixed[k][:, k] = actions[:, k]
        paid.append(np.stack([np.asarray(reward(m))[:, k] for k, m in enumerate(mixed)], 1))
        if conditional is not None:
            logs = [np.asarray(conditional(m))[:, k] for k, m in enumerate(mixed)]
            weights.append(np.stack(logs, 1))
    return np.stack(paid), np.stack(weights) if weights else None


def full_conditionals(
    log_prob: Callable[[np.ndarray], Any], choices: int
) -> Callable[[np.ndarray], Float[np.ndarray, "rows agents"]]:
    """Make ``log π(a^k | s, a^{-k})`` of a joint log-probability, for one section of choices.

    Args:
        log_prob: of joint actions of the rows, ``[rows, agents, 1] -> [rows]``; for agents in turn
            the sum over agents.
        choices: that every agent has.
    """

    def conditional(actions: np.ndarray) -> np.ndarray:
        own = np.asarray(log_prob(actions), np.float64)
        columns = []
        for k in range(actions.shape[1]):
            swapped = [actions.copy() for _ in range(choices)]
            for choice in range(choices):
                swapped[choice][:, k] = choice
            columns.append(own - logsumexp([np.asarray(log_prob(a)) for a in swapped], axis=0))
        return np.stack(columns, 1)

    return conditional


def variance_gap(
    rewards: Float[np.ndarray, "rows agents"],
    redrawn: Float[np.ndarray, "draws rows agents"],
    log_weights: Float[np.ndarray, "draws rows agents"] | None = None,
    *,
    episodes: Int[np.ndarray, " rows"] | None = None,
) -> VarianceGap:
    """Estimate the gap from rows that were acted in and what `redraw` made of them.

    The mean over draws is noisy, which would count as variance of r̄; that much is taken off.

    Args:
        rewards: as paid.
        redrawn: with teammates redrawn.
        log_weights: of the draws.
        episodes: which episode each row belongs to, as rows of one depend on each other; every row
            counts as independent if None.

    Raises:
        UserError: with fewer than two rows or two draws.
    """
    rewards, redrawn = np.asarray(rewards, np.float64), np.asarray(redrawn, np.float64)
    require(
        len(rewards) > 1 and len(redrawn) > 1,
        f"expected two rows and two draws or more, found {len(rewards)} rows and {len(redrawn)} "
        "draws; draw more",
    )
    logs = np.zeros(redrawn.shape) if log_weights is None else np.asarray(log_weights, np.float64)
    weights = np.exp(logs - np.asarray(logsumexp(logs, axis=0)))
    mean = (weights * redrawn).sum(0)
    effective = 1 / np.square(weights).sum(0)
    noise = (np.square(weights) * np.square(redrawn - mean)).sum(0)
    noise *= effective / np.maximum(effective - 1, 1)
    joint = np.square(rewards - rewards.mean(0))
    own = np.square(mean - mean.mean(0)) - noise
    each = (joint - own).sum(1)
    return VarianceGap(joint.mean(0), own.mean(0), float(each.mean()), _error(each, episodes))


def _error(each: np.ndarray, episodes: np.ndarray | None) -> float:
    """Standard error of the mean of rows, which depend on each other within an episode."""
    centred = each - each.mean()
    if episodes is not None:
        centred = np.bincount(np.unique(episodes, return_inverse=True)[1], weights=centred)
    return float(np.sqrt(np.square(centred).sum()) / len(each))


class AdvantageVariance(NamedTuple):
    """How much advantages vary, in units of reward and beside the returns."""

    raw: float
    """Σ_k Var[A^k]; grows with the square of the reward's scale."""
    raw_error: float
    """Its standard error."""
    scale_free: float
    """Σ_k Var[A^k] / Σ_k Var[return^k], which no scale of the reward changes."""
    scale_free_error: float
    """Its standard error."""


def advantage_variance(
    advantages: Float[np.ndarray, "rows agents"],
    returns: Float[np.ndarray, "rows agents"],
    alive: Bool[np.ndarray, "rows agents"] | None = None,
    *,
    episodes: Int[np.ndarray, " rows"] | None = None,
) -> AdvantageVariance:
    """Variance of advantages that were not normalised, raw and scale-free.

    Args:
        advantages: as estimated.
        returns: ``A + V`` of the same rows.
        alive: which entries count; all if None.
        episodes: as for `variance_gap`.

    Raises:
        UserError: where returns never vary, or no agent is ever alive.
    """
    there = np.ones(advantages.shape, bool) if alive is None else np.asarray(alive)
    gains, worth = (_squares(np.asarray(a, np.float64), there) for a in (advantages, returns))
    require(
        worth.mean() > 0,
        "expected returns that vary over the rows counted, found none; give more rows",
    )
    ratio = gains.mean() / worth.mean()
    return AdvantageVariance(
        float(gains.mean()), _error(gains, episodes),
        float(ratio), _error(gains - ratio * worth, episodes) / float(worth.mean()),
    )  # fmt: skip


def _squares(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """A number per row whose mean over rows is the sum over agents of their variances."""
    count = np.maximum(there.sum(0), 1)
    centred = np.where(there, values - np.where(there, values, 0).sum(0) / count, 0)
    return (np.square(centred) * len(values) / count).sum(1)


def variance_ratio(
    first: Float[np.ndarray, " seeds"],
    other: Float[np.ndarray, " other_seeds"],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Ratio of the mean variances of two models over their seeds, and its bootstrap interval.

    Nothing has to hold of it: two models that were trained apart can differ either way.

    Args:
        first: Σ_k Var of each seed of one model.
        other: of another.
        confidence: within 0 and 1.
        seed: of the bootstrap.

    Raises:
        UserError: without seeds, or where the other's variance is 0.
    """
    first, other = np.asarray(first, np.float64), np.asarray(other, np.float64)
    require(
        first.size > 0 and other.size > 0 and bool((other > 0).all()),
        f"expected variances above 0 of one seed or more, found {first.size} and {other.size} "
        "seeds; leave failed seeds out",
    )
    rng = np.random.default_rng(seed)
    tops, bottoms = (
        values[rng.integers(values.size, size=(RESAMPLES, values.size))].mean(1)
        for values in (first, other)
    )
    low, high = np.quantile(tops / bottoms, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(first.mean() / other.mean()), float(low), float(high))
