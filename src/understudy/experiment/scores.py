"""From episodes to rows: what each seed earned, what all seeds did together, and over all tasks.

The score of a seed is ``(R - R_floor) / (R_expert - R_floor)``, R its mean return. Over seeds it
is summed up by the mean and the interquartile mean with a stratified bootstrap (Agarwal et al.
2021, arXiv 2108.13264). A seed that diverged is not left out: it counts like the worse of the
policy that scores 0 and the worst seed of its model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from understudy.experiment.contenders import Contender, execution
from understudy.experiment.returns import Played
from understudy.functional.statistics import (
    interquartile_mean,
    mean,
    mean_interval,
    normalised_interval,
    stratified_bootstrap,
)

RANDOM, NOOP, EXPERT = "random", "noop", "expert"
"""Names of the references: one of the first two scores 0, the last 1."""
Floor = Literal["random", "noop"]
"""Who scores 0: whoever acts at random, or whoever does nothing."""
ALL = "all"
"""Name of the rows over all tasks."""
COUNTED = ("mean_return", "success_rate", "normalised")
"""Figures in which a diverged seed counts; of lengths it has none."""

Games = Mapping[str, Mapping[int, Played]]
"""Everybody's episodes in one task, by model and seed."""


@dataclasses.dataclass(frozen=True)
class Table:
    """How episodes become rows."""

    env: str
    groups: tuple[str, ...]
    headline: str | None
    """The group whose return is the headline; None: all agents, who share one reward."""
    seed: int
    """Of the bootstrap."""
    floor: Floor = RANDOM

    def rows(self, model: Contender, task: str, games: Games) -> list[dict[str, Any]]:
        """A row per seed of one model in one task, and one of all seeds if there are several."""
        shared = {
            "model": model.name,
            "execution": execution(next(iter(model.made.values()))) if model.made else None,
            "mode": model.mode,
            "reference": model.reference,
            "env": self.env,
            "task": task,
        }
        own = [
            {
                **shared,
                "seed": None if model.reference or model.run is None else number,
                **self._figures(played, games),
            }
            for number, played in games[model.name].items()
        ]
        floor = self._figures(games[self.floor][0], games) if model.failed else {}
        failed = [
            {**shared, "seed": number, "episodes": 0, "failed": True, **_worst(own, floor)}
            for number in model.failed
        ]
        every = sorted(own + failed, key=lambda row: -1 if row["seed"] is None else row["seed"])
        return [*every, *([{**shared, **self._together(every)}] if len(every) > 1 else [])]

    def _figures(self, played: Played, games: Games) -> dict[str, Any]:
        """Figures of one seed, each with its interval over episodes."""
        earned = played.team(self.headline)
        each = {"mean_return": earned}
        if len(self.groups) > 1:
            each |= {f"return/{name}": played.team(name) for name in self.groups}
        if played.success is not None:
            each["success_rate"] = played.success.astype(np.float64)
        each["length"] = played.lengths.astype(np.float64)
        for name, values in played.figures.items():
            known = values[np.isfinite(values)].astype(np.float64)
            each |= {f"game/{name}": known} if len(known) else {}
        found = {name: mean_interval(values, seed=self.seed) for name, values in each.items()}
        scale = self.scale(games)
        if scale is not None:
            found["normalised"] = normalised_interval(earned, *scale, seed=self.seed)
        row: dict[str, Any] = {name: interval.estimate for name, interval in found.items()}
        ends = {name: [interval.low, interval.high] for name, interval in found.items()}
        return {**row, "episodes": len(earned), "intervals": ends}

    def scale(self, games: Games) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns of who scores 0 and of the expert; None unless the expert earns more."""
        if EXPERT not in games:
            return None
        low, high = (games[name][0].team(self.headline) for name in (self.floor, EXPERT))
        return (low, high) if high.mean() > low.mean() else None

    def _together(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Figures over the seeds of one task, intervals over seeds."""
        row: dict[str, Any] = {"seed": "mean", "seeds": len(rows), "intervals": {}}
        row["episodes"] = sum(r["episodes"] for r in rows)
        row["failed"] = [r["seed"] for r in rows if r.get("failed")]
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [r[name] for r in rows if isinstance(r.get(name), float)]
            if not values:
                continue
            self._sum_up(row, name, np.array(values)[:, None])
        return row

    def _sum_up(self, row: dict[str, Any], name: str, runs: np.ndarray) -> None:
        """Write the mean of ``[runs, tasks]`` and, of returns and scores, its IQM."""
        statistics = {name: mean}
        if name in ROBUST:
            statistics[ROBUST[name]] = interquartile_mean
        for key, statistic in statistics.items():
            found = stratified_bootstrap(runs, statistic, seed=self.seed)
            row[key] = found.estimate
            row["intervals"][key] = [found.low, found.high]

    def overall(
        self, rows: Sequence[Mapping[str, Any]], tasks: Sequence[str]
    ) -> list[dict[str, Any]]:
        """One row per model over all tasks, of its scores; none for one task or without scores."""
        found = []
        for name, runs in runs_by_task(rows, "normalised", tasks).items() if len(tasks) > 1 else ():
            first = next(row for row in rows if row["model"] == name)
            kept = {k: first[k] for k in ("model", "execution", "mode", "reference", "env")}
            row = {**kept, "task": ALL, "seed": "mean", "seeds": len(runs), "intervals": {}}
            self._sum_up(row, "normalised", runs)
            found.append(row)
        return found

    def marl_eval(self, models: Sequence[Contender], games: Games) -> dict[str, Any]:
        """Episodes in the layout of marl-eval: algorithm, run, step, metric."""
        return {model.name: self._runs(model, games) for model in models}

    def _runs(self, model: Contender, games: Games) -> dict[str, Any]:
        step, scale, runs = _env_steps(model), self.scale(games), {}
        for number, played in games[model.name].items():
            earned = played.team(self.headline)
            metrics = {"mean_episode_return": earned.tolist()}
            if played.success is not None:
                metrics["win_rate"] = played.success.astype(float).tolist()
            if scale is not None:
                low, high = (reference.mean() for reference in scale)
                metrics["normalised_score"] = ((earned - low) / (high - low)).tolist()
            runs[f"seed_{number}"] = {
                "step_0": {"step_count": step, **metrics},
                "absolute_metrics": metrics,
            }
        return runs


