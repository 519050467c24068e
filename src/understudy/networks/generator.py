"""The generator of plays: samples futures given a past, and bounds the likelihood of what was."""

from __future__ import annotations

import dataclasses
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.functional import latent
from understudy.networks.frames import Frames, moves
from understudy.networks.intents import IntentPolicy
from understudy.networks.rollout import Plan, rollout
from understudy.networks.team import Team
from understudy.types import Given, Intents, Observation, Samples, Window, require

BurnIn = Literal["posterior", "prior"]


class PlayGenerator(eqx.Module):
    """Recurrent networks of one group, ready to sample. Every leaf is an array."""

    team: Team
    frames: Frames
    policy: IntentPolicy | None
    trained: Bool[Array, ""]
    """False while the policy over intents has seen no update."""
    burn_in: BurnIn = eqx.field(static=True, default="posterior")
    """Where latents of known rows come from."""
    hold: int = eqx.field(static=True, default=1)
    """Rows for which a drawn intent is kept."""
    temperature: Float[Array, ""] = eqx.field(default=1.0, converter=jnp.asarray)
    """Scale of the noise added to every drawn position: 1 samples the model, 0 takes its mean.

    Latents and intents are drawn in full. Most of that noise stands for what the networks have
    not learned, and over many rows it adds up; likelihoods do not depend on it.
    """

    def tempered(self, temperature: float) -> PlayGenerator:
        """The same generator at another temperature."""
        require(temperature >= 0, f"expected a temperature of 0 or above, found {temperature}")
        return dataclasses.replace(self, temperature=jnp.float32(temperature))

    @property
    def group(self) -> str:
        """Name of the group it models."""
        return self.frames.group

    def ready(self) -> str | None:
        """Why sampling would be meaningless, in a sentence; None if it is not."""
        if self.policy is None or bool(jnp.all(self.trained)):
            return None
        return (
            "expected a trained policy over intents, found untrained weights; train both stages "
            "(stages=True, part='intents' first) or give every intent"
        )

    def sample(
        self,
        context: Observation,
        key: Key[Array, ""],
        *,
        samples: int,
        horizon: int,
        given: Given | None = None,
        intents: Given | None = None,
    ) -> Samples:
        """Draw `samples` futures of `horizon` rows after the rows of `context`.

        Args:
            context: rows seen, at least one, time first. Intents of these rows are drawn from the
                policy, so nothing that happens later can leak into a sample.
            key: of all draws.
            samples: number of futures.
            horizon: rows to draw.
            given: positions ``{group: [horizon, agents, obs]}`` reproduced where held.
            intents: classes ``{group: [horizon, agents]}`` obeyed where held; row i is the intent
                under which row i of the future is drawn.

        Returns:
            Samples of this generator's group; absent agents (at the last row of the context) stay
            at zero. ``intents`` row i is the intent under which row i was drawn.

        Raises:
            UserError: sizes that do not fit the trained networks or the horizon.
        """
        past = jnp.asarray(context.features[self.group])
        alive = jnp.asarray(context.alive[self.group])
        self._check(past)
        rows = len(past)
        require(
            rows >= 1 and horizon >= 1,
            f"expected at least one row of context and of horizon, found {rows} and {horizon}; "
            "ask for at least one of each",
        )
        plan = self._plan(past, alive, horizon, given, intents)
        features, drawn = rollout(
            self.team,
            self.frames,
            self.policy,
            plan,
            key,
            samples=samples,
            context=rows,
            temperature=self.temperature,
            posterior=self.burn_in == "posterior",
            hold=self.hold,
        )
        chosen = None
        if drawn is not None:
            chosen = {self.group: jnp.swapaxes(drawn[rows - 1 :], 0, 1)}
        return Samples({self.group: jnp.swapaxes(features[rows - 1 :], 0, 1)}, chosen)

    def bound(
        self, window: Window, key: Key[Array, ""], *, particles: int = 1
    ) -> dict[str, Float[Array, ""]]:
        """Bounds on the log-likelihood of one window, nats per sequence in data units.

        Frame 0 is given and never counted; stds are at least `latent.STD_FLOOR` in data units.

        Args:
            window: unbatched, time first; labelled if this generator has intents.
            key: of the latents.
            particles: samples of the posterior; `iwae` tightens with it, the rest averages.

        Returns:
            ``reconstruction``, ``kl``, ``intents`` (log-probability of the labels, 0 without
            intents), ``elbo_given_intents = reconstruction - kl``, ``elbo`` of positions and
            intents jointly, ``iwae`` of the same, ``frames`` counted.
        """
        positions = jnp.asarray(window.observation.features[self.group])
        alive = jnp.asarray(window.observation.alive[self.group])
        self._check(positions)

        def many(x: Array) -> Array:
            return jnp.broadcast_to(x[:, None], (x.shape[0], particles, *x.shape[1:]))

        log_intents, extra = jnp.zeros(()), None
        if self.policy is not None:
            labels = labelled(window.intents, self.group)
            log_intents = intent_log_prob(
                self.policy, self.frames, positions[:, None], alive[:, None], labels[:, None]
            )[0]
            extra = many(jax.nn.one_hot(labels[:-1], self.policy.classes))
        terms = self.team.teach(self.frames, many(positions), many(alive), extra, key)
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.mean()
        return {
            "reconstruction": reconstruction,
            "kl": kl,
            "intents": log_intents,
            "elbo_given_intents": reconstruction - kl,
            "elbo": reconstruction - kl + log_intents,
            "iwae": latent.iwae(terms.log_weight) + log_intents,
            "frames": jnp.asarray(len(positions) - 1, jnp.float32),
        }

    def _check(self, positions: Float[Array, "rows agents obs"]) -> None:
        agents, features = positions.shape[-2:]
        expected = (self.team.agents, self.frames.mean.shape[-1])
        require(
            (agents, features) == expected,
            f"expected {expected[0]} agents with {expected[1]} features in group {self.group!r}, "
            f"found {agents} with {features}; these networks have weights per agent, train again",
        )

    def _plan(
        self,
        past: Float[Array, "rows agents obs"],
        alive: Bool[Array, "rows agents"],
        horizon: int,
        given: Given | None,
        intents: Given | None,
    ) -> Plan:
        rows, agents, obs = past.shape
        future, held = jnp.zeros((horizon, agents, obs)), jnp.zeros((horizon, agents), bool)
        if given is not None:
            future, held = (jnp.asarray(x[self.group]) for x in (given.values, given.held))
            require(
                future.shape == (horizon, agents, obs),
                f"expected given positions of shape {(horizon, agents, obs)}, found "
                f"{future.shape}; give one row per row of the horizon",
            )
        plan = Plan(
            jnp.concatenate([past, future]),
            jnp.concatenate([alive, held]),
            jnp.concatenate([alive, jnp.broadcast_to(alive[-1:], (horizon, agents))]),
        )
        if intents is None:
            return plan
        require(self.policy is not None, "this generator has no intents to fix; train IntentVRNN")
        values, fixed = (jnp.asarray(x[self.group]) for x in (intents.values, intents.held))
        require(
            values.shape == (horizon, agents),
            f"expected given intents of shape {(horizon, agents)}, found {values.shape}; "
            "give one row per row of the horizon",
        )
        return Plan(
            plan.positions,
            plan.held,
            plan.alive,
            jnp.concatenate([jnp.zeros((rows - 1, agents), jnp.int32), values.astype(jnp.int32)]),
            jnp.concatenate([jnp.zeros((rows - 1, agents), bool), fixed]),
        )


