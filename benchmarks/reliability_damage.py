"""A1.17: damage demonstrations and a run in every way a disk can; each must end in one sentence.

``python benchmarks/reliability_damage.py`` damages a copy, runs the command a user would, and asks
for exit code 2, one sentence on stderr, no traceback, and nothing new left behind. The full disk is
a real one, a small tmpfs, where the script may mount (as root on Linux), else a limit on file size.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from results import command, summary, table, target, write
from understudy.data import boids, save

UNDERSTUDY = [sys.executable, "-m", "understudy"]
KILOBYTES = 300
"""Size of the full disk."""


def first(folder: Path, pattern: str) -> Path:
    """The file to damage."""
    return sorted(folder.glob(pattern))[-1]


def truncate(path: Path) -> None:
    """Lose the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def version(path: Path) -> None:
    """Claim to be of a version to come."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))


def empty(path: Path) -> None:
    """Leave the folder and nothing in it."""
    shutil.rmtree(path)
    path.mkdir()


DAMAGES: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "truncated shard": ("demos", "data/*.parquet", truncate),
    "flipped byte": ("demos", "data/*.parquet", flip),
    "wrong version": ("demos", "meta.json", version),
    "missing file": ("demos", "episodes.parquet", Path.unlink),
    "empty folder": ("demos", ".", empty),
    "truncated checkpoint": ("run", "checkpoints/step_*", truncate),
    "flipped byte in a checkpoint": ("run", "checkpoints/step_*", flip),
    "wrong version of a run": ("run", "config.json", version),
    "missing statistics": ("run", "statistics.json", Path.unlink),
    "empty run": ("run", ".", empty),
}


def judged(what: str, words: list[str], out: Path, **options: Any) -> dict[str, Any]:
    """Run one command and say whether it ended as it should."""
    there = out.exists()
    ended = subprocess.run([*UNDERSTUDY, *words], capture_output=True, text=True, **options)
    said = [line for line in ended.stderr.splitlines() if line.startswith("understudy: ")]
    left = [path.name for path in out.parent.iterdir() if path.name.startswith(".")]
    fine = ended.returncode == 2 and "Traceback" not in ended.stderr and not left
    fine &= there or not out.exists()
    sentence = said[-1].removeprefix("understudy: ") if said else ""
    for folder in (str(out.parent) + "/", tempfile.gettempdir() + "/"):
        sentence = sentence.replace(folder, "")
    row = {"what": what, "exit_code": ended.returncode, "sentence": sentence}
    return {**row, "left_behind": left, "as_it_should": bool(fine and sentence)}


def write_tracks(path: Path, positions: np.ndarray) -> None:
    """Rows of text: frame, agent, x, y."""
    lines = [f"{t} {k} {x} {y}" for t, row in enumerate(positions) for k, (x, y) in enumerate(row)]
    path.write_text("\n".join(lines))


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A place where nothing of size fits, and what to start a process there with."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(place)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            (place / "fill").write_bytes(bytes((KILOBYTES - 20) * 1024))
            yield place, {}
        finally:
            subprocess.run(["umount", str(place)], check=True)
        return
    limit = (10 * 1024, 10 * 1024)
    yield place, {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)}


def measure(work: Path) -> list[dict[str, Any]]:
    """Damage copies one after the other."""
    whole = boids(128, seed=0)
    save(whole, work / "demos")
    train = ["train", "rnn-gauss", "--demos", str(work / "demos"), "--log-every", "1"]
    train += ["--checkpoint-every", "2", "--steps", "4"]
    subprocess.run([*UNDERSTUDY, *train, "--out", str(work / "run")], check=True)
    first(work / "run", "checkpoints/step_*").unlink()  # as if stopped before the end
    rows = []
    for what, (kind, pattern, damage) in DAMAGES.items():
        copy = work / "copy"
        shutil.copytree(work / kind, copy)
        damage(copy if pattern == "." else first(copy, pattern))
        out = work / "out"
        words = (
            ["data", "check", str(copy)] if kind == "demos" else ["train", "--resume", str(copy)]
        )
        rows.append(judged(what, words, out if kind == "demos" else copy))
        shutil.rmtree(copy)
    positions = whole.features["agents"].reshape(-1, 8, 2).astype(str)
    words = ["data", "convert", str(work / "tracks.txt"), "--rate", "10", "--unit", "m"]
    positions[20, 1, 0] = "nan"
    write_tracks(work / "tracks.txt", positions)
    rows.append(judged("not a number", [*words, "--out", str(work / "out")], work / "out"))
    positions[20, 1, 0] = "0"
    write_tracks(work / "tracks.txt", positions)
    with full_disk(work) as (place, options):
        out = place / "demos"
        rows.append(judged("full disk, convert", [*words, "--out", str(out)], out, **options))
        words = ["data", "split", str(work / "demos"), "--by", "episode", "--out"]
        out = place / "parts"
        rows.append(judged("full disk, split", [*words, str(out)], out, **options))
    return rows


def main() -> None:
    """Print and write what was found."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as work:
        rows = measure(Path(work))
    fine = sum(row["as_it_should"] for row in rows)
    what = f"damages of {len(rows)} that end in one sentence, exit code 2, nothing left behind"
    lines = [target("A1.17", what, "==", len(rows), fine)]
    print(table(rows), summary(lines), sep="\n\n")
    write("reliability", command=command(), seeds=[0], rows=rows, targets=lines)


if __name__ == "__main__":
    main()
