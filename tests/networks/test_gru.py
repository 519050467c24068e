"""The GRU against torch's equations in numpy, and the scan against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np

from understudy.networks.mlp import drawn
from understudy.networks.recurrent import GRU, gate, recurrence


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_step_is_the_two_bias_equation(key):
    gru = drawn(GRU(2, 3, 1), key)
    layer = gru.layers[0]
    x, h = np.array([0.3, -1.2], np.float32), np.array([0.1, -0.5, 0.9], np.float32)
    w, b, u, c = (
        np.asarray(leaf)
        for leaf in (layer.input_weight, layer.input_bias, layer.hidden_weight, layer.hidden_bias)
    )
    i, j = w @ x + b, u @ h + c
    reset, update = sigmoid(i[:3] + j[:3]), sigmoid(i[3:6] + j[3:6])
    candidate = np.tanh(i[6:] + reset * j[6:])
    (got,) = gru.step(jnp.asarray(x), (jnp.asarray(h),))
    np.testing.assert_allclose(got, (1 - update) * candidate + update * h, rtol=1e-4)


def test_scan_is_steps_one_after_the_other(key):
    gru = drawn(GRU(2, 3, 2), key)
    x = jax.random.normal(key, (4, 5, 2))
    hidden, outputs = gru.start(5), []
    for row in x:
        hidden = gru.step(row, hidden)
        outputs.append(hidden[-1])
    np.testing.assert_allclose(gru.scan(x), jnp.stack(outputs), rtol=1e-5, atol=1e-6)


def test_the_written_derivative_of_the_gate_is_right(key):
    def plain(from_input, from_hidden, hidden):
        reset, update = jnp.split(jax.nn.sigmoid(from_input[..., :4] + from_hidden[..., :4]), 2, -1)
        candidate = jnp.tanh(from_input[..., 4:] + reset * from_hidden[..., 4:])
        return ((1 - update) * candidate + update * hidden) ** 2

    keys = jax.random.split(key, 3)
    arguments = [jax.random.normal(k, (3, n)) for k, n in zip(keys, (6, 6, 2), strict=True)]
    ours = jax.grad(lambda *a: (gate(*a) ** 2).sum(), argnums=(0, 1, 2))(*arguments)
    theirs = jax.grad(lambda *a: plain(*a).sum(), argnums=(0, 1, 2))(*arguments)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def toy(key):
    """Two maps, one in a nonlinear step, and an input that enters by itself."""
    a, b, c, d = jax.random.split(key, 4)
    weights = {
        "first": (jax.random.normal(a, (3, 3)), jax.random.normal(b, (3,))),
        "second": (jax.random.normal(c, (3, 3)), jnp.ones(3)),
    }

    def step(apply, carry, x):
        y = jnp.tanh(apply("first", carry) + x)
        return jnp.sin(apply("second", y)), y

    return step, weights, jnp.ones((2, 3)), jax.random.normal(d, (5, 2, 3))


def test_recurrence_has_the_value_and_gradient_of_a_scan(key):
    step, *arguments = toy(key)

    def ours(*arguments):
        carry, y = recurrence(step, *arguments)
        return carry.sum() * y.sum()

    def theirs(weights, carry, inputs):
        def body(carry, x):
            def apply(name, value):
                return value @ weights[name][0].T + weights[name][1][None]

            return step(apply, carry, x)

        carry, y = jax.lax.scan(body, carry, inputs)
        return carry.sum() * y.sum()

    value, gradient = jax.value_and_grad(ours, argnums=(0, 1, 2))(*arguments)
    expected, slopes = jax.value_and_grad(theirs, argnums=(0, 1, 2))(*arguments)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_recurrence_keeps_its_gradient_under_vmap(key):
    step, *arguments = toy(key)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), tuple(arguments))

    def loss(*arguments):
        return recurrence(step, *arguments)[1].sum()

    together = jax.vmap(jax.grad(loss))(*both)
    second = jax.grad(loss)(*jax.tree.map(lambda leaf: leaf[1], both))
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5)
