"""Diagnose adversarial training: pictures, numbers and warnings from the metrics of some runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from understudy.diagnostics.theory import variance_ratio
from understudy.experiment import checkpoint, config, games
from understudy.experiment.findings import Finding
from understudy.experiment.folder import numbers
from understudy.experiment.history import (
    ENV_STEPS,
    UPDATES,
    History,
    histories,
    seeds_late,
    shared_env,
)
from understudy.experiment.returns import play
from understudy.experiment.run import Run
from understudy.experiment.scores import EXPERT
from understudy.experiment.tables import Evaluation
from understudy.experiment.trouble import trouble
from understudy.functional.rewards import QUANTILES
from understudy.types import Env, require
from understudy.visualise import style
from understudy.visualise.adversarial import (
    Histograms,
    Lines,
    Panel,
    Quantiles,
    draw_histograms,
    draw_lines,
    draw_rewards,
)

FILE = "diagnostics.json"
FORMATS = ("svg", "png")

DISCRIMINATOR = (
    Panel("discriminator loss", "loss", ("discriminator_loss",)),
    Panel("score gap, expert less policy", "score", ("score_gap",)),
    Panel("regulariser", "part of the loss", ("regulariser",)),
    Panel("violations", "share of pairs", ("violations",)),
    Panel(
        "accuracy", "share told right", ("expert_accuracy", "policy_accuracy"),
        ("expert", "policy"),
    ),
    Panel(
        "slope", "score per unit of distance", ("lipschitz", "steepness"),
        ("pairs", "gradient"),
    ),
)  # fmt: skip
"""What the discriminator's training looked like."""

GENERATOR = (
    Panel("learned reward", "per step and agent", ("learned_reward",)),
    Panel("reward of the env", "per step and agent", ("reward",)),
    Panel("correlation of the two", "Pearson", ("reward_correlation",)),
    Panel("entropy of the policy", "nats per action", ("entropy",)),
    Panel("variance of advantages", "summed over agents", ("advantage_variance",)),
    Panel("scale-free variance", "share of the returns'", ("unexplained_variance",)),
)
"""What the policy made of it."""

RETURNS = (
    Panel("return, actions sampled", "mean over agents", ("evaluation/return",)),
    Panel("return, most likely actions", "mean over agents", ("evaluation/return_mode",)),
    Panel(
        "success", "share of episodes", ("evaluation/success", "evaluation/success_mode"),
        ("sampled", "most likely"),
    ),
)  # fmt: skip
"""What the policy earned in evaluations on the way."""

References = Mapping[str, Mapping[str, float]]
"""Level lines: ``{name of a metric: {word: value}}``."""


