"""Simulators that anything learned has to beat: nothing changes, the average, a straight line.

All three are one model with other numbers in it. With x the state and what was done, written as
features, continuous values of an action, and of the next state, are Gaussian about a line,

    a ~ N(A s + b, σ_a²),    s' ~ N(W x + c, σ_s²),

and a section of the next state is drawn by what it is now, ``P(c' | c)``.

- `Persistence`: s' is s; σ is the root mean square change. Sections stay what they are.
- `Mean`: s' is the mean of the log, whatever was before; sections are drawn as often as logged.
- `Ridge`: ridge regression of the change of s on x, and of a on s. Sections stay, or switch as
  often as logged; an action's sections follow a ridge regression of their one-hot columns, cut to
  probabilities (Ridge only).

In `Persistence` and `Mean` the agent draws about the mean of its actions. Sections that the spec
calls constant always stay.

Source: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, sections
3.4.1 (ridge; degrees of freedom, 3.50) and 4.2 (regression of indicators).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics.simulation_log import LogColumns, Transitions, features, transitions
from understudy.functional import latent
from understudy.functional.written import written
from understudy.types import ActionSpec, Spec, require

LEAST = 1e-6
"""Smallest probability of a choice that can be, so that likelihoods are finite."""


class Line(eqx.Module):
    """``x W + c`` and the deviation of what is left."""

    weights: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"]
    std: Float[Array, " outputs"]

    def __call__(self, x: Float[Array, "rows inputs"]) -> Float[Array, "rows outputs"]:
        """Means."""
        return x @ self.weights + self.bias[None]


class LineSimulator(eqx.Module):
    """A simulator of straight lines; see `Persistence`, `Mean` and `Ridge`."""

    spec: Spec = eqx.field(static=True)
    choosing: Line
    """From a state to probabilities of the choices of an action, before they are cut."""
    acting: Line
    """From a state to the continuous values of an action."""
    answering: Line
    """From a state and a written action to the continuous values of the next state."""
    switching: Float[Array, "choices choices"]
    """Probability of each choice of a section (column) by what it is now (row)."""

    def act(self, now: Float[Array, "rows obs"], key: Key[Array, ""]) -> Float[Array, "rows act"]:
        """Draw what the agent does."""
        sections, mean = LogColumns(self.spec).action.sections, self.acting(now)
        gumbel, normal = _noise(key, len(now), sum(sections), mean.shape[1])
        picked = _likely(jnp.log(self._choices(now)) + gumbel, sections)
        value = mean + self.acting.std[None] * normal
        return jnp.concatenate([picked.astype(value.dtype), value], -1)

    def answer(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"], key: Key[Array, ""]
    ) -> Float[Array, "rows obs"]:
        """Draw the next state."""
        spec, mean = LogColumns(self.spec).answer, self.answering(self._seen(now, done))
        gumbel, normal = _noise(key, len(now), spec.choices, mean.shape[1])
        chances = now[:, : spec.choices] @ self.switching
        hot = _hot_likely(jnp.log(chances) + gumbel, spec.sections)
        return jnp.concatenate([hot, mean + self.answering.std[None] * normal], -1)

    def expect(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"]
    ) -> Float[Array, "rows obs"]:
        """Probabilities of the choices of the next state, then means of its values."""
        chosen = now[:, : LogColumns(self.spec).answer.choices] @ self.switching
        return jnp.concatenate([chosen, self.answering(self._seen(now, done))], -1)

    def expect_action(self, now: Float[Array, "rows obs"]) -> Float[Array, "rows numbers"]:
        """Probabilities of the choices of an action, then means of its values."""
        return jnp.concatenate([self._choices(now), self.acting(now)], -1)

    def act_log_probs(
        self, now: Float[Array, "rows obs"], done: Float[Array, "rows act"]
    ) -> Float[Array, "rows heads"] | None:
        """Log-probability of each section, then log-density of each value, of an action; nats."""
        action = LogColumns(self.spec).action
        hot = written(ActionSpec(action.sections), done[:, : len(action.sections)])
        sections = _picked(self._choices(now), hot, action.sections)
        mean, value = self.acting(now), done[:, len(action.sections) :]
        std = jnp.broadcast_to(self.acting.std[None], mean.shape)
        return jnp.concatenate([sections, latent.gaussian_log_prob(value, mean, std)], -1)

    def answer_log_probs(
        self,
        now: Float[Array, "rows obs"],
        done: Float[Array, "rows act"],
        after: Float[Array, "rows obs"],
    ) -> Float[Array, "rows heads"] | None:
        """As `act_log_probs`, of the next state given as features."""
        spec, expected = LogColumns(self.spec).answer, self.expect(now, done)
        hot, value = after[:, : spec.choices], after[:, spec.choices :]
        sections = _picked(expected[:, : spec.choices], hot, spec.sections)
        mean = expected[:, spec.choices :]
        std = jnp.broadcast_to(self.answering.std[None], mean.shape)
        return jnp.concatenate([sections, latent.gaussian_log_prob(value, mean, std)], -1)

    def _seen(self, now: Array, done: Array) -> Array:
        return jnp.concatenate([now, written(LogColumns(self.spec).action, done)], -1)

    def _choices(self, now: Array) -> Array:
        """Probabilities of the choices of an action's sections."""
        members = _members(LogColumns(self.spec).action.sections)
        cut = jnp.maximum(self.choosing(now), LEAST)
        return cut / (cut @ members @ members.T)


