"""Deterministic policy gradient: learn what actions are worth, and act so as to be worth more.

From a replay of transitions (o, a, r, o') the critics of agent k go down

    L = mean ρ( Q_k(o, a) - y ),    y = r_k + γ (1 - over) min_i Q'_ik(o', μ'(o'))

and the actors up ``mean Q_k(o, μ_k(o_k))``. A game is over for an agent when it was terminated or
the agent is not alive afterwards; ' marks weights that follow, ``θ' <- (1 - τ) θ' + τ θ``.
Exploring adds noise to actions. With `n_step` above 1, r_k is the discounted sum of so many
rewards, o' what follows them and γ is to their power; nothing corrects for the actions in between,
which are those of older policies. The network decides whose weights and whose eyes these are:

- ``sharing="independent"``: an actor and a critic for each agent;
- ``sharing="shared"``: one of each, of local observations, used by every agent: it runs on other
  numbers of agents (ATOC without communication; `networks.communication` adds it);
- ``sharing="joint"``: one actor and one critic of the whole team, paid the agents' mean;
- ``critic="central"``: a critic sees what everybody sees and does (MADDPG). An agent's action is
  then judged while the others do what the replay says they did.

With two critics, `target_noise` and `delay` it is TD3.

Source: Lillicrap et al., "Continuous control with deep reinforcement learning", ICLR 2016
(arXiv 1509.02971); Lowe et al., NIPS 2017 (1706.02275, MADDPG); Fujimoto et al., ICML 2018
(1802.09477, TD3); Jiang and Lu, NeurIPS 2018 (1805.07733, ATOC).
Deviations: many games are played side by side, and some steps down the gradient follow each
rollout; noisy actions are clipped to their bounds; the noise of an episode begins at 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from understudy.data import replay
from understudy.functional.losses import mean_where
from understudy.networks import descent, transitions
from understudy.networks.deterministic import ActorQ, ActorsAndQs, Noise
from understudy.networks.experience import mean_reward
from understudy.networks.policy import NetworkPolicy
from understudy.networks.transitions import Transition
from understudy.types import (
    Batch,
    Fixed,
    Metrics,
    Mode,
    Spec,
    Statistics,
    hyperparameters,
    record,
    require,
)


@record
class Learned:
    """What steps down the gradient change."""

    params: ActorsAndQs
    targets: ActorsAndQs
    actors: Any
    """Adam of the actors."""
    critics: Any
    """Adam of the critics."""
    attention: Any = None
    """Adam of what decides who communicates; None if nobody does."""


@record
class State:
    """All that training goes on from."""

    learned: Learned
    replay: replay.Replay
    updates: Int[Array, ""]
    """So far; noise falls with them."""


@hyperparameters
class DDPG:
    """Hyper-parameters of deterministic policy gradients."""

    network: Any = dataclasses.field(default_factory=ActorQ)
    """Actors and critics: `ActorQ`, or `Communicating`."""
    envs: int = 16
    """Games side by side."""
    rollout: int = 25
    """Env steps of each game per update."""
    passes: int = 40
    """Steps down the gradient per update."""
    batch: int = 256
    """Transitions of all agents per step."""
    remembered: int = 100_000
    """Transitions kept; the oldest make room."""
    warm_up: int = 5
    """Updates at the beginning that only fill the memory."""
    learning_rate: float = 1e-3
    """Adam's step size of actors."""
    critic_rate: float = 1e-3
    """Adam's step size of critics."""
    decay: int = 0
    """Updates over which both fall to 0 along a line; 0 keeps them."""
    discount: float = 0.95
    """γ."""
    n_step: int = 1
    """Steps whose rewards are counted before critics are asked what follows."""
    follow: float = 0.01
    """τ: how far targets follow in a step."""
    loss: Literal["huber", "square"] = "huber"
    """ρ."""
    judge: Literal["online", "target"] = "online"
    """Critics that actors climb."""
    delay: int = 1
    """Steps of critics for one of actors and targets."""
    target_noise: Fixed = 0.0
    """Deviation of noise on the actions of targets, in half ranges."""
    target_clip: float = 0.5
    """Largest such noise."""
    noise: float = 0.2
    """Deviation of what exploring adds to an action in a step, in half ranges."""
    noise_keeps: float = 0.0
    """Share of the noise of the step before that stays: 0 is white, near 1 drifts as an
    Ornstein-Uhlenbeck process does."""
    noise_decay: int = 0
    """Updates over which noise falls to e⁻² of what it was; 0 keeps it."""
    reward_scale: float = 1.0
    """Rewards are multiplied by it before learning."""
    gradient_clip: float = 10.0
    """Largest global norm of a gradient."""

    needs: ClassVar[frozenset[str]] = frozenset({"env"})
    steps: ClassVar[int] = 1_000_000
    """Env steps, if nobody says how long to train."""
    TINY: ClassVar[dict[str, Any]] = {
        "envs": 4, "rollout": 6, "passes": 2, "batch": 8, "remembered": 48, "warm_up": 1
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("envs", "rollout", "passes", "batch", "delay", "n_step"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        rows = self.envs * self.rollout
        require(
            self.remembered >= rows,
            f"expected room for the {rows} transitions of an update, found "
            f"remembered={self.remembered}; remember more, or make envs or rollout smaller",
        )

    @property
    def concern(self) -> str | None:
        """What somebody who trains this should hear first; None if all is well."""
        if isinstance(self.noise, jax.Array) or self.noise != 0:
            return None
        return "noise=0 explores nothing while training; give more, unless the env has noise"

    @property
    def title(self) -> str:
        """The name people know these parts by."""
        return self.network.title

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights and an empty memory.

        Raises:
            UserError: for a group without bounded continuous actions, or one that sees actions.
        """
        require(
            not any(group.sees for group in spec.groups),
            "expected groups that act at once, found one that sees the actions of another; use PPO",
        )
        params = self.network.init(spec, key)
        learned = Learned(
            params, params, descent.start(params.actors), descent.start(params.critics),
            None if params.attention is None else descent.start(params.attention),
        )  # fmt: skip
        return State(
            learned=learned,
            replay=replay.create(
                transitions.blank(
                    spec,
                    state=self._keeps_state(spec),
                    kept=params.kept(
                        params.memory({g.name: g.agents for g in spec.groups}, "mode")
                    ),
                ),
                self.remembered,
            ),
            updates=jnp.zeros((), jnp.int32),
        )

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """Remember a rollout, then some steps on what is remembered."""
        rollout = batch.rollout
        assert rollout is not None
        spec = state.learned.params.spec
        rows = transitions.of_rollout(
            spec, rollout, state=self._keeps_state(spec), discount=self.discount, n_step=self.n_step
        )
        kept = replay.add(state.replay, rows)
        rate = descent.linear(1.0, step, decay=self.decay)

        def one(learned: Learned, number: Any) -> tuple[Learned, Metrics]:
            draw, noise = jax.random.split(jax.random.fold_in(key, number))
            rows = replay.sample(kept, draw, batch=self.batch)
            return self._descend(learned, rows, number, rate, noise)

        def learn() -> tuple[Learned, Metrics]:
            learned, metrics = jax.lax.scan(one, state.learned, jnp.arange(self.passes))
            return learned, jax.tree.map(jnp.mean, metrics)

        shapes = jax.eval_shape(learn)[1]

        def wait() -> tuple[Learned, Metrics]:
            return state.learned, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        learned, metrics = jax.lax.cond(step < self.warm_up, wait, learn)
        said = {"reward": mean_reward(rollout), "noise": self._noise(state).scale}
        return State(learned, kept, state.updates + 1), metrics | said

    def policy(self, state: State, mode: Mode = "sample") -> NetworkPolicy:
        """What acts: the same action every time, with noise while exploring."""
        network = state.learned.params
        if mode == "explore":
            network = dataclasses.replace(network, noise=self._noise(state))
        return NetworkPolicy.of(network, mode)

    def critic_loss(
        self, critics: Any, learned: Learned, rows: Transition, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """How far critics are from what was paid and what is expected to follow."""
        targets = learned.targets
        following = targets.choose(rows.observation_next, rows.kept)
        if self.target_noise:
            following = self._smoothed(following, key)
        ahead = targets.worth(rows.observation_next, following, following)
        now = dataclasses.replace(learned.params, critics=critics).worth(
            rows.observation, rows.action, rows.action
        )
        total, worth = jnp.zeros(()), jnp.zeros(())
        for name, said in now.items():
            alive, goes_on, reward = self._rows(rows, name)
            later = jnp.where(goes_on, rows.discount[:, None] * ahead[name].min(0), 0.0)
            target = self.reward_scale * reward + later
            errors = said - jax.lax.stop_gradient(target)[None]
            cost = _huber(errors) if self.loss == "huber" else jnp.square(errors)
            total = total + mean_where(cost.sum(0), alive)
            worth = worth + mean_where(said[0], alive)
        return total, {"critic_loss": total, "worth": worth}

    def actor_loss(self, actors: Any, learned: Learned, rows: Transition) -> Float[Array, ""]:
        """Minus what critics say of the actors' actions."""
        params = dataclasses.replace(learned.params, actors=actors)
        chosen = params.choose(rows.observation, rows.kept)
        said = self._judge(learned).worth(rows.observation, chosen, rows.action)
        return -sum(
            (mean_where(said[name][0], self._rows(rows, name)[0]) for name in said), jnp.zeros(())
        )

    def _descend(
        self, learned: Learned, rows: Transition, number: Any, rate: Any, key: Key[Array, ""]
    ) -> tuple[Learned, Metrics]:
        """One step of critics, of actors and targets if it is their turn, and of attention."""
        params = learned.params
        gradient, metrics = jax.grad(self.critic_loss, has_aux=True)(
            params.critics, learned, rows, key
        )
        critics, adam, norm = descent.descend(
            params.critics, gradient, learned.critics,
            rate=rate * self.critic_rate, clip=self.gradient_clip,
        )  # fmt: skip
        params = dataclasses.replace(params, critics=critics)
        learned = dataclasses.replace(learned, params=params, critics=adam)

        def act() -> tuple[Learned, Array]:
            loss, slope = jax.value_and_grad(self.actor_loss)(params.actors, learned, rows)
            actors, moments, _ = descent.descend(
                params.actors, slope, learned.actors,
                rate=rate * self.learning_rate, clip=self.gradient_clip,
            )  # fmt: skip
            after = dataclasses.replace(params, actors=actors)
            targets = jax.tree.map(
                lambda old, new: old + self.follow * (new - old), learned.targets, after
            )
            acted = dataclasses.replace(learned, params=after, targets=targets, actors=moments)
            return acted, loss

        if self.delay == 1:
            learned, loss = act()
        else:
            learned, loss = jax.lax.cond(
                number % self.delay == 0, act, lambda: (learned, jnp.zeros(()))
            )
        learned, more = self._attend(learned, rows, rate)
        return learned, {**metrics, **more, "actor_loss": loss, "critic_gradient_norm": norm}

    def _attend(self, learned: Learned, rows: Transition, rate: Any) -> tuple[Learned, Metrics]:
        """One step of what decides who communicates, if anything does."""
        params: Any = learned.params
        if params.attention is None:
            return learned, {}
        gradient, metrics = jax.grad(params.attention_loss, has_aux=True)(
            params.attention, self._judge(learned), rows
        )
        attention, adam, _ = descent.descend(
            params.attention, gradient, learned.attention,
            rate=rate * self.network.attention_rate, clip=self.gradient_clip,
        )  # fmt: skip
        params = dataclasses.replace(params, attention=attention)
        return dataclasses.replace(learned, params=params, attention=adam), metrics

    def _judge(self, learned: Learned) -> ActorsAndQs:
        return learned.params if self.judge == "online" else learned.targets

    def _rows(self, rows: Transition, name: str) -> tuple[Array, Array, Array]:
        """Which answers of a group's critics count, whose future does, and what was paid."""
        alive, reward = rows.observation.alive[name], rows.reward[name]
        goes_on = transitions.goes_on(rows, name)
        if self.network.sharing != "joint":
            return alive, goes_on, reward
        alive, goes_on = alive.any(-1, keepdims=True), goes_on.any(-1, keepdims=True)
        return alive, goes_on, reward.mean(-1, keepdims=True)

    def _smoothed(self, actions: Any, key: Key[Array, ""]) -> Any:
        """Actions with some clipped noise, so that critics cannot rely on narrow peaks."""
        found = {}
        for number, (name, unit) in enumerate(sorted(actions.items())):
            drawn = jax.random.normal(jax.random.fold_in(key, number), unit.shape)
            noise = jnp.clip(self.target_noise * drawn, -self.target_clip, self.target_clip)
            found[name] = jnp.clip(unit + noise, -1.0, 1.0)
        return found

    def _noise(self, state: State) -> Noise:
        scale = jnp.asarray(self.noise, jnp.float32)
        if self.noise_decay:
            scale = scale * jnp.exp(-2.0 * state.updates.astype(jnp.float32) / self.noise_decay)
        return Noise(scale, jnp.asarray(self.noise_keeps, jnp.float32))

    def _keeps_state(self, spec: Spec) -> bool:
        return self.network.critic == "central" and bool(spec.state)


def _huber(errors: Array) -> Array:
    """Half the square up to 1, linear beyond."""
    small = jnp.minimum(jnp.abs(errors), 1.0)
    return 0.5 * jnp.square(small) + jnp.abs(errors) - small
