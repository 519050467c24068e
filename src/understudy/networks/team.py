"""A group's agents as recurrent networks: joint, independent or mixed."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, Shaped

from understudy.networks.distributions import DiagonalGaussian
from understudy.networks.frames import Frames, moves
from understudy.networks.mlp import stacked
from understudy.networks.vrnn import VRNN, Hidden, Pass, Sizes

Sharing: TypeAlias = Literal["joint", "independent", "mixed"]


class Terms(eqx.Module):
    """Parts of the likelihood of sequences, nats in data units, summed over counted frames."""

    reconstruction: Float[Array, " batch"]
    """``log p(x | z)`` at the encoder's z."""
    kl: Float[Array, " batch"]
    """``KL(q(z | x) || p(z))``, analytic given the z before."""
    log_weight: Float[Array, " batch"]
    """``log p(x, z) - log q(z | x)`` at the encoder's z: what IWAE averages."""
    information: Float[Array, " batch"]
    """``H(q) + log d(z | h_T)``, a bound on the mutual information; 0 without a discriminator."""


class Scene(eqx.Module):
    """One row while sampling, and what is known of the next."""

    now: Float[Array, "batch agents obs"]
    move: Float[Array, "batch agents obs"]
    truth: Float[Array, "batch agents obs"]
    """Next positions of the agents held."""
    held: Bool[Array, "batch agents"]
    alive: Bool[Array, "batch agents"]


