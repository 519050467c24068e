"""Host envs: any Python simulator, many side by side, in a loop, in threads or in processes.

Worker processes are started by a fork server, answer within a time limit, and end with their
parent however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, Protocol

import jax
import numpy as np

from understudy.types import Observation, Spec, Step, UserError, require


class Simulator(Protocol):
    """One game at a time, numpy arrays without a leading axis."""

    @property
    def spec(self) -> Spec:
        """Groups of the game."""
        ...

    def reset(self, seed: int) -> Observation:
        """Begin the game that `seed` decides."""
        ...

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Play one step; called after the end only to begin again with `reset`."""
        ...

    def close(self) -> None:
        """Let go of what the simulator holds."""
        ...


class Batched:
    """A `HostEnv` of many simulators.

    Args:
        make: builds one simulator; importable (not a lambda) for processes.
        envs: how many.
        by: in a ``"loop"``, in ``"threads"`` (for simulators that release the interpreter), or in
            ``"processes"``.
        workers: threads or processes; as many as cores if left out, never more than `envs`.
        timeout: seconds a process may take to answer.

    Raises:
        UserError: no env.
    """

    def __init__(
        self,
        make: Callable[[], Simulator],
        *,
        envs: int,
        by: Literal["loop", "threads", "processes"] = "loop",
        workers: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        require(envs > 0, f"expected at least one env, found {envs}")
        ways = ("loop", "threads", "processes")
        require(by in ways, f"expected by= one of {ways}, found {by!r}")
        self._envs = envs
        count = 1 if by == "loop" else min(envs, workers or os.cpu_count() or 1)
        shares = [len(part) for part in np.array_split(np.arange(envs), count)]
        self._bounds: list[int] = np.cumsum([0, *shares]).tolist()
        self._pool = ThreadPoolExecutor(count) if by == "threads" else None
        self._parts: list[_Here | _Process]
        if by == "processes":
            self._parts = [_Process(make, share, timeout) for share in shares]
        else:
            self._parts = [_Here(make, share) for share in shares]
        self._spec = self._parts[0].spec

    @property
    def spec(self) -> Spec:
        """Groups of the game."""
        return self._spec

    @property
    def envs(self) -> int:
        """How many games go on side by side."""
        return self._envs

    def reset(self, seeds: np.ndarray, where: np.ndarray | None = None) -> Observation:
        """Begin anew where `where` holds (everywhere if None); return every observation."""
        where = np.ones(self._envs, bool) if where is None else where
        return self._all("reset", [(seeds[a:b], where[a:b]) for a, b in self._shares()])

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        """Play one step in every game."""
        return self._all("step", [({n: x[a:b] for n, x in actions.items()},)
                                  for a, b in self._shares()])  # fmt: skip

    def close(self) -> None:
        """End every simulator and worker."""
        for part in self._parts:
            part.close()
        if self._pool is not None:
            self._pool.shutdown()

    def _shares(self) -> list[tuple[int, int]]:
        return list(zip(self._bounds[:-1], self._bounds[1:], strict=True))

    def _all(self, method: str, arguments: list[tuple[Any, ...]]) -> Any:
        """Send to all, then gather, so that workers work at the same time."""
        if self._pool is not None:
            jobs = [
                self._pool.submit(part.call, method, *some)
                for part, some in zip(self._parts, arguments, strict=True)
            ]
            answers = [job.result() for job in jobs]
        else:
            for part, some in zip(self._parts, arguments, strict=True):
                part.send(method, *some)
            answers = [part.receive() for part in self._parts]
        if len(answers) == 1:
            return answers[0]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *answers)


class _Here:
    """Some simulators in this process, one after the other."""

    def __init__(self, make: Callable[[], Simulator], count: int) -> None:
        self.simulators = [make() for _ in range(count)]
        self.spec = self.simulators[0].spec
        self.seen: list[Observation] = [None] * count  # type: ignore[list-item]
        self.answer: Any = None

    def call(self, method: str, *arguments: Any) -> Any:
        return self.reset(*arguments) if method == "reset" else self.step(*arguments)

    def send(self, method: str, *arguments: Any) -> None:
        self.answer = self.call(method, *arguments)

    def receive(self) -> Any:
        return self.answer

    def reset(self, seeds: np.ndarray, where: np.ndarray) -> Observation:
        for i, (simulator, seed) in enumerate(zip(self.simulators, seeds, strict=True)):
            if where[i]:
                self.seen[i] = simulator.reset(int(seed))
        return _stack(self.seen)

    def step(self, actions: Mapping[str, np.ndarray]) -> Step:
        steps = [
            simulator.step({name: array[i] for name, array in actions.items()})
            for i, simulator in enumerate(self.simulators)
        ]
        self.seen = [step.observation for step in steps]
        return _stack(steps)

    def close(self) -> None:
        for simulator in self.simulators:
            simulator.close()


class _Process:
    """Some simulators in a worker process."""

    def __init__(self, make: Callable[[], Simulator], count: int, timeout: float) -> None:
        context = multiprocessing.get_context("forkserver")
        self.timeout = timeout
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, count), daemon=True)
        self.process.start()
        theirs.close()
        self.spec: Spec = self.receive()

    def call(self, method: str, *arguments: Any) -> Any:
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        try:
            self.connection.send((method, arguments))
        except BrokenPipeError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        if not self.connection.poll(self.timeout):
            self.process.kill()
            raise UserError(
                f"expected the simulator to answer within {self.timeout:g} s, found it still "
                "busy and ended it; raise timeout= if it is slow, mend it if it hangs"
            )
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._ended() from error

    def close(self) -> None:
        if self.process.is_alive():
            with contextlib.suppress(BrokenPipeError):  # it may end by itself meanwhile
                self.connection.send(None)
            self.process.join(self.timeout)
            if self.process.is_alive():
                self.process.kill()
        self.connection.close()

    def _ended(self) -> UserError:
        self.process.join(1.0)
        return UserError(
            f"a simulator's process ended with code {self.process.exitcode}; its own message is "
            "above, mend the simulator"
        )


def _serve(connection: Connection, make: Callable[[], Simulator], count: int) -> None:
    """Answer the parent until it says stop or is gone; an error of a simulator ends the process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    here = _Here(make, count)
    connection.send(here.spec)
    while True:
        try:
            message = connection.recv()
        except EOFError:
            break
        if message is None:
            break
        method, arguments = message
        connection.send(here.call(method, *arguments))
    here.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        time.sleep(0.1)
        os._exit(1)


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
