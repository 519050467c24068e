"""Host envs: any Python simulator, many side by side, in a loop, in threads or in processes.

After one simulator has failed all are ended: the games of the others would be a step ahead of what
the caller knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jax
import numpy as np

from understudy.envs.simulators import Here
from understudy.envs.simulators import Simulator as Simulator
from understudy.envs.workers import Failed, Process, start
from understudy.types import Observation, Spec, Step, UserError, require


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
        self._parts: Sequence[Here | Process]
        if by == "processes":
            self._parts = start(make, shares, timeout)
        else:
            self._parts = [Here(make, share) for share in shares]
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
        except BaseException as error:
            self._closed = "a simulator failed or was interrupted"
            for part in self._parts:
                part.end()
            if isinstance(error, Failed):
                raise UserError(str(error)) from None
            raise

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
