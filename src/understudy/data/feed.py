"""Feeding windows to training: from device memory inside the scan, or streamed from the host.

Which windows a step sees is a pure function of (key, step), so both ways give the same batches
and the only cursor to save is the step.
"""

from __future__ import annotations

import functools
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from understudy.data import sampling
from understudy.data.demonstrations import Demonstrations
from understudy.types import Window, require

RESIDENT_BYTES = 2**30


class Source(NamedTuple):
    """What batches are taken from; a pytree, so it enters jit as an argument."""

    rows: sampling.Rows
    windows: sampling.Windows
    key: Key[Array, ""]


class Feed:
    """Batches of windows by step number; every seed of a run sees the same ones.

    A resident feed is used inside a compiled program, ``feed.take(source, step)`` with `source`
    passed in as an argument (``feed.source``). A streamed one is asked for ``feed.chunk(first,
    steps)``, which returns host arrays and starts to fetch the next chunk of as many steps in a
    thread. `chunk` works for both. An error in the thread is raised by the next call of `chunk`.
    """

    def __init__(self, source: Source, batch: int, resident: bool, bytes: int) -> None:
        self.resident = resident
        self.batch = batch
        self.bytes = bytes
        self.windows = len(source.windows)
        self.source = jax.tree.map(jnp.asarray, source) if resident else source
        self._next: tuple[tuple[int, int], Future[Window]] | None = None
        self._thread = None
        if not resident:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-feed")
            self._close = weakref.finalize(
                self, self._thread.shutdown, wait=False, cancel_futures=True
            )

    def __str__(self) -> str:
        where = "resident on the device" if self.resident else "streamed by a host thread"
        return f"{self.windows:,} windows, {self.bytes / 1e6:,.1f} MB {where}"

    def take(self, source: Source, step: Int[Array, ""] | int) -> Window:
        """Return the batch of one step, ``[batch, time, ...]``; pure, for use inside a scan."""
        return _take(source, step, batch=self.batch)

    def chunk(self, first_step: int, steps: int) -> Window:
        """Return the batches of `steps` steps, ``[steps, batch, time, ...]``."""
        if self._thread is None:
            return _take_many(self.source, jnp.arange(first_step, first_step + steps), self.batch)
        wanted = (first_step, steps)
        ahead, self._next = self._next, None
        if ahead is not None and ahead[0] == wanted:
            future = ahead[1]
        else:
            if ahead is not None:
                ahead[1].cancel()
            future = self._fetch(*wanted)
        window = future.result()
        after = (first_step + steps, steps)
        self._next = (after, self._fetch(*after))
        return window

    def close(self) -> None:
        """Stop the thread; what it was fetching is thrown away."""
        if self._thread is not None:
            self._close()
            self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch(self, first_step: int, steps: int) -> Future[Window]:
        assert self._thread is not None
        return self._thread.submit(fetch, self.source, first_step, steps, self.batch)


def feed(
    demonstrations: Demonstrations,
    windows: sampling.Windows,
    *,
    batch: int,
    key: Key[Array, ""],
    resident_bytes: int = RESIDENT_BYTES,
) -> Feed:
    """Choose how to feed: resident if rows and index fit in `resident_bytes`, else streamed.

    Args:
        demonstrations: the training split.
        windows: of these demonstrations.
        batch: windows per step.
        key: decides, with the step, which windows a step sees.
        resident_bytes: device memory the data may take.

    Raises:
        UserError: if there is no window, or the batch is empty.
    """
    require(len(windows) > 0, "expected at least one window to feed, found none")
    require(batch > 0, f"expected a batch of at least one window, found {batch}")
    rows, lean = sampling.rows(demonstrations), windows.lean()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((rows, lean)))
    return Feed(Source(rows, lean, key), batch, size <= resident_bytes, size)


def fetch(source: Source, first_step: int, steps: int, batch: int) -> Window:
    """Gather a chunk on the host, ``[steps, batch, time, ...]`` numpy arrays."""
    numbers = _indices(
        source.key, jnp.arange(first_step, first_step + steps), batch, len(source.windows)
    )
    flat = sampling.gather(source.rows, source.windows, np.asarray(numbers).reshape(-1))
    return jax.tree.map(lambda leaf: leaf.reshape(steps, batch, *leaf.shape[1:]), flat)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _indices(key: Any, steps: Any, batch: int, total: int) -> Any:
    return jax.vmap(lambda step: sampling.sample(key, step, batch=batch, total=total))(steps)


def _take(source: Source, step: Any, *, batch: int) -> Window:
    indices = sampling.sample(source.key, step, batch=batch, total=len(source.windows))
    return sampling.gather(source.rows, source.windows, indices)


@functools.partial(jax.jit, static_argnums=2)
def _take_many(source: Source, steps: Any, batch: int) -> Window:
    return jax.vmap(lambda step: _take(source, step, batch=batch))(steps)
