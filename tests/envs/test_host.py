"""Host envs: a loop, threads and processes play the same; hangs, crashes and orphans end."""

import dataclasses
import functools
import multiprocessing
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
    """Does something bad in the second step of the game of seed 1."""

    way: str = "hang"

    def reset(self, seed):
        self.seed = seed
        return super().reset(seed)

    def step(self, actions):
        if self.seed == 1 and self.time == 1:
            if self.way == "hang":
                time.sleep(60)
            if self.way == "loop":
                while True:
                    pass
            if self.way == "raise":
                raise RuntimeError("the ball is lost")
            if self.way == "forget":
                raise EOFError("no more tape")
            os._exit(7)
        return super().step(actions)


class Unbuildable(HomeSimulator):
    def __init__(self):
        raise OSError("no such court")


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


STILL = {"agents": np.zeros((2, 2, 1), np.float32)}


def begun(make):
    """Two games in two processes after their first step, and the processes."""
    env = Batched(make, envs=2, by="processes", workers=2, timeout=60.0)
    for part in env._parts:
        vars(part)["timeout"] = 1.5  # starting takes longer than a step
    env.reset(np.arange(2))
    env.step(STILL)
    return env, [vars(part)["process"] for part in env._parts]


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("hang", r"answer within 1\.5 s, found it still busy"),
        ("loop", r"answer within 1\.5 s, found it still busy"),
        ("die", "process ended with code 7"),
        ("raise", r"raised RuntimeError in step, line \d+ of test_host\.py: the ball is lost"),
        ("forget", "raised EOFError in step, .*: no more tape"),
    ],
)
def test_what_happened_to_a_simulator_is_one_sentence(way, sentence):
    env, processes = begun(functools.partial(Bad, way=way))
    with pytest.raises(UserError, match=sentence):
        env.step(STILL)
    assert [process.is_alive() for process in processes] == [False, False]
    with pytest.raises(UserError, match="open, found that a simulator failed or was interrupted"):
        env.step(STILL)
    env.close()


def test_in_a_loop_the_error_itself_is_raised():
    env = Batched(functools.partial(Bad, way="raise"), envs=2)
    env.reset(np.arange(2))
    env.step(STILL)
    with pytest.raises(RuntimeError, match="the ball is lost"):
        env.step(STILL)
    with pytest.raises(UserError, match="open, found that a simulator failed"):
        env.step(STILL)


def test_a_worker_killed_from_outside_is_named():
    env, processes = begun(HomeSimulator)
    os.kill(processes[1].pid, signal.SIGKILL)
    with pytest.raises(UserError, match="ended by the signal SIGKILL from outside"):
        env.step(STILL)
    assert not processes[0].is_alive()


def test_a_worker_that_is_stopped_is_ended_whatever_the_size_of_the_message():
    env, processes = begun(HomeSimulator)
    os.kill(processes[0].pid, signal.SIGSTOP)
    with pytest.raises(UserError, match=r"answer within 1\.5 s"):
        env.step({"agents": np.zeros((2, 1 << 20, 1), np.float32)})
    assert not any(process.is_alive() for process in processes)


def test_closing_ends_workers_even_busy_ones():
    env, processes = begun(functools.partial(Bad, way="loop"))
    for part in env._parts:
        part.send("step", {"agents": STILL["agents"][:1]})
    started = time.monotonic()
    env.close()
    env.close()
    assert not any(process.is_alive() for process in processes)
    assert time.monotonic() - started < 10
    with pytest.raises(UserError, match="found that it was closed"):
        env.reset(np.arange(2))


def test_simulators_that_cannot_be_built_are_one_sentence():
    with pytest.raises(UserError, match=r"raised OSError in make, .*: no such court"):
        Batched(Unbuildable, envs=2, by="processes", workers=2)
    with pytest.raises(UserError, match=r"that another process can import.*lambda"):
        Batched(lambda: HomeSimulator(), envs=2, by="processes", workers=2)
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("ForkServer")]


ORPHANS = """
import re, sys, time
import numpy as np
from contracts.envs import HomeSimulator
from understudy.envs.host import Batched

class Holding(HomeSimulator):
    def step(self, actions):
        re.match("(a+)+b", "a" * 64)  # years, and never lets go of the interpreter

if __name__ == "__main__":
    env = Batched(Holding, envs=2, by="processes", workers=2)
    env.reset(np.arange(2))
    env._parts[0].send("step", {"agents": np.zeros((1, 2, 1), np.float32)})
    print(*[part.process.pid for part in env._parts], flush=True)
    time.sleep(60)
"""


def test_workers_die_with_their_parent_even_if_one_holds_the_interpreter(tmp_path):
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
