"""Perceptrons of several heads against a loop over heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.networks.heads import Heads
from understudy.networks.mlp import MLP, drawn


def test_an_mlp_is_linear_relu_linear(key):
    net = drawn(MLP(2, (3,), 1), key)
    x = np.array([[0.5, -2.0]], np.float32)
    first, last = net.layers
    hidden = np.maximum(x @ np.asarray(first.weight).T + np.asarray(first.bias), 0)
    expected = hidden @ np.asarray(last.weight).T + np.asarray(last.bias)
    np.testing.assert_allclose(net(jnp.asarray(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("time", [(), (4,)])
def test_heads_equal_a_loop_over_heads(key, time):
    heads = drawn(Heads({"target": 2, "seen": 3, "hidden": 1}, (4, 4), 5, heads=3), key)
    a, b, c = jax.random.split(key, 3)
    target = jax.random.normal(a, (*time, 3, 6, 2))
    seen = jax.random.normal(b, (*time, 6, 3))
    hidden = jax.random.normal(c, (*time, 6, 1))
    together = heads(hidden=hidden, seen=seen, target=target)
    assert together.shape == (*time, 3, 6, 5)
    for m in range(3):
        net = jax.tree.map(lambda leaf, m=m: leaf[m], heads.nets)
        alone = net(jnp.concatenate([target[..., m, :, :], seen, hidden], -1))
        np.testing.assert_allclose(together[..., m, :, :], alone, rtol=1e-4, atol=1e-5)


def test_inputs_that_a_network_has_not_are_left_out(key):
    heads = drawn(Heads({"hidden": 2}, (4,), 5, heads=2), key)
    seen, hidden = jnp.ones((6, 3)), jnp.full((6, 2), 0.5)
    np.testing.assert_array_equal(heads(seen=seen, hidden=hidden), heads(hidden=hidden))


def test_weights_are_drawn_within_their_bound_and_differ(key):
    weight = drawn(MLP(100, (50,), 1), key).layers[0].weight
    assert weight.shape == (50, 100)
    assert 0.09 < np.abs(weight).max() <= 0.1
    np.testing.assert_allclose(np.std(weight), 0.1 / np.sqrt(3), rtol=0.05)
