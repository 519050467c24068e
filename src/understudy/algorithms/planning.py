"""Planners: policies that search the latents of a segment model for what pays.

With own latents a and those of the others b, over k segments, a planner looks for

    max_a  attitude_b  R(a, b) - λ |a|²,    R = sum of rewards of the agents it plays,

where `mode` is the attitude: others may be drawn and help at best (``best``), hinder as much as any
of them does (``worst``), be as they are (``mean``) or be bad company (``cvar``, the worst share);
with ``cooperative`` the planner moves everybody's latents. Rewards are pure functions of predicted
observations. Methods:

=================  ============================================================================
``shooting``       the best of many draws
``adam``           gradient steps from every draw (the paper's)
``cem``            refit a normal to the best of its draws, again and again
``mppi``           weigh draws by the exponential of their return, again and again
``best_response``  own latents climb, those of the others descend, in turn: a saddle point
=================  ============================================================================

What is returned is the best that was met, so no method is worse than its own first draws.

Source: Krupnik, Mordatch, Tamar, CoRL 2019 (arXiv 1901.10251), algorithm 1; Rubinstein and Kroese,
"The Cross-Entropy Method", 2004; Williams et al., "Information Theoretic MPC for Model-Based
Reinforcement Learning", ICRA 2017; Rockafellar and Uryasev, "Optimization of Conditional
Value-at-Risk", Journal of Risk, 2000.
Deviations: latents are counted in deviations of the prior, and held near its middle by λ; the last
plan, as far as it lies ahead, is one of the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from understudy.functional.outcomes import Attitude, together
from understudy.networks import descent
from understudy.networks.segment_policy import SegmentPolicy, imagine
from understudy.types import Features, Rewards, hyperparameters, require

Reward = Callable[[Features], Rewards]
"""``{group: [time, agents, obs]}`` of predicted observations -> ``{group: [time, agents]}``."""
Method = Literal["shooting", "adam", "cem", "mppi", "best_response"]
PlanMode = Literal["cooperative", "best", "mean", "worst", "cvar"]


@hyperparameters
class Planner:
    """Hyper-parameters of planning."""

    method: Method = "adam"
    """How latents are searched."""
    mode: PlanMode = "cooperative"
    """What the others are taken for."""
    segments: int = 5
    """Looked ahead, k."""
    candidates: int = 10
    """Own latents side by side."""
    others: int = 10
    """Draws of what the others do, and of what nobody decides."""
    iterations: int = 30
    """Steps of the search; ``shooting`` has none."""
    learning_rate: float = 0.1
    """Of gradient steps, in deviations of the prior; it falls to 0 along a line."""
    penalty: float = 0.0
    """λ, per square of a latent."""
    share: float = 0.2
    """Of the others that ``cvar`` looks at, and of candidates that ``cem`` refits to."""
    temperature: float = 0.1
    """Of ``mppi``, in deviations of the returns."""
    least_std: float = 0.1
    """Of ``cem`` and ``mppi``, in deviations of the prior."""

    METHODS: ClassVar[tuple[str, ...]] = ("shooting", "adam", "cem", "mppi", "best_response")
    MODES: ClassVar[tuple[str, ...]] = ("cooperative", "best", "mean", "worst", "cvar")

    def __post_init__(self) -> None:
        for name in ("segments", "candidates", "others"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        require(self.iterations >= 0, f"expected iterations of 0 or more, found {self.iterations}")
        for name, known in (("method", self.METHODS), ("mode", self.MODES)):
            value = getattr(self, name)
            require(value in known, f"expected {name} among {list(known)}, found {value!r}")
        require(
            self.method != "best_response" or self.mode == "worst",
            f"expected mode 'worst' with 'best_response', found {self.mode!r}; others that help "
            "need no answer",
        )

    def policy(
        self,
        model: Any,
        reward: Reward,
        agents: Sequence[tuple[str, int]],
        *,
        execute: int | None = None,
    ) -> SegmentPolicy:
        """What plans for some agents and acts.

        Args:
            model: a segment model, such as ``SegmentVAE.model`` makes.
            reward: of predicted observations.
            agents: group and number of those it plays; their rewards are summed.
            execute: steps of a segment that are played before it plans again; all of them if None.

        Raises:
            UserError: for agents that the model does not know, or none, or too many steps.
        """
        known, length = model.layout.agents, model.sizes.length
        unknown = [agent for agent in agents if tuple(agent) not in known]
        require(
            bool(agents) and not unknown,
            f"expected agents among {list(known)}, found {unknown or 'none'}",
        )
        steps = length if execute is None else execute
        require(1 <= steps <= length, f"expected to execute 1 to {length} steps, found {steps}")
        mine = tuple(known.index((name, number)) for name, number in agents)
        return SegmentPolicy(model, Search(self, mine, reward, self.segments), steps)


class Search(eqx.Module):
    """A chooser of segments that searches."""

    how: Planner = eqx.field(static=True)
    mine: tuple[int, ...] = eqx.field(static=True)
    """Numbers of the agents it plays."""
    reward: Reward = eqx.field(static=True)
    segments: int = eqx.field(static=True)

    def __call__(
        self,
        model: Any,
        past: Float[Array, "past observed"],
        before: Float[Array, "segments latent"],
        key: Key[Array, ""],
    ) -> Float[Array, "segments latent"]:
        """Latents of the best plan that was met, with those of the others it was met with."""
        draw, other, search = jax.random.split(key, 3)
        own = jax.random.normal(draw, (self.how.candidates, *before.shape)).at[0].set(before)
        others = jax.random.normal(other, (self.how.others, *before.shape))
        own, others = self._searched(model, past, own, others, search)
        returns = self.returns(model, past, own, others)
        best = self.worth(own, returns).argmax()
        met = returns[best]
        against = met.argmax() if self.how.mode == "best" else met.argmin()
        return jnp.where(self._moved(model)[None], own[best], others[against])

    def returns(
        self, model: Any, past: Array, own: Array, others: Array
    ) -> Float[Array, "candidates others"]:
        """Sum of own rewards of every pair."""
        moved = self._moved(model)[None]

        def one(a: Array, b: Array) -> Array:
            _, after = imagine(model, past, jnp.where(moved, a, b))
            found = self.reward(model.layout.features(after))
            each = jnp.concatenate([found[name] for name in model.layout.spec.names], -1)
            return each[:, np.asarray(self.mine)].sum()

        return jax.vmap(lambda a: jax.vmap(lambda b: one(a, b))(others))(own)

    def worth(self, own: Array, returns: Array) -> Float[Array, " candidates"]:
        """What each candidate is worth."""
        mode = self.how.mode
        attitude: Attitude = "mean" if mode == "cooperative" else mode
        kept = self.how.penalty * jnp.square(own).sum((1, 2))
        return together(returns, attitude, self.how.share) - kept

    def _moved(self, model: Any) -> np.ndarray:
        """Latent numbers that the planner moves."""
        sizes = model.sizes
        everybody = self.how.mode == "cooperative"
        parts = [np.full(n, everybody or i in self.mine) for i, n in enumerate(sizes.own)]
        return np.concatenate([*parts, np.zeros(sizes.free, bool)])

    def _searched(
        self, model: Any, past: Array, own: Array, others: Array, key: Any
    ) -> tuple[Array, Array]:
        method = self.how.method
        if method == "shooting" or not self.how.iterations:
            return own, others
        if method == "best_response":
            return self._in_turn(model, past, own, others)

        def value(own: Array) -> Array:
            return self.worth(own, self.returns(model, past, own, others))

        found = self._climbed(value, own) if method == "adam" else self._refitted(value, own, key)
        return found, others

    def _climbed(self, value: Any, own: Array) -> Array:
        """Gradient steps of every candidate; each as good as it ever was."""

        def step(carry: Any, number: Array) -> tuple[Any, None]:
            now, adam, best, most = carry
            (_, worth), gradient = jax.value_and_grad(_summed(value), has_aux=True)(now)
            best = jnp.where((worth > most)[:, None, None], now, best)
            rate = descent.linear(
                self.how.learning_rate, number, decay=self.how.iterations
            )  # fmt: skip
            now, adam = _ascend(now, gradient, adam, rate)
            return (now, adam, best, jnp.maximum(worth, most)), None

        start = (own, descent.start(own), own, jnp.full(own.shape[0], -jnp.inf))
        (now, _, best, most), _ = jax.lax.scan(step, start, jnp.arange(self.how.iterations))
        return jnp.where((value(now) > most)[:, None, None], now, best)

    def _refitted(self, value: Any, own: Array, key: Any) -> Array:
        """A normal, refitted to draws that pay; the best that was met, then its middle."""
        elites = max(1, round(self.how.share * own.shape[0]))

        def step(carry: Any, key: Array) -> tuple[Any, None]:
            drawn, best, most = carry
            worth = value(drawn)
            order = jnp.argsort(-worth)
            better = worth[order[0]] > most
            best = jnp.where(better, drawn[order[0]], best)
            most = jnp.maximum(most, worth[order[0]])
            if self.how.method == "cem":
                weights = jnp.zeros(own.shape[0]).at[order[:elites]].set(1.0 / elites)
            else:
                spread = jnp.maximum(worth.std(), 1e-6) * self.how.temperature
                weights = jax.nn.softmax(worth / spread)
            mean = jnp.einsum("c,ckl->kl", weights, drawn)
            square = jnp.einsum("c,ckl->kl", weights, jnp.square(drawn - mean[None]))
            std = jnp.maximum(jnp.sqrt(square), self.how.least_std)
            again = mean[None] + std[None] * jax.random.normal(key, drawn.shape)
            return (again.at[0].set(mean), best, most), None

        start = (own, own[0], jnp.full((), -jnp.inf))
        keys = jax.random.split(key, self.how.iterations)
        (drawn, best, _), _ = jax.lax.scan(step, start, keys)
        return drawn.at[-1].set(best)

    def _in_turn(
        self, model: Any, past: Array, own: Array, others: Array
    ) -> tuple[Array, Array]:  # fmt: skip
        """Own latents climb against the worst of the others, which descend against the best."""

        def climb(own: Array, others: Array) -> Array:
            return self.worth(own, self.returns(model, past, own, others)).sum()

        def descend(others: Array, own: Array) -> Array:
            returns = self.returns(model, past, own, others)
            kept = self.how.penalty * jnp.square(others).sum()
            return returns[self.worth(own, returns).argmax()].sum() + kept

        def step(carry: Any, number: Array) -> tuple[Any, None]:
            own, others, adam, reply = carry
            rate = descent.linear(
                self.how.learning_rate, number, decay=self.how.iterations
            )  # fmt: skip
            own, adam = _ascend(own, jax.grad(climb)(own, others), adam, rate)
            others, reply = _ascend(others, -jax.grad(descend)(others, own), reply, rate)
            return (own, others, adam, reply), None

        start = (own, others, descent.start(own), descent.start(others))
        (own, others, _, _), _ = jax.lax.scan(step, start, jnp.arange(self.how.iterations))
        return own, others


def _summed(value: Any) -> Any:
    def total(own: Array) -> tuple[Array, Array]:
        worth = value(own)
        return worth.sum(), worth

    return total


def _ascend(x: Array, gradient: Array, adam: Any, rate: Array) -> tuple[Array, Any]:
    """One step of Adam uphill."""
    x, adam, _ = descent.descend(x, -gradient, adam, rate=rate, clip=1e9)
    return x, adam
