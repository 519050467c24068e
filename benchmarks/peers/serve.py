"""The stop watch of programs that step many envs: a warm-up, then a round for every line of input.

A program prints one line of JSON when it is warm, and one after each round, so that rounds can
alternate with those of other programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = 0.5
"""A round lasts at least so long."""


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Send what others print to standard error: standard output is for answers."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def serve(play: Callable[[], float], *, envs: int, steps: int, **about: Any) -> None:
    """Time ``play()``, which takes `steps` steps in each of `envs` envs and returns a checksum.

    The checksum is of every observation and reward, so that no work can be left out.
    """
    start = time.perf_counter()
    checksum = play()
    about |= {"first_step_seconds": time.perf_counter() - start, "sequences": envs}
    checksum += play()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        calls, start = 0, time.perf_counter()
        while (seconds := time.perf_counter() - start) < SECONDS:
            checksum += play()
            calls += 1
        timing = {"seconds_per_step": seconds / (calls * steps), "checksum": checksum}
        print(json.dumps({**about, **timing}), flush=True)
