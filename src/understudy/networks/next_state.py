"""What comes next, and how sure that is: choices of sections, a mixture for every continuous value.

From what is now, s, and what was done, a, both as one row x of numbers,

    logits = bonus · s + W x + f(x),    E_k[s'] = s + W x + g_k(x),    k one of a few components,

W is a straight line, f and g a perceptron. The line carries most of what follows a log; components
of different width keep rare jumps from deciding how wide everything is.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from understudy.functional import latent
from understudy.functional.written import written, written_size
from understudy.networks.actions import ActionDistribution, action_of
from understudy.networks.following import KEEPS, bonus, widened
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
        outputs = action.choices + 3 * size * self.components
        net = MLP(world.observation + done, self.hidden, outputs,
                  activation=ACTIVATIONS[self.activation])  # fmt: skip
        body, last = jax.random.split(key)
        net = orthogonal(net, body, gain=math.sqrt(2.0))
        net = eqx.tree_at(lambda n: n.layers[-1], net, orthogonal(net.layers[-1], last, gain=0.01))
        straight = Linear(world.observation + done, action.choices + size)
        mean, std, change = _moments(world, statistics)
        widths = jnp.geomspace(*WIDTHS, self.components) if self.components > 1 else jnp.ones(1)
        return Predictor(
            straight=jax.tree.map(jnp.zeros_like, straight),
            net=net,
            keeps=jnp.full(len(action.sections), KEEPS),
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
    net: MLP
    keeps: Float[Array, " sections"]
    """Bonus, in logits, of the choice that is now."""
    widths: Float[Array, "dimensions components"]
    """Logarithm of deviations, in units of a usual change, without looking."""
    mean: Float[Array, " obs"]
    std: Float[Array, " obs"]
    change: Float[Array, " dimensions"]
    """A usual change of every continuous value."""
    spec: Spec = eqx.field(static=True)

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
        row = (1,) * (now.ndim - 1) + (-1,)
        mean, std, change = (jax.lax.stop_gradient(x) for x in (self.mean, self.std, self.change))
        x = jnp.concatenate([(now - mean.reshape(row)) / std.reshape(row), done], -1)
        line, bent = self.straight(x), self.net(x)
        action = action_of(self.spec.world)
        choices, size = action.choices, len(action.low)
        logits = line[..., :choices] + bent[..., :choices]
        logits = logits + bonus(action, self.keeps).reshape(row) * now[..., :choices]
        parts = bent[..., choices:].reshape(*bent.shape[:-1], size, 3, -1)
        scale = change.reshape((*row[:-1], size, 1))
        means = now[..., choices:, None] + scale * (line[..., choices:, None] + parts[..., 0, :])
        widths = self.widths.reshape((*row[:-1], *self.widths.shape))
        stds = latent.STD_FLOOR + scale * jnp.exp(widths) * widened(parts[..., 1, :])
        none = jnp.zeros((*logits.shape[:-1], 0))
        sections = ActionDistribution.from_head(
            logits, none, ActionSpec(action.sections), legal=legal
        )
        return NextDistribution(sections, parts[..., 2, :], means, stds)


class NextDistribution(eqx.Module):
    """What may come next; any leading axes."""

    sections: ActionDistribution
    weights: Float[Array, "*lead dimensions components"]
    """Logits of components."""
    means: Float[Array, "*lead dimensions components"]
    stds: Float[Array, "*lead dimensions components"]

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
        """Expected continuous values."""
        return (jax.nn.softmax(self.weights) * self.means).sum(-1)

    def expected(self) -> Float[Array, "*lead obs"]:
        """Expected features: probabilities of choices, then means."""
        spec, parts, first = self.sections.spec, [], 0
        for count in spec.sections:
            parts.append(jax.nn.softmax(self.sections.logits[..., first : first + count]))
            first += count
        return jnp.concatenate([*parts, self.mean()], -1)

    def likely(self) -> Float[Array, "*lead act"]:
        """The most likely choices, and expected continuous values."""
        if not self.sections.spec.sections:
            return self.mean()
        return jnp.concatenate([self.sections.mode(), self.mean()], -1)


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
