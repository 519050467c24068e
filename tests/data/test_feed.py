import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sets import everything, tracks

from understudy.data import windows
from understudy.data.feed import fetch
from understudy.types import UserError

FEED = sys.modules["understudy.data.feed"]  # the attribute of the package is the function


def both(d, key, batch=3):
    found = windows(d, 3, least=0)
    resident = FEED.feed(d, found, batch=batch, key=key)
    streamed = FEED.feed(d, found, batch=batch, key=key, resident_bytes=0)
    assert resident.resident
    assert not streamed.resident
    return resident, streamed


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.mark.parametrize("make", [everything, lambda: tracks(ragged=True)])
def test_resident_and_streamed_feeds_give_the_same_batches(make, key):
    resident, streamed = both(make(), key)
    with streamed:
        for first in (0, 4, 8, 5, 100):
            assert_equal(resident.chunk(first, 4), streamed.chunk(first, 4))


def test_a_batch_inside_a_scan_is_the_batch_of_its_step(key):
    resident, streamed = both(everything(), key)

    @jax.jit
    def run(source):
        return jax.lax.scan(lambda _, step: (0, resident.take(source, step)), 0, jnp.arange(7))[1]

    with streamed:
        assert_equal(run(resident.source), streamed.chunk(0, 7))


def test_chunks_of_other_lengths_see_the_same_steps(key):
    _, streamed = both(tracks(), key)
    with streamed:
        whole = streamed.chunk(0, 6)
        tail = streamed.chunk(4, 2)
    assert_equal(jax.tree.map(lambda leaf: leaf[4:], whole), tail)


def test_an_error_in_the_thread_is_raised_by_the_next_chunk(key, monkeypatch):
    _, streamed = both(tracks(), key)

    def breaks_later(source, first_step, steps, batch):
        if first_step >= 2:
            raise OSError("the disk is gone")
        return fetch(source, first_step, steps, batch)

    monkeypatch.setattr(FEED, "fetch", breaks_later)
    with streamed:
        streamed.chunk(0, 2)
        with pytest.raises(OSError, match="the disk is gone"):
            streamed.chunk(2, 2)


def feed_threads():
    return [t for t in threading.enumerate() if t.name.startswith("understudy-feed")]


def test_the_thread_ends_when_closed_and_when_forgotten(key):
    before = len(feed_threads())
    _, streamed = both(tracks(), key)
    streamed.chunk(0, 2)
    assert len(feed_threads()) == before + 1
    streamed.close()
    assert len(feed_threads()) == before

    _, forgotten = both(tracks(), key)
    forgotten.chunk(0, 2)
    (thread,) = feed_threads()
    del forgotten
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_the_choice_is_said_aloud(key):
    resident, streamed = both(tracks(), key)
    streamed.close()
    assert str(resident) == "11 windows, 0.0 MB resident on the device"
    assert str(streamed) == "11 windows, 0.0 MB streamed by a host thread"
    with pytest.raises(UserError, match="at least one window"):
        FEED.feed(tracks(), windows(tracks(), 3), batch=0, key=key)
