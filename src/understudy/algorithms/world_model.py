"""World models: learn what follows, from a log of states, actions and next states.

Members of an ensemble raise the likelihood of what was logged,

    L = -mean log p(s_{t+1} | s_t, a_t) + c · mean |E[s_{t+1}] - s_{t+1}|² / step_std²

each with other weights on the rows of the log (a Bayesian bootstrap). The second term keeps the
mean a mean where rare jumps hardly count for the likelihood. With ``ahead`` above 1 both are summed
over so many steps, in which the model goes on from what itself expects.

Source: Chua et al., "Deep Reinforcement Learning in a Handful of Trials using Probabilistic
Dynamics Models", NeurIPS 2018 (arXiv 1805.12114); Rubin, "The Bayesian Bootstrap", Annals of
Statistics, 1981; mixtures: Bishop, "Mixture Density Networks", 1994.
Deviations: means are changes of what is now, with a straight line beside the perceptron; weights of
rows follow from their content, so that they are the same whenever a row is drawn.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy import tree
from understudy.functional.written import written
from understudy.networks import descent
from understudy.networks.actions import action_of
from understudy.networks.next_state import (
    NextDistribution,
    NextState,
    Predictor,
    seen,
)
from understudy.types import (
    Actions,
    Batch,
    Metrics,
    Observation,
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

    params: Predictor
    """Of all members, ``members`` first."""
    optimiser: Any


@hyperparameters
class WorldModel:
    """Hyper-parameters of world models."""

    network: NextState = dataclasses.field(default_factory=NextState)
    """Of a member."""
    members: int = 5
    """Of the ensemble."""
    ahead: int = 1
    """Steps that a member goes on by itself while learning; sessions that are shorter are not
    learned from."""
    batch: int = 256
    """Windows per update."""
    learning_rate: float = 3e-3
    """Adam's step size at the beginning."""
    decay: int = 0
    """Updates over which it falls to 0 along a line; 0 keeps it."""
    weight_decay: float = 0.3
    """Share of every weight (of no bias) that an update takes away, times the step size."""
    mean_weight: float = 1.0
    """c: of squared errors of the mean."""
    gradient_clip: float = 10.0
    """Largest global norm of the gradient."""

    title: ClassVar[str] = "world model"
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "every"
    steps: ClassVar[int] = 2_000
    """Updates, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "network": NextState(hidden=(4,), components=2), "members": 2, "batch": 4
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("members", "ahead", "batch"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")

    @property
    def window(self) -> int:
        """Rows of a training window."""
        return self.ahead + 1

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: for a spec without a group that decides what comes next.
        """
        keys = jax.random.split(key, self.members)
        params = jax.vmap(lambda own: self.network.init(spec, statistics, own))(keys)
        return State(params, descent.start(params))

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step of every member on one batch of windows."""
        window = batch.demonstrations
        assert window is not None

        def total(params: Predictor) -> tuple[Float[Array, ""], Metrics]:
            numbers = jnp.arange(self.members)
            losses, metrics = jax.vmap(self.loss, (0, 0, None))(params, numbers, window)
            return losses.sum(), jax.tree.map(jnp.mean, metrics)

        (_, metrics), gradient = jax.value_and_grad(total, has_aux=True)(state.params)
        rate = descent.linear(self.learning_rate, step, decay=self.decay)
        params, optimiser, norm = descent.descend(
            state.params, gradient, state.optimiser, rate=rate, clip=self.gradient_clip
        )
        params = descent.shrink(params, state.params, rate * self.weight_decay)
        return State(params, optimiser), {**metrics, "gradient_norm": norm}

    def loss(
        self, member: Predictor, number: Int[Array, ""], window: Window
    ) -> tuple[Float[Array, ""], Metrics]:
        """What a member lowers.

        Args:
            member: its weights.
            number: of the member; with the content of a row it decides how much the row counts.
            window: ``[batch, time]``, with actions.
        """
        assert window.action is not None
        spec, world = member.spec, member.spec.world
        action, rows = action_of(world), window.observation.features[world.name][:, :, 0]
        done, answer = seen(spec, window.action), window.action[world.name][:, :, 0]
        known = window.action_known[world.name].all(-1)
        for name in world.sees:
            known = known & window.action_known[name].all(-1)
        legal = window.observation.legal
        counts = bootstrap(jnp.concatenate([rows[:, 0], done[:, 0]], -1), number)
        now, log_prob, error = rows[:, 0], [], []
        for t in range(self.ahead):
            allowed = None if legal is None else legal[world.name][:, t, 0]
            found = member(now, done[:, t], allowed)
            log_prob.append(found.log_probs(answer[:, t]).sum(-1))
            missed = (found.mean() - answer[:, t, len(action.sections) :]) / member.change[None]
            error.append(jnp.square(missed).sum(-1))
            now = found.expected()
        weights = jnp.where(known[:, : self.ahead], counts[:, None], 0.0)
        share = weights / jnp.maximum(weights.sum(), 1.0)
        likely = (share * jnp.stack(log_prob, 1)).sum()
        squared = (share * jnp.stack(error, 1)).sum()
        loss = self.mean_weight * squared - likely
        return loss, {"loss": loss, "log_prob": likely, "squared_error": squared}

    def world(self, state: State) -> Ensemble:
        """What predicts the next observation."""
        return Ensemble(state.params, state.params.spec)


class Ensemble(eqx.Module):
    """A world in which a member drawn at every step says what comes next."""

    members: Predictor
    spec: Spec = eqx.field(static=True)

    def predict(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> NextDistribution:
        """What every member says, ``members`` first.

        Args:
            now: features.
            done: what was done, of `networks.next_state.seen`.
        """
        world = self.spec.world
        legal = world.stays_legal(now) if world.constant else None
        return jax.vmap(lambda member: member(now, done, legal))(self.members)

    def mean(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> Float[Array, "*lead obs"]:
        """Expected features: probabilities of choices, then means; of all members together."""
        return jax.vmap(NextDistribution.expected)(self.predict(now, done)).mean(0)

    def step(
        self, past: Observation, action: Actions, key: Key[Array, ""]
    ) -> tuple[Observation, Observation, Float[Array, ""]]:
        """Draw what comes next; uncertainty is the mean spread of members' expectations, in units
        of a usual change, and of their probabilities."""
        world = self.spec.world
        now = jnp.asarray(next(iter(past.features.values())))[-1, 0]
        found = self.predict(now, seen(self.spec, action))
        draw, pick = jax.random.split(key)
        number = jax.random.randint(pick, (), 0, found.means.shape[0])
        answer = tree.index(found, number).sample(draw)
        spread = jax.vmap(NextDistribution.expected)(found).std(0)
        choices = action_of(world).choices
        scale = jnp.concatenate([jnp.ones(choices), self.members.change[0]])
        features = written(action_of(world), answer)
        after = {n: jnp.broadcast_to(features, x.shape[1:]) for n, x in past.features.items()}
        observation = Observation(after, tree.index(past.alive, -1))
        rows = jax.tree.map(
            lambda old, new: jnp.concatenate([old[1:], new[None]]),
            Observation(past.features, past.alive), observation,
        )  # fmt: skip
        return rows, observation, (spread / scale).mean()


def bootstrap(
    rows: Float[Array, "batch numbers"], number: Int[Array, ""]
) -> Float[Array, " batch"]:
    """Weights of rows, exponential of mean 1, that follow from their bits and a member's number."""
    bits = jax.lax.bitcast_convert_type(rows + 0.0, jnp.uint32)
    odd = 2 * np.random.default_rng(0).integers(0, 2**31, rows.shape[1], dtype=np.uint32) + 1
    code = (bits * odd[None]).sum(1, dtype=jnp.uint32)

    def draw(one: Array) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), number), one)
        return jax.random.exponential(own)

    return jax.vmap(draw)(code)
