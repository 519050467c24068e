"""A1.19: a synthetic set of 100,000 episodes, written, and trained on streamed and resident.

``python benchmarks/reliability_large.py [--episodes 100000]`` writes the set through the writer,
then trains the same few hundred updates twice, each in a process of its own: streamed with a bound
on memory, and resident. Prints one JSON object with the peak memory of each process and writes it
to ``results/reliability.json``; exit code 1 if the two trainings differ in any byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from results import command, target
from results import write as write_result

BOUND = 64 * 2**20
"""Bytes of demonstrations kept in memory by the streamed training."""
CHUNK = 1_000
"""Episodes made at a time."""


def write(folder: Path, episodes: int) -> dict[str, Any]:
    """Random walks, appended piece by piece."""
    import numpy as np

    from understudy.data.demonstrations import Demonstrations
    from understudy.data.writer import Writer
    from understudy.types import Group, Spec

    rows, agents = 60, 8
    with Writer(folder) as writer:
        for first in range(0, episodes, CHUNK):
            count = min(CHUNK, episodes - first)
            rng = np.random.default_rng(first)
            steps = rng.normal(0.1, 0.3, (count, rows, agents, 2)).astype(np.float32)
            names = np.array([f"e{first + i}" for i in range(count)])
            writer.append(
                Demonstrations(
                    spec=Spec((Group("agents", agents, 2, features=("x", "y")),)),
                    starts=np.arange(count + 1) * rows,
                    features={"agents": steps.cumsum(1).reshape(-1, agents, 2)},
                    alive={"agents": np.ones((count * rows, agents), bool)},
                    rate=10.0,
                    unit="m",
                    labels={"episode": names, "source": np.full(count, "synthetic")},
                )
            )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"bytes_on_disk": size, "bytes_in_memory": episodes * rows * agents * 9}


def train(folder: Path, out: Path, steps: int, resident_bytes: int) -> dict[str, Any]:
    """A small VRNN on all windows of 50 rows."""
    from understudy.algorithms.presets import VRNN
    from understudy.experiment.train import TrainOptions
    from understudy.experiment.train import train as run

    events: list[dict[str, Any]] = []
    run(
        VRNN(width=16, rnn=16, latent_size=4, layers=1, window=50, batch=32),
        demonstrations=folder, steps=steps, out=out, progress=events.append,
        options=TrainOptions(log_every=50, checkpoint_every=100, resident_bytes=resident_bytes),
    )  # fmt: skip
    return {"feed": events[0]["feed"]}


class Anonymous(threading.Thread):
    """Watches the memory of this process that is no file: pages of mapped files can be dropped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        """Look every 50 ms."""
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            found = next(line for line in lines if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(found.split()[1]) * 1024)
            time.sleep(0.05)


def part(arguments: list[str]) -> dict[str, Any]:
    """Run one part in a process of its own; add its time and peak memory."""
    process = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    if process.returncode != 0:
        raise SystemExit(f"{arguments} ended with {process.returncode}:\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def same(one: Path, two: Path) -> bool:
    """Equal weights, metrics and checkpoints."""
    names = [
        str(path.relative_to(one))
        for path in sorted(one.rglob("*"))
        if path.is_file() and path.name not in ("timing.json", ".lock", "config.json")
    ]
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def measure(episodes: int, steps: int, work: Path) -> dict[str, Any]:
    """Write, train twice, compare."""
    written = part(["write", str(work / "set"), str(episodes)])
    streamed = part(["train", str(work / "set"), str(work / "streamed"), str(steps), str(BOUND)])
    resident = part(["train", str(work / "set"), str(work / "resident"), str(steps), str(2**40)])
    return {
        "episodes": episodes,
        "steps": steps,
        "write": written,
        "streamed": streamed,
        "resident": resident,
        "bound_bytes": BOUND,
        "same_result": same(work / "streamed", work / "resident"),
    }


def main() -> None:
    """Do one part, or all of them."""
    begun = time.monotonic()
    if len(sys.argv) > 1 and sys.argv[1] in ("write", "train"):
        verb, *words = sys.argv[1:]
        watch = Anonymous()
        watch.start()
        if verb == "write":
            result = write(Path(words[0]), int(words[1]))
        else:
            result = train(Path(words[0]), Path(words[1]), int(words[2]), int(words[3]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        result |= {"seconds": round(time.monotonic() - begun, 1), "peak_bytes": peak}
        print(json.dumps(result | {"peak_anonymous_bytes": watch.peak}))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        result = measure(arguments.episodes, arguments.steps, Path(work))
    print(json.dumps(result, indent=2))
    peak = round(result["streamed"]["peak_bytes"] / 2**20)
    write_result(
        "reliability",
        command=command(),
        seeds=[0],
        rows=[{"what": "large set", **result}],
        targets=[
            target("A1.19", "peak memory of streamed training in MiB, same bytes as resident", "<=",
                   2048, peak if result["same_result"] else None),
        ],
    )  # fmt: skip
    sys.exit(0 if result["same_result"] else 1)


if __name__ == "__main__":
    main()