class Persistence(LineSimulator):
    """Nothing changes."""

    @classmethod
    def of(cls, train: Demonstrations) -> Persistence:
        """Estimate from a log.

        Raises:
            UserError: for demonstrations without an agent and a world that answers it.
        """
        log = transitions(train)
        width, choices, values = _sizes(log)
        keep = np.eye(width, values, -choices)
        std = np.sqrt(np.square(log.change).mean(0))
        switching = _smoothed(log, np.full(len(log.columns.answer.sections), LEAST))
        return cls(log.columns.spec, *_agent(log, None), _line(keep, np.zeros(values), std),
                   jnp.asarray(switching, jnp.float32))  # fmt: skip


class Mean(LineSimulator):
    """The average of the log, whatever was before."""

    @classmethod
    def of(cls, train: Demonstrations) -> Mean:
        """Estimate from a log.

        Raises:
            UserError: for demonstrations without an agent and a world that answers it.
        """
        log = transitions(train)
        width, choices, values = _sizes(log)
        after = log.after[:, choices:].astype(np.float64)
        answering = _line(np.zeros((width, values)), after.mean(0), after.std(0))
        switching = _smoothed(log, None)
        return cls(log.columns.spec, *_agent(log, None), answering,
                   jnp.asarray(switching, jnp.float32))  # fmt: skip


class Ridge(LineSimulator):
    """Straight lines, shrunk."""

    @classmethod
    def of(cls, train: Demonstrations, penalty: float = 1.0) -> Ridge:
        """Estimate from a log.

        Args:
            train: with an agent and a world that answers it.
            penalty: of squared weights, on standardised columns, beside the sum of squared errors.

        Raises:
            UserError: for other demonstrations, or a penalty that is not above 0.
        """
        require(penalty > 0, f"expected a penalty above 0, found {penalty}")
        log = transitions(train)
        width, choices, values = _sizes(log)
        done = features(log.done, log.columns.action)
        x = np.concatenate([log.now, done], 1)
        found = _ridge(x, log.change, penalty)
        answering = _line(found.weights + np.eye(width, values, -choices), found.bias, found.std)
        before, after = (log.columns.answer.split(array) for array in (log.now, log.after))
        switches = [(b != a).any(1).sum() for b, a in zip(before, after, strict=True)]
        chances = (np.asarray(switches, np.float64) + 0.5) / (len(log) + 1)
        return cls(log.columns.spec, *_agent(log, penalty), answering,
                   jnp.asarray(_smoothed(log, chances), jnp.float32))  # fmt: skip


