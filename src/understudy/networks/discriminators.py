"""Discriminators: how expert-like is what agents do? A logit each, higher = more expert-like.

`MLPDiscriminator` (here) and `TransformerDiscriminator` say how one is built; their ``init`` gives
weights with

    scores(inputs, alive, *, key=None) -> {group: [*lead, agents]}

where `Inputs` makes the inputs and `key` is for dropout (None: nothing is dropped). While learning,
scores are those of ``spectral.normalised(network, vectors, config.normalisation)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from understudy.functional.written import with_seen, written, written_size
from understudy.networks import tokens
from understudy.networks.actions import action_of
from understudy.networks.blocks import dropped
from understudy.networks.mlp import ACTIVATIONS, MLP, Activation, orthogonal, stacked
from understudy.networks.spectral import Normalisation
from understudy.networks.transformer_discriminator import (
    TransformerDiscriminator as TransformerDiscriminator,
)
from understudy.networks.transformer_discriminator import last_gain
from understudy.types import (
    Actions,
    Fixed,
    Group,
    Masks,
    Observation,
    Spec,
    Statistics,
    hyperparameters,
    require,
)

FLOOR = 1e-2
"""Smallest standard deviation a feature is divided by, in its own units."""


class Inputs(eqx.Module):
    """What discriminators read: standardised features, the actions of groups that are seen, then
    the own action, as `functional.written`."""

    mean: dict[str, Float[Array, " obs"]]
    std: dict[str, Float[Array, " obs"]]
    spec: Spec = eqx.field(static=True)

    @classmethod
    def of(cls, spec: Spec, statistics: Statistics | None) -> Inputs:
        """Standardise by the moments of demonstrations; without any, leave features as they are.

        Raises:
            UserError: for a group that cannot act.
        """
        cls.sizes(spec)
        if statistics is None:
            mean = {g.name: jnp.zeros(g.observation) for g in spec.groups}
            return cls(mean, {g.name: jnp.ones(g.observation) for g in spec.groups}, spec)
        std = {name: jnp.maximum(statistics.std[name], FLOOR) for name in spec.names}
        return cls({name: jnp.asarray(statistics.mean[name]) for name in spec.names}, std, spec)

    @staticmethod
    def sizes(spec: Spec) -> dict[str, int]:
        """Numbers per agent of each group.

        Raises:
            UserError: for a group that cannot act.
        """
        return {g.name: spec.inputs(g.name) + written_size(action_of(g)) for g in spec.groups}

    def __call__(self, observation: Observation, action: Actions) -> dict[str, Any]:
        """Inputs ``{group: [*lead, agents, numbers]}`` of rows with any leading axes."""
        made = {}
        for group in self.spec.groups:
            x = jnp.asarray(observation.features[group.name])
            row = (1,) * (x.ndim - 1) + (-1,)
            x = (x - self.mean[group.name].reshape(row)) / self.std[group.name].reshape(row)
            x = with_seen(self.spec, group.name, x, action)
            done = written(action_of(group), jnp.asarray(action[group.name]))
            made[group.name] = jnp.concatenate([x, done], -1)
        return made


@hyperparameters
class MLPDiscriminator:
    """How perceptrons that score agents are built.

    The priors of MAGAIL (Song et al., "Multi-Agent Generative Adversarial Imitation Learning",
    NeurIPS 2018): `reads` own, `outputs` each is decentralised; team, each is central; team, one is
    a single score for everybody.
    """

    reads: Literal["own", "team"] = "own"
    """A score depends on what its agent saw and did, or on what everybody did."""
    outputs: Literal["each", "one"] = "each"
    """A score for each agent, or one that all agents share."""
    sharing: Literal["shared", "independent"] = "shared"
    """One network (for each group, if it reads one agent), or one for every agent."""
    judges: Literal["sa", "sas"] = "sas"
    """Scores depend on states, actions and what a group that decides the next state decided, or on
    states and actions alone."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of the hidden layers."""
    activation: Activation = "tanh"
    """Between layers."""
    dropout: Fixed = 0.0
    """Share of the hidden units that are set to 0 while learning."""
    normalisation: Normalisation = "none"
    """What becomes of the largest singular value of every linear weight while learning: nothing,
    1, or what it was at the beginning."""

    def __post_init__(self) -> None:
        require(
            self.outputs == "each" or self.reads == "team",
            "expected one score of the team to read the whole team, found reads='own'; give "
            "reads='team' or outputs='each'",
        )
        require(
            self.outputs == "each" or self.sharing == "shared",
            "expected one score to come from one network, found sharing='independent'; give "
            "sharing='shared' or outputs='each'",
        )
        require(0 <= self.dropout < 1, f"expected dropout of 0 to below 1, found {self.dropout}")

    @property
    def title(self) -> str:
        """What adversarial imitation with this discriminator is called."""
        if self.reads == "own":
            return "MAGAIL"
        return "MAGAIL (central)" if self.outputs == "each" else "MAGAIL (single)"

    def init(self, spec: Spec, key: Key[Array, ""]) -> MLPScorer:
        """Fresh weights.

        Raises:
            UserError: for a group that cannot act.
        """
        sizes = Inputs.sizes(spec)
        total = sum(group.agents for group in spec.groups)
        everything = sum(group.agents * sizes[group.name] for group in spec.groups)
        alone = self.sharing == "independent"
        if self.reads == "own":
            shapes = {g.name: (sizes[g.name], g.agents, 1) for g in spec.groups}
        else:
            outputs = 1 if alone or self.outputs == "one" else total
            shapes = {TEAM: (everything, total, outputs)}
        nets = {}
        for number, (name, (inputs, agents, outputs)) in enumerate(shapes.items()):
            net = MLP(inputs, self.hidden, outputs, activation=ACTIVATIONS[self.activation])
            net = stacked(net, agents) if alone else net
            body, last = jax.random.split(jax.random.fold_in(key, number))
            net = orthogonal(net, body, gain=math.sqrt(2.0))
            head = orthogonal(net.layers[-1], last, gain=last_gain(self.normalisation))
            nets[name] = eqx.tree_at(lambda n: n.layers[-1], net, head)
        return MLPScorer(nets, spec, self.reads, alone, self.dropout, self.judges)


