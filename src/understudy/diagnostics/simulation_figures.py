"""Figures of single rows: likelihoods, errors of means, marginals, dependence, energy score.

Continuous values are in standard deviations of the training split unless a name ends in ``unit``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from understudy.diagnostics.simulation_log import features, likely
from understudy.diagnostics.simulation_study import Drawn, Study
from understudy.functional import two_sample
from understudy.functional.resampling import intervals
from understudy.functional.statistics import Interval
from understudy.types import ActionSpec

CHOICES = 600
"""Most choices of all sections for which pairs of sections are compared."""


class Figure(NamedTuple):
    """One figure of one simulator, of one column or many."""

    names: tuple[str, ...]
    drawn: Float[np.ndarray, "draws columns"]
    """First of the log as it is, then of sessions drawn with replacement."""

    @property
    def intervals(self) -> list[Interval]:
        """Of every column."""
        return intervals(self.drawn)

    @property
    def interval(self) -> Interval:
        """Of the mean over columns."""
        return intervals(self.drawn.mean(1, keepdims=True))[0]

    def less(self, other: Figure) -> Interval:
        """Of the difference of two means; drawn together."""
        mine, theirs = self.drawn.mean(1, keepdims=True), other.drawn.mean(1, keepdims=True)
        both = np.isfinite(mine) & np.isfinite(theirs)
        return intervals(np.where(both, np.where(both, mine, 0) - np.where(both, theirs, 0),
                                  np.nan))[0]  # fmt: skip


def whole(name: str, names: tuple[str, ...], drawn: np.ndarray) -> dict[str, Figure]:
    """A figure of many columns, and their mean."""
    if not names:
        return {}
    return {name: Figure((name,), drawn.mean(1, keepdims=True)), f"{name}s": Figure(names, drawn)}


def likelihoods(study: Study, drawn: Drawn) -> dict[str, Figure]:
    """How likely the log is, in all and part by part; nothing where there is no likelihood."""
    columns, found = study.log.columns, {}
    for side, values, names in (
        ("agent", drawn.act_log_probs, columns.acts),
        ("world", drawn.answer_log_probs, (*columns.sections, *columns.values)),
    ):
        if values is not None:
            own, name = study.sessions.means(values), f"{side}_log_prob"
            found[name] = Figure((name,), own.sum(1, keepdims=True))
            found[f"{name}s"] = Figure(names, own)
    return found


def errors(study: Study, drawn: Drawn) -> dict[str, Figure]:
    """Of means, and of most likely choices."""
    log, columns = study.log, study.log.columns
    first, section = columns.answer.choices, len(columns.action.sections)
    missed = np.square(drawn.expected[:, first:].astype(np.float64) - log.after[:, first:])
    acted, chosen = drawn.expected_act, columns.action.choices
    own = np.square(acted[:, chosen:].astype(np.float64) - log.done[:, section:])
    found = {}
    for side, squares, spread, names in (
        ("world", missed, study.spread, columns.values),
        ("agent", own, study.act_spread, columns.acts[section:]),
    ):
        if names:
            mean = study.sessions.means(squares)
            total = np.sqrt(np.maximum((mean / np.square(spread)).mean(1, keepdims=True), 0))
            found[f"{side}_rmse"] = Figure((f"{side}_rmse",), total)
            found[f"{side}_rmses_unit"] = Figure(names, np.sqrt(np.maximum(mean, 0)))
    actual = likely(log.after[:, :first], columns.answer.sections)
    right = likely(drawn.expected[:, :first], columns.answer.sections) == actual
    found |= _accuracy(study, "world", columns.sections, right)
    right = likely(acted[:, :chosen], columns.action.sections) == log.done[:, :section]
    return found | _accuracy(study, "agent", columns.acts[:section], right)


def _accuracy(
    study: Study, side: str, names: tuple[str, ...], right: np.ndarray
) -> dict[str, Figure]:
    if not names:
        return {}
    name, drawn = f"{side}_accuracy", study.sessions.means(right.astype(np.float64))
    whole = Figure((name,), drawn.mean(1, keepdims=True))
    return {name: whole, f"{side}_accuracies": Figure(names, drawn)}


def marginals(study: Study, answers: np.ndarray, paired: bool = True) -> dict[str, Figure]:
    """Of the next state.

    Args:
        study: with the log.
        answers: ``[samples, rows, obs]``.
        paired: rows are those of the log; otherwise any rows, weighted alike.
    """
    columns, first = study.log.columns, study.log.columns.answer.choices
    found = {}
    if first:
        counts = answers[..., :first].sum(0).astype(np.float64)
        own = study.sessions.sums(study.log.after[:, :first])
        other = study.sessions.sums(counts) if paired else counts.sum(0)[None]
        apart = two_sample.total_variation(
            own, np.broadcast_to(other, own.shape), columns.answer.sections
        )
        found |= whole("total_variation", columns.sections, apart)
    values, others = study.log.after[:, first:], answers[..., first:]
    apart = distances(study.sessions.rows, values, others, study.spread, paired)
    return found | whole("wasserstein", columns.values, apart)


def distances(
    weights: np.ndarray,
    values: np.ndarray,
    others: np.ndarray,
    spread: np.ndarray,
    paired: bool,
) -> np.ndarray:
    """Wasserstein distance of every column in standard deviations, ``[draws, columns]``.

    Args:
        weights: of rows, ``[draws, rows]``.
        values: ``[rows, columns]``.
        others: ``[samples, other rows, columns]``.
        spread: a standard deviation of every column.
        paired: other rows are weighted like rows; otherwise alike.
    """
    flat = others.reshape(-1, others.shape[-1])
    other = np.tile(weights, (1, len(others))) if paired else np.ones((1, len(flat)))
    found = [
        two_sample.wasserstein(values[:, j] / spread[j], flat[:, j] / spread[j], weights, other)
        for j in range(values.shape[1])
    ]
    return np.stack(found, 1) if found else np.zeros((len(weights), 0))


def agent_marginals(study: Study, acts: np.ndarray, paired: bool = True) -> dict[str, Figure]:
    """As `_marginals`, of actions ``[samples, rows, act]``."""
    columns, section = study.log.columns, len(study.log.columns.action.sections)
    spec, found = ActionSpec(columns.action.sections), {}
    if section:
        counts, own = (
            features(x[..., :section], spec).astype(np.float64) for x in (acts, study.log.done)
        )
        logged = study.sessions.sums(own)
        total = counts.sum(0)
        other = study.sessions.sums(total) if paired else total.sum(0)[None]
        apart = two_sample.total_variation(
            logged, np.broadcast_to(other, logged.shape), spec.sections
        )
        found |= whole("agent_total_variation", columns.acts[:section], apart)
    values, others = study.log.done[:, section:], acts[..., section:]
    apart = distances(study.sessions.rows, values, others, study.act_spread, paired)
    return found | whole("agent_wasserstein", columns.acts[section:], apart)


def dependence(study: Study, answers: np.ndarray) -> dict[str, Figure]:
    """Of columns on each other, among next values and actions, and among sections.

    Args:
        study: with the log.
        answers: ``[samples, rows, obs]``, drawn on logged states and actions.
    """
    columns, log = study.log.columns, study.log
    first, section, found = columns.answer.choices, len(columns.action.sections), {}
    values, acts = len(columns.values), log.done.shape[1] - section
    if values and values + acts > 1:
        middle = log.after[:, first:].mean(0)
        acted = log.done[:, section:] / study.act_spread
        both = []
        for after in (log.after[None], answers):
            scaled = (after[..., first:] - middle) / study.spread
            known = np.concatenate([acted, np.ones((len(log), 1))], 1)
            known = np.broadcast_to(known, (len(after), *known.shape))
            table = np.concatenate([scaled, known], -1)
            both.append(study.sessions.products(table, two_sample.correlations))
        pairs = np.triu(np.ones((values + acts,) * 2, bool), 1)
        pairs[values:] = False
        apart = np.abs(both[0] - both[1])[:, pairs].mean(1, keepdims=True)
        found["dependence"] = Figure(("dependence",), apart)
    if len(columns.sections) > 1 and first <= CHOICES:
        sizes = columns.answer.sections
        both = [
            study.sessions.products(x[..., :first], lambda p: two_sample.association(p, sizes))
            for x in (log.after[None], answers)
        ]
        pairs = np.triu(np.ones((len(sizes),) * 2, bool), 1)
        apart = np.abs(both[0] - both[1])[:, pairs].mean(1, keepdims=True)
        found["association"] = Figure(("association",), apart)
    return found


def energy(study: Study, answers: np.ndarray) -> Figure:
    """Mean energy score of ``[samples, rows, obs]``."""
    first = study.log.columns.answer.choices
    # one-hot columns of two choices are √2 apart
    scale = np.concatenate([np.full(first, np.sqrt(2.0)), study.spread]).astype(np.float32)
    scores = two_sample.energy_scores(answers / scale, study.log.after / scale)
    return Figure(("energy",), study.sessions.means(scores[:, None].astype(np.float64)))
