"""World models: learn what follows, from a log of states, actions and next states.

Members of an ensemble lower

    L = -mean log p(s_{t+1} | s_t, a_t) + mean |E[s_{t+1}] - s_{t+1}|² / change² + λ/rows |weights|²

each with other counts of the rows of the log (a Bayesian bootstrap). The mean is a straight line
and a perceptron; the line is ridge regression, solved at every update from sums over all rows read
so far. With ``ahead`` above 1 L is summed over so many steps, in which the model goes on from what
itself expects.

Source: Chua et al., "Deep Reinforcement Learning in a Handful of Trials using Probabilistic
Dynamics Models", NeurIPS 2018 (arXiv 1805.12114); Rubin, "The Bayesian Bootstrap", Annals of
Statistics, 1981; mixtures: Bishop, "Mixture Density Networks", 1994.
Deviations: means are changes of what is now; counts of rows follow from their content, so that they
are the same whenever a row is drawn.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data.demonstrations import Demonstrations
from understudy.networks import descent
from understudy.networks.actions import action_of
from understudy.networks.ensemble import Ensemble
from understudy.networks.next_state import (
    NextState,
    Predictor,
    seen,
)
from understudy.types import (
    Batch,
    Metrics,
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
    sums: Sums


@record
class Sums:
    """Over rows read so far, of one member or all: what least squares is solved from."""

    counts: Float[Array, "*members"]
    inputs: Float[Array, "*members columns columns"]
    """x xᵀ, x with a 1 at its end."""
    changes: Float[Array, "*members columns dimensions"]
    """x yᵀ, y the change of continuous values in usual changes."""


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
    ridge: float = 100.0
    """λ of the mean: of squares of the weights that come last, as one row of the log counts 1."""
    penalty: float = 3.0
    """λ of everything else."""
    rows: int = 0
    """Of the log; 0 until `resolve` has looked."""
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

    def resolve(self, demonstrations: Demonstrations) -> WorldModel:
        """The same for so many rows.

        Raises:
            UserError: for demonstrations without a world, or without actions of it.
        """
        known = demonstrations.known_actions()[demonstrations.spec.world.name]
        require(bool(known.any()), "expected transitions to learn from, found none; read a log")
        return dataclasses.replace(self, rows=int(known.sum()))

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: for a spec without a group that decides what comes next.
        """
        keys = jax.random.split(key, self.members)
        params = jax.vmap(lambda own: self.network.init(spec, statistics, own))(keys)
        size, columns = params.change.shape[1], params.straight.weight.shape[-1] + 1
        sums = Sums(
            jnp.zeros(self.members),
            jnp.zeros((self.members, columns, columns)),
            jnp.zeros((self.members, columns, size)),
        )
        return State(params, descent.start(params), sums)

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step of every member on one batch of windows."""
        window = batch.demonstrations
        assert window is not None

        sums = jax.vmap(self._read, (0, 0, 0, None))(
            state.sums, state.params, jnp.arange(self.members), window
        )
        state = dataclasses.replace(state, params=self._lined(state.params, sums))

        def total(params: Predictor) -> tuple[Float[Array, ""], Metrics]:
            numbers = jnp.arange(self.members)
            losses, metrics = jax.vmap(self.loss, (0, 0, None))(params, numbers, window)
            return losses.sum(), jax.tree.map(jnp.mean, metrics)

        (_, metrics), gradient = jax.value_and_grad(total, has_aux=True)(state.params)
        rate = descent.linear(self.learning_rate, step, decay=self.decay)
        params, optimiser, norm = descent.descend(
            state.params, gradient, state.optimiser, rate=rate, clip=self.gradient_clip
        )
        params = eqx.tree_at(lambda p: p.line, params, state.params.line)
        return State(params, optimiser, sums), {**metrics, "gradient_norm": norm}

    def _read(self, sums: Sums, member: Predictor, number: Any, window: Window) -> Sums:
        """Sums with the first rows of windows."""
        rows = _Rows.of(member.spec, window, number)
        x = member.read(rows.now[:, 0], rows.done[:, 0])
        x = jnp.concatenate([x, jnp.ones((x.shape[0], 1))], -1)
        choices = action_of(member.spec.world).choices
        change = (rows.values[:, 0] - rows.now[:, 0, choices:]) / member.change[None]
        weighed = x * rows.counts[:, :1]
        return Sums(
            sums.counts + rows.counts[:, 0].sum(),
            sums.inputs + weighed.T @ x,
            sums.changes + weighed.T @ change,
        )

    def _lined(self, params: Predictor, sums: Sums) -> Predictor:
        """Members whose lines are what least squares says."""
        share = self.ridge / max(1, self.rows)

        def solve(sums: Sums) -> Array:
            columns = sums.inputs.shape[-1]
            shrunk = share * jnp.eye(columns).at[-1, -1].set(1e-6)
            count = jnp.maximum(sums.counts, 1.0)
            return jnp.linalg.solve(sums.inputs / count + shrunk, sums.changes / count)

        found = jnp.swapaxes(jax.vmap(solve)(sums), 1, 2)
        return eqx.tree_at(
            lambda p: (p.line.weight, p.line.bias), params, (found[..., :-1], found[..., -1])
        )

    def loss(
        self, member: Predictor, number: Int[Array, ""], window: Window
    ) -> tuple[Float[Array, ""], Metrics]:
        """What a member lowers.

        Args:
            member: its weights.
            number: of the member; with the content of a row it decides how much the row counts.
            window: ``[batch, time]``, with actions.
        """
        rows = _Rows.of(member.spec, window, number)
        line = jax.lax.stop_gradient(member.line)
        member = dataclasses.replace(member, line=line)
        now, log_prob, error = rows.now[:, 0], [], []
        for t in range(self.ahead):
            found = member(now, rows.done[:, t], None if rows.legal is None else rows.legal[:, t])
            log_prob.append(found.log_probs(rows.answer[:, t]).sum(-1))
            missed = (found.mean() - rows.values[:, t]) / member.change[None]
            error.append(jnp.square(missed).sum(-1))
            now = found.expected()
        share = rows.counts / jnp.maximum(rows.counts.sum(), 1.0)
        likely = (share * jnp.stack(log_prob, 1)).sum()
        squared = (share * jnp.stack(error, 1)).sum()
        kept = self._kept(member) / max(1, self.rows)
        loss = squared - likely + kept
        return loss, {"loss": loss, "log_prob": likely, "squared_error": squared}

    def _kept(self, member: Predictor) -> Float[Array, ""]:
        """Weighed squares of the weights that come last."""
        choices, last = member.straight.weight.shape[0], member.net.layers[-1].weight
        bent, rest = last[choices : choices + member.change.shape[0]], member.straight.weight
        others = jnp.square(last).sum() - jnp.square(bent).sum() + jnp.square(rest).sum()
        return self.ridge * jnp.square(bent).sum() + self.penalty * others

    def world(self, state: State) -> Ensemble:
        """What predicts the next observation."""
        return Ensemble(state.params, state.params.spec)


@record
class _Rows:
    """What a member reads of windows ``[batch, time]``."""

    now: Float[Array, "batch time obs"]
    done: Float[Array, "batch ahead numbers"]
    answer: Float[Array, "batch ahead act"]
    values: Float[Array, "batch ahead dimensions"]
    """Continuous values of the answer."""
    legal: Any
    counts: Float[Array, "batch ahead"]
    """How much each step counts; 0 where somebody's action is not known."""

    @classmethod
    def of(cls, spec: Spec, window: Window, number: Any) -> _Rows:
        assert window.action is not None
        world, legal = spec.world, window.observation.legal
        now = jnp.asarray(window.observation.features[world.name])[:, :, 0]
        done, answer = seen(spec, window.action), jnp.asarray(window.action[world.name])[:, :, 0]
        known = window.action_known[world.name].all(-1)
        for name in world.sees:
            known = known & window.action_known[name].all(-1)
        counts = bootstrap(jnp.concatenate([now[:, 0], done[:, 0]], -1), number)
        return cls(
            now=now,
            done=done[:, :-1],
            answer=answer[:, :-1],
            values=answer[:, :-1, len(action_of(world).sections) :],
            legal=None if legal is None else legal[world.name][:, :, 0],
            counts=jnp.where(known[:, :-1], counts[:, None], 0.0),
        )


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
