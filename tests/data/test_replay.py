import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.data import replay
from understudy.types import UserError


def entries(*values):
    x = jnp.asarray(values, jnp.float32)
    return {"x": x, "n": jnp.stack([x, -x], 1).astype(jnp.int32)}


def example():
    return jax.tree.map(lambda leaf: leaf[0], entries(0.0))


def test_the_last_entries_stay():
    buffer = replay.create(example(), 4)
    add = jax.jit(replay.add)
    buffer = add(buffer, entries(1.0, 2.0, 3.0))
    assert int(buffer.size) == 3
    buffer = add(buffer, entries(4.0, 5.0, 6.0))
    assert (int(buffer.size), int(buffer.cursor)) == (4, 2)
    assert buffer.entries["x"].tolist() == [5, 6, 3, 4]
    assert buffer.entries["n"][0].tolist() == [5, -5]


def test_samples_come_from_the_filled_part_and_all_of_it(key):
    buffer = replay.add(replay.create(example(), 10), entries(1.0, 2.0, 3.0))
    drawn = jax.jit(replay.sample, static_argnames="batch")(buffer, key, batch=300)
    counts = np.bincount(np.asarray(drawn["x"]).astype(int), minlength=4)
    assert counts[0] == 0
    assert (counts[1:] > 70).all()
    np.testing.assert_array_equal(drawn["n"][:, 0], drawn["x"].astype(jnp.int32))


def test_a_batch_larger_than_the_buffer_is_refused():
    with pytest.raises(UserError, match="at most 2 entries at once, found 3"):
        replay.add(replay.create(example(), 2), entries(1.0, 2.0, 3.0))
    with pytest.raises(UserError, match="at least one entry"):
        replay.create(example(), 0)
