"""Ensembles of networks that say what comes next, as one world."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy import tree
from understudy.functional.written import written
from understudy.networks.actions import action_of
from understudy.networks.next_state import NextDistribution, Outputs, Predictor, seen
from understudy.types import Actions, Observation, Spec


class Ensemble(eqx.Module):
    """A world in which a member drawn at every step says what comes next."""

    members: Predictor
    spec: Spec = eqx.field(static=True)

    def outputs(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> Outputs:
        """What every member says, ``members`` first.

        Args:
            now: features.
            done: what was done, of `networks.next_state.seen`.
        """
        world = self.spec.world
        legal = world.stays_legal(now) if world.constant else None
        return jax.vmap(lambda member: member.outputs(now, done, legal))(self.members)

    def predict(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> NextDistribution:
        """What may come next, by every member, ``members`` first; arguments as of `outputs`."""
        return jax.vmap(lambda own: own.distribution(now))(self.outputs(now, done))

    def mean(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> Float[Array, "*lead obs"]:
        """Expected features: probabilities of choices, then means; of all members together."""
        return jax.vmap(Outputs.expected)(self.outputs(now, done)).mean(0)

    def spread(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead numbers"]
    ) -> Float[Array, "*lead"]:
        """How far apart the members' expectations are: mean deviation, in units of a usual change,
        and of probabilities."""
        found = jax.vmap(Outputs.expected)(self.outputs(now, done)).std(0)
        choices = action_of(self.spec.world).choices
        scale = jnp.concatenate([jnp.ones(choices), self.members.change[0]])
        return (found / scale.reshape((1,) * (found.ndim - 1) + (-1,))).mean(-1)

    def draw(
        self, now: Float[Array, " obs"], done: Float[Array, " numbers"], key: Key[Array, ""]
    ) -> Float[Array, " obs"]:
        """What comes next, by a member that is drawn, as features."""
        draw, pick = jax.random.split(key)
        number = jax.random.randint(pick, (), 0, self.members.change.shape[0])
        # only of the one that is picked a distribution is made: that is most of the work
        found = tree.index(self.outputs(now, done), number).distribution(now)
        return written(action_of(self.spec.world), found.sample(draw))

    def step(
        self, past: Observation, action: Actions, key: Key[Array, ""]
    ) -> tuple[Observation, Observation, Float[Array, ""]]:
        """Draw what comes next; uncertainty is `spread`."""
        now = jnp.asarray(next(iter(past.features.values())))[-1, 0]
        done = seen(self.spec, action)
        features = self.draw(now, done, key)
        after = {n: jnp.broadcast_to(features, x.shape[1:]) for n, x in past.features.items()}
        observation = Observation(after, tree.index(past.alive, -1))
        rows = jax.tree.map(
            lambda old, new: jnp.concatenate([old[1:], new[None]]),
            Observation(past.features, past.alive), observation,
        )  # fmt: skip
        return rows, observation, self.spread(now, done)
