"""A1.16: kill a training of IntentVRNN with SIGKILL at ten random moments, resume it each time.

``python benchmarks/reliability_kill.py [--kills 10] [--seed 0]`` trains once without interruption
and once killed, through the command line both times, and compares every byte both leave behind.
Prints one JSON object and writes it to ``results/reliability.json``; exit code 1 if they differ.
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

from results import command, target, write
from understudy.data import boids, save

UNDERSTUDY = [sys.executable, "-m", "understudy"]
SKIP = ("timing.json", ".lock", "config.json")
"""Files that tell of time and place; the configuration is compared without paths."""


def train(demos: Path, out: Path, steps: int) -> list[str]:
    """The command of a training from the beginning."""
    return [
        *UNDERSTUDY, "train", "intent-vrnn", "--demos", str(demos), "--out", str(out),
        "--rule", "none", "--scope", "shared", "--width", "16", "--rnn", "16", "--intent-rnn", "16",
        "--latent-size", "4", "--window", "20", "--batch", "16", "--steps", str(steps),
        "--log-every", "5", "--checkpoint-every", "20", "--checkpoint-seconds", "2",
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


def measure(kills: int, seed: int, steps: int, work: Path) -> dict[str, Any]:
    """Train whole, train killed, compare."""
    chance = random.Random(seed)
    demos = work / "demos"
    save(boids(episodes=256, seed=0, length=30), demos)
    begun = time.monotonic()
    spend(train(demos, work / "whole", steps), None)
    whole_seconds = time.monotonic() - begun
    moments, steps_at, survived = [], [], 0
    command = train(demos, work / "killed", steps)
    while survived < kills:
        moment = chance.uniform(0.5, 0.9 * whole_seconds)
        if spend(command, moment):
            break
        survived += 1
        moments.append(round(moment, 2))
        lines = work / "killed" / "metrics.jsonl"
        steps_at.append(len(lines.read_text().splitlines()) * 5 if lines.exists() else 0)
        if (work / "killed" / "config.json").exists():
            command = [*UNDERSTUDY, "train", "--resume", str(work / "killed")]
    spend([*UNDERSTUDY, "train", "--resume", str(work / "killed")], None)
    whole, killed = contents(work / "whole"), contents(work / "killed")
    differ = sorted(n for n in whole.keys() | killed.keys() if whole.get(n) != killed.get(n))
    return {
        "kills": survived,
        "moments_s": moments,
        "steps_logged_at_kill": steps_at,
        "uninterrupted_s": round(whole_seconds, 2),
        "files_compared": len(whole),
        "files_that_differ": differ,
        "bit_identical": not differ,
    }


def main() -> None:
    """Print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        result = measure(arguments.kills, arguments.seed, arguments.steps, Path(work))
    print(json.dumps(result, indent=2))
    write(
        "reliability",
        command=command(),
        seeds=[arguments.seed],
        rows=[{"what": "killed and resumed", **result}],
        targets=[
            target("A1.16", "kills survived by a bit-identical run", ">=", 10,
                   result["kills"] if result["bit_identical"] else 0),
        ],
    )  # fmt: skip
    sys.exit(0 if result["bit_identical"] and result["kills"] == arguments.kills else 1)


if __name__ == "__main__":
    main()
