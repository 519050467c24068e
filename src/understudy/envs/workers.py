"""Simulators in worker processes, which answer in time or end with one sentence.

Workers are started by a fork server and end with their parent however it ends.
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
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from understudy.envs.simulators import Here, Simulator
from understudy.types import Spec, UserError

PATIENCE = 5.0
"""Seconds a worker may take to end after it was asked to."""
PIPE = 1 << 15
"""Bytes that surely fit into a pipe that nobody reads."""


class Failed(Exception):
    """A worker raised, hung or died; the text is a sentence for the user."""


class Process:
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
            raise Failed(
                "expected make= that another process can import, such as a function at the top of "
                f"a module, found {make!r}: {error}"
            ) from error
        finally:
            theirs.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask, and wait for the answer."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        """Ask for a ``reset`` or a ``step``."""
        message = bytes(ForkingPickler.dumps((method, arguments)))
        with self._in_time(len(message)):
            self.connection.send_bytes(message)

    def receive(self) -> Any:
        """The answer to what was asked last."""
        with self._in_time():
            if not self.connection.poll(self.timeout):
                self.process.kill()
            answer = self.connection.recv()
        if isinstance(answer, _Complaint):
            raise Failed(answer.text)
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
            raise Failed(self._late() if late else self._ended()) from error
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


def start(make: Callable[[], Simulator], shares: list[int], timeout: float) -> list[Process]:
    """Workers that have built their simulators, all at the same time."""
    parts: list[Process] = []
    try:
        for share in shares:
            parts.append(Process(make, share, timeout))
        for part in parts:
            part.spec = part.receive()
    except BaseException as error:
        for part in parts:
            part.end()
        if isinstance(error, Failed):
            raise UserError(str(error)) from None
        raise
    return parts


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
        here = Here(make, count)
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
