"""What a newcomer waits for (A1.1, A1.2, A1.3): the README's commands in a fresh clone.

    python benchmarks/newcomer.py
    python benchmarks/newcomer.py --only start

Clones the commit that is checked out, makes an empty virtual environment, and runs a command of the
README there: the first, then ``understudy --help`` and ``import understudy`` five times each
(medians); and so the second. Real data is used where ``UNDERSTUDY_DATA`` names it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from results import command, summary, table, target, write

HERE = Path(__file__).resolve().parents[1]


def timed(words: str, folder: Path, *, may_fail: bool = False) -> tuple[float, str]:
    """Seconds and output of one line of shell in the fresh environment."""
    begun = time.perf_counter()
    line = f"set -e; . venv/bin/activate; cd clone; {words}"
    ended = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True)
    if ended.returncode != 0 and not may_fail:
        raise SystemExit(f"{words} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return time.perf_counter() - begun, ended.stdout


def fresh(place: str) -> Path:
    """A clone and an empty environment in a folder."""
    folder = Path(place)
    subprocess.run(["git", "clone", "-q", str(HERE), str(folder / "clone")], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    return folder


def start(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and targets of the first command, and of what one types next."""
    install, _ = timed("pip install -q -e .", folder)
    quick, _ = timed("understudy quickstart", folder)
    left = {path.name for path in (folder / "clone" / "quickstart").iterdir()}
    help_time, import_time = (
        statistics.median(timed(words, folder)[0] for _ in range(5))
        for words in ("understudy --help", "python -c 'import understudy'")
    )
    timed("python -c \"import sys, understudy; assert 'jax' not in sys.modules\"", folder)
    wanted = {"report.html", "rollouts.gif", "summary.json"}
    rows = [
        {"what": "pip install -e .", "seconds": install},
        {"what": "understudy quickstart", "seconds": quick, "left": sorted(left)},
        {"what": "understudy --help, interpreter and all", "seconds": help_time},
        {"what": "import understudy, interpreter and all", "seconds": import_time},
    ]
    return rows, [
        target("A1.1", "seconds to install and finish the quick start", "<=", 300, install + quick),
        target("A1.1b", "of report, animation, summary left", "==", 3, len(wanted & left)),
        target("A1.3", "seconds of understudy --help", "<=", 1.0, help_time),
        target("A1.3b", "seconds of import understudy", "<=", 0.3, import_time),
    ]


def tests(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Row and targets of the second command."""
    seconds, said = timed('pip install -q -e ".[test]" && pytest', folder, may_fail=True)
    print(said)
    passed, skipped, failed = (
        int(found[1]) if (found := re.search(rf"(\d+) {word}", said)) else 0
        for word in ("passed", "skipped", "failed")
    )
    counts = {"passed": passed, "skipped": skipped, "failed": failed}
    return [{"what": "pytest", "seconds": seconds, **counts}], [
        target("A1.2", "seconds of the test command, installing included", "<=", 600, seconds),
        target("A1.2b", "tests skipped with real data at hand", "==", 0, skipped),
        target("A1.2c", "tests that fail", "==", 0, failed),
    ]


COMMANDS = {"start": start, "tests": tests}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=COMMANDS)
    options = parser.parse_args()
    for name in [options.only] if options.only else COMMANDS:
        with tempfile.TemporaryDirectory() as place:
            rows, lines = COMMANDS[name](fresh(place))
        print(table(rows), summary(lines), sep="\n\n", flush=True)
        write("reliability", command=command(), seeds=[0], rows=rows, targets=lines,
              part=f"newcomer, {name}")  # fmt: skip


if __name__ == "__main__":
    main()
