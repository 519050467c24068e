"""Recurrent networks: a two-bias GRU, and a scan whose weight gradients wait until it has ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from understudy.networks.mlp import affine

Weights: TypeAlias = dict[str, tuple[Array, Array]]
"""Named linear maps: a weight ``[*stack, out, in]`` and a bias ``[*stack, out]``."""
Apply: TypeAlias = Callable[[str, Array], Array]
"""``apply(name, x)``: the linear map of that name of ``x [*stack, batch, in]``."""


def recurrence(
    step: Callable[[Apply, Any, Any], tuple[Any, Any]], weights: Weights, carry: Any, inputs: Any
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
    """

    @jax.custom_vjp
    def run(weights: Weights, carry: Any, inputs: Any) -> tuple[Any, Any]:
        def body(carry: Any, x: Any) -> tuple[Any, Any]:
            return step(lambda name, value: _apply(weights[name], value), carry, x)

        return jax.lax.scan(body, carry, inputs)

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

            carry, (y, seen) = jax.lax.scan(body, carry, (inputs, probes))
            return (carry, y), seen

        probes = _probes(step, weights, carry, inputs)
        out, pull_back, seen = jax.vjp(loop, probes, carry, inputs, has_aux=True)
        return out, (pull_back, seen)

    def backward(residuals: Any, cotangent: Any) -> tuple[Any, Any, Any]:
        pull_back, seen = residuals
        slopes, carry, inputs = pull_back(cotangent)
        gradients = {}
        for name in slopes:
            slope, x = _rows(slopes[name]), _rows(_with_one(seen[name]))
            both = jnp.swapaxes(jnp.matmul(jnp.swapaxes(x, -1, -2), slope), -1, -2)
            gradients[name] = (both[..., :-1], both[..., -1])
        return gradients, carry, inputs

    run.defvjp(forward, backward)
    return run(weights, carry, inputs)


def _with_one(x: Array) -> Array:
    """A feature that is always 1: the gradient of a bias is that of its weight."""
    return jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1), x.dtype)], -1)


def _rows(x: Array) -> Array:
    """``[time, *stack, batch, f] -> [*stack, time batch, f]``, so that a product is 2-D."""
    x = jnp.moveaxis(x, 0, -3)
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


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
    Both biases b and c are kept, as in the reference models, so parameter counts agree. Built
    holding the bound ``1/sqrt(hidden)``, see `understudy.networks.mlp.drawn`.
    """

    input_weight: Float[Array, "gates in"]
    input_bias: Float[Array, " gates"]
    hidden_weight: Float[Array, "gates hidden"]
    hidden_bias: Float[Array, " gates"]

    def __init__(self, inputs: int, hidden: int):
        bound = 1.0 / math.sqrt(hidden)
        self.input_weight = jnp.full((3 * hidden, inputs), bound)
        self.input_bias = jnp.full((3 * hidden,), bound)
        self.hidden_weight = jnp.full((3 * hidden, hidden), bound)
        self.hidden_bias = jnp.full((3 * hidden,), bound)

    def __call__(
        self, x: Float[Array, "*lead in"], hidden: Float[Array, "*lead hidden"]
    ) -> Float[Array, "*lead hidden"]:
        """Take one step."""
        return gate(
            affine(x, self.input_weight, self.input_bias),
            affine(hidden, self.hidden_weight, self.hidden_bias),
            hidden,
        )


@jax.custom_vjp
def gate(
    from_input: Float[Array, "*lead gates"],
    from_hidden: Float[Array, "*lead gates"],
    hidden: Float[Array, "*lead hidden"],
) -> Float[Array, "*lead hidden"]:
    """A GRU's elementwise part, given both projections.

    Its derivative is written out: five arrays are kept for it and not a dozen.
    """
    return _gate(from_input, from_hidden, hidden)[0]


def _gate(from_input: Array, from_hidden: Array, hidden: Array) -> tuple[Array, tuple]:
    size = hidden.shape[-1]
    both = jax.nn.sigmoid(from_input[..., : 2 * size] + from_hidden[..., : 2 * size])
    reset, update = both[..., :size], both[..., size:]
    held = from_hidden[..., 2 * size :]
    candidate = jnp.tanh(from_input[..., 2 * size :] + reset * held)
    return candidate + update * (hidden - candidate), (both, candidate, held, hidden)


def _gate_backward(kept: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array]:
    both, candidate, held, hidden = kept
    size = hidden.shape[-1]
    reset, update = both[..., :size], both[..., size:]
    to_candidate = slope * (1.0 - update) * (1.0 - jnp.square(candidate))
    to_update = slope * (hidden - candidate) * update * (1.0 - update)
    to_reset = to_candidate * held * reset * (1.0 - reset)
    to_input = jnp.concatenate([to_reset, to_update, to_candidate], -1)
    to_hidden = jnp.concatenate([to_reset, to_update, to_candidate * reset], -1)
    return to_input, to_hidden, slope * update


gate.defvjp(_gate, _gate_backward)


def scan_with_resets(
    layer: GRULayer,
    x: Float[Array, "time batch in"],
    starts: Bool[Array, "time batch"],
    hidden: Float[Array, "batch hidden"],
) -> Float[Array, "time batch hidden"]:
    """Hidden states after each row; where an episode starts, the state is 0 before its row."""

    def step(apply: Apply, hidden: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        projected, start = inputs
        hidden = jnp.where(start[:, None], 0.0, hidden)
        hidden = gate(projected, apply("hidden", hidden), hidden)
        return hidden, hidden

    weights: Weights = {"hidden": (layer.hidden_weight, layer.hidden_bias)}
    projected = affine(x, layer.input_weight, layer.input_bias)
    return recurrence(step, weights, hidden, (projected, starts))[1]


class GRU(eqx.Module):
    """Layers of GRU, one above the other. Hidden states are a tuple, one array per layer."""

    layers: tuple[GRULayer, ...]

    def __init__(self, inputs: int, hidden: int, layers: int):
        self.layers = tuple(GRULayer(hidden if i else inputs, hidden) for i in range(layers))

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
            weights: Weights = {"hidden": (layer.hidden_weight, layer.hidden_bias)}
            projected = affine(x, layer.input_weight, layer.input_bias)
            x = recurrence(step, weights, jnp.zeros((x.shape[1], self.size)), projected)[1]
        return x
