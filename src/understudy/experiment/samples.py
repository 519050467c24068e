"""Plays for a report: which held-out scenes to sample, and what the samples say of the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from understudy.data import store
from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import xy
from understudy.diagnostics.generators import coverage, intents_agreement, spread
from understudy.experiment.generate import Plays, generate
from understudy.experiment.run import Run
from understudy.experiment.tables import Evaluation
from understudy.visualise.diagnostics import draw_intents, draw_spread

SCENES, SAMPLES = 48, 20


def lack(run: Run) -> str | None:
    """Why sampling from the first seed that is well would be meaningless; None if it is not."""
    if not hasattr(run.algorithm, "generator"):
        return "this run makes no generator"
    well = [seed for seed in range(run.seeds) if seed not in run.diverged]
    if not well:
        return "every seed diverged"
    generator = run.generator(well[0])
    return generator.ready() if hasattr(generator, "ready") else None


def held_out(run: Run, given: Demonstrations | str | Path | None) -> Demonstrations | None:
    """The demonstrations given, or the validation set of the run where it is on disk."""
    if isinstance(given, Demonstrations):
        return given
    kept = run.config["validation"]
    known = kept["path"] if given is None and kept is not None else given
    return None if known is None or not Path(known).is_dir() else store.load(known)


def draw(
    run: Run, evaluation: Evaluation | None, demonstrations: Demonstrations | None
) -> Plays | None:
    """Sample plays of some scenes, spread evenly over the episodes that are long enough."""
    if demonstrations is None:
        return None
    protocol = {} if evaluation is None else evaluation.setting.get("protocol") or {}
    window = int(run.algorithm.window)
    observed = int(protocol.get("observed") or max(1, window // 5))
    horizon = int(protocol.get("horizon") or max(1, window - observed))
    long = np.flatnonzero(demonstrations.lengths >= observed + horizon)
    if len(long) == 0:
        return None
    chosen = long[
        np.unique(np.linspace(0, len(long) - 1, min(SCENES, len(long))).round().astype(int))
    ]
    well = next(seed for seed in range(run.seeds) if seed not in run.diverged)
    plays = generate(
        run.generator(well), context=demonstrations[chosen], observed=observed, samples=SAMPLES,
        horizon=horizon,
    )  # fmt: skip
    return labelled(run, plays)


def labelled(run: Run, plays: Plays) -> Plays:
    """Give the truth of `plays` the intents the algorithm would have labelled it with."""
    prepare = getattr(run.algorithm, "prepare", None)
    if prepare is None or plays.intents is None:
        return plays
    return dataclasses.replace(plays, truth=prepare(plays.truth))


def diagnose(plays: Plays) -> list[tuple[Figure, str]]:
    """Pictures of how far the samples can be trusted, each with a caption."""
    stacked = _stack(plays)
    if stacked is None:
        return []
    drawn, truth, alive = stacked
    found = spread(drawn, truth, alive)
    ranks = coverage(drawn, truth, alive)
    pictures = [
        (
            draw_spread(*found, ranks, rate=plays.truth.rate, unit=plays.truth.unit),
            f"Over {len(plays.truth)} held-out scenes. Left: the error of the samples' mean beside "
            "what their spread promises; error above spread is overconfidence. Right: where the "
            "truth ranks among the samples; a bowl is overconfidence, a hill the opposite.",
        )
    ]
    truth_intents = plays.truth.intents
    for name, sampled in (plays.intents or {}).items():
        if truth_intents is None or plays.truth.intent_classes < 2:
            continue
        pair = _labels(plays, name, sampled)
        if pair is None:
            continue
        agreement = intents_agreement(
            np.asarray(sampled), pair[0], pair[1], classes=plays.truth.intent_classes
        )
        pictures.append(
            (
                draw_intents(*agreement, rate=plays.truth.rate),
                "How often a sampled intent is the one the rule later labels, and which labels "
                "are taken for which in the first rows after the observed part.",
            )
        )
    return pictures


def _whole(plays: Plays) -> list[int]:
    """Scenes whose truth is as long as their samples."""
    rows = plays.observed + next(iter(plays.samples.values())).shape[2]
    return [int(i) for i in np.flatnonzero(plays.truth.lengths >= rows)]


def _future(plays: Plays, array: np.ndarray, scene: int) -> np.ndarray:
    """Rows of the truth that were sampled."""
    first = int(plays.truth.starts[scene]) + plays.observed
    return np.asarray(array[first : first + next(iter(plays.samples.values())).shape[2]])


def _stack(plays: Plays) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Samples, truth and presence of all sampled groups, pooled; None without a whole scene."""
    whole = _whole(plays)
    drawn, truth, alive = [], [], []
    for group in plays.truth.spec.groups:
        if group.name in plays.samples:
            columns = list(xy(group))
            drawn.append(np.asarray(plays.samples[group.name])[whole][..., columns])
            features, present = plays.truth.features[group.name], plays.truth.alive[group.name]
            truth.append([_future(plays, features, s)[..., columns] for s in whole])
            alive.append([_present(plays, present, s) for s in whole])
    if not whole or not np.concatenate(alive, -1).any():
        return None
    return np.concatenate(drawn, -2), np.concatenate(truth, -2), np.concatenate(alive, -1)


def _present(plays: Plays, alive: np.ndarray, scene: int) -> Any:
    first = int(plays.truth.starts[scene])
    rows = plays.observed + next(iter(plays.samples.values())).shape[2]
    return np.all(alive[first : first + rows], axis=0)


def _labels(plays: Plays, name: str, sampled: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels of the rows sampled, and who is present throughout; None unless all are whole."""
    whole = _whole(plays)
    if len(whole) < len(plays.truth) or plays.truth.intents is None:
        return None
    labels = [_future(plays, plays.truth.intents[name], s) for s in whole]
    alive = np.stack([_present(plays, plays.truth.alive[name], s) for s in whole])
    return (np.stack(labels), alive) if alive.any() else None
