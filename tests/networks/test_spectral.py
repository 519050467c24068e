"""Spectral normalisation: by hand, its gradient, and while a network learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.networks import descent, spectral
from understudy.networks.attention import L2Attention
from understudy.networks.blocks import EncoderBlock
from understudy.networks.mlp import MLP, Linear, stacked

begin, follow = jax.jit(spectral.start), jax.jit(spectral.advance)


def weights(network):
    places = jax.tree_util.tree_flatten_with_path(network)[0]
    return [w for path, w in places if jax.tree_util.keystr(path).endswith("weight")]


def largest(matrices):
    """Of every one, by singular value decomposition."""
    found = [np.linalg.svd(np.asarray(w), compute_uv=False)[..., 0] for w in matrices]
    return np.concatenate([each.reshape(-1) for each in found])


def with_weight(weight):
    layer = Linear(weight.shape[1], weight.shape[0])
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.ones(weight.shape[0])))


@pytest.mark.parametrize(("kind", "size"), [("none", 15.0), ("spectral", 1.0), ("improved", 3.0)])
def test_a_matrix_by_hand(kind, size):
    """diag(3, 1), later five times as large."""
    layer = with_weight(jnp.diag(jnp.array([3.0, 1.0])))
    vectors = begin(layer)
    np.testing.assert_allclose(vectors.start[0], 3.0, rtol=1e-5)
    layer = eqx.tree_at(lambda m: m.weight, layer, layer.weight * 5)
    vectors = follow(layer, vectors)
    found = spectral.normalised(layer, vectors, kind)
    np.testing.assert_allclose(found.weight, jnp.diag(jnp.array([size, size / 3])), atol=1e-4)
    np.testing.assert_array_equal(found.bias, jnp.ones(2))


def test_networks_of_many_agents_are_normalised_one_by_one():
    nets = stacked(MLP(3, (4,), 2), 5)
    draw = np.random.default_rng(0)
    nets = jax.tree.map(lambda w: jnp.asarray(draw.normal(size=w.shape), jnp.float32), nets)
    found = jax.jit(lambda n: spectral.normalised(n, spectral.start(n), "spectral"))(nets)
    np.testing.assert_allclose(largest(weights(found)), np.ones(10), rtol=0.02)


def test_the_gradient_knows_that_scale_does_not_matter():
    """``W / σ(W)`` is the same for 2 W, so its gradient has no part along W; vectors have none."""
    layer = with_weight(jax.random.normal(jax.random.key(1), (4, 3)))
    vectors = begin(layer)
    pull = jax.random.normal(jax.random.key(2), (4, 3))

    def total(layer, vectors):
        return (spectral.normalised(layer, vectors, "spectral").weight * pull).sum()

    ours, theirs = jax.jit(jax.grad(total, (0, 1)))(layer, vectors)
    assert float(jnp.abs(ours.weight).max()) > 0.01
    assert float((ours.weight * layer.weight).sum()) == pytest.approx(0.0, abs=1e-5)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(theirs))


def test_a_weight_of_zero_stays_finite():
    layer = with_weight(jnp.zeros((2, 2)))
    vectors = follow(layer, begin(layer))
    found = jax.grad(lambda m: spectral.normalised(m, vectors, "improved").weight.sum())(layer)
    assert jnp.isfinite(found.weight).all()


class Blocks(eqx.Module):
    """A part of a transformer with attention by distance, and a head."""

    block: EncoderBlock
    head: Linear

    def __call__(self, x):
        return self.head(self.block(x, jnp.ones((*x.shape[:-1], x.shape[-2]), bool)))


def orthogonal(network):
    """Fresh weights, without the wait for drawing them in JAX."""
    draw = np.random.default_rng(0)

    def fill(path, leaf):
        name = jax.tree_util.keystr(path)
        if not name.endswith("weight"):
            return jnp.full_like(leaf, name.endswith("scale"))
        matrix = np.linalg.qr(draw.normal(size=(max(leaf.shape), min(leaf.shape))))[0]
        return jnp.asarray(matrix if matrix.shape == leaf.shape else matrix.T, jnp.float32)

    return jax.tree_util.tree_map_with_path(fill, network)


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        (Blocks(EncoderBlock(32, 2, L2Attention), Linear(32, 1)), "improved"),
        (MLP(32, (64, 64), 1), "spectral"),
    ],
    ids=["attention", "perceptron"],
)
def test_while_learning_singular_values_stay_where_they_belong(network, kind):
    """After every step, from orthogonal weights on: the hardest to follow."""
    draw = np.random.default_rng(1)
    expert, policy = (jnp.asarray(draw.normal(size=(16, 4, 32)), jnp.float32) for _ in range(2))

    def loss(network, vectors):
        used = spectral.normalised(network, vectors, kind)
        return jax.nn.softplus(used(policy) - used(expert)).mean()

    @jax.jit
    def learn(network):
        def step(carry, _):
            network, vectors, optimiser = carry
            value, gradient = jax.value_and_grad(loss)(network, vectors)
            network, optimiser, _ = descent.descend(
                network, gradient, optimiser, rate=1e-3, clip=10.0
            )
            vectors = spectral.advance(network, vectors)
            used = weights(spectral.normalised(network, vectors, kind))
            return (network, vectors, optimiser), (value, weights(network), used)

        fresh = (network, spectral.start(network), descent.start(network))
        return jax.lax.scan(step, fresh, None, length=60)[1]

    losses, plain, used = learn(orthogonal(network))
    assert losses[-1] < 0.9 * losses[0]
    moved = largest(plain).reshape(-1, 60)
    assert (moved[:, -1] / moved[:, 0]).max() > 1.05, "weights would hardly have grown"
    np.testing.assert_allclose(largest(used), 1.0, rtol=0.02)
