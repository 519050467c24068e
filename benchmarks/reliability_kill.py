"""A1.16: kill a training of IntentVRNN with SIGKILL at ten random moments, resume it each time.

``python benchmarks/reliability_kill.py [--kills 10] [--seed 0]`` trains once without interruption,
then kills at moments drawn over the whole life of a process and resumes, until ten kills are done
(a run that comes to its end between two kills is followed by another), all through the command
line. Every byte that a killed run leaves behind is compared with the uninterrupted one.
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
    whole, moments, steps_at, differ, runs = contents(work / "whole"), [], [], set(), 0
    while len(moments) < kills:
        runs += 1
        out = work / f"killed_{runs}"
        command, ended = train(demos, out, steps), False
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
        "kills": len(moments),
        "runs": runs,
        "moments_s": moments,
        "steps_logged_at_kill": steps_at,
        "uninterrupted_s": round(whole_seconds, 2),
        "files_compared": len(whole),
        "files_that_differ": sorted(differ),
        "bit_identical": not differ,
    }


def main() -> None:
    """Print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
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
