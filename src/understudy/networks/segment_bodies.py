"""Networks that read a past and write a segment of the future, in one pass.

Two kinds: a perceptron on whole segments, and gated dilated convolutions along time,

    h' = h + tanh(W_f * h + V_f z) ∘ σ(W_g * h + V_g z)

which read ``[past ; queries]`` as one sequence. They are causal: row t is made of rows up to t.

Source: van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", NeurIPS 2016
(gates); Mishra, Abbeel, Mordatch, "Prediction and Control with Temporal Segment Models", ICML 2017
(arXiv 1703.04070).
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from understudy.networks.mlp import ACTIVATIONS, MLP, Activation, Linear
from understudy.types import hyperparameters, require


@hyperparameters
class SegmentNetwork:
    """How networks of segments are built."""

    kind: Literal["dense", "convolution"] = "dense"
    """A perceptron on whole segments, or gated convolutions along time."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of hidden layers of perceptrons."""
    channels: int = 64
    """Of convolutions."""
    dilations: tuple[int, ...] = (1, 3, 9)
    """One residual block of two convolutions each."""
    kernel: int = 3
    """Rows that a convolution reads."""
    layers: int = 3
    """Convolutions that read a segment."""
    last: int = 128
    """Channels before what convolutions write."""
    activation: Activation = "gelu"
    """Of perceptrons."""

    def __post_init__(self) -> None:
        require(
            self.kind in ("dense", "convolution"),
            f"expected kind 'dense' or 'convolution', found {self.kind!r}",
        )

    @property
    def field(self) -> int:
        """Rows that reach one row of what convolutions write."""
        return 1 + 2 * (self.kernel - 1) * sum(self.dilations)

    def writer(self, past: tuple[int, int], given: int, latent: int, out: tuple[int, int]) -> Any:
        """A network that writes a segment, holding bounds (see `mlp.drawn`).

        Args:
            past: rows and numbers of each.
            given: numbers that are known of every row of the segment.
            latent: numbers that say which segment.
            out: rows and numbers of each.

        Raises:
            UserError: for convolutions that do not look back far enough.
        """
        if self.kind == "dense":
            return DenseWriter(self, past, given, latent, out)
        require(
            self.field >= past[0] + out[0],
            f"expected convolutions that look back {past[0] + out[0]} rows, found {self.field}; "
            f"give more or larger dilations than {list(self.dilations)}",
        )
        return ConvolutionWriter(self, past, given, latent, out)

    def reader(self, shown: tuple[int, int], beside: int, outputs: int) -> Any:
        """A network that reads a segment, holding bounds.

        Args:
            shown: rows and numbers of each.
            beside: numbers that are read beside it.
            outputs: numbers it says.
        """
        if self.kind == "dense":
            return DenseReader(self, shown, beside, outputs)
        return ConvolutionReader(self, shown, beside, outputs)


class DenseWriter(eqx.Module):
    """A perceptron that writes a whole segment."""

    net: MLP
    rows: int = eqx.field(static=True)

    def __init__(
        self, how: SegmentNetwork, past: Any, given: int, latent: int, out: tuple[int, int]
    ):
        inputs = past[0] * past[1] + out[0] * given + latent
        self.net = MLP(inputs, how.hidden, out[0] * out[1], activation=ACTIVATIONS[how.activation])
        self.rows = out[0]

    def __call__(
        self,
        past: Float[Array, "past numbers"],
        given: Float[Array, "rows given"],
        latent: Float[Array, " latent"],
    ) -> Float[Array, "rows out"]:
        """Write a segment."""
        x = jnp.concatenate([past.reshape(-1), given.reshape(-1), latent])
        return self.net(x).reshape(self.rows, -1)


class DenseReader(eqx.Module):
    """A perceptron that reads a whole segment."""

    net: MLP

    def __init__(self, how: SegmentNetwork, shown: tuple[int, int], beside: int, outputs: int):
        inputs = shown[0] * shown[1] + beside
        self.net = MLP(inputs, how.hidden, outputs, activation=ACTIVATIONS[how.activation])

    def __call__(
        self, shown: Float[Array, "rows numbers"], beside: Float[Array, " beside"]
    ) -> Float[Array, " outputs"]:
        """Read a segment."""
        return self.net(jnp.concatenate([shown.reshape(-1), beside]))


