"""``understudy bench``: run a script of ``benchmarks/`` again and print what it measured."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Bench(console.Verb):
    """Run a script of ``benchmarks/`` and print what it measured, missed targets included."""

    name: Positional[str]
    """Name of the script."""
    json: bool = False
    """Print the results file, one JSON object, instead of a table."""

    def __call__(self) -> int:
        """Run it in its own process, from the root of the checkout."""
        root = checkout()
        scripts = [script.stem for script in _scripts(root)]
        if self.name not in scripts:
            hint = console.nearest(self.name, scripts)
            raise console.UsageError(f"expected a benchmark, found {self.name!r}{hint}")
        words = [sys.executable, f"benchmarks/{self.name}.py"]
        done = subprocess.run(words, cwd=root, stdout=sys.stderr)
        if done.returncode:
            return done.returncode
        path = root / "benchmarks" / "results" / f"{self.name}.json"
        if path.exists():
            report(json.loads(path.read_text()), as_json=self.json)
        return 0


def checkout() -> Path:
    """The folder above ``benchmarks/``: the working directory, or where the source lies.

    Raises:
        UsageError: where there is none, as in an installed wheel.
    """
    for root in (Path.cwd(), Path(__file__).resolve().parents[3]):
        if (root / "benchmarks" / "results").is_dir():
            return root
    raise console.UsageError(
        "expected the folder benchmarks/, which a checkout of the source has, found none here; "
        "run this in a checkout"
    )


def report(results: dict[str, Any], *, as_json: bool) -> None:
    """Print a results file: its rows, then each target with what was measured."""
    if as_json:
        console.show_json(results)
        return
    for row in results["rows"]:
        console.show("  ".join(f"{key} {console.number(value)}" for key, value in row.items()))
    for target in results["targets"]:
        console.show(
            f"{target['id']}: {target['what']}: {console.number(target['measured'])} "
            f"(target {target['comparator']} {console.number(target['target'])})"
        )


def _scripts(root: Path) -> list[Path]:
    """Scripts that measure: those that can be run, not those others import."""
    found = sorted((root / "benchmarks").glob("*.py"))
    return [path for path in found if '__name__ == "__main__"' in path.read_text()]
