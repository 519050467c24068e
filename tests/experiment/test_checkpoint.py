"""Checkpoints: every leaf comes back, damage is noticed, a full disk leaves the old file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.harness import disk_for_files_of
from understudy.experiment import checkpoint
from understudy.types import UserError


@pytest.fixture
def tree():
    return {
        "weights": (jnp.arange(6.0).reshape(2, 3), jnp.ones((), jnp.int32)),
        "keys": jax.random.split(jax.random.key(3), 2),
        "flags": jnp.array([True, False]),
        "none": jnp.zeros((0, 4)),
        "half": jnp.ones(3, jnp.bfloat16),
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "file.safetensors"


def test_every_leaf_comes_back(tree, path):
    checkpoint.save(path, tree, {"step": 7, "names": ["a"]})
    assert checkpoint.header(path) == {"step": 7, "names": ["a"]}
    again = checkpoint.load(path, jax.eval_shape(lambda: tree))
    for one, two in zip(jax.tree.leaves(again), jax.tree.leaves(tree), strict=True):
        assert one.dtype == two.dtype
        if checkpoint.is_key(one):
            one, two = jax.random.key_data(one), jax.random.key_data(two)
        np.testing.assert_array_equal(one, two)
    part = checkpoint.load(path, tree["weights"], "['weights']")
    np.testing.assert_array_equal(part[0], tree["weights"][0])


def test_equal_trees_make_equal_files(tree, path):
    checkpoint.save(path, tree, {"b": 1, "a": 2})
    first = path.read_bytes()
    checkpoint.save(path, tree, {"a": 2, "b": 1})
    assert path.read_bytes() == first


@pytest.mark.parametrize("where", [-1, 40, 0.5])
def test_a_flipped_bit_is_noticed(tree, path, where):
    checkpoint.save(path, tree, {"step": 1})
    content = bytearray(path.read_bytes())
    content[int(len(content) * where) if isinstance(where, float) else where] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged|checksum"):
        checkpoint.load(path, tree)


def test_a_truncated_or_missing_file_is_one_sentence(tree, path):
    checkpoint.save(path, tree, {})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.header(path)
    with pytest.raises(UserError, match="found no such file"):
        checkpoint.load(path.with_name("other"), tree)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.load(path, tree)


def test_another_structure_is_refused(tree, path):
    checkpoint.save(path, tree, {})
    with pytest.raises(UserError, match=r"lacks \[\"\['more'\]\"\]"):
        checkpoint.load(path, {**tree, "more": jnp.zeros(1)})
    with pytest.raises(UserError, match=r"expected \['flags'\] of shape \(3,\)"):
        checkpoint.load(path, {**tree, "flags": jnp.zeros(3, bool)})


def test_a_full_disk_leaves_the_file_of_before(path):
    checkpoint.save(path, {"a": jnp.zeros(4)}, {"step": 1})
    with disk_for_files_of(4096), pytest.raises(UserError, match=r"could not write .* is intact"):
        checkpoint.save(path, {"a": jnp.zeros(10_000)}, {"step": 2})
    assert checkpoint.header(path) == {"step": 1}
    assert [p.name for p in path.parent.iterdir()] == [path.name]
