"""Multi-step generative models of several agents: segments from latents, one for each agent.

A variational autoencoder of H steps at a time. With a past, actions u and observations x that
follow, and latents z = (z_1 ... z_N, z_free),

    L = |x̂ - x|² + |û - u|² + β KL(q(z | x, u) || p(z | past)) + γ · entanglement

Latents are what a planner moves, so what agent i does may depend on z_i alone: then a saddle point
in latents is one in actions. `factorisation` says how that is reached:

========================  =====================================================================
``factored``              by construction: û_i = G_i(past, z_i), x̂ = F(past, u, z_free)
``mutual_information``    entanglement = -Σ_i E log r_i(z_i | û_i)
``gradient``              entanglement = Σ_{i≠j} |∂û_i / ∂z_j|
``joint``                 not at all
``conditional``           agents in turn, each seeing what those before it do: who comes first
                          believes that others only react
``single_step``           latents are actions, and x̂_{t+1} = f(x̂_t, u_t): the usual world model
========================  =====================================================================

Sampled from the prior it is behaviour cloning of the whole team; `planning.Planner` searches it.

Source: Krupnik, Mordatch, Tamar, "Multi-Agent Reinforcement Learning with Multi-Step Generative
Models", CoRL 2019 (arXiv 1901.10251); Mishra, Abbeel, Mordatch, ICML 2017 (arXiv 1703.04070).
Deviations: ``factored`` is not in the paper. A past is observations, not actions, which others do
not show; F learns from logged actions, not from û; observations are sums of changes; the prior may
read the past (`prior="past"`). Episodes begin with their first observation held, and those that
end for good go on with their last.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data.demonstrations import Demonstrations
from understudy.data.extend import extended
from understudy.functional import latent
from understudy.networks import descent
from understudy.networks.mlp import drawn
from understudy.networks.segment_bodies import SegmentNetwork
from understudy.networks.segment_generator import SegmentGenerator
from understudy.networks.segment_policy import FromPrior, SegmentPolicy
from understudy.networks.segment_posterior import Posterior
from understudy.networks.segments import Layout, Making, SegmentModel, SegmentSizes, split
from understudy.types import (
    Batch,
    Metrics,
    Mode,
    Spec,
    Statistics,
    Window,
    hyperparameters,
    record,
    require,
)

Factorisation = Literal[
    "factored", "mutual_information", "gradient", "joint", "conditional", "single_step"
]
MAKING: dict[str, Making] = {
    "factored": "factored", "mutual_information": "joint", "gradient": "joint", "joint": "joint",
    "conditional": "conditional", "single_step": "single_step",
}  # fmt: skip


@record
class Params:
    """Weights."""

    model: SegmentModel
    posterior: Posterior
    """q."""
    guessers: Any
    """r: of each agent's latent, from what it does; ``()`` without mutual information."""


@record
class State:
    """All that training goes on from."""

    params: Params
    optimiser: Any


