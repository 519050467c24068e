"""What a newcomer waits for (A1.1, A1.2, A1.3): the README's commands in a fresh clone.

    python benchmarks/newcomer.py

Clones the commit that is checked out, makes an empty virtual environment, and runs the two commands
of the README there, then ``understudy --help`` and ``import understudy`` five times each (medians).
Real data is used where ``UNDERSTUDY_DATA`` names it.
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


def main() -> None:
    """Measure and write."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run(["git", "clone", "-q", str(HERE), str(folder / "clone")], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        install, _ = timed("pip install -q -e .", folder)
        quick, _ = timed("understudy quickstart", folder)
        left = {path.name for path in (folder / "clone" / "quickstart").iterdir()}
        again = [timed("understudy --help", folder)[0] for _ in range(5)]
        imports = [timed("python -c 'import understudy'", folder)[0] for _ in range(5)]
        quiet = "import sys, understudy; assert 'jax' not in sys.modules"
        timed(f'python -c "{quiet}"', folder)
        print(
            f"install {install:.0f} s, quick start {quick:.0f} s, left {sorted(left)}", flush=True
        )
        tests, said = timed('pip install -q -e ".[test]" && pytest', folder, may_fail=True)
    print(said)
    passed, skipped, failed = (
        int(found[1]) if (found := re.search(rf"(\d+) {word}", said)) else 0
        for word in ("passed", "skipped", "failed")
    )
    wanted = {"report.html", "rollouts.gif", "summary.json"}
    help_time, import_time = statistics.median(again), statistics.median(imports)
    rows = [
        {"what": "pip install -e .", "seconds": install},
        {"what": "understudy quickstart", "seconds": quick, "left": sorted(left)},
        {"what": "understudy --help, interpreter and all", "seconds": help_time},
        {"what": "import understudy, interpreter and all", "seconds": import_time},
        {
            "what": "pytest",
            "seconds": tests,
            "passed": passed,
            "skipped": skipped,
            "failed": failed,
        },
    ]
    lines = [
        target("A1.1", "seconds to install and finish the quick start", "<=", 300, install + quick),
        target("A1.1b", "of report, animation, summary left", "==", 3, len(wanted & left)),
        target("A1.2", "seconds of the test command, installing included", "<=", 600, tests),
        target("A1.2b", "tests skipped with real data at hand", "==", 0, skipped),
        target("A1.2c", "tests that fail", "==", 0, failed),
        target("A1.3", "seconds of understudy --help", "<=", 1.0, help_time),
        target("A1.3b", "seconds of import understudy", "<=", 0.3, import_time),
    ]
    print(table(rows), summary(lines), sep="\n\n")
    write("reliability", command=command(), seeds=[0], rows=rows, targets=lines)


if __name__ == "__main__":
    main()
