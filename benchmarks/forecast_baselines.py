"""Rows every forecast is read against: constant velocity, stay put, random walk (A1.4, A1.5).

    python benchmarks/forecast_baselines.py FOLDER [--only eth nba]

FOLDER holds ``eth_ucy_sgan_split/<fold>/test/*.txt``, ``nba_socialvae/score_train.npz`` and
``nba_socialvae/rebound_train.npz``. The constant-velocity rows are compared with those of
`independent_constant_velocity`, which reads the raw files on its own.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import independent_constant_velocity as independent
from results import command, target, write
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import read
from understudy.experiment.arena import Options
from understudy.experiment.evaluate import evaluate_generators

EXPECTED = {
    "eth": (70, 181, 0.995, 2.234),
    "hotel": (301, 1053, 0.323, 0.617),
    "univ": (947, 24334, 0.524, 1.165),
    "zara1": (602, 2253, 0.431, 0.960),
    "zara2": (921, 5833, 0.326, 0.728),
}
"""Windows, pedestrian-windows, ADE and FDE of constant velocity, known from the raw files."""
FIGURES = ("minADE", "minFDE", "ADE", "FDE", "minSADE", "minSFDE", "energy_score", "diversity")
SEED, SAMPLES = 0, 20


def measure(name: str, demonstrations: Demonstrations, protocol: str) -> list[dict[str, Any]]:
    """Rows of the three baselines on one set, with intervals and seconds."""
    began = time.perf_counter()
    found = evaluate_generators(
        [], demonstrations, protocol, samples=SAMPLES, seed=SEED, options=Options()
    )
    seconds = time.perf_counter() - began
    print(f"{name}: {seconds:.0f} s\n{found}\n")
    setting = found.setting
    shared = {
        "set": name,
        "protocol": protocol,
        "unit": setting["unit"],
        "windows": setting["windows"],
        "agent_windows": setting["agents"],
        "bootstrap": f"{setting['clusters']} {setting['cluster']}(s)",
        "seconds_all_rows": round(seconds, 1),
    }
    return [
        shared
        | {"model": row["model"], "execution": row["execution"], "samples": row["samples"]}
        | {"windows_scored": row["windows"]}
        | {figure: row[figure] for figure in FIGURES}
        | {"intervals": {figure: row["intervals"][figure] for figure in FIGURES}}
        | {"per_horizon": row["per_horizon"]}
        for row in found.rows
        if "minADE" in row
    ]


def eth(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows, counts, errors = [], 0, 0.0
    for fold, (windows, agents, ade, fde) in EXPECTED.items():
        files = folder / "eth_ucy_sgan_split" / fold / "test" / "*.txt"
        found = measure(fold, read("frames", str(files), rate=2.5, unit="m"), "eth_ucy")
        rows += found
        still = next(row for row in found if row["model"] == "constant velocity")
        counts += abs(still["windows"] - windows) + abs(still["agent_windows"] - agents)
        errors = max(errors, abs(round(still["ADE"], 3) - ade), abs(round(still["FDE"], 3) - fde))
    what = "ETH/UCY, five folds, windows of two or more people"
    return rows, [
        target("A1.5 counts", f"{what}: windows and agents off in sum", "==", 0, counts),
        target(
            "A1.5 constant velocity", f"{what}: largest error of ADE and FDE at 3 decimals, m",
            "<=", 1e-9, errors,
        ),
    ]  # fmt: skip


def nba(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows, worst, counts = [], 0.0, 0
    for name in ("score", "rebound"):
        file = folder / "nba_socialvae" / f"{name}_train.npz"
        found = measure(f"nba {name}", read("scenes", str(file)), "socialvae")
        rows += found
        mine = next(row for row in found if row["model"] == "constant velocity")
        other = independent.basketball(file)
        counts += abs(mine["windows"] - other["windows"])
        counts += abs(mine["agent_windows"] - other["agent_windows"])
        worst = max(worst, abs(mine["ADE"] - other["ade"]), abs(mine["FDE"] - other["fde"]))
    what = (
        "NBA score and rebound, 8 + 12 rows, every window, ten players, against the second script"
    )
    return rows, [
        target("A1.4 counts", f"{what}: windows and agents off in sum", "==", 0, counts),
        target(
            "A1.4 constant velocity", f"{what}: largest difference of ADE and FDE, ft", "<=", 5e-4,
            worst,
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=("eth", "nba"), default=["eth", "nba"])
    arguments = parser.parse_args()
    parts = {"eth": eth, "nba": nba}
    for name in arguments.only:
        rows, targets = parts[name](arguments.folder)
        write(
            "forecast_baselines", command=command(), seeds=[SEED], rows=rows, targets=targets,
            part=f"forecast_baselines {name}",
        )  # fmt: skip
        for line in targets:
            print(f"{line['id']}: {line['measured']} {line['comparator']} {line['target']}")


if __name__ == "__main__":
    main()
