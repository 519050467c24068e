"""Population synthesis: draw states in which sessions begin, like those that a log shows.

A state is a row of one-hot sections and continuous values: who somebody is, and where they stand.
A generator makes rows x = G(z) of noise, a discriminator gives them an expert score e(x),

    L_D = mean l(e(x_log), e(G(z))) + λ · mean (|∇e| - 1)²
    L_G = -mean r(e(G(z))) - α · Σ_k H(p_k) + β · (Σ_k KL(p_k || q_k) + Σ_j |Q_j - Q_j,log|)

p_k are the shares of the choices of section k among the rows of a batch, q_k those in the log;
Q_j are the ordered scores of continuous value j in a batch. D alone makes the dependence of the
columns right, and the terms of β every column by itself.

Source: Shi et al., "Virtual-Taobao: Virtualizing Real-World Online Retail Environment for
Reinforcement Learning", AAAI 2019 (arXiv 1805.10000), GAN-SD; packs: Lin et al., "PacGAN",
NeurIPS 2018; gradients of choices: Jang, Gu, Poole, "Categorical Reparameterization with
Gumbel-Softmax", ICLR 2017.
Deviations: q and Q are those of all rows of the log, which have no noise of a batch. α is 0: α = β
is least where shares are as the square root of those logged, which is no population of this log.
Continuous values are written through quantiles of the log. A gradient penalty keeps D in bounds,
and rows are drawn from a running average of the weights of G.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data.demonstrations import Demonstrations
from understudy.data.sessions import beginnings
from understudy.functional.adversarial import OBJECTIVES, REWARDS
from understudy.functional.marginals import divergence, entropy, quantile_distance
from understudy.functional.penalties import gradient_penalty, steepness
from understudy.networks import descent
from understudy.networks.actions import action_of
from understudy.networks.mlp import ACTIVATIONS, MLP, Activation, orthogonal
from understudy.networks.population import Knots, NormalScores, Synthesiser, knots
from understudy.types import (
    Batch,
    Metrics,
    Spec,
    Statistics,
    hyperparameters,
    record,
    require,
)


@record
class State:
    """All that training goes on from."""

    generator: Synthesiser
    average: Synthesiser
    """Running average of the generator."""
    discriminator: MLP
    generator_optimiser: Any
    discriminator_optimiser: Any
    columns: NormalScores
    shares: Float[Array, " choices"]
    """Of every choice in the log."""


@hyperparameters
class Population:
    """Hyper-parameters of population synthesis."""

    starts: Literal["first", "any"] = "first"
    """Learn where sessions begin, or any state that somebody acted in."""
    noise: int = 64
    """Numbers that a row is made of."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of the hidden layers of either network."""
    activation: Activation = "leaky_relu"
    """Between layers."""
    objective: Literal["bce", "bce+gp", "wgan-gp", "lsgan"] = "bce+gp"
    """Of the discriminator, one of `functional.adversarial.OBJECTIVES`."""
    reward: Literal["neg", "prob", "logit", "softplus"] = "logit"
    """r, one of `functional.adversarial.REWARDS`."""
    penalty: float = 0.1
    """λ, of objectives with a gradient penalty."""
    entropy_weight: float = 0.0
    """α; above 0 rare choices are drawn more often than they were logged."""
    marginal_weight: float = 1.0
    """β."""
    pack: int = 1
    """Rows that the discriminator judges together."""
    temperature: float = 0.2
    """Of the softmax that gradients of choices go through."""
    discriminator_steps: int = 1
    """Steps of the discriminator for one of the generator; they share out the rows of an update."""
    batch: int = 256
    """Rows per update."""
    learning_rate: float = 2e-3
    """Adam's step size of the generator at the beginning."""
    discriminator_rate: float = 2e-3
    """Adam's step size of the discriminator at the beginning."""
    decay: int = 0
    """Updates over which both fall to 0 along a line; 0 keeps them."""
    momentum: float = 0.5
    """Adam's share of the past in the direction of a step."""
    average: float = 0.999
    """Share of the past in the running average of the generator."""
    gradient_clip: float = 10.0
    """Largest global norm of a gradient."""
    shares: tuple[float, ...] = ()
    """q: of every choice in the log; filled in from it."""
    quantiles: Knots = ()
    """`networks.population.knots` of the log; filled in from it."""

    title: ClassVar[str] = "population"
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "every"
    window: ClassVar[int] = 1
    steps: ClassVar[int] = 5_000
    """Updates, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {"noise": 2, "hidden": (4,), "batch": 4}
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("noise", "pack", "discriminator_steps", "batch"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        parts = self.pack * self.discriminator_steps
        require(
            self.batch % parts == 0,
            f"expected a batch of {self.discriminator_steps} parts in packs of {self.pack}, a "
            f"multiple of {parts}, found {self.batch}",
        )
        for name, known in (("objective", _OBJECTIVES), ("reward", list(REWARDS))):
            value = getattr(self, name)
            require(value in known, f"expected {name} among {known}, found {value!r}")
        require(
            self.starts in ("first", "any"),
            f"expected starts 'first' or 'any', found {self.starts!r}",
        )
        require(self.temperature > 0, f"expected a temperature above 0, found {self.temperature}")

    def resolve(self, demonstrations: Demonstrations) -> Population:
        """Fill in shares and quantiles of the rows that are learned from.

        Raises:
            UserError: for a log without a group that decides the next state, or without such rows.
        """
        world = demonstrations.spec.world
        choices = action_of(world).choices
        rows = np.asarray(demonstrations.features[world.name])[
            beginnings(demonstrations, self.starts), 0
        ]
        return dataclasses.replace(
            self,
            shares=tuple(rows[:, :choices].mean(0, dtype=np.float64).tolist()),
            quantiles=knots(rows[:, choices:]),
        )

    def prepare(self, demonstrations: Demonstrations) -> Demonstrations:
        """Sessions of one row: those that are learned from.

        Raises:
            UserError: for a log without a group that decides the next state, or without such rows.
        """
        d, rows = demonstrations, beginnings(demonstrations, self.starts)
        episodes = np.searchsorted(d.starts, rows, side="right") - 1
        names = d.labels["episode"][episodes]
        if self.starts == "any":
            names = np.asarray([
                f"{name} {row}" for name, row in zip(names, rows - d.starts[episodes], strict=True)
            ])  # fmt: skip
        return Demonstrations(
            spec=d.spec,
            starts=np.arange(len(rows) + 1),
            features={name: array[rows] for name, array in d.features.items()},
            alive={name: array[rows] for name, array in d.alive.items()},
            rate=d.rate,
            unit=d.unit,
            labels={"episode": names, "source": d.labels["source"][episodes]},
            licence=d.licence,
            provenance=d.provenance,
        )

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: for a spec without a group that decides what comes next, or when shares and
                quantiles of the log are not known.
        """
        action = action_of(spec.world)
        require(
            len(self.shares) == action.choices,
            f"expected shares of {action.choices} choices, found {len(self.shares)}; call "
            "resolve(demonstrations) on these demonstrations first",
        )
        draw, judge = jax.random.split(key)
        generator = Synthesiser.of(
            action, draw, noise=self.noise, hidden=self.hidden, activation=self.activation
        )
        size = self.pack * (action.choices + len(action.low))
        net = MLP(size, self.hidden, 1, activation=ACTIVATIONS[self.activation])
        discriminator = orthogonal(net, judge, gain=2.0**0.5)
        return State(
            generator,
            generator,
            discriminator,
            descent.start(generator),
            descent.start(discriminator),
            NormalScores.of(spec, self.quantiles),
            jnp.asarray(self.shares, jnp.float32),
        )

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Some steps of the discriminator, then one of the generator."""
        assert batch.demonstrations is not None
        rows = jnp.asarray(batch.demonstrations.observation.features[state.columns.spec.world.name])
        parts = rows[:, 0, 0].reshape(self.discriminator_steps, -1, rows.shape[-1])
        judge, draw = jax.random.split(key)
        discriminator, optimiser = state.discriminator, state.discriminator_optimiser
        judged: Metrics = {}
        for part, own in zip(parts, jax.random.split(judge, len(parts)), strict=True):
            (_, judged), gradient = jax.value_and_grad(self.judging, has_aux=True)(
                discriminator, state, part, own
            )
            discriminator, optimiser, _ = descent.descend(
                discriminator, gradient, optimiser, clip=self.gradient_clip,
                rate=descent.linear(self.discriminator_rate, step, decay=self.decay),
                betas=(self.momentum, 0.999),
            )  # fmt: skip
        (_, drawn), gradient = jax.value_and_grad(self.drawing, has_aux=True)(
            state.generator, discriminator, state, parts.shape[1], draw
        )
        generator, own, norm = descent.descend(
            state.generator, gradient, state.generator_optimiser, clip=self.gradient_clip,
            rate=descent.linear(self.learning_rate, step, decay=self.decay),
            betas=(self.momentum, 0.999),
        )  # fmt: skip
        # in the beginning the average forgets faster, so that little of the first weights stays
        share = jnp.minimum(self.average, 1.0 - 1.0 / (1.0 + 0.1 * step.astype(jnp.float32)))
        average = jax.tree.map(
            lambda old, new: share * old + (1.0 - share) * new, state.average, generator
        )
        state = State(
            generator, average, discriminator, own, optimiser, state.columns, state.shares
        )
        return state, {**judged, **drawn, "gradient_norm": norm}

    def judging(
        self,
        discriminator: MLP,
        state: State,
        rows: Float[Array, "rows obs"],
        key: Key[Array, ""],
    ) -> tuple[Float[Array, ""], Metrics]:
        """What the discriminator lowers.

        Args:
            discriminator: its weights.
            state: the rest.
            rows: logged features.
            key: of what the generator draws.
        """
        read, draw, mix = jax.random.split(key, 3)
        logged = self._packed(state.columns.read(rows, read))
        made = self._packed(jax.lax.stop_gradient(state.generator(draw, len(rows))[0]))
        objective = OBJECTIVES[self.objective]
        expert, policy = discriminator(logged)[:, 0], discriminator(made)[:, 0]
        losses = objective.losses(expert, policy, 0.0)
        loss = losses[0].mean() + losses[1].mean()
        metrics = {"discriminator_loss": loss, "expert_score": expert.mean(),
                   "policy_score": policy.mean()}  # fmt: skip
        if objective.regulariser == "gradient":
            along = jax.random.uniform(mix, (len(logged), 1))
            between = along * logged + (1.0 - along) * made
            norms = jax.vmap(lambda x: steepness(discriminator, x)[0])(between)
            loss = loss + self.penalty * gradient_penalty(norms).mean()
        return loss, metrics

    def drawing(
        self,
        generator: Synthesiser,
        discriminator: MLP,
        state: State,
        count: int,
        key: Key[Array, ""],
    ) -> tuple[Float[Array, ""], Metrics]:
        """What the generator lowers.

        Args:
            generator: its weights.
            discriminator: what it is judged by.
            state: the rest.
            count: rows to draw.
            key: of the draw.
        """
        sections = generator.action.sections
        made, shares = generator(key, count, self.temperature)
        reward = REWARDS[self.reward](discriminator(self._packed(made))[:, 0]).mean()
        equal = entropy(shares, sections).sum()
        apart = divergence(shares, state.shares, sections).sum()
        normal = jax.scipy.special.ndtri((jnp.arange(count, dtype=jnp.float32) + 0.5) / count)
        scores = made[:, generator.action.choices :]
        moved = quantile_distance(scores, jnp.broadcast_to(normal[:, None], scores.shape)).sum()
        loss = self.marginal_weight * (apart + moved) - self.entropy_weight * equal - reward
        return loss, {"reward": reward, "entropy": equal, "divergence": apart, "distance": moved}

    def _packed(self, rows: Float[Array, "rows obs"]) -> Float[Array, "packs numbers"]:
        return rows.reshape(-1, self.pack * rows.shape[1])

    def population(self, state: State) -> SyntheticPopulation:
        """What draws states."""
        return SyntheticPopulation(state.average, state.columns)


class SyntheticPopulation(eqx.Module):
    """States in which sessions may begin."""

    generator: Synthesiser
    columns: NormalScores

    def sample(self, key: Key[Array, ""], count: int) -> Float[Array, "count obs"]:
        """Draw features: one-hot sections, exactly, then continuous values.

        Raises:
            UserError: for a count below 1.
        """
        require(count > 0, f"expected a count above 0, found {count}")
        return self.columns.write(self.generator(key, count)[0])


_OBJECTIVES = [name for name, o in OBJECTIVES.items() if o.regulariser != "transport"]
