"""Attention by distance: by hand, nearest to itself, and never steeper than its bound."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional.lipschitz import inverse_phi, l2_attention_bound, largest_ratio
from understudy.networks.attention import Attention, L2Attention
from understudy.networks.mlp import orthogonal

WIDTH, HEADS = 8, 2
SCALES = (0.3, 1.0, 3.0, 10.0, 30.0)


attend = jax.jit(lambda layer, x, y, mask: layer(x, y, mask))
shares = jax.jit(lambda layer, x: layer.weights(x, layer.keys(x), everybody(len(x))))


def everybody(tokens):
    return jnp.ones((tokens, tokens), bool)


def filled(layer, scale=1.0, seed=0):
    """Weights as they are while learning: not orthogonal."""
    draw = np.random.default_rng(seed)
    size = scale / np.sqrt(WIDTH)
    return jax.tree.map(lambda w: jnp.asarray(size * draw.normal(size=w.shape), jnp.float32), layer)


@pytest.fixture(scope="module")
def attention():
    return filled(L2Attention(WIDTH, HEADS))


@pytest.mark.parametrize("form", ["kim", "vitgan"])
def test_two_tokens_by_hand(form):
    """W = I and d = 2: weights 1 and exp(-1/√2) before they are shared out; A = I / √2."""
    plain = L2Attention(2, 1, form)
    made = jax.tree.map(lambda w: jnp.eye(2) if w.ndim == 2 else jnp.zeros(2), plain)
    x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    found = attend(made, x, x, everybody(2))
    far = math.exp(-1 / math.sqrt(2)) / (1 + math.exp(-1 / math.sqrt(2)))
    size = 1 / math.sqrt(2) if form == "kim" else 1.0
    np.testing.assert_allclose(found, [[far * size, 0.0], [(1 - far) * size, 0.0]], rtol=1e-6)


@pytest.mark.parametrize(("form", "heads"), [("kim", 1), ("kim", 2), ("vitgan", 2)])
def test_it_begins_by_looking_at_others_and_with_outputs_as_large_as_its_inputs(form, heads):
    """All tokens are at a distance of 1: itself and three others share out as ``1 : e^-1``."""
    layer = L2Attention(32, heads, form)
    gains = layer.gains()
    drawn = orthogonal(
        layer,
        jax.random.key(0),
        gain=lambda path: next((g for name, g in gains.items() if path.endswith(name)), 1.0),
    )
    x = math.sqrt(32) * jnp.eye(32)[:4]
    weights = np.asarray(shares(drawn, x))
    np.testing.assert_allclose(weights[..., ~np.eye(4, dtype=bool)].mean(), 0.175, atol=0.02)
    values = drawn.keys(x)[1]
    np.testing.assert_allclose(jnp.square(values).sum(-1).mean(), 32.0, rtol=0.25)


def test_values_go_through_the_map_of_keys(attention):
    """``P X W_Q W_Qᵀ W_V / √d`` head by head, in matrices of their full size."""
    x = np.random.default_rng(2).normal(size=(5, WIDTH)).astype(np.float32)
    weights = np.asarray(shares(attention, x))
    size, heads = WIDTH // HEADS, []
    for h in range(HEADS):
        rows = slice(h * size, (h + 1) * size)
        query = np.asarray(attention.query_weight)[rows].T
        value = np.asarray(attention.value.weight)[rows].T
        bias = np.asarray(attention.value.bias)[rows]
        distance = np.square((x @ query)[:, None] - (x @ query)[None]).sum(-1)
        share = np.exp(-distance / math.sqrt(size))
        share /= share.sum(-1, keepdims=True)
        np.testing.assert_allclose(weights[h], share, atol=1e-5)
        heads.append(share @ x @ (query @ query.T / math.sqrt(size)) @ value + bias)
    out, bias = np.asarray(attention.out.weight), np.asarray(attention.out.bias)
    wanted = np.concatenate(heads, -1) @ out.T + bias
    np.testing.assert_allclose(attend(attention, x, x, everybody(5)), wanted, atol=1e-4)


@pytest.mark.parametrize("tokens", [3, 6, 10])
def test_it_is_never_steeper_than_its_bound(attention, tokens):
    bound = l2_attention_bound(
        attention.query_weight, attention.value.weight, attention.out.weight,
        heads=HEADS, tokens=tokens,
    )  # fmt: skip
    products = filled(Attention(WIDTH, HEADS))

    @jax.jit
    def steepest(layer, x):
        slope = jax.jacobian(lambda x: layer(x, x, everybody(tokens)))
        return jax.vmap(slope)(x).reshape(len(x), tokens * WIDTH, -1)

    x = jax.random.normal(jax.random.key(4), (len(SCALES), tokens, WIDTH))
    x = x * jnp.array(SCALES)[:, None, None]
    found = np.linalg.norm(np.asarray(steepest(attention, x)), ord=2, axis=(1, 2))
    assert (found <= float(bound)).all()
    assert (found > 0.01).all()
    others = np.linalg.norm(np.asarray(steepest(products, x)), ord=2, axis=(1, 2))
    assert others.max() > 2 * found.max(), "products have no bound, and are steep at large inputs"


@pytest.mark.parametrize("scale", SCALES)
def test_a_token_attends_most_to_itself(attention, scale):
    x = scale * jax.random.normal(jax.random.key(5), (10, WIDTH))
    weights = shares(attention, x)
    np.testing.assert_array_equal(weights.argmax(-1), np.broadcast_to(np.arange(10), (HEADS, 10)))


def test_tokens_behind_the_mask_change_nothing(attention):
    x = jax.random.normal(jax.random.key(6), (4, WIDTH))
    mask = everybody(4).at[:, 2].set(False)
    one, two = (attend(attention, x, other, mask) for other in (x, x.at[2].set(50.0)))
    np.testing.assert_array_equal(one, two)


def test_the_bound_of_one_token_is_reached():
    """One token is mapped by W_O W_V A alone: ``1 / √d`` where all are orthogonal."""
    eye = jnp.eye(4)
    bound = l2_attention_bound(eye, eye, eye, heads=1, tokens=1)
    np.testing.assert_allclose(bound, 0.5, rtol=1e-6)


def test_the_bound_by_hand():
    """Two heads of size 1, norms 2 · 1 and 1 · 3, W_O of norm 5, and N - 1 = 2 where φ(x) = 2."""
    query, value = jnp.diag(jnp.array([2.0, 1.0])), jnp.diag(jnp.array([1.0, 3.0]))
    out = jnp.diag(jnp.array([5.0, 1.0]))
    near = inverse_phi(2.0)
    assert near * math.exp(near + 1) == pytest.approx(2.0)
    bound = l2_attention_bound(query, value, out, heads=2, tokens=3)
    wanted = math.sqrt(3) * (4 * near + 1) * math.sqrt(2**2 + 3**2) * 5
    assert float(bound) == pytest.approx(wanted, rel=1e-5)


def test_phi_is_inverted():
    """φ(1) = e²."""
    assert inverse_phi(math.e**2) == pytest.approx(1.0)
    assert inverse_phi(0.0) == 0.0


def test_the_largest_ratio_of_pairs_that_count():
    """Ratios 2, 3, 10 and one of a pair in one place; the third does not count."""
    first = jnp.array([1.0, 0.0, 10.0, 1.0])
    second = jnp.array([0.0, 6.0, 0.0, 0.0])
    distance = jnp.array([0.5, 2.0, 1.0, 0.0])
    counted = jnp.array([True, True, False, True])
    assert float(largest_ratio(first, second, distance, counted)) == 3.0
    assert float(largest_ratio(first, second, distance, jnp.zeros(4, bool))) == 0.0
