"""Constant velocity, written a second time from the raw files: numpy only, no understudy.

    python benchmarks/independent_constant_velocity.py FOLDER [--json]

FOLDER holds ``eth_ucy_sgan_split/<fold>/test/*.txt``, ``nba_socialvae/score_train.npz`` and
``nba_socialvae/rebound_train.npz``.
Protocol: 8 observed and 12 predicted rows, every window of 20, the last observed step repeated.
ETH/UCY: windows as the Social-GAN loader counts them (20 consecutive entries of the list of frames
that exist, pedestrians present in all), with more than one pedestrian. Basketball: every window of
every scene, ten players, feet. ADE and FDE are means over all pedestrian-windows.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np

OBSERVED, PREDICTED = 8, 12
LENGTH = OBSERVED + PREDICTED
FOLDS = ("eth", "hotel", "univ", "zara1", "zara2")


def errors(tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ADE and FDE of each agent of a window ``[20, agents, 2]``."""
    last, before = tracks[OBSERVED - 1], tracks[OBSERVED - 2]
    steps = np.arange(1, PREDICTED + 1)[:, None, None]
    off = np.linalg.norm(last + steps * (last - before) - tracks[OBSERVED:], axis=-1)
    return off.mean(0), off[-1]


def pedestrians(files: list[Path], least: int) -> dict:
    windows, ade, fde = 0, [], []
    for file in files:
        rows = np.array([line.split()[:4] for line in file.read_text().splitlines()], float)
        by_frame: dict[float, dict[float, np.ndarray]] = {}
        for frame, who, x, y in rows:
            by_frame.setdefault(frame, {})[who] = np.array([x, y])
        frames = sorted(by_frame)
        for begin in range(len(frames) - LENGTH + 1):
            part = [by_frame[frame] for frame in frames[begin : begin + LENGTH]]
            there = set.intersection(*(set(p) for p in part))
            if len(there) < least:
                continue
            windows += 1
            a, f = errors(np.array([[p[who] for who in sorted(there)] for p in part]))
            ade.append(a)
            fde.append(f)
    return summary(windows, ade, fde)


def basketball(file: Path) -> dict:
    with np.load(file, allow_pickle=False) as archive:
        xy, starts = archive["xy_ft"].astype(np.float64), archive["scene_start"]
    windows, ade, fde = 0, [], []
    for start, end in itertools.pairwise(starts):
        for begin in range(start, end - LENGTH + 1):
            windows += 1
            a, f = errors(xy[begin : begin + LENGTH, 1:])
            ade.append(a)
            fde.append(f)
    return summary(windows, ade, fde)


def summary(windows: int, ade: list[np.ndarray], fde: list[np.ndarray]) -> dict:
    every, final = np.concatenate(ade), np.concatenate(fde)
    return {
        "windows": windows,
        "agent_windows": len(every),
        "ade": float(every.mean()),
        "fde": float(final.mean()),
    }


def rows(folder: Path) -> list[dict]:
    found = []
    for fold in FOLDS:
        files = sorted((folder / "eth_ucy_sgan_split" / fold / "test").glob("*.txt"))
        for least in (2, 1):
            found.append({"set": fold, "unit": "m", "least": least, **pedestrians(files, least)})
    for name in ("score", "rebound"):
        file = folder / "nba_socialvae" / f"{name}_train.npz"
        found.append({"set": f"nba {name}", "unit": "ft", "least": 1, **basketball(file)})
    return found


def main(arguments: list[str]) -> None:
    found = rows(Path(arguments[0]))
    if "--json" in arguments:
        print(json.dumps(found))
        return
    print(f"{'set':<12} {'least':>5} {'windows':>8} {'agents':>9} {'ADE':>7} {'FDE':>7}")
    for row in found:
        print(
            f"{row['set']:<12} {row['least']:>5} {row['windows']:>8} {row['agent_windows']:>9} "
            f"{row['ade']:>7.3f} {row['fde']:>7.3f} {row['unit']}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
