"""Orthogonal weights and normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.networks.mlp import MLP, LayerNorm, orthogonal, stacked


@pytest.mark.parametrize("stack", [0, 3])
def test_weights_are_orthogonal_and_biases_nothing(key, stack):
    """``W Wᵀ = gain² I`` for wide matrices, ``Wᵀ W`` for tall ones, of every agent apart."""
    network = MLP(5, (8,), 2)
    network = stacked(network, stack) if stack else network
    made = jax.jit(lambda k: orthogonal(network, k, gain=2.0))(key)
    for layer in made.layers:
        weights = np.asarray(layer.weight).reshape(-1, *layer.weight.shape[-2:])
        for weight in weights:
            few = weight if weight.shape[0] <= weight.shape[1] else weight.T
            np.testing.assert_allclose(few @ few.T, 4 * np.eye(len(few)), atol=1e-5)
        assert not np.asarray(layer.bias).any()
        assert len(np.unique(weights[:, 0, 0])) == max(1, stack)


def test_a_gain_may_depend_on_the_place(key):
    made = orthogonal(MLP(4, (4,), 1), key, gain=lambda path: 3.0 if "[0]" in path else 0.5)
    np.testing.assert_allclose(
        made.layers[0].weight @ made.layers[0].weight.T, 9 * np.eye(4), atol=1e-5
    )
    np.testing.assert_allclose(np.square(made.layers[1].weight).sum(), 0.25, rtol=1e-5)


def test_normalised_features_have_mean_0_and_variance_1():
    found = LayerNorm(4)(jnp.array([[1.0, 2.0, 3.0, 4.0]]))
    np.testing.assert_allclose(found, [[-1.3416, -0.4472, 0.4472, 1.3416]], atol=1e-3)
