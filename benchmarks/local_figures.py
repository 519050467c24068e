"""Draw `local_transfer.py`: how DDPG learns, and scores against the number of agents.

``python benchmarks/local_figures.py --runs RUNS`` reads the runs and the results, and writes to
``docs/policies``

- ``local-convergence.svg``: reward of a step while exploring, mean of the seeds between the least
  and the most of them, each smoothed over twenty thousand env steps, beside what scripted policies
  earn, of those that have been scored;
- ``local-transfer.svg``: scores of what was trained with four agents, run with more.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from local_transfer import routes
from results import FOLDER
from understudy.experiment.run import Run
from understudy.visualise import style
from understudy.visualise.curves import series
from understudy.visualise.transfer import draw_transfer

OUT = FOLDER.parents[1] / "docs" / "policies"
LEARNERS = ("DDPG, shared", "DDPG, independent", "DDPG, global")
"""Rows of the table whose training is drawn."""
ANCHORS = ("no action", "local rule", "assignment")
"""Scripted policies whose reward is a line."""
MOVED = (
    "DDPG, shared", "DDPG, shared, in short", "DDPG, shared, in short, numbers seen", "BC",
    "BC, 1,000 shown",
)  # fmt: skip
"""Rows of the table that are scored with more agents."""
SHOWN = (-0.6, 1.05)
"""Scores in the picture; some rows fall far below it."""
SMOOTHED = 20_000
"""Env steps."""


def rows(name: str) -> list[dict[str, Any]]:
    """Of a table."""
    return json.loads((FOLDER / f"{name}.json").read_text())["rows"]


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Means of so many rows, only where all of them are there."""
    return np.apply_along_axis(np.convolve, 0, values, np.ones(width) / width, mode="valid")


def convergence(runs: Path) -> Path:
    """Draw rewards while training with four agents."""
    kinds, scored = routes(), {row["route"] for row in rows("local_transfer")}
    with style.styled():
        figure = style.figure(6.4, 3.4)
        axis = figure.subplots()
        for number, name in enumerate(name for name in LEARNERS if name in scored):
            run = Run(runs / kinds[name].cell(name).folder)
            steps, values = series(run.metrics, "reward")
            each = kinds[name].algorithm.envs * kinds[name].algorithm.rollout
            width = max(1, round(SMOOTHED / (each * (steps[1] - steps[0]))))
            at, values = smoothed(steps[:, None] * each, width)[:, 0], smoothed(values, width)
            colour = style.colour(number)
            axis.fill_between(
                at, values.min(1), values.max(1), color=colour, alpha=0.18, linewidth=0
            )
            axis.plot(at, values.mean(1), color=colour, label=name)
        for row in rows("local_anchors"):
            if row["agents"] == 4 and row["policy"] in ANCHORS:
                axis.axhline(row["reward"], color=style.MUTED, linestyle=(0, (2, 2)))
                axis.annotate(
                    row["policy"], (1.0, row["reward"]),
                    xycoords=("axes fraction", "data"), ha="right", va="bottom",
                    color=style.MUTED, fontsize=8,
                )  # fmt: skip
        axis.set_ylim(-17, -4)
        axis.set_xlabel("env steps")
        axis.set_title("reward of a step, four agents")
        axis.legend(fontsize=8, labelcolor=style.MUTED)
        figure.tight_layout()
        figure.savefig(path := OUT / "local-convergence.svg", metadata={"Date": None})
    return path


def transfer() -> Path:
    """Draw scores of what was trained with four agents."""
    drawn = [
        {"label": row["route"], "agents": row["agents"], "score": row["score"],
         "intervals": {"score": (row["low"], row["high"])}}
        for row in rows("local_transfer") if row["route"] in MOVED
    ]  # fmt: skip
    figure = draw_transfer(drawn, trained=4, floor="no action")
    axis = figure.axes[0]
    axis.set_ylim(*SHOWN)
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.02), fontsize=8, labelcolor=style.MUTED)
    figure.set_size_inches(6.4, 3.4)
    figure.tight_layout()
    figure.savefig(path := OUT / "local-transfer.svg", metadata={"Date": None})
    return path


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    print(convergence(options.runs), transfer(), sep="\n")


if __name__ == "__main__":
    main()
