"""What simulators are measured on, and what they drew there."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.data.demonstrations import Demonstrations
from understudy.diagnostics import simulation_rollout as rollout
from understudy.diagnostics.simple_simulators import Ridge
from understudy.diagnostics.simulation_log import Transitions, transitions
from understudy.diagnostics.simulation_rules import Rules, rules
from understudy.diagnostics.simulator import Simulator
from understudy.functional.resampling import Sessions, sessions
from understudy.types import require

ROWS = 20_000
"""Held-out rows that are measured, at most; whole sessions."""
SAMPLES = 8
"""Actions, and answers, drawn for every row."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A held-out log, and what its training split says about it."""

    log: Transitions
    train: Transitions
    rules: Rules
    ridge: Ridge
    """Fitted to the training split; a classifier looks at what it misses."""
    sessions: Sessions
    begin: rollout.Logged
    train_begin: rollout.Logged
    spread: Float[np.ndarray, " values"]
    """Standard deviation of every continuous value of the next state; 1 for a constant one."""
    act_spread: Float[np.ndarray, " acts"]
    outcome: int | None
    """Feature of the next state."""
    group: str | None
    """Section that parts the rows."""
    time: str | None
    """Section, or ``"step"``."""
    seed: int


def study(
    train: Demonstrations,
    held_out: Demonstrations,
    *,
    outcome: str | None = None,
    group: str | None = None,
    time: str | None = None,
    seed: int = 0,
) -> Study:
    """Prepare a held-out log.

    Args:
        train: what simulators were learned from; scales and rules are taken from it.
        held_out: other sessions of the same spec.
        outcome: feature of the next state whose rate is compared: ``"clicks"``, ``"page=2"``.
        group: section of the state by which the rate is told apart.
        time: section of the state, or ``"step"``, by which it is told apart.
        seed: of everything that is drawn.

    Raises:
        UserError: for logs of two specs, without an agent and a world, of fewer than two held-out
            sessions, or where a name is none of theirs.
    """
    require(
        train.spec.groups == held_out.spec.groups,
        "expected a held-out log of the training log's spec, found another; split one log by "
        "session",
    )
    learned, log = transitions(train), transitions(held_out).whole(ROWS, seed)
    columns = log.columns
    require(
        outcome is not None or (group is None and time is None),
        f"expected an outcome to compare by group {group!r} and time {time!r}, found none; name a "
        "feature of the next state",
    )
    for name in (group, None if time == "step" else time):
        if name is not None:
            columns.section(name)
    first, section = columns.answer.choices, len(columns.action.sections)
    spreads = [x.astype(np.float64).std(0) for x in (learned.after[:, first:],
                                                     learned.done[:, section:])]  # fmt: skip
    shown = learned.whole(ROWS, seed)
    return Study(
        log=log,
        train=shown,
        rules=rules(learned),
        ridge=Ridge.of(train),
        sessions=sessions(log.session, seed=seed),
        begin=rollout.logged(log, seed),
        train_begin=rollout.logged(shown, seed),
        spread=np.where(spreads[0] > 0, spreads[0], 1.0),
        act_spread=np.where(spreads[1] > 0, spreads[1], 1.0),
        outcome=None if outcome is None else columns.column(outcome),
        group=group,
        time=time,
        seed=seed,
    )


class Drawn(NamedTuple):
    """What a simulator says about the rows of a held-out log."""

    acts: Float[np.ndarray, "samples rows act"]
    """Drawn on logged states."""
    answers: Float[np.ndarray, "samples rows obs"]
    """Drawn on logged states and actions."""
    followed: Float[np.ndarray, "rows obs"]
    """Drawn on logged states and the first of `acts`."""
    expected: Float[np.ndarray, "rows obs"]
    expected_act: Float[np.ndarray, "rows numbers"]
    act_log_probs: Float[np.ndarray, "rows heads"] | None
    answer_log_probs: Float[np.ndarray, "rows heads"] | None


