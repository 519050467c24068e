"""What comes next, and how sure that is: choices of sections, a mixture for every continuous value.

From what is now, s, and what was done, a, both as one row x of numbers,

    logits = bonus · s + V x + f(x),    E[s'] = s + W x + h(x),

V and W are straight lines, f and h a perceptron. Draws come from a mixture: its first component
begins at s, the others at E[s'], and how far each is from there, how wide and how likely, the
perceptron says, by likelihood alone. The mean is learned by least squares and is not the mean of
the mixture: likelihood hardly counts rare jumps, squared errors count little else, and a mixture
that is made to agree draws jumps that nobody makes.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from understudy.functional import latent
from understudy.functional.written import written, written_size
from understudy.networks.actions import ActionDistribution, action_of
from understudy.networks.following import bonus, widened
from understudy.networks.mlp import ACTIVATIONS, MLP, Activation, Linear, orthogonal
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Spec,
    Statistics,
    hyperparameters,
    require,
)

RAREST = 1e-3
"""Share of switches that a section is believed to have at least, at the beginning."""
HASTE = 5.0
"""The bonus moves so many times faster than weights do."""
FARTHEST = 5.0
"""Deviations beyond which only the line looks: outliers do not speak for choices."""
WIDTHS = (0.05, 1.0)
"""Of components at the beginning, from the first to the last, in units of a usual change."""


@hyperparameters
class NextState:
    """How a network of what comes next is built."""

    hidden: tuple[int, ...] = (64,)
    """Units of the hidden layers of the perceptron."""
    components: int = 3
    """Gaussians of the mixture of a continuous value."""
    activation: Activation = "tanh"
    """Between layers."""

    def __post_init__(self) -> None:
        require(self.components > 0, f"expected at least 1 component, found {self.components}")

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> Predictor:
        """Fresh weights; the straight line begins with nothing that changes.

        Raises:
            UserError: for a spec without a group that decides what comes next.
        """
        world = spec.world
        action = action_of(world)
        size, done = len(action.low), seen_size(spec)
        outputs = action.choices + size + 3 * size * self.components
        net = MLP(world.observation + done, self.hidden, outputs,
                  activation=ACTIVATIONS[self.activation])  # fmt: skip
        body, last = jax.random.split(key)
        net = orthogonal(net, body, gain=math.sqrt(2.0))
        net = eqx.tree_at(lambda n: n.layers[-1], net, orthogonal(net.layers[-1], last, gain=0.01))
        straight = Linear(world.observation + done, action.choices)
        line = Linear(world.observation + done, size)
        mean, std, change = _moments(world, statistics)
        widths = jnp.geomspace(*WIDTHS, self.components) if self.components > 1 else jnp.ones(1)
        return Predictor(
            straight=jax.tree.map(jnp.zeros_like, straight),
            line=jax.tree.map(jnp.zeros_like, line),
            net=net,
            keeps=_bonuses(action, change) / HASTE,
            widths=jnp.log(jnp.broadcast_to(widths, (size, self.components))),
            mean=mean,
            std=std,
            change=change[action.choices :],
            spec=spec,
        )


def seen_size(spec: Spec) -> int:
    """Numbers of `seen`."""
    groups = [spec[name] for name in spec.world.sees]
    return sum(group.agents * written_size(action_of(group)) for group in groups)


def seen(spec: Spec, actions: Actions) -> Float[Array, "*lead numbers"]:
    """What was done, by all that the world sees, written side by side.

    Args:
        spec: of the game.
        actions: ``{group: [*lead, agents, act]}``.
    """
    parts = []
    for name in spec.world.sees:
        numbers = written(action_of(spec[name]), jnp.asarray(actions[name]))
        parts.append(numbers.reshape(*numbers.shape[:-2], -1))
    return jnp.concatenate(parts, -1)


class Predictor(eqx.Module):
    """Weights of `NextState`."""

    straight: Linear
    """V."""
    line: Linear
    """W, and what is added; in usual changes."""
    net: MLP
    keeps: Float[Array, " sections"]
    """Bonus of the choice that is now, in `HASTE` logits."""
    widths: Float[Array, "dimensions components"]
    """Logarithm of deviations, in units of a usual change, without looking."""
    mean: Float[Array, " obs"]
    std: Float[Array, " obs"]
    change: Float[Array, " dimensions"]
    """A usual change of every continuous value."""
    spec: Spec = eqx.field(static=True)

    def read(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> Float[Array, "*lead inputs"]:
        """x: continuous values standardised, choices less their mean, then what was done."""
        row = (1,) * (now.ndim - 1) + (-1,)
        chosen = jnp.arange(self.std.shape[0]) < action_of(self.spec.world).choices
        mean, std = (jax.lax.stop_gradient(x) for x in (self.mean, self.std))
        std = jnp.where(chosen, 1.0, std)
        return jnp.concatenate([(now - mean.reshape(row)) / std.reshape(row), done], -1)

    def __call__(
        self,
        now: Float[Array, "*lead obs"],
        done: Float[Array, "*lead numbers"],
        legal: Bool[Array, "*lead choices"] | None = None,
    ) -> NextDistribution:
        """What may come next.

        Args:
            now: features; of sections also probabilities.
            done: of `seen`.
            legal: choices that may come.
        """
        return self.outputs(now, done, legal).distribution(now)

    def outputs(
        self,
        now: Float[Array, "*lead obs"],
        done: Float[Array, "*lead numbers"],
        legal: Bool[Array, "*lead choices"] | None = None,
    ) -> Outputs:
        """All that matrices are multiplied for; arguments as of a call."""
        row = (1,) * (now.ndim - 1) + (-1,)
        x, action = self.read(now, done), action_of(self.spec.world)
        near = jnp.clip(x, -FARTHEST, FARTHEST)
        bent, choices, size = self.net(near), action.choices, len(action.low)
        logits = self.straight(near) + bent[..., :choices]
        logits = logits + bonus(action, HASTE * self.keeps).reshape(row) * now[..., :choices]
        none = jnp.zeros((*logits.shape[:-1], 0))
        sections = ActionDistribution.from_head(
            logits, none, ActionSpec(action.sections), legal=legal
        )
        change = jax.lax.stop_gradient(self.change)
        moved = self.line(x) + bent[..., choices : choices + size]
        return Outputs(
            sections=sections,
            mean=now[..., choices:] + change.reshape(row) * moved,
            parts=bent[..., choices + size :].reshape(*bent.shape[:-1], size, 3, -1),
            widths=self.widths,
            change=change,
        )


class Outputs(eqx.Module):
    """What a network says, of which a distribution can be made; any leading axes."""

    sections: ActionDistribution
    mean: Float[Array, "*lead dimensions"]
    parts: Float[Array, "*lead dimensions 3 components"]
    """Of each component: how far it is from where it begins, how wide, how likely."""
    widths: Float[Array, "dimensions components"]
    change: Float[Array, " dimensions"]

    def distribution(self, now: Float[Array, "*lead obs"]) -> NextDistribution:
        """What may come next."""
        row = (1,) * (now.ndim - 1)
        now = now[..., self.sections.logits.shape[-1] :]
        scale = self.change.reshape((*row, -1, 1))
        moved = scale * self.parts[..., 0, :]
        means = _around(jax.lax.stop_gradient(self.mean), now, moved)
        widths = jnp.exp(self.widths.reshape((*row, *self.widths.shape)))
        stds = latent.STD_FLOOR + scale * widths * widened(self.parts[..., 1, :])
        return NextDistribution(self.sections, self.parts[..., 2, :], means, stds, self.mean)

    def expected(self) -> Float[Array, "*lead obs"]:
        """Expected features: probabilities of choices, then means."""
        return jnp.concatenate([self.sections.expected(), self.mean], -1)


def _around(mean: Array, now: Array, moved: Array) -> Array:
    """Means of components, ``[*lead, dimensions, components]``: the first stays, others follow.

    Args:
        mean: that least squares says, ``[*lead, dimensions]``.
        now: where the first stays.
        moved: how far each is from there.
    """
    near = [now[..., None]] + [mean[..., None]] * (moved.shape[-1] - 1)
    return moved + jnp.concatenate(near, -1)


class NextDistribution(eqx.Module):
    """What may come next; any leading axes."""

    sections: ActionDistribution
    weights: Float[Array, "*lead dimensions components"]
    """Logits of components."""
    means: Float[Array, "*lead dimensions components"]
    stds: Float[Array, "*lead dimensions components"]
    expectation: Float[Array, "*lead dimensions"]
    """Of the continuous values, by least squares."""

    def log_probs(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead parts"]:
        """Log-probability of each section, then of each continuous value, nats."""
        count = len(self.sections.spec.sections)
        value = jnp.broadcast_to(action[..., count:, None], self.means.shape)
        density = latent.gaussian_log_prob(value, self.means, self.stds)
        density = jax.nn.logsumexp(jax.nn.log_softmax(self.weights) + density, -1)
        if not count:
            return density
        return jnp.concatenate([self.sections.log_probs(action[..., :count]), density], -1)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*lead act"]:
        """Draw choices and values."""
        choose, pick, move = jax.random.split(key, 3)
        picked = jax.random.categorical(pick, self.weights)[..., None]
        mean, std = (jnp.take_along_axis(x, picked, -1)[..., 0] for x in (self.means, self.stds))
        value = mean + std * jax.random.normal(move, mean.shape)
        if not self.sections.spec.sections:
            return value
        return jnp.concatenate([self.sections.sample(choose), value], -1)

    def mean(self) -> Float[Array, "*lead dimensions"]:
        """Expected continuous values, by least squares."""
        return self.expectation

    def expected(self) -> Float[Array, "*lead obs"]:
        """Expected features: probabilities of choices, then means."""
        return jnp.concatenate([self.sections.expected(), self.mean()], -1)

    def likely(self) -> Float[Array, "*lead act"]:
        """The most likely choices, and expected continuous values."""
        if not self.sections.spec.sections:
            return self.mean()
        return jnp.concatenate([self.sections.mode(), self.mean()], -1)


def _bonuses(action: ActionSpec, change: Float[Array, " obs"]) -> Float[Array, " sections"]:
    """Bonuses with which sections stay as often as in the log.

    A switch changes two columns by 1, so half the sum of mean squared changes is their share; of a
    column that never changes `Statistics.step_std` is 1.
    """
    squares = jnp.where(change < 1.0, jnp.square(change), 0.0)[: action.choices]
    section = np.repeat(np.arange(len(action.sections)), action.sections)
    switches = 0.5 * jax.ops.segment_sum(squares, jnp.asarray(section), len(action.sections))
    switches = jnp.clip(switches, RAREST, 0.5)
    others = jnp.asarray([max(1, n - 1) for n in action.sections], jnp.float32)
    return jnp.log((1.0 - switches) * others / switches)


def _moments(world: Group, statistics: Statistics | None) -> tuple[Array, Array, Array]:
    """Mean and deviation of features, and a usual change."""
    if statistics is None:
        one = jnp.ones(world.observation)
        return jnp.zeros(world.observation), one, one
    mean, std, change = (
        jnp.asarray(table[world.name])
        for table in (statistics.mean, statistics.std, statistics.step_std)
    )
    return mean, std, change
