"""Draw the training curves of the model pages: validation likelihood of every model on Boids.

``python benchmarks/curves.py --runs RUNS`` reads the runs that ``boids.py`` left and writes
``docs/models/boids.svg``: the mean over seeds, beside constant velocity as ``results/boids.json``
has it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from results import FOLDER
from understudy.experiment.run import Run
from understudy.visualise import style
from understudy.visualise.curves import VALIDATION, meant, series

OUT = FOLDER.parents[1] / "docs" / "models" / "boids.svg"


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    rows = json.loads((FOLDER / "boids.json").read_text())["rows"]
    names = list(dict.fromkeys(row["model"] for row in rows if "seed" in row))
    bound = max(row["elbo"] for row in rows if "constant velocity" in row.get("model", ""))
    with style.styled():
        figure = style.figure(6.4, 3.4)
        axis = figure.subplots()
        for number, name in enumerate(names):
            metrics = Run(options.runs / name).metrics
            stages = meant(metrics, "elbo")
            steps, values = series(metrics, VALIDATION + "elbo", stages)
            line = "-" if number < len(style.AGENTS) else (0, (4, 1.5))
            colour = style.colour(number)
            axis.plot(steps, values.mean(1), color=colour, linestyle=line, label=name)
        axis.axhline(bound, color=style.MUTED, linestyle=(0, (2, 2)), label="constant velocity")
        axis.set_xlabel("updates")
        axis.set_title("elbo on validation flocks, nats")
        axis.legend(fontsize=8, labelcolor=style.MUTED)
        figure.tight_layout()
        figure.savefig(OUT, metadata={"Date": None})
    print(OUT)


if __name__ == "__main__":
    main()
