"""Host envs: any Python simulator, many side by side, in a loop, in threads or in processes.

Worker processes are started by a fork server, answer within a time limit, and end with their
parent however it ends. After one has failed all are ended: the games of the others would be a step
ahead of what the caller knows.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
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
        timeout: seconds a process may take to answer; what hangs in a loop or in a thread cannot
            be ended.

    Raises:
        UserError: no env; a simulator that cannot be built; later, one that raised, hung or died
            in a process.
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
            self._parts = _start(make, shares, timeout)
        else:
            self._parts = [_Here(make, share) for share in shares]
        self._spec = self._parts[0].spec
        self._closed = ""

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
        """End every simulator and worker; nothing happens the second time."""
        if not self._closed:
            self._closed = "it was closed"
            for part in self._parts:
                part.close()
            if self._pool is not None:
                self._pool.shutdown()

    def _shares(self) -> list[tuple[int, int]]:
        return list(zip(self._bounds[:-1], self._bounds[1:], strict=True))

    def _all(self, method: str, arguments: list[tuple[Any, ...]]) -> Any:
        """Send to all, then gather, so that workers work at the same time."""
        require(
            not self._closed,
            f"expected an env that is open, found that {self._closed}; build it anew",
        )
        try:
            return self._ask(method, arguments)
        except _Failed as failure:
            self._closed = "a simulator failed"
            for part in self._parts:
                part.end()
            raise UserError(str(failure)) from None

    def _ask(self, method: str, arguments: list[tuple[Any, ...]]) -> Any:
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

    def end(self) -> None:
        """Nothing: only processes fail on their own."""


class _Failed(Exception):
    """A worker raised, hung or died; the text is a sentence for the user."""


class _Process:
    """Some simulators in a worker process."""

    spec: Spec
    """Known once the worker has built its simulators."""

    def __init__(self, make: Callable[[], Simulator], count: int, timeout: float) -> None:
        context = multiprocessing.get_context("forkserver")
        self.timeout = timeout
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, count), daemon=True)
        try:
            self.process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise _Failed(
                "expected make= that another process can import, such as a function at the top of "
                f"a module, found {make!r}: {error}"
            ) from error
        finally:
            theirs.close()

    def call(self, method: str, *arguments: Any) -> Any:
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        message = bytes(ForkingPickler.dumps((method, arguments)))
        with self._in_time(len(message)):
            self.connection.send_bytes(message)

    def receive(self) -> Any:
        with self._in_time():
            if not self.connection.poll(self.timeout):
                self.process.kill()
            answer = self.connection.recv()
        if isinstance(answer, _Complaint):
            raise _Failed(answer.text)
        return answer

    def close(self) -> None:
        """Let the worker close its simulators, but do not wait long."""
        with contextlib.suppress(OSError):  # it may have ended by itself
            self.connection.send(None)
        self.process.join(min(self.timeout, PATIENCE))
        self.end()

    def end(self) -> None:
        """Kill the worker if it is still there."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    @contextlib.contextmanager
    def _in_time(self, size: int = 0) -> Iterator[None]:
        """Turn what goes wrong with the worker meanwhile into a sentence.

        A message too long for the pipe blocks until the worker reads it, so it is timed.
        """
        started = time.monotonic()
        guard = threading.Timer(self.timeout, self.process.kill) if size > PIPE else None
        if guard is not None:
            guard.start()
        try:
            yield
        except (EOFError, OSError) as error:
            late = time.monotonic() - started >= self.timeout
            raise _Failed(self._late() if late else self._ended()) from error
        finally:
            if guard is not None:
                guard.cancel()

    def _late(self) -> str:
        return (
            f"expected the simulator to answer within {self.timeout:g} s, found it still busy and "
            "ended it; raise timeout= if it is slow, mend it if it hangs"
        )

    def _ended(self) -> str:
        self.process.join(PATIENCE)
        code = self.process.exitcode
        if code is not None and code < 0:
            return (
                f"a simulator's process was ended by the signal {signal.Signals(-code).name} from "
                "outside; see whether memory ran out, then start again"
            )
        return (
            f"a simulator's process ended with code {code}; its own message is above, mend the "
            "simulator"
        )


PATIENCE = 5.0
"""Seconds a worker may take to end after it was asked to."""
PIPE = 1 << 15
"""Bytes that surely fit into a pipe that nobody reads."""


def _start(
    make: Callable[[], Simulator], shares: list[int], timeout: float
) -> list[_Here | _Process]:
    """Workers that have built their simulators, all at the same time."""
    parts: list[_Process] = []
    try:
        for share in shares:
            parts.append(_Process(make, share, timeout))
        for part in parts:
            part.spec = part.receive()
    except _Failed as failure:
        raise UserError(str(failure)) from None
    finally:
        if not all(hasattr(part, "spec") for part in parts) or len(parts) < len(shares):
            for part in parts:
                part.end()
    return list(parts)


class _Complaint:
    """What a simulator raised, on its way to the parent."""

    def __init__(self, method: str, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        self.text = (
            f"a simulator raised {type(error).__name__} in {method}, line {last.lineno} of "
            f"{os.path.basename(last.filename)}: {error}"
        )


def _serve(connection: Connection, make: Callable[[], Simulator], count: int) -> None:
    """Answer the parent until it says stop or is gone; an error of a simulator ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    _signal_end_of_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    method = "make"
    try:
        here = _Here(make, count)
        answer: Any = here.spec
        while True:
            connection.send(answer)
            message = _next(connection)
            if message is None:
                break
            method, arguments = message
            answer = here.call(method, *arguments)
        here.close()
    except Exception as error:
        with contextlib.suppress(OSError):  # nobody may be there to hear it
            connection.send(_Complaint(method, error))


def _next(connection: Connection) -> Any:
    """What the parent asks; None when it is gone."""
    try:
        return connection.recv()
    except (EOFError, ConnectionResetError):
        return None


def _signal_end_of_parent() -> None:
    """Ask the system for a signal, deadly unless handled, when the parent's end of a pipe closes.

    A simulator that hangs in compiled code may hold the interpreter, and with it the thread of
    `_end_with_parent`.
    """
    parent = multiprocessing.parent_process()
    if parent is None or not hasattr(os, "O_ASYNC"):
        return
    import fcntl  # not on every system

    with contextlib.suppress(OSError):
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        time.sleep(0.1)
        os._exit(1)


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
