"""What a run's metrics say over training, as arrays: numbers, spread of rewards, histograms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from understudy.diagnostics.adversarial import pooled_quantiles
from understudy.experiment import config, plan
from understudy.experiment.contenders import title
from understudy.experiment.run import Run
from understudy.functional.adversarial import REWARD_RANGES, REWARDS
from understudy.types import require
from understudy.visualise.curves import LEAVE_OUT, arrays, scalars, series

EVERYBODY = "all agents"
QUANTILES, HISTOGRAM = "reward_quantiles/", "reward_histogram/"
FAR = 1e3
"""A score far beyond those that occur."""
UPDATES, ENV_STEPS = "updates", "env steps"


class Bars(NamedTuple):
    """Histograms of rewards at one moment."""

    step: float
    """On the run's axis."""
    panels: dict[str, Float[np.ndarray, " bins"]]
    """Who -> share of rows per bin, mean over seeds."""
    low: float
    """Left end of the first bin."""
    high: float
    """Right end of the last bin."""
    beyond: tuple[bool, bool]
    """Rewards can be lower than the first bin, and higher than the last."""


class History:
    """The metrics of one run.

    Args:
        run: which.
        label: what to call it; its title if None.

    Raises:
        UserError: where it has logged nothing.
    """

    def __init__(self, run: Run, label: str | None = None) -> None:
        self.run, self.label = run, title(run) if label is None else label
        self.metrics = run.metrics
        require(
            len(self.metrics) > 0,
            f"expected training metrics in {run.folder}, found none; train at least to the first "
            "log line",
        )

    @functools.cached_property
    def adversarial(self) -> bool:
        """Some stage trained a discriminator."""
        return any("expert_score" in row for row in self.metrics)

    @functools.cached_property
    def _knots(self) -> tuple[list[float], list[float]]:
        """Updates and env steps of a seed at the ends of stages."""
        stages = plan.stretch(config.from_json(self.run.config["algorithm"]),
                              self.run.config["steps"]).stages  # fmt: skip
        updates, steps = [0.0], [0.0]
        for (algorithm, length), laid in zip(stages, self.run.config["stages"], strict=True):
            updates.append(updates[-1] + laid["updates"])
            steps.append(steps[-1] + (length if "env" in algorithm.needs else 0))
        return updates, steps

    @property
    def axis(self) -> str:
        """What steps count: env steps of a seed, or updates of a run that never acted."""
        return ENV_STEPS if self._knots[1][-1] > 0 else UPDATES

    def along(self, updates: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Updates on the axis."""
        return np.interp(updates, *self._knots) if self.axis == ENV_STEPS else updates

    @functools.cached_property
    def numbers(
        self,
    ) -> dict[str, tuple[Float[np.ndarray, " points"], Float[np.ndarray, "points seeds"]]]:
        """Scalar metrics: name -> steps on the axis, and values per seed, NaN where unknown.

        ``score_gap`` is the expert's mean score less the policy's, ``unexplained_variance`` the
        share of the returns' variance that is left in the advantages.
        """
        found = {}
        for name in scalars(self.metrics):
            if name not in LEAVE_OUT:
                steps, values = series(self.metrics, name)
                found[name] = (self.along(steps), values)
        if {"expert_score", "policy_score"} <= set(found):
            (steps, expert), (_, policy) = found["expert_score"], found["policy_score"]
            found["score_gap"] = (steps, expert - policy)
        if "explained_variance" in found:
            steps, explained = found["explained_variance"]
            found["unexplained_variance"] = (steps, 1 - explained)
        return found

    def names(self, prefix: str) -> dict[str, tuple[str, int]]:
        """Agents that have an array metric: name -> group and number, in spec order."""
        groups, logged = self.run.spec.groups, {name for row in self.metrics for name in row}
        return {
            f"{'agent' if len(groups) == 1 else group.name} {i}": (group.name, i)
            for group in groups
            for i in range(group.agents)
            if prefix + group.name in logged
        }

    @functools.cached_property
    def quantiles(
        self,
    ) -> tuple[Float[np.ndarray, " points"], dict[str, Float[np.ndarray, "points 5"]]]:
        """Steps, and quantiles of rewards: pooled over agents, then of each; means over seeds."""
        panels, steps = {}, np.zeros(0)
        for name, (group, number) in self.names(QUANTILES).items():
            updates, values = arrays(self.metrics, QUANTILES + group)
            steps = self.along(updates)
            panels[name] = over_seeds(values[:, :, number])
        if not panels:
            return steps, {}
        groups = dict.fromkeys(group for group, _ in self.names(QUANTILES).values())
        every = [arrays(self.metrics, QUANTILES + group)[1] for group in groups]
        pooled = over_seeds(pooled_quantiles(np.concatenate(every, -2)))
        return steps, {EVERYBODY: pooled, **panels} if len(panels) > 1 else panels

    def bars(self, step: float | int | None = None) -> Bars | None:
        """Histograms of the last line logged up to a step of the axis; None if there are none."""
        names, reward = self.names(HISTOGRAM), _reward(self.run)
        if not names or reward is None:
            return None
        panels, reached = {}, 0.0
        for name, (group, number) in names.items():
            updates, values = arrays(self.metrics, HISTOGRAM + group)
            steps = self.along(updates)
            until = steps[-1] if step is None else float(step)
            at = max(0, int(np.searchsorted(steps, until, side="right")) - 1)
            reached = float(steps[at])
            panels[name] = over_seeds(values[None, at, :, number])[0]
        low, high = REWARD_RANGES[reward]
        least, most = (float(REWARDS[reward](jnp.asarray(score))) for score in (-FAR, FAR))
        return Bars(reached, panels, low, high, (least < low - 0.01, most > high + 0.01))


def _reward(run: Run) -> str | None:
    """Name of the reward that the discriminator's score is turned into, if there is one."""
    whole = config.from_json(run.config["algorithm"])
    stages = whole.stages if hasattr(whole, "stages") else ((whole, 0),)
    names = [algorithm.reward for algorithm, _ in stages if hasattr(algorithm, "reward")]
    return names[-1] if names else None


def over_seeds(
    values: Float[np.ndarray, "points seeds *rest"],
) -> Float[np.ndarray, "points *rest"]:
    """Mean over the seeds known at each point; NaN where none is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def histories(runs: Sequence[Run | str | Path]) -> list[History]:
    """Open runs and give each a label of its own.

    Raises:
        UserError: no run, or none with metrics.
    """
    require(len(runs) > 0, "expected at least one run to diagnose, found none; name some")
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    titles = [title(run) for run in opened]
    found: list[History] = []
    for run, name in zip(opened, titles, strict=True):
        several = titles.count(name) > 1
        lost = f" ({len(run.diverged)} of {run.seeds} seeds diverged)" if run.diverged else ""
        found.append(History(run, f"{run.folder.resolve().name if several else name}{lost}"))
    labels = [history.label for history in found]
    require(
        len(set(labels)) == len(labels),
        f"expected runs in folders of different names, found {labels}; rename some",
    )
    return found


def seeds_late(history: History, name: str) -> Float[np.ndarray, " seeds"]:
    """Mean of a metric over the second half of its lines, per seed that is known to the end."""
    _, values = history.numbers.get(name, (None, np.zeros((0, 0))))
    late = values[len(values) // 2 :]
    return late.mean(0)[np.isfinite(late).all(0)] if len(late) else np.zeros(0)


def shared_env(found: Sequence[History]) -> dict[str, Any] | None:
    """The env all runs were trained in, as their configurations describe it.

    Raises:
        UserError: when they were trained in several.
    """
    first = found[0].run.config["env"]
    for other in found[1:]:
        theirs = other.run.config["env"]
        require(
            theirs == first,
            f"expected runs of one env to put side by side, found others in "
            f"{found[0].run.folder.name} and {other.run.folder.name}; diagnose them apart",
        )
    return first
