"""Adversarial imitation of a team: a discriminator makes the reward, a policy optimiser earns it.

Each update a discriminator learns to give a high *expert score* e_k(o, a) to what demonstrations
show and a low one to what the policy did. The policy is then improved by any policy optimiser on

    r_k = f(e_k(o_t, a_t)),  f rising: softplus(e) = -log(1 - σ(e)), e, log σ(e), or 2σ(e) - 1

and never sees the env's own reward. The parts are arguments: who the scores depend on (the
discriminator), what it minimises, how its score becomes a reward, and who learns from that.

With ``objective="wail"`` the discriminator minimises, over pairs of a demonstrated y and a row x,

    L = -mean_k [ e_k(y) - e_k(x) + Ω(e_k(y) - e_k(x), d(x, y)) ]

where Ω punishes a gap of scores beyond the distance d (`functional.adversarial.OMEGAS`).

Source: Ho and Ermon, NIPS 2016 (arXiv 1606.03476, GAIL); Song et al., NeurIPS 2018 (1807.09936,
MAGAIL); Xiao et al., 2019 (1906.08113, WAIL); MILD² joins WAIL, a discriminator over the whole team
and a transformer that acts agent after agent.
Deviations: rewards come from the observation and the action of the same step, and from the updated
discriminator; agents that are not alive have neither loss nor reward; pairs are drawn anew for each
step; Ω is a hinge unless asked otherwise, as in the dual of regularised transport.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.data import replay
from understudy.functional.adversarial import OBJECTIVES, OMEGAS, REWARD_RANGES, REWARDS
from understudy.functional.lipschitz import largest_ratio
from understudy.functional.losses import mean_where, standardise
from understudy.functional.penalties import gradient_penalty, steepness
from understudy.networks import descent, entries, spectral
from understudy.networks.discriminators import Inputs, MLPDiscriminator
from understudy.networks.entries import Entries, Metric, crossed, distance, flat, joined
from understudy.networks.experience import described, mean_reward
from understudy.types import (
    Batch,
    Fixed,
    Masks,
    Metrics,
    Mode,
    Spec,
    Statistics,
    hyperparameters,
    record,
    require,
    zero_metrics,
)

PROBED = 64
"""Pairs on which steepness is measured at each update."""


@record
class State:
    """All that training goes on from."""

    optimiser: Any
    """Of the policy optimiser."""
    discriminator: Any
    """Weights."""
    vectors: Any
    """Of spectral normalisation."""
    descent: Any
    """Adam of the discriminator."""
    inputs: Inputs
    replay: Any
    """Rows of earlier rollouts; None if they are forgotten."""


@hyperparameters
class Adversarial:
    """Hyper-parameters of adversarial imitation."""

    optimiser: Any
    """Policy optimiser: `ppo.PPO` with any network, or `happo.HAPPO`."""
    discriminator: Any = dataclasses.field(default_factory=MLPDiscriminator)
    """`MLPDiscriminator` or `TransformerDiscriminator`."""
    objective: Literal["bce", "bce+gp", "wgan-gp", "lsgan", "wail"] = "bce"
    """What the discriminator minimises."""
    reward: Literal["softplus", "logit", "neg", "prob"] = "softplus"
    """How a score becomes a reward. Where episodes can end early choose ``logit``: a reward that is
    always positive (softplus) is for staying alive, one that is always negative (neg) for dying."""
    standardise: bool = False
    """The policy learns from rewards that are standardised over each rollout, so that their sign is
    neither for staying nor for leaving."""
    opposed: bool = False
    """The first group plays against the others: one score, which the others want to be low."""
    omega: Literal["hinge", "square", "entropic"] = "hinge"
    """Ω of ``wail``."""
    width: float = 0.05
    """ε of Ω, in units of the distance."""
    metric: Metric = "joint"
    """Distance between what an agent, or the team, saw and did: root mean square over standardised
    features and one-hot choices."""
    penalty: float = 10.0
    """Weight of the gradient penalty of ``bce+gp`` and ``wgan-gp``."""
    smoothing: float = 0.0
    """Labels are this far from 0 and 1."""
    noise: Fixed = 0.0
    """Standard deviation of noise on what the discriminator learns from, in deviations."""
    learning_rate: float = 3e-4
    """Adam's step size of the discriminator at the beginning."""
    decay: int = 0
    """Updates over which it falls to 0 along a line; 0 keeps it."""
    weight_decay: float = 0.0
    """Share of every weight (of no bias) that a step takes away, times the step size."""
    momentum: tuple[float, float] = (0.5, 0.9)
    """Adam's β of the discriminator."""
    gradient_clip: float = 10.0
    """Largest global norm of the discriminator's gradient."""
    passes: int = 4
    """Steps of the discriminator per update."""
    minibatch: int = 1024
    """Joint rows of either side per step."""
    warm_up: int = 0
    """Updates at the beginning in which only the discriminator learns."""
    remembered: int = 0
    """Rollouts, with this one, that it learns from; 0 or 1: this one only."""

    needs: ClassVar[frozenset[str]] = frozenset({"env", "demonstrations"})
    presence: ClassVar[str] = "every"
    window: ClassVar[int] = 1
    steps: ClassVar[int] = 1_000_000
    """Env steps, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "discriminator": MLPDiscriminator(hidden=(8,)), "passes": 2, "minibatch": 8
    }  # fmt: skip
    """Arguments, but for the optimiser of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("passes", "minibatch"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        chosen = OBJECTIVES[self.objective]
        require(
            chosen.labels or isinstance(self.smoothing, jax.Array) or self.smoothing == 0,
            f"expected an objective with labels to smooth, found {self.objective!r}; use bce, "
            "bce+gp or lsgan, or smoothing=0",
        )
        require(
            not self.opposed or (chosen.labels and chosen.regulariser == "none"),
            f"expected bce or lsgan where groups play against each other, found "
            f"{self.objective!r}; change objective, or give opposed=False",
        )

    @property
    def title(self) -> str:
        """The name people know these parts by."""
        return self.discriminator.title

    @property
    def envs(self) -> int:
        """Games side by side."""
        return self.optimiser.envs

    @property
    def rollout(self) -> int:
        """Env steps of each game per update."""
        return self.optimiser.rollout

    @property
    def batch(self) -> int:
        """Demonstrated rows per update."""
        return self.passes * self.minibatch

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights of both sides.

        Raises:
            UserError: for a group that cannot act, or opponents that are not there.
        """
        require(
            not self.opposed or len(spec.groups) > 1,
            f"expected groups that play against each other, found {list(spec.names)}; give "
            "opposed=False",
        )
        first, second = jax.random.split(key)
        network = self.discriminator.init(spec, first)
        inputs = Inputs.of(spec, statistics)
        kept = None
        if self.remembered > 1:
            sizes = Inputs.sizes(spec)
            none = {g.name: jnp.zeros(g.agents, bool) for g in spec.groups}
            row = {g.name: jnp.zeros((g.agents, sizes[g.name])) for g in spec.groups}
            rows = self.remembered * self.envs * self.rollout
            kept = replay.create(Entries(row, none, none), rows)
        return State(
            optimiser=self.optimiser.init(spec, statistics, second),
            discriminator=network,
            vectors=spectral.start(network),
            descent=descent.start(network),
            inputs=inputs,
            replay=kept,
        )

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Some steps of the discriminator, then an update of the policy on its rewards."""
        rollout, shown = batch.rollout, batch.demonstrations
        assert rollout is not None
        assert shown is not None
        assert shown.action is not None
        alive = rollout.observation.alive
        ours = Entries(state.inputs(rollout.observation, rollout.action), alive, alive)
        theirs = flat(Entries(
            state.inputs(shown.observation, shown.action), shown.observation.alive,
            jax.tree.map(jnp.logical_and, shown.observation.alive, shown.action_known),
        ))  # fmt: skip
        first, second = jax.random.split(key)
        state, said = self.discriminate(state, flat(ours), theirs, step, first)
        reward = self.rewards(state, ours.inputs, alive)
        rewarded = dataclasses.replace(rollout, reward=reward)
        paid = {name: standardise(own, alive[name]) for name, own in reward.items()}
        earned = dataclasses.replace(rollout, reward=paid) if self.standardise else rewarded
        improved, learned = self._improve(state, Batch(earned, shown), step, second)
        spec, span = state.inputs.spec, REWARD_RANGES[self.reward]
        told = described(spec, rewarded, rollout.reward, span=span)
        metrics = {**learned, **said, **told, "reward": mean_reward(rollout)}
        return dataclasses.replace(state, optimiser=improved), metrics

    def policy(self, state: State, mode: Mode = "sample") -> Any:
        """What acts."""
        return self.optimiser.policy(state.optimiser, mode)

    def rewards(self, state: State, inputs: Any, alive: Masks) -> dict[str, Any]:
        """Rewards ``{group: [*lead, agents]}``; 0 for agents that are not alive."""
        network = spectral.normalised(
            state.discriminator, state.vectors, self.discriminator.normalisation
        )
        found = {}
        scores = network.scores(inputs, alive)
        for number, name in enumerate(network.spec.names):
            signed = -scores[name] if self.opposed and number else scores[name]
            found[name] = jnp.where(alive[name], REWARDS[self.reward](signed), 0.0)
        return jax.lax.stop_gradient(found)

    def loss(
        self, weights: Any, vectors: Any, sides: tuple[Entries, Entries], key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """Loss of the discriminator over pairs of demonstrated rows and rows of the policy."""
        network = spectral.normalised(weights, vectors, self.discriminator.normalisation)
        (theirs, ours), spec = sides, network.spec
        if self.opposed:
            return self._opposed_loss(network, theirs, ours, key)
        keys = jax.random.split(key, 4)
        theirs, ours = (self._noisy(spec, side, k) for side, k in zip(sides, keys[:2], strict=True))
        e_theirs, e_ours = scored(network, (theirs, ours), keys[2])
        there, here = joined(spec, theirs.counted), joined(spec, ours.counted)
        objective = OBJECTIVES[self.objective]
        losses = objective.losses(e_theirs, e_ours, self.smoothing)
        total = mean_where(losses[0], there) + mean_where(losses[1], here)
        gap, both = e_theirs - e_ours, there & here
        apart = distance(spec, theirs, ours, self.metric)
        regulariser = jnp.zeros(())
        if objective.regulariser == "transport":
            regulariser = -mean_where(OMEGAS[self.omega](gap, apart, self.width), both)
        if objective.regulariser == "gradient":
            norms = self._steepness(network, theirs, ours, keys[3])
            regulariser = self.penalty * mean_where(gradient_penalty(norms), both)
        return total + regulariser, {
            "discriminator_loss": total + regulariser,
            "regulariser": regulariser,
            "violations": mean_where((gap > apart).astype(jnp.float32), both),
            "lipschitz": largest_ratio(e_theirs, e_ours, apart, both),
            **told_apart(e_theirs, e_ours, there, here),
        }

    def _opposed_loss(
        self, network: Any, theirs: Entries, ours: Entries, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """One score of two sides: high where the first side is an expert and the other is not.

        Source: Song et al., NeurIPS 2018, the zero-sum prior.
        """
        keys, spec = jax.random.split(key, 3), network.spec
        theirs, ours = (self._noisy(spec, *side) for side in ((theirs, keys[0]), (ours, keys[1])))
        one, other = crossed(spec, theirs, ours), crossed(spec, ours, theirs)
        scores = scored(network, (one, other, theirs), keys[2])
        counted = [joined(spec, side.counted) for side in (one, other, theirs)]
        losses = OBJECTIVES[self.objective].losses
        high, low = losses(scores[0], scores[1], self.smoothing)
        above, below = losses(scores[2], scores[2], self.smoothing)
        total = mean_where(high, counted[0]) + mean_where(low, counted[1])
        total = total + 0.5 * mean_where(above + below, counted[2])
        return total, {
            "discriminator_loss": total,
            **zero_metrics(("regulariser", "violations", "lipschitz")),
            **told_apart(scores[0], scores[1], counted[0], counted[1]),
        }

    def discriminate(
        self, state: State, ours: Entries, theirs: Entries, step: Any, key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Some steps of the discriminator, each on pairs of its own.

        Args:
            state: before.
            ours: rows of the policy, any number.
            theirs: demonstrated rows, ``passes * minibatch``.
            step: of the update; its rate may fall.
            key: of pairs, noise and dropout.

        Returns:
            The state with another discriminator, and its metrics.
        """
        draw, learn, probe = jax.random.split(key, 3)
        shape = (self.passes, self.minibatch)
        kept = state.replay
        if kept is not None:
            kept = replay.add(kept, ours)
            drawn = replay.sample(kept, draw, batch=self.batch)
        else:
            rows = jax.tree.leaves(ours)[0].shape[0]
            at = jax.random.randint(draw, (self.batch,), 0, rows)
            drawn = jax.tree.map(lambda leaf: leaf[at], ours)
        pairs = jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), (theirs, drawn))
        rate = descent.linear(self.learning_rate, step, decay=self.decay)

        def one(carry: Any, given: Any) -> tuple[Any, Metrics]:
            weights, vectors, moments = carry
            sides, own = given
            gradient, said = jax.grad(self.loss, has_aux=True)(weights, vectors, sides, own)
            lower, moments, norm = descent.descend(
                weights, gradient, moments, rate=rate, clip=self.gradient_clip,
                betas=self.momentum,
            )  # fmt: skip
            weights = descent.shrink(lower, weights, rate * self.weight_decay)
            if self.discriminator.normalisation != "none":
                vectors = spectral.advance(weights, vectors)
            return (weights, vectors, moments), {**said, "discriminator_gradient_norm": norm}

        start = (state.discriminator, state.vectors, state.descent)
        (weights, vectors, moments), said = jax.lax.scan(
            one, start, (pairs, jax.random.split(learn, self.passes))
        )
        network = spectral.normalised(weights, vectors, self.discriminator.normalisation)
        few = [jax.tree.map(lambda leaf: leaf[-1, :PROBED], side) for side in pairs]
        steep = self._steepness(network, few[0], few[1], probe).max()
        state = dataclasses.replace(
            state, discriminator=weights, vectors=vectors, descent=moments, replay=kept
        )
        return state, {**jax.tree.map(jnp.mean, said), "steepness": steep}

    def _improve(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[Any, Metrics]:
        """Let the policy learn, unless the discriminator is still warming up."""

        def improve() -> tuple[Any, Metrics]:
            return self.optimiser.update(state.optimiser, batch, step, key)

        if not self.warm_up:
            return improve()
        shapes = jax.eval_shape(improve)[1]

        def wait() -> tuple[Any, Metrics]:
            return state.optimiser, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        return jax.lax.cond(step < self.warm_up, wait, improve)

    def _steepness(
        self, network: Any, theirs: Entries, ours: Entries, key: Key[Array, ""]
    ) -> Float[Array, "rows agents"]:
        """Norm of the gradient of every score in all inputs, between the rows of pairs."""
        spec, middle = network.spec, entries.between(theirs, ours, key)

        def one(inputs: Any, alive: Any) -> Array:
            return steepness(lambda given: joined(spec, network.scores(given, alive)), inputs)

        return jax.vmap(one)(middle.inputs, middle.alive)

    def _noisy(self, spec: Spec, side: Entries, key: Key[Array, ""]) -> Entries:
        return entries.noisy(spec, side, key, self.noise) if self.noise else side


def scored(
    network: Any, sides: Sequence[Entries], key: Key[Array, ""]
) -> list[Float[Array, "rows agents"]]:
    """Scores of all agents of each side, in one pass of the network.

    Args:
        network: weights of a discriminator.
        sides: as many rows each.
        key: of dropout.
    """
    whole = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *sides)
    scores = joined(network.spec, network.scores(whole.inputs, whole.alive, key=key))
    return jnp.split(scores, len(sides))


def told_apart(
    high: Float[Array, "rows agents"],
    low: Float[Array, "rows agents"],
    high_counts: Bool[Array, "rows agents"],
    low_counts: Bool[Array, "rows agents"],
) -> Metrics:
    """Scores of either side, and how often each is on the right side of 0.

    Args:
        high: scores that should be above 0.
        low: scores that should be below.
        high_counts: which of the first count.
        low_counts: which of the others.
    """
    return {
        "expert_score": mean_where(high, high_counts),
        "policy_score": mean_where(low, low_counts),
        "expert_accuracy": mean_where((high > 0).astype(jnp.float32), high_counts),
        "policy_accuracy": mean_where((low < 0).astype(jnp.float32), low_counts),
    }
