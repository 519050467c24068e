"""The writer of benchmark results: layout, merging, and what it must not let through."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    """Import a script of ``benchmarks/``, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


results = load("results")


def write(folder: Path, part: str, rows: list, targets: list, command: str = "python b.py") -> dict:
    path = results.write(
        "one", command=command, seeds=[0], rows=rows, targets=targets, part=part, folder=folder
    )
    return json.loads(path.read_text())


def test_layout(tmp_path: Path) -> None:
    line = results.target("A1.3", "start", "<=", 1.0, 0.5, (0.4, 0.6))
    content = write(tmp_path, "a", [{"model": "x", "elbo": np.float32(2.0)}], [line])
    assert {"name", "command", "commit", "date", "machine", "seeds", "rows", "targets"} <= set(
        content
    )
    assert set(content["machine"]) == {"cpu", "cores", "load", "gpu"}
    assert content["rows"] == [{"part": "a", "model": "x", "elbo": 2.0}]
    assert content["targets"] == [
        {
            "id": "A1.3",
            "what": "start",
            "comparator": "<=",
            "target": 1.0,
            "measured": 0.5,
            "interval": [0.4, 0.6],
        }
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["one.json"]


def test_parts_are_merged_and_rewritten(tmp_path: Path) -> None:
    write(tmp_path, "a", [{"v": 1}], [results.target("A1.10", "ten", ">=", 1.0, 0.0)])
    write(tmp_path, "b", [{"v": 2}], [results.target("A1.9", "nine", ">=", 1.0, 2.0)])
    content = write(tmp_path, "a", [{"v": 3}], [results.target("A1.10", "ten", ">=", 1.0, 5.0)])
    assert content["rows"] == [{"part": "b", "v": 2}, {"part": "a", "v": 3}]
    assert [(t["id"], t["measured"]) for t in content["targets"]] == [("A1.9", 2.0), ("A1.10", 5.0)]
    assert set(content["parts"]) == {"a", "b"}


def test_absolute_paths_and_infinities_do_not_reach_the_file(tmp_path: Path) -> None:
    command = "/opt/x/python benchmarks/b.py --data /home/me/sets/nba.npz --runs=/home/me/runs"
    content = write(tmp_path, "a", [{"v": float("inf")}], [], command)
    assert content["command"] == "python benchmarks/b.py --data nba.npz --runs=runs"
    assert content["rows"][0]["v"] is None


@pytest.mark.parametrize(
    ("comparator", "wanted", "measured", "reached"),
    [
        (">=", 1.3, 1.3, True),
        ("<", 2.0, 2.0, False),
        ("<=", 1.0, 1.1, False),
        (">", 0, None, False),
    ],
)
def test_met(comparator: str, wanted: float, measured: float | None, reached: bool) -> None:
    assert results.met(results.target("A1.1", "w", comparator, wanted, measured)) is reached


def test_bad_targets_are_refused(tmp_path: Path) -> None:
    good = results.target("A1.1", "w", ">=", 1.0, 1.0)
    with pytest.raises(ValueError, match="every target once"):
        write(tmp_path, "a", [], [good, good])
    with pytest.raises(ValueError, match="comparator"):
        write(tmp_path, "a", [], [{**good, "comparator": "~"}])
    assert list(tmp_path.iterdir()) == []