class Asked:
    """A simulator whose parts are compiled once, for so many rows; others are cut and filled up."""

    def __init__(self, name: str, simulator: Simulator, study: Study) -> None:
        require(
            simulator.spec.groups == study.log.columns.spec.groups,
            f"expected simulator {name!r} to have the spec of the log, found another; learn it "
            "from the training split",
        )
        self.name, self.simulator, self.rows = name, simulator, len(study.log)
        self._act = jax.jit(lambda now, key: simulator.act(now, key))
        self._answer = jax.jit(lambda now, done, key: simulator.answer(now, done, key))

    def act(self, now: np.ndarray, key: Key[Array, ""]) -> np.ndarray:
        """Drawn actions, ``[rows, act]``."""
        return self._cut(self._act, key, now)

    def answer(self, now: np.ndarray, done: np.ndarray, key: Key[Array, ""]) -> np.ndarray:
        """Drawn next states, ``[rows, obs]``."""
        return self._cut(self._answer, key, now, done)

    def _cut(self, part: Any, key: Key[Array, ""], *arrays: np.ndarray) -> np.ndarray:
        count, found = len(arrays[0]), []
        for number, first in enumerate(range(0, count, self.rows)):
            # rows that are filled up with are the last one again
            rows = np.minimum(np.arange(first, first + self.rows), count - 1)
            own = jax.random.fold_in(key, number)
            found.append(np.asarray(part(*(jnp.asarray(x[rows]) for x in arrays), own)))
        return np.concatenate(found)[:count]


def draw(asked: Asked, study: Study) -> Drawn:
    """Ask a simulator everything that is asked about single rows.

    Raises:
        UserError: for arrays of another shape, numbers that are not finite, or log-probabilities
            that are not numbers.
    """
    log, columns, simulator = study.log, study.log.columns, asked.simulator
    rows, obs, act = len(log), log.now.shape[1], log.done.shape[1]
    keys = jax.random.split(jax.random.key(study.seed), 2 * SAMPLES + 1)

    @jax.jit
    def say(now: Array, done: Array, after: Array) -> tuple[Any, ...]:
        return (
            simulator.expect(now, done),
            simulator.expect_action(now),
            simulator.act_log_probs(now, done),
            simulator.answer_log_probs(now, done, after),
        )

    acts = np.stack([asked.act(log.now, key) for key in keys[:SAMPLES]])
    _check(asked.name, "act", acts, (SAMPLES, rows, act))
    answers = np.stack([asked.answer(log.now, log.done, key) for key in keys[SAMPLES:-1]])
    _check(asked.name, "answer", answers, (SAMPLES, rows, obs))
    followed = asked.answer(log.now, acts[0], keys[-1])
    _check(asked.name, "answer to a drawn action", followed, (rows, obs))
    heads = len(columns.answer.sections) + len(columns.answer.low)
    numbers = columns.action.choices + len(columns.action.low)
    shapes = {
        "expect": (rows, obs),
        "expect_action": (rows, numbers),
        "act_log_probs": (rows, act),
        "answer_log_probs": (rows, heads),
    }
    found: list[Any] = []
    said = say(*(jnp.asarray(x) for x in (log.now, log.done, log.after)))
    for (part, shape), held in zip(shapes.items(), said, strict=True):
        found.append(held if held is None else np.asarray(held))
        if held is not None or not part.endswith("log_probs"):
            _check(asked.name, part, found[-1], shape)
    return Drawn(acts, answers, followed, *found)


def _check(name: str, part: str, found: Any, shape: tuple[int, ...]) -> None:
    require(
        np.shape(found) == shape,
        f"expected an array of shape {shape} from {part} of simulator {name!r}, found "
        f"{np.shape(found)}",
    )
    if part.endswith("log_probs"):
        good = not np.isnan(found).any() and not np.isposinf(found).any()
    else:
        good = np.isfinite(found).all()
    require(
        bool(good),
        f"expected finite numbers from {part} of simulator {name!r}, found others; it did not "
        "learn, or it overflows",
    )