class _Fit(NamedTuple):
    weights: np.ndarray
    bias: np.ndarray
    std: np.ndarray


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> _Fit:
    """Weights on the columns as they are; deviations by the degrees of freedom that are left."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean, std = x.mean(0), x.std(0)
    scale = np.where(std > 1e-9, std, np.inf)  # a column that never varies gets no weight
    z, middle = (x - mean) / scale, y.mean(0)
    gram = z.T @ z
    system = gram + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(system, z.T @ (y - middle))
    freedom = np.trace(np.linalg.solve(system, gram)) + 1
    left = np.square(y - middle - z @ weights).sum(0) / max(len(x) - freedom, 1.0)
    weights = weights / scale[:, None]
    return _Fit(weights, middle - mean @ weights, np.sqrt(left))


def _agent(log: Transitions, penalty: float | None) -> tuple[Line, Line]:
    """How the agent chooses and acts: on its state, or without looking where `penalty` is None."""
    action = log.columns.action
    hot = features(log.done, action)
    fits = []
    for y in (hot[:, : action.choices], hot[:, action.choices :]):
        y = y.astype(np.float64)
        none = np.zeros((log.now.shape[1], y.shape[1]))
        fits.append(_Fit(none, y.mean(0), y.std(0)) if penalty is None or not y.shape[1]
                    else _ridge(log.now, y, penalty))  # fmt: skip
    return _line(*fits[0]), _line(*fits[1])


def _line(weights: np.ndarray, bias: np.ndarray, std: np.ndarray) -> Line:
    std = np.maximum(std, latent.STD_FLOOR)
    return Line(*(jnp.asarray(x, jnp.float32) for x in (weights, bias, std)))


def _smoothed(log: Transitions, chances: np.ndarray | None) -> np.ndarray:
    """Probability of each choice by what is now.

    Args:
        log: shares of choices come from it, with half a row more for each.
        chances: of each section to switch, to another choice by its share; None draws every choice
            by its share.
    """
    answer, world = log.columns.answer, log.columns.spec.world
    table, first = np.zeros((answer.choices, answer.choices)), 0
    for number, count in enumerate(answer.sections):
        own = slice(first, first + count)
        share = log.after[:, own].sum(0, dtype=np.float64) + 0.5
        rows = np.tile(share / share.sum(), (count, 1))
        if number in world.constant or count == 1:
            rows = np.eye(count)
        elif chances is not None:
            np.fill_diagonal(rows, 0.0)
            rows = chances[number] * rows / rows.sum(1, keepdims=True)
            np.fill_diagonal(rows, 1 - chances[number])
        table[own, own] = rows
        first += count
    return table


def _sizes(log: Transitions) -> tuple[int, int, int]:
    """LogColumns of a state and a written action, choices and continuous values of a state."""
    answer, action = log.columns.answer, log.columns.action
    width = answer.choices + len(answer.low) + action.choices + len(action.low)
    return width, answer.choices, len(answer.low)


def _members(sections: tuple[int, ...]) -> np.ndarray:
    """Which choice is of which section, ``[choices, sections]``."""
    return np.repeat(np.eye(len(sections), dtype=np.float32), sections, axis=0)


def _likely(scores: Array, sections: tuple[int, ...]) -> Array:
    """Number of the highest choice of each section, ``[rows, sections]``."""
    if not sections:
        return jnp.zeros((scores.shape[0], 0), jnp.int32)
    first, widest = np.cumsum((0, *sections[:-1])), np.arange(max(sections))
    short = widest >= np.asarray(sections)[:, None]
    columns = np.where(short, 0, first[:, None] + widest)
    return jnp.where(short[None], -jnp.inf, scores[:, columns]).argmax(-1)


def _hot_likely(scores: Array, sections: tuple[int, ...]) -> Array:
    """The highest choice of each section, one-hot."""
    picked = _likely(scores, sections)
    section = np.repeat(np.arange(len(sections)), sections)
    own = np.arange(len(section)) - np.cumsum((0, *sections[:-1]))[section] if sections else section
    return (picked[:, section] == own[None]).astype(scores.dtype)


def _noise(key: Key[Array, ""], rows: int, choices: int, values: int) -> tuple[Array, Array]:
    """Gumbel and normal noise from one draw, which compiles twice as fast as two."""
    least = np.nextafter(np.float32(-1), np.float32(0))
    u = jax.random.uniform(key, (rows, choices + values), minval=least)
    gumbel = -jnp.log(-jnp.log((u[:, :choices] + 1) / 2))
    return gumbel, np.float32(np.sqrt(2)) * jax.lax.erf_inv(u[:, choices:])


def _picked(chances: Array, hot: Array, sections: tuple[int, ...]) -> Array:
    """Log-probability of the choice of each section."""
    return jnp.log((chances * hot) @ _members(sections))
