"""Proximal policy optimisation of a team: independent, with a central critic, or a transformer.

Every agent k raises the probability of actions that were better than expected,

    L = -mean min(ρ A, clip(ρ, 1 - c, 1 + c) A) - c_H H,  ρ = π(a_k|o_k) / π_old(a_k|o_k)

with generalised advantages A. Its critic is fitted to ``A + V`` by a clipped Huber loss, on
targets scaled to mean 0 and deviation 1. The network decides the rest: actors and critics apart
(`ActorCritic`: own critics are IPPO, central ones MAPPO), or a transformer (`Transformer`: MAT).

Rewards are read from the rollout, whoever wrote them: the env, or a discriminator.

Source: Schulman et al. 2017 (arXiv 1707.06347); de Witt et al. 2020 (2011.09533, IPPO); Yu et al.
2022 (2103.01955, MAPPO); Wen et al. 2022 (2205.14953, MAT).
Deviations: old log-probabilities and values are computed in one pass before the first epoch;
episodes cut by a time limit are bootstrapped from the observation they led to; actions clipped to
their bounds are scored as clipped; one Adam for all weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy import tree
from understudy.functional import moments
from understudy.functional.losses import clipped_surrogate, clipped_value_loss, mean_where
from understudy.networks import cloning, descent
from understudy.networks.actor_critic import ActorCritic
from understudy.networks.experience import Advantage, Experience, cut, look_back
from understudy.networks.policy import Network, NetworkPolicy
from understudy.types import (
    Batch,
    Fixed,
    Metrics,
    Mode,
    Spec,
    Statistics,
    Window,
    hyperparameters,
    record,
    require,
)


@record
class State:
    """All that training goes on from."""

    params: Any
    """The network."""
    optimiser: Any
    seen: Any
    """Moments of the critics' targets per group, or None."""
    begun: Any = None
    """The network before the first update, if there is an anchor."""


