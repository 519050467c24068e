"""The main job on real input (A1.4): convert, check, split, train, evaluate, generate, render.

    python benchmarks/main_job.py --data score_train.npz rebound_train.npz --work DIR [--steps N]

Every step is the command a user types, timed. Both sets become one, split by game, so that no game
is on two sides whichever set its scenes come from. The hierarchical VRNN is trained at CPU preset
sizes and measured on test windows of 8 + 12 rows beside constant velocity. Run again in the same
folder to go on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from results import command, summary, table, target, write
from understudy.data import load

PARTS = ("train", "validation", "test")


def steps(data: list[Path], work: Path, updates: int, seeds: int) -> dict[str, list[str]]:
    """What is typed, by the file or folder each leaves behind."""
    demos, parts, run, plays = (str(work / n) for n in ("demos", "parts", "run", "plays"))
    test = f"{parts}/test"
    return {
        "demos": ["data", "convert", *map(str, data), "--out", demos],
        "check": ["data", "check", demos],
        "parts": ["data", "split", demos, "--by", "game", "--out", parts],
        "run": [
            "train", "intent-vrnn", "--demos", parts, "--out", run, "--steps", str(updates),
            "--seeds", str(seeds), "--window", "20", "--batch", "16", "--learning-rate", "4e-3",
        ],
        "report": [
            "evaluate", run, "--demos", test, "--protocol", "socialvae", "--windows", "1024",
            "--json",
        ],
        "plays": ["generate", run, "--demos", test, "--out", plays],
        "plays.gif": ["render", plays, "--out", f"{plays}.gif", "--run", run],
    }  # fmt: skip


def overlap(work: Path) -> tuple[int, dict[str, Any]]:
    """Games on two sides, and what each side holds."""
    games, row = {}, {}
    for name in PARTS:
        part = load(work / "parts" / name)
        games[name] = set(part.label("game"))
        row |= {f"{name}_episodes": len(part), f"{name}_games": len(games[name])}
        row[f"{name}_sets"] = len({Path(s).name for s in part.label("source")})
    twice = sum(
        len(games[a] & games[b]) for a, b in zip(PARTS, (*PARTS[1:], PARTS[0]), strict=True)
    )
    return twice, row


def main() -> None:
    """Run what is not there yet; write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    kept = options.work / "done.json"
    done = json.loads(kept.read_text()) if kept.exists() else {}
    for name, words in steps(options.data, options.work, options.steps, options.seeds).items():
        if name not in done:
            begun = time.monotonic()
            ended = subprocess.run(
                [sys.executable, "-m", "understudy", *words], stdout=subprocess.PIPE, text=True
            )
            if ended.returncode != 0:
                raise SystemExit(f"understudy {' '.join(words)} ended with {ended.returncode}")
            done[name] = {"seconds": time.monotonic() - begun, "said": ended.stdout}
            kept.write_text(json.dumps(done))
        verb = " ".join(words[: 2 if words[0] == "data" else 1])
        rows.append({"verb": verb, "seconds": round(done[name]["seconds"], 1)})
    twice, parts = overlap(options.work)
    rows.append({"verb": "split by game", "games_on_two_sides": twice, **parts})
    figures = ("model", "minADE", "minFDE", "ADE", "FDE", "minSADE", "elbo")
    for row in json.loads(done["report"]["said"])["rows"]:
        rows.append({"verb": "evaluate", **{n: row[n] for n in figures if n in row}})
    lines = [
        target("A1.4b", "verbs of the main job that ran, of seven", "==", 7, len(done)),
        target("A1.4c", "games on two sides of the split of both sets", "==", 0, twice),
    ]
    print(table(rows), summary(lines), sep="\n\n")
    write(
        "forecast_baselines",
        command=command(),
        seeds=list(range(options.seeds)),
        rows=rows,
        targets=lines,
    )


if __name__ == "__main__":
    main()