def labelled(intents: Intents | None, group: str) -> Int[Array, "..."]:
    """The labels of `group`.

    Raises:
        UserError: when there are none.
    """
    require(
        intents is not None and group in intents,
        f"expected intents of group {group!r}, found none; label the demonstrations first "
        "(understudy.data.label, or let train do it)",
    )
    assert intents is not None
    return jnp.asarray(intents[group])


def intent_log_prob(
    policy: IntentPolicy,
    frames: Frames,
    positions: Float[Array, "rows batch agents obs"],
    alive: Bool[Array, "rows batch agents"],
    labels: Int[Array, "rows batch agents"],
) -> Float[Array, " batch"]:
    """``log p(g)`` of all rows but the last, agents present; nats per sequence.

    A shared intent is read from the first agent and counted once.
    """
    seen = frames.seen(positions, moves(positions, alive), alive)[:-1]
    labels, present = labels[:-1, :, : policy.heads], alive[:-1, :, : policy.heads]
    if policy.heads == 1:
        present = alive[:-1].any(-1, keepdims=True)
    log_probs = policy.teach(seen, labels)
    chosen = jnp.take_along_axis(log_probs, jnp.moveaxis(labels, -1, 1)[..., None], -1)[..., 0]
    return jnp.where(jnp.moveaxis(present, -1, 1), chosen, 0.0).sum(axis=(0, 1))