@hyperparameters
class PPO:
    """Hyper-parameters of policy optimisation."""

    network: Any = dataclasses.field(default_factory=ActorCritic)
    """`ActorCritic` or `Transformer`."""
    envs: int = 64
    """Games side by side."""
    rollout: int = 100
    """Env steps of each game per update."""
    epochs: int = 4
    """Passes over the rows of an update."""
    minibatches: int = 4
    """Steps down the gradient per pass."""
    learning_rate: float = 2e-3
    """Adam's step size at the beginning."""
    decay: int = 0
    """Updates over which the step size falls to 0 along a line; 0 keeps it."""
    discount: float = 0.99
    """γ."""
    trace: float = 0.95
    """λ of the advantages."""
    clip: float = 0.2
    """Most that a probability ratio is rewarded for leaving 1, and a value for moving."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    cloning_weight: Fixed = 0.0
    """Weight of behaviour cloning beside, of demonstrated rows that `Adversarial` hands on, at most
    as many as were acted in."""
    anchor: Fixed = 0.0
    """Weight of ``KL(π || π before the first update)`` in rows that were acted in: a policy that
    was cloned stays near what it was."""
    value_weight: float = 0.5
    """Weight of the critics' loss."""
    value_scaling: bool = True
    """Scale critics by the running mean and deviation of their targets (ValueNorm)."""
    value_keep: float = 0.95
    """Share of these moments' past that stays at each update."""
    huber: float = 10.0
    """Error beyond which the critics' loss is linear, in deviations of the targets if scaled."""
    gradient_clip: float = 0.5
    """Largest global norm of the gradient."""
    ratio: Literal["action", "part"] = "action"
    """One ratio for an agent's whole action, or one (and one clipping) for each part of it."""
    advantage: Advantage = "individual"
    """Own advantages, or the team's mean for everybody."""

    needs: ClassVar[frozenset[str]] = frozenset({"env"})
    steps: ClassVar[int] = 1_000_000
    """Env steps, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "envs": 4, "rollout": 6, "minibatches": 2, "epochs": 2
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("envs", "rollout", "epochs", "minibatches"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        items = self.envs if getattr(self.network, "recurrent", 0) else self.envs * self.rollout
        require(
            items % self.minibatches == 0,
            f"expected minibatches that share {items} rows (or envs, with memory) evenly, found "
            f"{self.minibatches}; change minibatches, envs or rollout",
        )

    @property
    def title(self) -> str:
        """The name people know this network's PPO by: IPPO, MAPPO, MAT or MAT-Dec."""
        return self.network.title

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights."""
        params = self.network.init(spec, key)
        seen = {name: moments.start() for name in spec.names} if self.value_scaling else None
        return State(params, descent.start(params), seen, params if self.anchor else None)

    def loss(
        self, params: Any, rows: Experience, shown: Window | None = None, begun: Any = None
    ) -> tuple[Float[Array, ""], Metrics]:
        """Losses of actors and critics over one minibatch, summed over groups.

        Args:
            params: the network.
            rows: of the minibatch.
            shown: demonstrated rows, if they are cloned.
            begun: the network to stay near, if to any.
        """
        found = params.evaluate(rows)
        total, parts = jnp.zeros(()), []
        for name, value in found.value.items():
            alive = rows.observation.alive[name]
            change = found.log_probs[name] - rows.log_probs[name]
            if self.ratio == "action":
                change = change.sum(-1, keepdims=True)
            gain = jnp.broadcast_to(rows.advantage[name][..., None], change.shape)
            surrogate = clipped_surrogate(jnp.exp(change), gain, clip=self.clip).sum(-1)
            errors = clipped_value_loss(
                value, rows.value[name], rows.target[name], clip=self.clip, width=self.huber
            )
            policy = -mean_where(surrogate, alive)
            entropy = mean_where(found.entropy[name], alive)
            critic = mean_where(errors, alive)
            total = total + policy - self.entropy * entropy + self.value_weight * critic
            moved = jnp.abs(jnp.expm1(change)) > self.clip
            parts.append({
                "policy_loss": policy, "value_loss": critic, "entropy": entropy,
                "kl": mean_where((jnp.expm1(change) - change).sum(-1), alive),
                "clipped": mean_where(moved.astype(jnp.float32).mean(-1), alive),
            })  # fmt: skip
        metrics = jax.tree.map(lambda *values: sum(values), *parts)
        if shown is not None:
            cloned, said = cloning.loss(params, shown)
            total = total + self.cloning_weight * cloned
            metrics["demonstrated_log_prob"] = said["log_prob"]
        if begun is not None:
            apart = _divergence(params, begun, rows)
            total = total + self.anchor * apart
            metrics["kl_to_start"] = apart
        return total, metrics

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Some epochs of steps on one rollout.

        Raises:
            UserError: for a weight of cloning and nothing to clone.
        """
        rollout, shown = batch.rollout, None
        assert rollout is not None
        if self.cloning_weight:
            require(
                batch.demonstrations is not None,
                f"expected demonstrations to clone with a weight of {self.cloning_weight:g}, found "
                "none; imitate by adversarial.Adversarial, or give cloning_weight=0",
            )
            assert batch.demonstrations is not None
            shown = _shared_out(
                batch.demonstrations, self.minibatches, most=self.envs * self.rollout
            )
        network: Network = state.params
        begun = state.begun
        if self.anchor:
            begun = tree.where(step == 0, state.params, state.begun)
        experience, seen, said = look_back(
            network, state.seen, rollout, network.spec, discount=self.discount, trace=self.trace,
            keep=self.value_keep, advantage=self.advantage,
        )  # fmt: skip
        rate = descent.linear(self.learning_rate, step, decay=self.decay)

        def minibatch(carry: Any, given: Any) -> tuple[Any, Metrics]:
            params, optimiser = carry
            (loss, metrics), gradient = jax.value_and_grad(self.loss, has_aux=True)(
                params, *given, begun
            )
            params, optimiser, norm = descent.descend(
                params, gradient, optimiser,
                rate=rate, clip=self.gradient_clip, epsilon=1e-5,
            )  # fmt: skip
            return (params, optimiser), {**metrics, "loss": loss, "gradient_norm": norm}

        def epoch(carry: Any, number: Any) -> tuple[Any, Any]:
            cuts = cut(
                experience, step, number, count=self.minibatches, recurrent=network.recurrent
            )
            return jax.lax.scan(minibatch, carry, (cuts, shown))

        start = (state.params, state.optimiser)
        (params, optimiser), metrics = jax.lax.scan(epoch, start, jnp.arange(self.epochs))
        return State(params, optimiser, seen, begun), jax.tree.map(jnp.mean, metrics) | said

    def policy(self, state: State, mode: Mode = "sample") -> NetworkPolicy:
        """What acts."""
        return NetworkPolicy.of(state.params, mode)


def _divergence(params: Network, begun: Network, rows: Experience) -> Float[Array, ""]:
    """Mean KL of what agents do from what they would have done, nats, summed over groups."""
    ours, theirs = params.predictions(rows), begun.predictions(rows)
    total = jnp.zeros(())
    for name, found in ours.items():
        held = jax.lax.stop_gradient(theirs[name])
        total = total + mean_where(found.kl(held), rows.observation.alive[name])
    return total


def _shared_out(shown: Window, count: int, *, most: int) -> Window:
    """Demonstrated windows, some for each minibatch ``[count, windows, time, ...]``.

    Args:
        shown: windows ``[windows, time, ...]``.
        count: minibatches.
        most: rows of all minibatches together; more would take time and teach little.

    Raises:
        UserError: for fewer rows than minibatches.
    """
    rows, time = jax.tree.leaves(shown)[0].shape[:2]
    require(
        rows >= count,
        f"expected a demonstrated row for each of {count} minibatches, found {rows}; demonstrate "
        "more per update, or give fewer minibatches",
    )
    each = min(rows // count, max(1, most // (count * time)))

    def share(leaf: Array) -> Array:
        return leaf[: each * count].reshape(count, each, *leaf.shape[1:])

    return jax.tree.map(share, shown)
