"""A1.16, B1.12, C.8: kill trainings with SIGKILL at random moments, and resume them each time.

``python benchmarks/reliability_kill.py [--kills 10] [--seed 0] [--only NAME ...]`` trains once
without interruption, then kills at moments drawn over the whole life of a process and resumes,
until so many kills are done (a run that comes to its end between two kills is followed by another),
all through the command line: a generator of plays, every policy optimiser in a JAX env, one in
MuJoCo, and one with a replay buffer, whose bytes are stated. Every byte that a killed run leaves
behind is compared with the uninterrupted one.
Prints one JSON object and writes it to ``results/reliability.json``; exit code 1 if any differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import understudy as us
from results import command, target, write
from understudy.data import boids, save
from understudy.experiment import room

UNDERSTUDY = [sys.executable, "-m", "understudy"]
SKIP = ("timing.json", ".lock", "config.json")
"""Files that tell of time and place; the configuration is compared without paths."""


PLAYS = [
    "intent-vrnn", "--demos", "DEMOS", "--rule", "none", "--scope", "shared", "--width", "16",
    "--rnn", "16", "--intent-rnn", "16", "--latent-size", "4", "--window", "20", "--batch", "16",
    "--steps", "1500",
]  # fmt: skip
ROWS = ["--rollout", "25", "--seeds", "2", "--steps"]
TRAININGS = {
    "intent-vrnn": PLAYS,
    "mappo": ["mappo", "--env", "spread", "--envs", "8", *ROWS, "200000"],
    "happo": ["happo", "--env", "spread", "--envs", "8", *ROWS, "80000"],
    "mat": ["mat", "--env", "spread", "--envs", "8", "--network.width", "16", *ROWS, "40000"],
    "mappo in MuJoCo": ["mappo", "--env", "halfcheetah-6x1:envs=8", "--envs", "4", *ROWS, "20000"],
    "ddpg": [
        "ddpg", "--env", "spread-goodai", "--envs", "8", "--passes", "5", "--remembered", "20000",
        *ROWS, "40000",
    ],
}  # fmt: skip
"""What is trained, by the words after ``understudy train``."""


def train(name: str, demos: Path, out: Path) -> list[str]:
    """The command of a training from the beginning."""
    words = [str(demos) if word == "DEMOS" else word for word in TRAININGS[name]]
    return [
        *UNDERSTUDY, "train", *words, "--out", str(out), "--log-every", "5",
        "--checkpoint-every", "20", "--checkpoint-seconds", "2",
    ]  # fmt: skip


def spend(command: list[str], seconds: float | None) -> bool:
    """Run a command; kill it after `seconds`. True if it ended by itself."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return False
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{errors}")
    return True


def contents(run: Path) -> dict[str, bytes]:
    """What has to be equal; checkpoints in between go by the clock too and lie at other steps."""
    last = sorted((run / "checkpoints").glob("step_*"))[-1]
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file()
        and path.name not in SKIP
        and (path == last or not path.name.startswith("step_"))
    }


def remembered(run: Path) -> dict[str, Any]:
    """Bytes of replay buffers of one seed, as they are checked before training; none without."""
    read = us.Run(run)
    if not hasattr(algorithm := read.algorithm, "remembered"):
        return {}
    return {"replay_bytes_per_seed": room.remembered_bytes(algorithm, read.spec, None)}


def measure(name: str, kills: int, seed: int, demos: Path, work: Path) -> dict[str, Any]:
    """Train whole, train killed, compare."""
    chance = random.Random(seed)
    begun = time.monotonic()
    spend(train(name, demos, work / "whole"), None)
    whole_seconds = time.monotonic() - begun
    whole, moments, steps_at, differ, runs = contents(work / "whole"), [], [], set(), 0
    while len(moments) < kills:
        runs += 1
        out = work / f"killed_{runs}"
        command, ended = train(name, demos, out), False
        while not ended:
            # once ten kills are done, let it come to its end
            moment = chance.uniform(0.1, 0.9) * whole_seconds if len(moments) < kills else None
            ended = spend(command, moment)
            if not ended:
                moments.append(round(moment or 0.0, 2))
                lines = out / "metrics.jsonl"
                steps_at.append(len(lines.read_text().splitlines()) * 5 if lines.exists() else 0)
            if (out / "config.json").exists():
                command = [*UNDERSTUDY, "train", "--resume", str(out)]
        killed = contents(out)
        differ |= {n for n in whole.keys() | killed.keys() if whole.get(n) != killed.get(n)}
    return {
        "training": name,
        "kills": len(moments),
        "runs": runs,
        "moments_s": moments,
        "steps_logged_at_kill": steps_at,
        "uninterrupted_s": round(whole_seconds, 2),
        **remembered(work / "whole"),
        "files_compared": len(whole),
        "files_that_differ": sorted(differ),
        "bit_identical": not differ,
    }


PARTS = {
    "reliability_kill": ("A1.16", 10, ("intent-vrnn",)),
    "reliability_kill optimisers": ("B1.12", 10, ("mappo", "happo", "mat", "mappo in MuJoCo")),
    "reliability_kill replay": ("C.8", 10, ("ddpg",)),
}
"""Part of the results -> its id, kills wanted, and the trainings it is about."""


def keep(part: str, rows: list[dict[str, Any]], id: str, what: str, wanted: int) -> None:
    """Write one part of the results."""
    survived = min(row["kills"] if row["bit_identical"] else 0 for row in rows)
    write(
        "reliability", command=command(), seeds=[0], part=part,
        targets=[target(id, what, ">=", wanted, survived)],
        rows=[{"what": "killed and resumed", **row} for row in rows],
    )  # fmt: skip


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=tuple(TRAININGS), default=list(TRAININGS))
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as work:
            demos = Path(work) / "demos"
            save(boids(episodes=256, seed=0, length=30), demos)
            rows.append(measure(name, arguments.kills, arguments.seed, demos, Path(work)))
        print(json.dumps(rows[-1], indent=2), flush=True)
    for part, (id, wanted, names) in PARTS.items():
        if found := [row for row in rows if row["training"] in names]:
            told = ", ".join(row["training"] for row in found)
            what = f"kills survived by bit-identical runs of each of {told}"
            keep(part, found, id, what, wanted)
    sys.exit(0 if all(row["bit_identical"] for row in rows) else 1)


if __name__ == "__main__":
    main()
