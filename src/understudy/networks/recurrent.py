"""Recurrent networks: a two-bias GRU, and a scan whose weight gradients wait until it has ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.networks.mlp import affine

Weights: TypeAlias = dict[str, tuple[Array, Array]]
"""Named linear maps: a weight ``[*stack, out, in]`` and a bias ``[*stack, out]``."""
Apply: TypeAlias = Callable[[str, Array], Array]
"""``apply(name, x)`` multiplies ``x [*stack, batch, in]`` by the weights of that name."""


def recurrence(
    step: Callable[[Apply, Any, Any], tuple[Any, Any]],
    weights: Weights,
    carry: Any,
    inputs: Any,
    *,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Scan ``step(apply, carry, x) -> (carry, y)`` over the leading axis of `inputs`.

    The value and the gradient are those of ``jax.lax.scan``, the order of the work is not.
    Differentiating a scan adds ``dWᵀ = Σ_t x_t δ_t`` one small product at a time, and reads and
    writes the whole of dW at each. Here the backward scan only stacks δ, the gradient at the
    output of every linear map, and dW is one large product after it.

    Args:
        step: pure; must close over no array that is differentiated; uses each name once.
        weights: linear maps used in `step`.
        carry: what goes from step to step.
        inputs: pytree scanned over.
        unroll: steps per iteration of the compiled loop.
    """

    @jax.custom_vjp
    def run(weights: Weights, carry: Any, inputs: Any) -> tuple[Any, Any]:
        def body(carry: Any, x: Any) -> tuple[Any, Any]:
            return step(lambda name, value: _apply(weights[name], value), carry, x)

        return jax.lax.scan(body, carry, inputs, unroll=unroll)

    def forward(weights: Weights, carry: Any, inputs: Any) -> tuple[Any, Any]:
        def loop(probes: dict[str, Array], carry: Any, inputs: Any) -> Any:
            def body(carry: Any, x: Any) -> tuple[Any, Any]:
                inputs, probes = x
                seen = {}

                def apply(name: str, value: Array) -> Array:
                    seen[name] = value
                    return _probed(_apply(weights[name], value), probes[name])

                carry, y = step(apply, carry, inputs)
                return carry, (y, seen)

            carry, (y, seen) = jax.lax.scan(body, carry, (inputs, probes), unroll=unroll)
            return (carry, y), seen

        probes = _probes(step, weights, carry, inputs)
        out, pull_back, seen = jax.vjp(loop, probes, carry, inputs, has_aux=True)
        return out, (pull_back, seen)

    def backward(residuals: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        pull_back, seen = residuals
        slopes, carry, inputs = pull_back(cotangent)
        gradients = {
            name: (
                jnp.einsum("t...bo,t...bi->...oi", slope, seen[name]),
                slope.sum(axis=(0, slope.ndim - 2)),
            )
            for name, slope in slopes.items()
        }
        return gradients, carry, inputs

    run.defvjp(forward, backward)
    return run(weights, carry, inputs)


def _apply(weight: tuple[Array, Array], x: Array) -> Array:
    matrix, bias = weight
    return jnp.matmul(x, jnp.swapaxes(matrix, -1, -2)) + bias[..., None, :]


@jax.custom_jvp
def _probed(value: Array, probe: Array) -> Array:
    """``value + probe`` for a probe known to be zero, which is therefore never read."""
    del probe
    return value


@_probed.defjvp
def _probed_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[0], tangents[0] + tangents[1]


def _probes(step: Any, weights: Weights, carry: Any, inputs: Any) -> dict[str, Array]:
    """A zero for the output of every linear map at every step."""

    def outputs(weights: Weights, carry: Any, x: Any) -> dict[str, Array]:
        found = {}

        def apply(name: str, value: Array) -> Array:
            found[name] = _apply(weights[name], value)
            return found[name]

        step(apply, carry, x)
        return found

    first = jax.tree.map(lambda leaf: leaf[0], inputs)
    length = jax.tree.leaves(inputs)[0].shape[0]
    shapes = jax.eval_shape(outputs, weights, carry, first)
    return {name: jnp.zeros((length, *s.shape), s.dtype) for name, s in shapes.items()}


class GRULayer(eqx.Module):
    """Weights of one GRU layer, gates in the order reset, update, candidate.

    ``r = σ(W_r x + b_r + U_r h + c_r)``, ``u`` alike,
    ``n = tanh(W_n x + b_n + r (U_n h + c_n))``, ``h ← (1 - u) n + u h``.
    Both biases b and c are kept, as in the reference models, so parameter counts agree.
    """

    input_weight: Float[Array, "gates in"]
    input_bias: Float[Array, " gates"]
    hidden_weight: Float[Array, "gates hidden"]
    hidden_bias: Float[Array, " gates"]

    def __init__(self, inputs: int, hidden: int, *, key: Key[Array, ""]):
        bound = 1.0 / math.sqrt(hidden)
        shapes = ((3 * hidden, inputs), (3 * hidden,), (3 * hidden, hidden), (3 * hidden,))
        self.input_weight, self.input_bias, self.hidden_weight, self.hidden_bias = (
            jax.random.uniform(k, shape, minval=-bound, maxval=bound)
            for k, shape in zip(jax.random.split(key, 4), shapes, strict=True)
        )

    def __call__(
        self, x: Float[Array, "*lead in"], hidden: Float[Array, "*lead hidden"]
    ) -> Float[Array, "*lead hidden"]:
        return gate(
            affine(x, self.input_weight, self.input_bias),
            affine(hidden, self.hidden_weight, self.hidden_bias),
            hidden,
        )


def gate(
    from_input: Float[Array, "*lead gates"],
    from_hidden: Float[Array, "*lead gates"],
    hidden: Float[Array, "*lead hidden"],
) -> Float[Array, "*lead hidden"]:
    """A GRU's elementwise part, given both projections."""
    size = hidden.shape[-1]
    both = jax.nn.sigmoid(from_input[..., : 2 * size] + from_hidden[..., : 2 * size])
    reset, update = both[..., :size], both[..., size:]
    candidate = jnp.tanh(from_input[..., 2 * size :] + reset * from_hidden[..., 2 * size :])
    return candidate + update * (hidden - candidate)


class GRU(eqx.Module):
    """Layers of GRU, one above the other. Hidden states are a tuple, one array per layer."""

    layers: tuple[GRULayer, ...]

    def __init__(self, inputs: int, hidden: int, layers: int, *, key: Key[Array, ""]):
        self.layers = tuple(
            GRULayer(inputs if i == 0 else hidden, hidden, key=k)
            for i, k in enumerate(jax.random.split(key, layers))
        )

    @property
    def size(self) -> int:
        """Hidden units of each layer."""
        return self.layers[0].hidden_weight.shape[-1]

    def start(self, *lead: int) -> tuple[Float[Array, "..."], ...]:
        """Zero hidden states ``[*lead, hidden]``."""
        return tuple(jnp.zeros((*lead, self.size)) for _ in self.layers)

    def step(
        self, x: Float[Array, "*lead in"], hidden: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        """One step up through the layers; the last entry is the output."""
        out = []
        for layer, h in zip(self.layers, hidden, strict=True):
            x = layer(x, h)
            out.append(x)
        return tuple(out)

    def scan(self, x: Float[Array, "time batch in"]) -> Float[Array, "time batch hidden"]:
        """Outputs after each row, from a zero state.

        Each layer's input projection is one product over all of time; only the hidden projection
        stays in the loop.
        """

        def step(apply: Apply, hidden: Array, projected: Array) -> tuple[Array, Array]:
            hidden = gate(projected, apply("hidden", hidden), hidden)
            return hidden, hidden

        for layer in self.layers:
            weights = {"hidden": (layer.hidden_weight, layer.hidden_bias)}
            projected = affine(x, layer.input_weight, layer.input_bias)
            x = recurrence(step, weights, jnp.zeros((x.shape[1], self.size)), projected)[1]
        return x