class Picture(NamedTuple):
    """One figure, what its file is called, and what it shows."""

    name: str
    figure: Figure
    caption: str


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What was found out about some runs."""

    content: dict[str, Any]
    """As in ``diagnostics.json``."""
    warnings: dict[str, list[Finding]]
    """Label of a run -> what is wrong with it."""
    files: list[Path]

    def __str__(self) -> str:
        lines = [str(path) for path in self.files]
        for label, found in self.warnings.items():
            lines += [f"{label}: {f.text}" for f in found] or [f"{label}: no warnings."]
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """One JSON-able mapping."""
        return self.content


def diagnose(
    runs: Run | str | Path | Sequence[Run | str | Path],
    *,
    out: str | Path,
    step: float | int | None = None,
    expert: Any = games.OWN,
    episodes: int = 100,
) -> Diagnosis:
    """Draw what adversarial training did in one run or several, and say what went wrong.

    Written are ``rewards``, ``histograms``, ``discriminator``, ``generator`` and, for runs trained
    with ``evaluate_every``, ``returns``, each as SVG and PNG, and ``diagnostics.json``.

    Args:
        runs: runs or their folders, of one env.
        out: folder to write to.
        step: env step whose rewards are drawn as histograms; None: the last one logged.
        expert: whose return is drawn as a line; what `games.expert_of` takes.
        episodes: that the expert plays for it.

    Raises:
        UserError: for runs that trained no discriminator, or of several envs.
    """
    found = histories([runs] if isinstance(runs, Run | str | Path) else list(runs))
    for history in found:
        require(
            history.adversarial,
            f"expected a run of adversarial imitation in {history.run.folder}, found none of its "
            "metrics (expert_score); name another run",
        )
    shared_env(found)
    lines = references(found, expert, episodes)
    place = Path(out)
    place.mkdir(parents=True, exist_ok=True)
    files = [path for made in pictures(found, lines, step) for path in _save(made, place)]
    warnings = {h.label: trouble(h.metrics, h.run.spec) for h in found}
    content = {
        "runs": [_content(history, warnings[history.label], step) for history in found],
        "references": lines,
        "variance_ratios": _ratios(found),
        "files": [path.name for path in files],
    }
    checkpoint.write_atomic(place / FILE, json.dumps(content, allow_nan=False) + "\n")
    return Diagnosis(content, warnings, [*files, place / FILE])


def pictures(
    found: Sequence[History], lines: References, step: float | int | None = None
) -> list[Picture]:
    """Every picture that the metrics of these runs allow; of other training its evaluations.

    Runs that never acted are left out beside others: updates are no env steps.
    """
    axis = ENV_STEPS if any(h.axis == ENV_STEPS for h in found) else UPDATES
    found = [h for h in found if h.axis == axis]
    several = len(found) > 1
    made = []
    spread = [Quantiles(h.label, *h.quantiles) for h in found if h.quantiles[1]]
    if spread:
        made.append(Picture(
            "rewards", draw_rewards(spread, axis=axis),
            "What the discriminator paid: quantiles of the reward over training, of all agents "
            "together and of each; means over seeds.",
        ))  # fmt: skip
    bars = [(h, h.bars(step)) for h in found]
    shown = [
        Histograms(f"{h.label}, at {_short(b.step)} {axis}", *b[1:])
        for h, b in bars
        if b is not None
    ]
    if shown:
        made.append(Picture(
            "histograms", draw_histograms(shown),
            "Rewards of single rows at one moment; mean over seeds.",
        ))  # fmt: skip
    numbers_of = [Lines(h.label, h.numbers) for h in found]
    beside = " A colour per run." if several else ""
    for name, panels, caption in (
        ("discriminator", DISCRIMINATOR, "What the discriminator did: its loss and the parts of "
         "it. A healthy one loses ground: the gap closes and accuracies fall."),
        ("generator", GENERATOR, "What the policy made of it. The reward of the env is only "
         "watched, never learned from."),
        ("returns", RETURNS, "Episodes played while training."),
    ):  # fmt: skip
        if name != "returns" and not any(h.adversarial for h in found):
            continue
        if any(n in run.values for run in numbers_of for p in panels for n in p.names):
            figure = draw_lines(numbers_of, panels, axis=axis, references=lines)
            made.append(Picture(name, figure, f"{caption} Bands: 95 % over seeds.{beside}"))
    return made


def _short(step: float) -> str:
    """``1.9M``."""
    return EngFormatter(sep="")(float(f"{step:.3g}"))


def references(found: Sequence[History], expert: Any, episodes: int) -> References:
    """What an expert earns in the env of the runs; nothing where it or the env is not known."""
    if expert is None or not any("evaluation/return" in h.numbers for h in found):
        return {}
    kept = found[0].run.config["env"]
    if kept is None or kept["config"] is None:
        return {}
    env = config.from_json(kept["config"])
    chosen = games.expert_of(env, expert)
    if chosen is None or not isinstance(env, Env):
        return {}
    played = play(chosen.make(env), env, episodes=episodes, seed=0)
    return _levels(
        float(played.team().mean()), None if played.success is None else played.success.mean()
    )


def evaluated(evaluation: Evaluation | None) -> References:
    """What the expert of an evaluation earned, where that is a mean over all agents."""
    if evaluation is None or evaluation.setting.get("headline") != "all agents":
        return {}
    rows = [r for r in evaluation.rows if r["model"] == EXPERT and "mean_return" in r]
    return _levels(rows[0]["mean_return"], rows[0].get("success_rate")) if rows else {}


def _levels(earned: float, success: Any) -> References:
    levels = {name: {EXPERT: earned} for name in ("evaluation/return", "evaluation/return_mode")}
    return levels | ({} if success is None else {"evaluation/success": {EXPERT: float(success)}})


def _save(picture: Picture, folder: Path) -> list[Path]:
    """Write every format; the same metrics give the same files."""
    paths = [folder / f"{picture.name}.{kind}" for kind in FORMATS]
    with style.styled():
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            picture.figure.savefig(path, metadata=metadata)
    return paths


def _content(
    history: History, warnings: Sequence[Finding], step: float | int | None
) -> dict[str, Any]:
    """Everything drawn of one run, as numbers."""
    run, bars = history.run, history.bars(step)
    steps, panels = history.quantiles
    return {
        "label": history.label,
        "folder": run.folder.resolve().name,
        "seeds": run.seeds,
        "diverged": {str(seed): update for seed, update in run.diverged.items()},
        "axis": history.axis,
        "warnings": [f.text for f in warnings],
        "numbers": {
            name: {"steps": numbers(steps), "seeds": numbers(values)}
            for name, (steps, values) in history.numbers.items()
        },
        "reward_quantiles": {
            "at": list(QUANTILES),
            "steps": numbers(steps),
            **{name: numbers(values) for name, values in panels.items()},
        },
        "reward_histogram": None if bars is None else {
            "step": bars.step, "low": bars.low, "high": bars.high,
            **{name: numbers(shares) for name, shares in bars.panels.items()},
        },
    }  # fmt: skip


def _ratios(found: Sequence[History]) -> list[dict[str, Any]]:
    """Variance of advantages of the first run beside that of each other, late in training."""
    ratios = []
    for other in found[1:]:
        for name in ("advantage_variance", "unexplained_variance"):
            first, second = seeds_late(found[0], name), seeds_late(other, name)
            if not first.size or not second.size or not np.all(second > 0):
                continue
            ratio = variance_ratio(first, second)
            ratios.append({
                "metric": name, "first": found[0].label, "other": other.label,
                "ratio": ratio.estimate, "interval": [ratio.low, ratio.high],
            })  # fmt: skip
    return ratios
