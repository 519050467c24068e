"""Write what a benchmark measured to ``benchmarks/results/NAME.json``.

A script calls `write` once, at its end::

    write(
        "boids",
        command=command(),
        seeds=[0, 1, 2],
        rows=[{"model": "vrnn", "elbo": 2400.0}],
        targets=[target("A1.9", "elbo above constant velocity", ">=", 2095.0, 2400.0)],
    )

Run scripts from the root of the checkout (``python benchmarks/NAME.py``) and import this file with
``from results import command, target, write``.

Several scripts may share one file. Each is a *part* (by default the script's own name): writing
again replaces the rows of that part and the targets with the same ids, and keeps everything else.
A target that was missed stays written down as missed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

FOLDER = Path(__file__).parent / "results"
COMPARATORS = {
    ">=": lambda measured, wanted: measured >= wanted,
    "<=": lambda measured, wanted: measured <= wanted,
    ">": lambda measured, wanted: measured > wanted,
    "<": lambda measured, wanted: measured < wanted,
    "==": lambda measured, wanted: measured == wanted,
}
TARGET_KEYS = ("id", "what", "comparator", "target", "measured", "interval")


def target(
    id: str,
    what: str,
    comparator: str,
    target: float,
    measured: float | None,
    interval: Sequence[float] | None = None,
) -> dict[str, Any]:
    """One line of the promise: what was wanted, what came.

    `measured` is None where nothing could be measured; `interval` is (low, high) or None.
    """
    return {
        "id": id,
        "what": what,
        "comparator": comparator,
        "target": target,
        "measured": measured,
        "interval": None if interval is None else list(interval),
    }


def met(line: Mapping[str, Any]) -> bool:
    """Whether a target was reached; one that was not measured was not reached."""
    if line["measured"] is None:
        return False
    return bool(COMPARATORS[line["comparator"]](line["measured"], line["target"]))


def write(
    name: str,
    *,
    command: str,
    seeds: Sequence[int],
    rows: Iterable[Mapping[str, Any]],
    targets: Iterable[Mapping[str, Any]],
    part: str | None = None,
    folder: Path = FOLDER,
) -> Path:
    """Write or merge ``NAME.json`` atomically and return its path.

    `command` is what repeats the measurement; absolute paths in it are cut to their last word.
    `part` defaults to the name of the running script.

    Raises:
        ValueError: a target that lacks a key, has an unknown comparator, or occurs twice.
    """
    lines = [_checked(line) for line in targets]
    ids = [line["id"] for line in lines]
    if len(set(ids)) != len(ids):
        raise ValueError(f"expected every target once, found {ids}; write one line per id")
    part = part or Path(sys.argv[0]).stem
    path = folder / f"{name}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    about = {
        "command": without_paths(command),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seeds": list(seeds),
    }
    kept = [row for row in before.get("rows", []) if row.get("part") != part]
    merged = {line["id"]: line for line in before.get("targets", [])}
    merged |= {line["id"]: line for line in lines}
    content = {
        "name": name,
        **about,
        "parts": {**before.get("parts", {}), part: about},
        "rows": kept + [{"part": part, **row} for row in rows],
        "targets": sorted(merged.values(), key=lambda line: _natural(line["id"])),
    }
    folder.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    with scratch.open("w") as file:
        json.dump(_plain(content), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return path


def command() -> str:
    """The running command as somebody else would type it from the root of the checkout."""
    script = Path(sys.argv[0])
    known = script.resolve().is_relative_to(FOLDER.parent)
    first = f"benchmarks/{script.resolve().relative_to(FOLDER.parent)}" if known else script.name
    return without_paths(" ".join(["python", first, *sys.argv[1:]]))


def without_paths(command: str) -> str:
    """Cut every absolute path in a command to its last component."""

    def cut(word: str) -> str:
        option, equals, value = word.rpartition("=")
        return option + equals + PurePath(value).name if value.startswith("/") else word

    return " ".join(cut(word) for word in command.split())


def commit() -> str:
    """The commit of this checkout, with ``-dirty`` where the code differs from it."""
    head = _run("git", "rev-parse", "HEAD")
    changed = _run("git", "status", "--porcelain", "--", "src", "benchmarks/*.py")
    return (head or "unknown") + ("-dirty" if changed else "")


def machine() -> dict[str, Any]:
    """Processor, cores, load average of the last minute, GPU; never a host name."""
    gpu = _run("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _processor(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 2),
        "gpu": gpu.splitlines()[0] if gpu else None,
    }


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as aligned text, for the console."""
    columns = columns or list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    width = [max(len(c), *(len(r[i]) for r in cells), 0) for i, c in enumerate(columns)]
    lines = [list(columns), ["-" * w for w in width], *cells]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines)


def summary(targets: Iterable[Mapping[str, Any]]) -> str:
    """Targets as text, one per line: reached or missed, wanted, measured."""
    return "\n".join(
        f"{line['id']:7} {'reached' if met(line) else 'MISSED '}  {line['what']}: "
        f"{_cell(line['measured'])} {line['comparator']} {_cell(line['target'])}"
        for line in targets
    )


def _checked(line: Mapping[str, Any]) -> dict[str, Any]:
    if set(line) != set(TARGET_KEYS) or line["comparator"] not in COMPARATORS:
        raise ValueError(
            f"expected a target with the keys {TARGET_KEYS} and a comparator among "
            f"{list(COMPARATORS)}, found {dict(line)}; build it with results.target"
        )
    return dict(line)


def _plain(value: Any) -> Any:
    """JSON types only: arrays become lists, numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _natural(id: str) -> list[Any]:
    return [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in id.replace("A", "").split(".")]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    return "" if value is None else str(value)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _run(*words: str) -> str:
    try:
        return subprocess.run(
            words, cwd=FOLDER.parent.parent, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