TEAM = "team"
"""Name of the network that reads everybody."""


class MLPScorer(eqx.Module):
    """Weights of perceptrons that score agents: by group, or one named `TEAM`."""

    nets: dict[str, MLP]
    spec: Spec = eqx.field(static=True)
    reads: str = eqx.field(static=True)
    alone: bool = eqx.field(static=True)
    """Every agent has a network of its own: their weights have an ``agents`` axis."""
    dropout: float = eqx.field(static=True)
    judges: str = eqx.field(static=True, default="sas")

    def scores(
        self, inputs: Mapping[str, Any], alive: Masks, *, key: Key[Array, ""] | None = None
    ) -> dict[str, Any]:
        """Expert scores ``{group: [*lead, agents]}``, higher = more expert-like.

        Args:
            inputs: of `Inputs`, ``{group: [*lead, agents, numbers]}``.
            alive: inputs of the others are read as 0 by whoever reads the team.
            key: of dropout; none without.

        Raises:
            UserError: for another number of agents than weights or inputs are made for.
        """
        if self.judges == "sa":
            inputs = {g.name: _undecided(g, inputs[g.name]) for g in self.spec.groups}
        if self.reads == "team":
            return self._of_team(inputs, alive, key)
        found = {}
        for number, group in enumerate(self.spec.groups):
            own = None if key is None else jax.random.fold_in(key, number)
            x = inputs[group.name]
            if self.alone:
                self._count(group.name, x.shape[-2], group.agents)
            found[group.name] = self._apply(self.nets[group.name], x, own)
        return found

    def _of_team(self, inputs: Mapping[str, Any], alive: Masks, key: Any) -> dict[str, Any]:
        pieces, counts = [], {}
        for group in self.spec.groups:
            x, here = inputs[group.name], alive[group.name]
            self._count(group.name, x.shape[-2], group.agents)
            counts[group.name] = group.agents
            pieces.append(jnp.where(here[..., None], x, 0.0).reshape(*x.shape[:-2], -1))
        x, total = jnp.concatenate(pieces, -1), sum(counts.values())
        if self.alone:
            x = jnp.broadcast_to(x[..., None, :], (*x.shape[:-1], total, x.shape[-1]))
            scores = self._apply(self.nets[TEAM], x, key)
        else:
            scores = self._through(self.nets[TEAM], x, key)
            scores = jnp.broadcast_to(scores, (*scores.shape[:-1], total))
        return tokens.part(self.spec, scores, counts, axis=-1)

    def _apply(self, nets: MLP, x: Float[Array, "*lead agents numbers"], key: Any) -> Array:
        """A score of each row, by the network of its agent."""
        if not self.alone:
            return self._through(nets, x, key)[..., 0]
        keys = None if key is None else jax.random.split(key, x.shape[-2])
        each = jax.vmap(self._through, in_axes=(0, -2, None if key is None else 0), out_axes=-2)
        return each(nets, x, keys)[..., 0]

    def _through(self, net: MLP, x: Float[Array, "*lead numbers"], key: Any) -> Array:
        for number, layer in enumerate(net.layers[:-1]):
            own = None if key is None else jax.random.fold_in(key, number)
            x = dropped(net.activation(layer(x)), self.dropout, own)
        return net.layers[-1](x)

    def _count(self, name: str, found: int, expected: int) -> None:
        require(
            found == expected,
            f"expected {expected} agents of group {name!r}, which this discriminator was made for, "
            f"found {found}; for other numbers let one shared network read each agent",
        )


def _undecided(group: Group, x: Any) -> Any:
    """Inputs without what a group decided that advances the state."""
    if not group.advances:
        return x
    known = x.shape[-1] - written_size(action_of(group))
    return x.at[..., known:].set(0.0)