ROBUST = {"mean_return": "interquartile_mean", "normalised": "normalised_iqm"}
"""Figure -> its interquartile mean over seeds."""


def _worst(own: Sequence[Mapping[str, Any]], floor: Mapping[str, Any]) -> dict[str, float]:
    """What a diverged seed counts as: the worse of chance and the worst seed that is well."""
    return {n: min([floor[n], *(row[n] for row in own)]) for n in COUNTED if n in floor}


def runs_by_task(
    rows: Sequence[Mapping[str, Any]], figure: str, tasks: Sequence[str]
) -> dict[str, np.ndarray]:
    """A figure of every model that is no reference, ``[runs, tasks]``, diverged seeds among them.

    Models that lack it in a task are left out.
    """
    found = {}
    for name in dict.fromkeys(row["model"] for row in rows if not row.get("reference")):
        own = [r for r in rows if r["model"] == name and r.get("seed") != "mean"]
        columns = [[r.get(figure) for r in own if r.get("task") == task] for task in tasks]
        sizes = {len(column) for column in columns}
        if len(sizes) == 1 and sizes != {0} and all(v is not None for c in columns for v in c):
            found[name] = np.array(columns, np.float64).T
    return found


def _env_steps(model: Contender) -> int:
    """Env steps trained, 0 for what is no run; of a run without env its updates."""
    if model.run is None:
        return 0
    return round(model.run.config["steps"] * model.run.step / max(1, model.run.updates))