@hyperparameters
class SegmentVAE:
    """Hyper-parameters of segment models."""

    factorisation: Factorisation = "factored"
    """What holds agents apart; see the head of this page."""
    past: int = 2
    """Observations that are looked back on, the present one included."""
    length: int = 20
    """Steps of a segment, H."""
    own: int = 6
    """Latent numbers of every agent."""
    free: int = 4
    """Latent numbers that are nobody's."""
    prior: Literal["normal", "past"] = "normal"
    """p: standard normal, or a normal that follows from the past."""
    network: SegmentNetwork = dataclasses.field(default_factory=SegmentNetwork)
    """How networks are built."""
    unit: Literal["spread", "change"] = "spread"
    """What errors of observations are measured in: their standard deviation, or how far a walk of
    their usual steps gets in a segment, which tells what moves slowly from what stays."""
    kl_weight: float = 0.002
    """β."""
    apart: float = 0.01
    """γ, of ``mutual_information`` and ``gradient``."""
    batch: int = 256
    """Windows per update."""
    learning_rate: float = 1e-3
    """Adam's step size at the beginning."""
    decay: int = 0
    """Updates over which it falls to 0 along a line; 0 keeps it."""
    gradient_clip: float = 10.0
    """Largest global norm of a gradient."""

    title: ClassVar[str] = "segment VAE"
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "every"
    steps: ClassVar[int] = 10_000
    """Updates, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "network": SegmentNetwork(hidden=(4,)), "past": 2, "length": 2, "own": 1, "free": 1,
        "batch": 4,
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("past", "length", "own", "batch"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        require(self.free >= 0, f"expected free of 0 or more, found {self.free}")
        require(
            self.factorisation in MAKING,
            f"expected factorisation among {list(MAKING)}, found {self.factorisation!r}",
        )
        require(
            self.unit in ("spread", "change"),
            f"expected unit 'spread' or 'change', found {self.unit!r}",
        )

    @property
    def window(self) -> int:
        """Rows of a training window."""
        return self.past + self.length

    def prepare(self, demonstrations: Demonstrations) -> Demonstrations:
        """Episodes that hold their first row, and their last where the game was over."""
        return extended(demonstrations, before=self.past - 1, after=self.length - 1)

    def sizes(self, spec: Spec) -> SegmentSizes:
        """Lengths of latents and segments."""
        acted = Layout(spec).acted
        if self.factorisation == "single_step":
            return SegmentSizes(self.past, self.length, tuple(self.length * n for n in acted), 0)
        free = 0 if self.factorisation == "conditional" else self.free
        return SegmentSizes(self.past, self.length, (self.own,) * len(acted), free)

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: for agents whose actions are not continuous within bounds.
        """
        write, read = jax.random.split(key)
        sizes, layout = self.sizes(spec), Layout(spec)
        model = SegmentModel.of(
            spec, statistics, sizes, write, making=MAKING[self.factorisation],
            network=self.network, prior=self.prior == "past",
        )  # fmt: skip
        guessers = ()
        if self.factorisation == "mutual_information":
            narrow = dataclasses.replace(self.network, channels=max(1, self.network.channels // 4))
            guessers = tuple(
                narrow.reader((self.length, count), 0, 2 * self.own) for count in layout.acted
            )
        posterior, guessers = drawn((Posterior.of(model, self.network), guessers), read)
        params = Params(model, posterior, guessers)
        return State(params, descent.start(params))

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step on one batch of windows."""
        window = batch.demonstrations
        assert window is not None

        def total(params: Params) -> tuple[Float[Array, ""], Metrics]:
            rows = self._rows(params.model, window)
            keys = jax.random.split(key, rows[0].shape[0])
            losses, metrics = jax.vmap(lambda *row: self.loss(params, *row))(*rows, keys)
            return losses.mean(), jax.tree.map(jnp.mean, metrics)

        (_, metrics), gradient = jax.value_and_grad(total, has_aux=True)(state.params)
        scales = state.params.model.scales
        rate = descent.linear(self.learning_rate, step, decay=self.decay)
        params, optimiser, norm = descent.descend(
            state.params, gradient, state.optimiser, rate=rate, clip=self.gradient_clip
        )
        params = dataclasses.replace(
            params, model=dataclasses.replace(params.model, scales=scales)
        )  # fmt: skip
        return State(params, optimiser), {**metrics, "gradient_norm": norm}

    def _rows(self, model: SegmentModel, window: Window) -> tuple[Array, Array, Array, Array]:
        """Pasts, actions, observations that follow, and which actions are known."""
        assert window.action is not None
        layout, now = model.layout, self.past - 1
        x = layout.flat(window.observation.features)
        known = [jnp.asarray(window.action_known[g.name]) for g in layout.spec.groups]
        known = jnp.concatenate(known, -1)
        sizes = jnp.asarray(layout.acted)
        known = jnp.repeat(known, sizes, axis=-1, total_repeat_length=sum(layout.acted))
        u = model.scales.read_actions(layout.flat(window.action))
        rows = slice(now, now + self.length)
        return x[:, : self.past], jnp.where(known, u, 0.0)[:, rows], x[:, self.past :], known[
            :, rows]  # fmt: skip

    def loss(
        self, params: Params, past: Array, u: Array, x: Array, known: Array, key: Any
    ) -> tuple[Float[Array, ""], Metrics]:
        """What is lowered, of one window.

        Args:
            params: weights.
            past: ``[past, observed]``.
            u: ``[rows, acted]``, between -1 and 1.
            x: ``[rows, observed]``.
            known: which actions are known, as `u`.
            key: of latents.
        """
        model, draw = params.model, jax.random.split(key, 3)
        scales = jax.lax.stop_gradient(model.scales)
        model = dataclasses.replace(model, scales=scales)
        kl = jnp.zeros(())
        z = jnp.zeros(model.sizes.latent)
        if self.factorisation != "single_step":
            mean, std = params.posterior(model, past, u, x)
            prior_mean, prior_std = model.prior_moments(past)
            kl = latent.gaussian_kl(mean, std, prior_mean, prior_std).sum()
            z = mean + std * jax.random.normal(draw[0], mean.shape)
        done = scales.middle[None] + scales.half[None] * u
        written, after = model.write(past, z, (done, x))
        unit = scales.std
        if self.unit == "change":
            unit = scales.change * np.sqrt(self.length).item()
        missed = jnp.square((after - x) / unit[None]).mean()
        acted = jnp.where(known, jnp.square(written - u), 0.0).mean()
        if self.factorisation == "single_step":
            missed = jnp.square((after - x) / scales.change[None]).mean()
            acted = jnp.zeros(())
        entangled = self._entangled(params, model, past, z, draw[1:])
        loss = missed + acted + self.kl_weight * kl + self.apart * entangled
        return loss, {
            "loss": loss, "observation_error": missed, "action_error": acted, "kl": kl,
            "entangled": entangled,
        }  # fmt: skip

    def _entangled(
        self, params: Params, model: SegmentModel, past: Array, z: Array, keys: Any
    ) -> Float[Array, ""]:
        """How much agents' actions depend on latents that are not theirs."""
        if self.factorisation == "mutual_information":
            mean, std = model.prior_moments(past)
            other = mean + std * jax.random.normal(keys[0], mean.shape)
            found = [self._guessed(params, model, past, latents) for latents in (z, other)]
            return -(found[0] + found[1]) / 2
        if self.factorisation == "gradient":
            layout, total = model.layout, jnp.zeros(())
            along = jax.random.normal(keys[1], z.shape)
            whose = jnp.repeat(
                jnp.arange(len(model.sizes.own) + 1),
                jnp.asarray((*model.sizes.own, model.sizes.free)), total_repeat_length=z.shape[0],
            )  # fmt: skip
            for j in range(len(model.sizes.own)):
                _, moved = jax.jvp(
                    lambda z: model.write(past, z)[0], (z,), (jnp.where(whose == j, along, 0.0),)
                )
                parts = split(moved, layout.acted)
                others = [jnp.square(p).sum() for i, p in enumerate(parts) if i != j]
                total = total + jnp.sqrt(sum(others) + 1e-12)
            return total
        return jnp.zeros(())

    def _guessed(
        self, params: Params, model: SegmentModel, past: Array, z: Array
    ) -> Float[Array, ""]:
        """Log-density of every agent's latent, guessed from what it does."""
        written = split(model.write(past, z)[0], model.layout.acted)
        total = jnp.zeros(())
        for net, u, own in zip(params.guessers, written, model.latents(z)[0], strict=True):
            mean, raw = jnp.split(net(u, jnp.zeros(0)), 2)
            std = latent.positive_std(raw, 1e-2)
            total = total + latent.gaussian_log_prob(own, mean, std).sum()
        return total

    def model(self, state: State) -> SegmentModel:
        """What makes segments."""
        return state.params.model

    def generator(self, state: State) -> SegmentGenerator:
        """What samples futures, segment by segment."""
        return SegmentGenerator(state.params.model)

    def policy(self, state: State, mode: Mode = "sample") -> SegmentPolicy:
        """Behaviour cloning: act as a segment drawn from the prior, or its middle, says."""
        return SegmentPolicy(state.params.model, FromPrior(mode == "mode"), self.length)
