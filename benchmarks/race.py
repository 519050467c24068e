"""Programs that take turns: warmed-up processes of ours and of peers, timed round by round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping
from typing import Any

BUSY = 0.7
"""Load average above which nothing is written."""


class Program:
    """A warmed-up process that runs a round when asked."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._read()
        self.seconds: list[float] = []
        """Per sequence, one of each round."""

    def round(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.about = self._read()
        self.seconds.append(self.about["seconds_per_step"] / self.about["sequences"])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.words)} ended without an answer")
        return json.loads(line)


def race(programs: Mapping[str, Program], rounds: int) -> dict[str, dict[str, Any]]:
    """Let all programs take turns for some rounds; what is said of each beside ``ours``."""
    for _ in range(rounds):
        for program in programs.values():
            program.round()
    found = {}
    for label, program in programs.items():
        pairs = zip(program.seconds, programs["ours"].seconds, strict=True)
        ratios = [theirs / own for theirs, own in pairs]
        found[label] = {
            "program": label,
            "framework": program.about["framework"],
            "ours_faster": statistics.median(ratios),
            "lowest_round": min(ratios),
            "highest_round": max(ratios),
            "rounds": rounds,
            "load": os.getloadavg()[0],
            "checksum": program.about["checksum"],
        }
    return found