class Team(eqx.Module):
    """The networks of a group.

    * ``"joint"``: one network; one latent and one head for all agents;
    * ``"independent"``: one network per agent; each sees the whole scene, nothing else is common;
    * ``"mixed"``: one GRU for all agents, a latent and heads per agent.
    """

    nets: VRNN
    """Stacked on a leading axis: one per agent if independent, else one."""
    sharing: Sharing = eqx.field(static=True)
    agents: int = eqx.field(static=True)

    def __init__(self, sizes: Sizes, *, sharing: Sharing, agents: int, features: int):
        """Build networks; `sizes` is that of one agent predicting `features` numbers."""
        sizes = dataclasses.replace(
            sizes,
            target=features * agents if sharing == "joint" else features,
            heads=agents if sharing == "mixed" else 1,
            memory="now" if sharing == "mixed" else "next",
        )
        self.nets = stacked(VRNN(sizes), agents if sharing == "independent" else 1)
        self.sharing, self.agents = sharing, agents

    @property
    def sizes(self) -> Sizes:
        """Sizes of each network."""
        return self.nets.sizes

    @property
    def networks(self) -> int:
        """Networks on the leading axis."""
        return self.agents if self.sharing == "independent" else 1

    def arrange(self, x: Shaped[Array, "*lead batch agents f"]) -> Shaped[Array, "..."]:
        """Features per agent as the networks take them: ``[networks, *lead, heads, batch, f]``."""
        if self.sharing == "joint":
            return x.reshape(*x.shape[:-2], -1)[None, ..., None, :, :]
        x = jnp.moveaxis(x, -2, 0)
        if self.sharing == "independent":
            return x[..., None, :, :]
        return jnp.moveaxis(x, 0, -3)[None]

    def restore(self, x: Float[Array, "..."]) -> Float[Array, "*lead batch agents f"]:
        """Undo `arrange`."""
        if self.sharing == "joint":
            x = x[0, ..., 0, :, :]
            return x.reshape(*x.shape[:-1], self.agents, -1)
        x = x[..., 0, :, :] if self.sharing == "independent" else jnp.moveaxis(x[0], -3, 0)
        return jnp.moveaxis(x, 0, -2)

    def noise(self, key: Key[Array, ""], *lead: int) -> Float[Array, "..."]:
        """Standard normal noise for latents, ``[networks, *lead, latent]``."""
        return jax.random.normal(key, (self.networks, *lead, self.sizes.latent))

    def teach(
        self,
        frames: Frames,
        positions: Float[Array, "rows batch agents obs"],
        alive: Bool[Array, "rows batch agents"],
        extra: Float[Array, "time batch agents extra"] | None,
        key: Key[Array, ""],
    ) -> Terms:
        """Likelihood terms of known sequences; frame 0 is given and never counted.

        Args:
            frames: scales of the group.
            positions: data units, at least 2 rows.
            alive: agents present; a step counts for an agent present before and after it.
            extra: conditions of each agent at each row but the last.
            key: for one latent sample per sequence.
        """
        rows, batch = positions.shape[:2]
        counted = alive[1:] & alive[:-1]
        move = moves(positions, alive)
        target = self.arrange(frames.target(positions[:-1], move[:-1], positions[1:], counted))
        seen = frames.seen(positions, move, alive)
        given = None if extra is None else self.arrange(extra)
        lead = (rows - 1, self.sizes.heads) if self.sizes.kind == "step" else (1,)
        noise = self.noise(key, *lead, batch)
        done = jax.vmap(
            lambda net, *xs: net.teach(seen, *xs),
            in_axes=(0, 0, None if given is None else 0, 0),
        )(self.nets, target, given, noise)
        mask = self.arrange(jnp.broadcast_to(counted[..., None], positions[1:].shape))
        density = self.density(frames, done.head).log_prob(target) - jnp.log(self._scale(frames))
        reconstruction = _total(jnp.where(mask, density, 0.0), batch)
        return self._terms(done, reconstruction, mask)

    def _terms(
        self, done: Pass, reconstruction: Float[Array, " batch"], mask: Bool[Array, "..."]
    ) -> Terms:
        batch = reconstruction.shape[0]
        zero = jnp.zeros_like(reconstruction)
        if done.posterior is None or done.prior is None or done.latent is None:
            return Terms(reconstruction, zero, reconstruction, zero)
        present = mask.any(-1, keepdims=True)
        if self.sizes.kind == "sequence":
            present = present.any(axis=(1, 2))[:, None]
        kl = jnp.where(present, done.posterior.kl(done.prior), 0.0)
        ratio = done.prior.log_prob(done.latent) - done.posterior.log_prob(done.latent)
        log_weight = reconstruction + _total(jnp.where(present, ratio, 0.0), batch)
        information = zero
        if self.nets.discriminator is not None:
            guess = jax.vmap(lambda net, h: net.recover(h))(self.nets, done.last)
            information = _total(done.posterior.entropy() + guess.log_prob(done.latent), batch)
        return Terms(reconstruction, _total(kl, batch), log_weight, information)

    def density(self, frames: Frames, head: Float[Array, "..."]) -> DiagonalGaussian:
        """Distribution of targets with the std floor of `frames`."""
        floor = frames.floor
        if self.sharing == "joint":
            floor = jnp.tile(floor, self.agents)
        return DiagonalGaussian.from_head(head, floor)

    def _scale(self, frames: Frames) -> Float[Array, "..."]:
        scale = frames.scale
        if self.sharing == "joint":
            scale = jnp.tile(scale, self.agents)
        return scale.reshape(1, 1, 1, 1, -1)

    # --- while sampling ---

    def start(self, batch: int) -> Hidden:
        """Hidden states before the first row."""
        return self.nets.gru.start(self.networks, batch)

    def plan(
        self,
        frames: Frames,
        positions: Float[Array, "rows batch agents obs"],
        alive: Bool[Array, "rows batch agents"],
        noise: Float[Array, "networks 1 batch latent"],
        *,
        posterior: bool,
    ) -> Float[Array, "networks 1 batch latent"]:
        """A latent per sequence: inferred from rows seen, or from the prior."""
        if not posterior:
            return noise
        seen = frames.seen(positions, moves(positions, alive), alive)
        return jax.vmap(lambda net: net.infer(seen))(self.nets).sample(noise)

    def step(
        self,
        frames: Frames,
        scene: Scene,
        hidden: Hidden,
        extra: Float[Array, "batch agents extra"] | None,
        plan: Float[Array, "networks 1 batch latent"] | None,
        key: Key[Array, ""],
        *,
        temperature: Float[Array, ""],
        posterior: bool,
    ) -> tuple[Float[Array, "batch agents obs"], Hidden]:
        """Draw the next positions and remember them.

        Heads all of whose agents are held draw their latent from the encoder if `posterior`.
        """
        latent_key, output_key = jax.random.split(key)
        seen = frames.seen(scene.now, scene.move, scene.alive)
        hidden = jax.vmap(lambda net, h: net.absorb(h, seen))(self.nets, hidden)
        given = None if extra is None else self.arrange(extra)
        z = plan
        if self.sizes.kind == "step":
            truth = self.arrange(frames.target(scene.now, scene.move, scene.truth, scene.alive))
            known = self.arrange(scene.held[..., None]).all(-1) if posterior else None
            noise = self.noise(latent_key, self.sizes.heads, len(scene.now))
            z = jax.vmap(
                lambda net, h, e, *xs: net.draw_latent(h, seen, e, *xs),
                in_axes=(0, 0, None if given is None else 0, 0, None if known is None else 0, 0),
            )(self.nets, hidden, given, truth, known, noise)
        elif plan is not None:
            z = jnp.broadcast_to(plan, (len(plan), self.sizes.heads, *plan.shape[2:]))
        axes = (0, 0, None if given is None else 0, None if z is None else 0)
        head = jax.vmap(lambda net, h, e, z: net.decode(h, seen, e, z), in_axes=axes)(
            self.nets, hidden, given, z
        )
        drawn = self.density(frames, head)
        noise = temperature * jax.random.normal(output_key, drawn.mean.shape)
        target = self.restore(drawn.sample(noise))
        after = frames.place(scene.now, scene.move, target)
        after = jnp.where(scene.held[..., None], scene.truth, after)
        after = jnp.where(scene.alive[..., None], after, 0.0)
        done = self.arrange(frames.target(scene.now, scene.move, after, scene.alive))
        axes = (0, 0, 0, None if z is None else 0)
        hidden = jax.vmap(lambda net, h, y, z: net.advance(h, seen, y, z), in_axes=axes)(
            self.nets, hidden, done, z
        )
        return after, hidden


def _total(x: Float[Array, "networks *lead batch f"], batch: int) -> Float[Array, " batch"]:
    """Sum over everything but the batch."""
    return x.sum(axis=(*range(x.ndim - 2), -1)).reshape(batch)
