"""Host envs: a loop, threads and processes play the same; hangs, crashes and orphans end."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from contracts.envs import HomeSimulator
from understudy.envs import conformance
from understudy.envs.host import Batched
from understudy.types import HostEnv, UserError


@dataclasses.dataclass
class Bad(HomeSimulator):
    """Hangs, or dies, in the second step of the game of seed 1."""

    way: str = "hang"

    def reset(self, seed):
        self.seed = seed
        return super().reset(seed)

    def step(self, actions):
        if self.seed == 1 and self.time == 1:
            if self.way == "hang":
                time.sleep(60)
            os._exit(7)
        return super().step(actions)


class Hangs(Bad):
    way = "hang"


@dataclasses.dataclass
class Dies(Bad):
    way: str = "die"


def play(env, steps=7):
    """What happens in some games that restart when they end."""
    seen = [env.reset(np.arange(env.envs))]
    for t in range(steps):
        moves = np.full((env.envs, 2, 1), 0.1 * t, np.float32)
        step = env.step({"agents": moves})
        ended = step.terminated | step.truncated
        seen.append((step, env.reset(np.arange(env.envs) + 10 * t, ended)))
    return jax.tree.leaves(seen)


def test_a_loop_threads_and_processes_play_the_same():
    games = []
    for by in ("loop", "threads", "processes"):
        env = Batched(HomeSimulator, envs=3, by=by, workers=2)
        assert isinstance(env, HostEnv)
        assert env.envs == 3
        assert env.spec == HomeSimulator().spec
        games.append(play(env))
        env.close()
    for other in games[1:]:
        for a, b in zip(games[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_host_env_conforms():
    conformance.check_host(Batched(HomeSimulator, envs=2), steps=7)


def test_a_simulator_that_hangs_or_dies_is_one_sentence():
    for make, sentence in (
        (Hangs, r"answer within 1\.5 s, found it still busy"),
        (Dies, "process ended with code 7"),
    ):
        env = Batched(make, envs=2, by="processes", workers=2, timeout=60.0)
        for part in env._parts:
            vars(part)["timeout"] = 1.5  # starting takes longer than a step
        env.reset(np.arange(2))
        env.step({"agents": np.zeros((2, 2, 1), np.float32)})
        with pytest.raises(UserError, match=sentence):
            env.step({"agents": np.zeros((2, 2, 1), np.float32)})
        env.close()


ORPHANS = """
import sys, time
import numpy as np
from contracts.envs import HomeSimulator
from understudy.envs.host import Batched

if __name__ == "__main__":
    env = Batched(HomeSimulator, envs=2, by="processes", workers=2)
    env.reset(np.arange(2))
    print(*[part.process.pid for part in env._parts], flush=True)
    time.sleep(60)
"""


def test_workers_die_with_their_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    tests = str(Path(__file__).parents[1])
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": tests},
    )  # fmt: skip
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 20
    while any(running(pid) for pid in workers):
        assert time.monotonic() < end, "workers outlive their parent"
        time.sleep(0.1)


def running(pid):
    """Alive, and not a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_envs_say_what_is_wrong():
    with pytest.raises(UserError, match="at least one env"):
        Batched(HomeSimulator, envs=0)
