"""Simulators of both sides of a log (D.2): one command, several splits, side by side.

    python benchmarks/joint_logs.py --log LOG.csv --schema SCHEMA.json --out RUNS

Sessions are split three times, four fifths to learn from. On every split cloning, an ensemble of
world models and adversarial imitation are learned as ``understudy simulate`` does, and measured on
the sessions held out beside persistence, the mean and ridge regression. A row is the mean of a
figure over splits; its interval is between the least lower and the greatest upper end of the
splits' own intervals, over sessions.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from results import command, summary, table, target, write
from understudy.data.readers import read
from understudy.experiment.simulate import simulate

SPLITS = (0, 1, 2)
FIGURES = (
    "world_rmse", "world_accuracy", "world_log_prob", "agent_log_prob", "agent_rmse", "energy",
    "drift_values", "auc", "auc_both", "total_variation", "wasserstein", "rules",
)  # fmt: skip


def figures(report: Any, split: int) -> list[dict[str, Any]]:
    """A row per simulator of one split."""
    rows = []
    for name, own in report.to_json()["simulators"].items():
        row: dict[str, Any] = {"split": split, "simulator": name}
        for key in FIGURES:
            if (found := own.get(key)) is None:
                continue
            value, low, high = (found[part] for part in ("estimate", "low", "high"))
            if isinstance(value, list) and key == "drift_values":  # the last step
                value, low, high = (x[-1] for x in (value, low, high))
            elif isinstance(value, list):  # of many columns
                value, low, high = (float(np.mean(x)) for x in (value, low, high))
            row |= {key: value, f"{key}_low": low, f"{key}_high": high}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/joint_logs"))
    parser.add_argument("--splits", type=int, nargs="*", default=SPLITS)
    options = parser.parse_args()
    log = read("transitions", str(options.log), schema=str(options.schema), say=print)
    rows, minutes = [], []
    for split in options.splits:
        begun = time.monotonic()
        report = simulate(log, options.out / f"split_{split}", seed=split, progress=print)
        minutes.append((time.monotonic() - begun) / 60)
        rows += figures(report, split)
        print(table(rows[-len(report.figures) :]), f"{minutes[-1]:.1f} minutes", flush=True)

    def of(name: str, key: str) -> np.ndarray:
        return np.asarray([row[key] for row in rows if row["simulator"] == name])

    targets = [target("D.2", "minutes from log to report, slowest split", "<=", 5.0, max(minutes))]
    for rival in ("Ridge", "Persistence"):
        apart = of("world", "world_rmse") / of(rival, "world_rmse")
        targets.append(target(
            f"D.2 {rival.lower()}", f"error of the mean, world over {rival}, worst split",
            "<=", 1.0, float(apart.max()), (float(apart.min()), float(apart.max())),
        ))  # fmt: skip
    apart = of("world", "world_accuracy") - of("Persistence", "world_accuracy")
    targets.append(target(
        "D.2 sections", "sections right, world less persistence, worst split", ">=", 0.0,
        float(apart.min()), (float(apart.min()), float(apart.max())),
    ))  # fmt: skip
    write("joint_logs", command=command(), seeds=options.splits, rows=rows, targets=targets)
    print(summary(targets))


if __name__ == "__main__":
    main()
