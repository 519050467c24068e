"""The bidirectional LSTM against its equations in numpy."""

import jax
import jax.numpy as jnp
import numpy as np

from understudy.networks.lstm import BidirectionalLSTM
from understudy.networks.mlp import drawn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, x, direction):
    """Outputs of one direction of a layer, a row of `x` after the other."""
    w, b, u, c = (
        np.asarray(leaf[direction], np.float64)
        for leaf in (layer.input_weight, layer.input_bias, layer.hidden_weight, layer.hidden_bias)
    )
    hidden = cell = np.zeros(u.shape[1])
    found = []
    for row in x[::-1] if direction else x:
        i, f, g, o = np.split(w @ row + b + u @ hidden + c, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        found.append(hidden)
    return np.array(found[::-1] if direction else found)


def test_two_layers_read_both_ways_and_are_summed(key):
    network = drawn(BidirectionalLSTM(2, 3, 2), key)
    x = np.array([[0.3, -1.2], [0.8, 0.1], [-0.5, 2.0]])
    first, second = network.layers
    below = np.concatenate([by_hand(first, x, 0), by_hand(first, x, 1)], -1)
    want = by_hand(second, below, 0) + by_hand(second, below, 1)
    got = network(jnp.asarray(x, jnp.float32), jnp.ones(3, bool))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_absent_rows_are_not_read(key):
    network = drawn(BidirectionalLSTM(2, 3, 2), key)
    x = jax.random.normal(key, (5, 2))
    there = jnp.array([True, False, True, True, False])
    alone = network(x[there], jnp.ones(3, bool))
    np.testing.assert_allclose(network(x, there)[there], alone, rtol=1e-5, atol=1e-6)