class Convolution(eqx.Module):
    """A causal convolution along time; holds bounds when built."""

    weight: Float[Array, "out in kernel"]
    bias: Float[Array, " out"]
    dilation: int = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1):
        bound = 1.0 / math.sqrt(inputs * kernel)
        self.weight = jnp.full((outputs, inputs, kernel), bound)
        self.bias = jnp.full((outputs,), bound)
        self.dilation = dilation

    def __call__(
        self, x: Float[Array, "rows in"], last: int | None = None
    ) -> Float[Array, "last out"]:
        """Row t of the result is made of rows t, t - dilation, ...

        Args:
            x: rows; there are zeros before them.
            last: rows of the result that are wanted, the last ones; all if None.
        """
        # one product of rows side by side: XLA's convolutions of many short sequences are slow
        outputs, inputs, kernel = self.weight.shape
        last = x.shape[0] if last is None else last
        missing = last + self.before - x.shape[0]
        if missing > 0:
            x = jnp.concatenate([jnp.zeros((missing, inputs)), x])
        first = x.shape[0] - last - self.before
        starts = [first + i * self.dilation for i in range(kernel)]
        beside = jnp.concatenate([x[start : start + last] for start in starts], 1)
        weight = self.weight.transpose(2, 1, 0).reshape(kernel * inputs, outputs)
        return beside @ weight + self.bias[None]

    @property
    def before(self) -> int:
        """Rows before a row that reach it."""
        return (self.weight.shape[-1] - 1) * self.dilation


@jax.custom_jvp
def gated(value: Float[Array, "*lead"], gate: Float[Array, "*lead"]) -> Float[Array, "*lead"]:
    """``tanh(value) σ(gate)``, whose gradient keeps two arrays and not five.

    The gradient of XLA's own σ takes ten times as long on a CPU.
    """
    return jnp.tanh(value) * jax.nn.sigmoid(gate)


@gated.defjvp
def _gated_slope(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> Any:
    value, gate = jnp.tanh(primals[0]), jax.nn.sigmoid(primals[1])
    found = value * gate
    by_value, by_gate = gate - value * found, found * (1.0 - gate)
    return found, by_value * tangents[0] + by_gate * tangents[1]


class Gated(eqx.Module):
    """A convolution whose halves are gate and value; a latent moves both."""

    convolution: Convolution
    latent: Float[Array, "out latent"]

    def __init__(self, inputs: int, outputs: int, latent: int, kernel: int, dilation: int):
        self.convolution = Convolution(inputs, 2 * outputs, kernel, dilation)
        self.latent = jnp.full((2 * outputs, latent), 1.0 / math.sqrt(max(1, latent)))

    def __call__(
        self,
        x: Float[Array, "rows in"],
        latent: Float[Array, " latent"],
        last: int | None = None,
    ) -> Float[Array, "last out"]:
        """``tanh(value) σ(gate)``; of `last` see `Convolution`."""
        found = self.convolution(x, last) + (self.latent @ latent)[None]
        value, gate = jnp.split(found, 2, -1)
        return gated(value, gate)


class ConvolutionWriter(eqx.Module):
    """Residual blocks of gated convolutions along past and segment."""

    first: Linear
    blocks: tuple[tuple[Gated, Gated], ...]
    wide: Linear
    last: Linear
    rows: int = eqx.field(static=True)

    def __init__(
        self, how: SegmentNetwork, past: Any, given: int, latent: int, out: tuple[int, int]
    ):
        width = how.channels
        self.first = Linear(past[1] + given + 1, width)
        self.blocks = tuple(
            (Gated(width, width, latent, how.kernel, d), Gated(width, width, latent, how.kernel, d))
            for d in how.dilations
        )
        self.wide, self.last = Linear(width, how.last), Linear(how.last, out[1])
        self.rows = out[0]

    def __call__(
        self,
        past: Float[Array, "past numbers"],
        given: Float[Array, "rows given"],
        latent: Float[Array, " latent"],
    ) -> Float[Array, "rows out"]:
        """Write a segment."""
        before = jnp.concatenate([past, jnp.zeros((past.shape[0], given.shape[1] + 1))], 1)
        queries = jnp.concatenate(
            [jnp.zeros((self.rows, past.shape[1])), given, jnp.ones((self.rows, 1))], 1
        )
        x = self.first(jnp.concatenate([before, queries]))
        # rows that no later convolution reaches are not computed
        wanted = self.rows + sum(g.convolution.before for block in self.blocks for g in block)
        for one, two in self.blocks:
            wanted -= one.convolution.before
            inner = one(x, latent, min(wanted, x.shape[0]))
            wanted -= two.convolution.before
            rows = min(wanted, x.shape[0])
            x = x[-rows:] + two(inner, latent, rows)
        return self.last(jnp.tanh(self.wide(x)))


class ConvolutionReader(eqx.Module):
    """Convolutions along a segment, and its mean."""

    layers: tuple[Convolution, ...]
    head: Linear

    def __init__(self, how: SegmentNetwork, shown: tuple[int, int], beside: int, outputs: int):
        sizes = (shown[1], *[how.channels] * how.layers)
        self.layers = tuple(
            Convolution(n, m, how.kernel, d)
            for (n, m), d in zip(itertools.pairwise(sizes), (1, 3, 9, 27), strict=False)
        )
        self.head = Linear(2 * how.channels + beside, outputs)

    def __call__(
        self, shown: Float[Array, "rows numbers"], beside: Float[Array, " beside"]
    ) -> Float[Array, " outputs"]:
        """Read a segment."""
        x = shown
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        return self.head(jnp.concatenate([x.mean(0), x[-1], beside]))
