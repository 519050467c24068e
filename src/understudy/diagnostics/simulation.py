"""How good a simulator of both halves of a log is: figures on sessions it was not learned from.

Every figure is computed for the log as it is and for sessions drawn with replacement, the same
draws for every simulator, so differences of two simulators have intervals too. Continuous values
are in standard deviations of the training split unless a name says ``unit``.

`FIGURES` says what each is. Where a figure is of many columns, its name is plural and the singular
is their mean.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.diagnostics import simulation_rollout as rollout
from understudy.diagnostics.simulation_classifier import told_apart
from understudy.diagnostics.simulation_figures import (
    Figure,
    agent_marginals,
    dependence,
    distances,
    energy,
    errors,
    likelihoods,
    marginals,
)
from understudy.diagnostics.simulation_study import Asked, Study, draw
from understudy.diagnostics.simulator import Simulator
from understudy.functional import two_sample
from understudy.types import require

FIGURES = {
    "world_log_prob": "log-likelihood of the logged next state, nats per step",
    "agent_log_prob": "log-likelihood of the logged action, nats per step",
    "world_rmse": "root mean square error of the mean next state",
    "world_rmses_unit": "the same for each value, in its unit",
    "agent_rmse": "root mean square error of the mean action",
    "agent_rmses_unit": "the same for each value, in its unit",
    "world_accuracy": "how often a section's most likely choice came next",
    "agent_accuracy": "how often an action's most likely choice was taken",
    "total_variation": "between drawn and logged choices of the next state",
    "wasserstein": "between drawn and logged values of the next state",
    "agent_total_variation": "between drawn and logged choices of actions",
    "agent_wasserstein": "between drawn and logged values of actions",
    "dependence": "mean difference of correlations among next values, and with the action",
    "association": "mean difference of Cramér's V of two sections of the next state",
    "energy": "energy score of the drawn next state; a wrong choice counts as 1",
    "auc": "chance that a classifier tells a logged next state from a drawn one",
    "auc_both": "the same where the action was drawn too",
    "drift_values": "Wasserstein distance from the log after each step of both halves",
    "drift_sections": "total variation from the log after each step of both halves",
    "rules": "root mean square distance from what the training log never breaks",
    "calibration": "mean difference of the shares of ranks from equal ones",
    "ranks": "share of truths above so many of the drawn values",
    "outcome": "mean of the outcome in drawn next states",
    "outcome_by_group_error": "mean difference of the outcome from the log over groups",
    "outcome_by_time_error": "mean difference of the outcome from the log over time",
}


def measure(name: str, simulator: Simulator, study: Study) -> dict[str, Figure]:
    """All figures of a simulator that its spec and the study have a meaning for.

    Raises:
        UserError: naming the simulator, where it returns what no simulator returns.
    """
    asked = Asked(name, simulator, study)
    drawn = draw(asked, study)
    begin, key = study.begin, jax.random.fold_in(jax.random.key(study.seed), 1)
    states = _rollouts(asked, begin, key)
    first, rates = study.log.columns.answer.choices, outcomes(study, drawn.answers)
    return {
        **likelihoods(study, drawn),
        **errors(study, drawn),
        **marginals(study, drawn.answers),
        **agent_marginals(study, drawn.acts),
        **dependence(study, drawn.answers),
        "energy": energy(study, drawn.answers),
        "auc": told_apart(study, study.log.done, drawn.answers[0]),
        "auc_both": told_apart(study, drawn.acts[0], drawn.followed),
        **_drift(study, [states[k][:, some] for k, some in enumerate(begin.members)]),
        **_rules(study, drawn.answers),
        **_ranks(study, drawn.answers[..., first:]),
        **rates,
        **outcome_errors(study, rates, outcomes(study, study.log.after[None])),
    }


def training(study: Study) -> dict[str, Figure]:
    """How far the training log itself is from the held-out one, by their marginals."""
    train, begin = study.train, study.train_begin
    after = [states[None] for states in begin.states[: len(study.begin.states)]]
    return {
        **marginals(study, train.after[None], paired=False),
        **agent_marginals(study, train.done[None], paired=False),
        **(_drift(study, after, paired=False) if len(after) == len(study.begin.states) else {}),
    }


def logged_figures(study: Study) -> dict[str, Figure]:
    """Outcome, and distance from rules, of the held-out log itself."""
    after = study.log.after[None]
    return {**outcomes(study, after), **_rules(study, after)}


def _rollouts(
    asked: Asked, begin: rollout.Logged, key: Key[Array, ""]
) -> list[Float[np.ndarray, "copies sessions obs"]]:
    """Simulated states after each step that the log has.

    Raises:
        UserError: for a state that is no finite number.
    """
    now, states = np.tile(begin.starts, (rollout.COPIES, 1)), []
    for step in range(len(begin.states)):
        act, answer = jax.random.split(jax.random.fold_in(key, step))
        now = asked.answer(now, asked.act(now, act), answer)
        require(
            bool(np.isfinite(now).all()),
            f"expected finite states of simulator {asked.name!r}, found others after {step + 1} "
            "steps from where sessions begin; it is not stable",
        )
        states.append(now.reshape(rollout.COPIES, -1, now.shape[-1]))
    return states


def _drift(study: Study, after: list[np.ndarray], paired: bool = True) -> dict[str, Figure]:
    """Distance of states from the logged ones after every step.

    Args:
        study: with logged states.
        after: states of each step, ``[copies, sessions that are so long, obs]``.
        paired: sessions are those of the log; otherwise any, weighted alike.
    """
    columns, begin = study.log.columns, study.begin
    if not after:
        return {}
    first, found = columns.answer.choices, {}
    block = dict(zip(study.log.session.tolist(), study.sessions.block.tolist(), strict=True))
    blocks, values, sections = np.asarray([block[int(i)] for i in begin.ids]), [], []
    for logged, some, states in zip(begin.states, begin.members, after, strict=True):
        weights = study.sessions.weights[:, blocks[some]]
        apart = distances(weights, logged[:, first:], states[..., first:], study.spread, paired)
        values.append(apart)
        if first:
            total = states[..., :first].sum(0).astype(np.float64)
            counts = weights @ total if paired else np.tile(total.sum(0), (len(weights), 1))
            own = weights @ logged[:, :first]
            sections.append(two_sample.total_variation(own, counts, columns.answer.sections))
    names = tuple(str(step + 1) for step in range(len(after)))
    for name, parts in (("drift_values", values), ("drift_sections", sections)):
        if parts and parts[0].shape[1]:
            found[name] = Figure(names, np.stack([part.mean(1) for part in parts], 1))
    return found


def _rules(study: Study, answers: np.ndarray) -> dict[str, Figure]:
    names = tuple(study.rules.words(study.log.columns))
    if not names:
        return {}
    squares = np.mean([study.rules.broken(study.log, after) for after in answers], 0)
    return {"rules": Figure(names, np.sqrt(study.sessions.means(squares)))}


def _ranks(study: Study, values: np.ndarray) -> dict[str, Figure]:
    if not values.shape[-1]:
        return {}
    first = study.log.columns.answer.choices
    shares = two_sample.ranks(values, study.log.after[:, first:], study.seed)
    names = tuple(str(i) for i in range(shares.shape[1]))
    drawn = study.sessions.means(shares)
    apart = np.abs(drawn - 1 / len(names)).mean(1, keepdims=True)
    return {"ranks": Figure(names, drawn), "calibration": Figure(("calibration",), apart)}


def outcomes(study: Study, answers: Float[np.ndarray, "samples rows obs"]) -> dict[str, Figure]:
    """Mean of the outcome in next states, in all and by group and time; nothing without one.

    ``outcome_by_...`` has a column for every level with rows. Give the logged next states as one
    sample for what happened.
    """
    if study.outcome is None:
        return {}
    value = answers[..., study.outcome].astype(np.float64).mean(0)[:, None]
    found = {"outcome": Figure(("outcome",), study.sessions.means(value))}
    for part, name in (("group", study.group), ("time", study.time)):
        if name is not None:
            names, member = _levels(study, name)
            rates = study.sessions.means(np.broadcast_to(value, member.shape), member)
            found[f"outcome_by_{part}"] = Figure(names, rates)
    return found


def _levels(study: Study, name: str) -> tuple[tuple[str, ...], Float[np.ndarray, "rows levels"]]:
    """Names of levels that have rows, and 1 for the level of each row."""
    log = study.log
    if name == "step":
        steps = np.unique(log.step)
        return tuple(f"step {s}" for s in steps), (log.step[:, None] == steps).astype(np.float64)
    own = log.columns.section(name)[1]
    member = log.now[:, own].astype(np.float64)
    some = np.flatnonzero(member.any(0))
    return tuple(log.columns.names[own.start + i] for i in some), member[:, some]


def outcome_errors(
    study: Study, found: dict[str, Figure], logged: dict[str, Figure]
) -> dict[str, Figure]:
    """Mean difference of the outcome from what was logged over levels, weighted by their rows."""
    errors = {}
    for part, name in (("group", study.group), ("time", study.time)):
        key = f"outcome_by_{part}"
        if name is not None and key in found:
            share = study.sessions.means(_levels(study, name)[1])
            apart = np.abs(found[key].drawn - logged[key].drawn)
            error = np.where(share > 0, apart * share, 0.0).sum(1, keepdims=True)
            errors[f"{key}_error"] = Figure((name,), error)
    return errors
