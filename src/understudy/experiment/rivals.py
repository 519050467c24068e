"""Models against each other over seeds: who is likely to be better, and how often each gets far.

Both figures count every seed of every task, the diverged ones too (Agarwal et al. 2021, arXiv
2108.13264). They need at least two seeds of each model: one seed says nothing about an algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from understudy.experiment.scores import ALL, runs_by_task
from understudy.functional.statistics import (
    Profile,
    performance_profile,
    probability_of_improvement,
)

THRESHOLDS = 101


def improvements(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How likely a seed of one model earns more than a seed of another, for every ordered pair."""
    runs = _several(rows, "mean_return")
    found = []
    for one, other in permutations(runs, 2):
        if runs[one].shape[1] != runs[other].shape[1]:
            continue
        chance = probability_of_improvement(runs[one], runs[other])
        found.append(
            {
                "model": one,
                "other": other,
                "probability": chance.estimate,
                "interval": [chance.low, chance.high],
                "seeds": [len(runs[one]), len(runs[other])],
            }
        )
    return found


def profiles(rows: Sequence[Mapping[str, Any]]) -> dict[str, Profile]:
    """Share of the seeds of each model above every score, from the lowest found to beyond 1."""
    runs = _several(rows, "normalised")
    if not runs:
        return {}
    everything = np.concatenate([scores.ravel() for scores in runs.values()])
    low, high = min(0.0, everything.min()), max(1.0, everything.max())
    pad = 0.05 * (high - low)
    thresholds = np.linspace(low - pad, high + pad, THRESHOLDS)
    return {name: performance_profile(scores, thresholds) for name, scores in runs.items()}


def _several(rows: Sequence[Mapping[str, Any]], figure: str) -> dict[str, np.ndarray]:
    """``[runs, tasks]`` of the models with at least two seeds."""
    tasks = dict.fromkeys(
        r["task"] for r in rows if "task" in r and r["task"] != ALL and not r.get("reference")
    )
    found = runs_by_task(rows, figure, list(tasks)) if tasks else {}
    return {name: runs for name, runs in found.items() if len(runs) > 1}
