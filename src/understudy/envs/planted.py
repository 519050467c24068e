"""What the two sides of the planted market do, in closed form.

Both act by independent heads, given what is now and, for the user, what the platform did: choices

    p(k) ∝ exp(a table of what is now + products of it and of the action)

and normal values whose means are lines in fatigue and interest and whose deviations never change.
So a product of categorical and normal heads can be exactly right, and every error is a learner's.
What was bought in a step is paid in the next one: so even spend is normal, near 0 without purchase.

An exploit can be planted in the user: told of `EXPLOIT_OFFER` under a pressure beyond
`EXPLOIT_PRESSURE` it pays `EXPLOIT_SPEND`, whether it bought anything or not. No log shows that: in
every state, shifted or not, the platform stays six deviations below that pressure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from understudy.data.schema import Columns, Schema
from understudy.functional import latent
from understudy.functional.written import written
from understudy.types import Actions, Memory, Observation, Rewards, split_sections

STATE = Columns(
    sections=(6, 24, 4, 2, 3),
    section_names=("segment", "hour", "page", "bought", "mood"),
    continuous=("spend", "fatigue", "interest"),
)
"""What everybody observes. ``segment`` is who the user is and never changes in a session;
``bought`` says that the last step ended in a purchase, ``spend`` what was paid in it."""
ACTION = Columns(sections=(4,), section_names=("offer",), continuous=("discount", "pressure"))
"""What the platform does; discount and pressure have no bounds, 0 is nothing unusual."""
SCHEMA = Schema(STATE, ACTION, agent="platform", environment="user", constant=(0,))
"""Of a log of the market; its spec has the two groups in acting order."""
SPEND, FATIGUE, INTEREST = range(STATE.size - 3, STATE.size)
"""Columns of features."""
NEVER = -1e10
"""Log-probability of another segment than the user's."""

EXPLOIT_OFFER = 3
EXPLOIT_PRESSURE = 4.0
"""Where it begins."""
EXPLOIT_RAMP = 0.5
"""Further pressure until it pays in full; a straight line between."""
EXPLOIT_SPEND = 10.0

# who comes, and when they like to buy
SHARES = np.array([0.20, 0.19, 0.18, 0.16, 0.14, 0.13], np.float32)
PEAKS = np.array([20, 12, 8, 20, 22, 12])
ANGLES = 2 * np.pi * (np.arange(24)[None] - PEAKS[:, None]) / 24
WAVE = np.cos(ANGLES).astype(np.float32)
"""``[segment, hour]``: 1 at the hour a segment likes best, -1 half a day away."""
CLOCK = (
    sum(0.99 * share * np.roll(np.eye(24), step, 1) for step, share in enumerate((0.3, 0.5, 0.2)))
    + 0.01 / 24
)
"""``[hour, next hour]``: 0, 1 or 2 hours pass, but a step in a hundred ends at any hour."""

# the user: one row per segment, columns are offers
TASTE = np.array(
    [
        [0.8, -0.2, -0.6, 0.0],
        [-0.6, 0.8, 0.0, -0.2],
        [0.0, -0.6, 0.8, -0.2],
        [-0.2, 0.0, -0.6, 0.8],
        [0.5, 0.5, -0.5, -0.5],
        [-0.5, -0.5, 0.5, 0.5],
    ],
    np.float32,
)
BUYS = np.array([-0.6, -0.9, -0.4, -0.7, -1.0, -0.3], np.float32)
LURED = np.array([1.2, 0.8, 0.4, 0.0, -0.4, 0.6], np.float32)
"""How much a discount helps; it puts off one segment."""
AMOUNT = np.array([1.4, 2.2, 1.6, 2.0, 1.8, 1.2], np.float32)
PAGE_BUYS = np.array([-0.5, 0.0, 0.3, 0.6], np.float32)
PAGE_AMOUNT = np.array([0.0, 0.1, 0.2, 0.3], np.float32)
MOOD_BUYS = np.array([-0.4, 0.0, 0.4], np.float32)
MOOD_TIRES = np.array([0.15, 0.0, -0.15], np.float32)
PAGE = np.array(
    [[0.6, 0.4, -0.4, -1.2], [0.2, 0.8, 0.4, -0.6], [-0.4, 0.3, 0.9, 0.3], [-1.0, -0.2, 0.5, 1.0]],
    np.float32,
)
OFFER_PAGE = np.array(
    [[0.2, 0.0, 0.0, -0.2], [0.0, 0.3, 0.0, 0.0], [-0.3, 0.0, 0.3, 0.3], [0.0, 0.0, 0.0, 0.4]],
    np.float32,
)
MOOD = np.array([[1.2, 0.3, -0.6], [0.0, 1.0, 0.0], [-0.6, 0.3, 1.2]], np.float32)
ENGAGED = (-0.5, -0.1, 0.2, 0.4)
"""How interest less fatigue speaks for each page."""
SOURED = (0.4, 0.0, -0.4)
"""How pressure speaks for each mood; a taste that is met speaks against it."""
USER_STD = (0.25, 0.3, 0.35)
"""Of spend, fatigue and interest."""

# the platform
HABIT = np.array(
    [
        [0.8, 0.0, -0.3, 0.0],
        [0.0, 0.7, 0.0, -0.3],
        [-0.2, 0.0, 0.6, 0.2],
        [0.0, -0.3, 0.0, 0.8],
        [0.3, 0.3, 0.0, 0.0],
        [0.0, 0.0, 0.4, 0.4],
    ],
    np.float32,
)
MOOD_OFFER = np.array(
    [[-0.3, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.3, -0.3, 0.2, 0.0]], np.float32
)
BY_DAY = (0.4, -0.4, 0.2, -0.2)
"""How the hour speaks for each offer."""
SHIFTED = (-0.5, 0.5, -0.25, 0.25)
"""How a shift speaks for each offer."""
DAY = np.cos(2 * np.pi * (np.arange(24) - 14) / 24).astype(np.float32)
GRANTS = np.array([0.4, 0.1, -0.2, 0.0, 0.3, -0.3], np.float32)
MOOD_GRANTS = np.array([0.4, 0.0, -0.2], np.float32)
PRESSES = np.array([-0.3, 0.2, 0.0, 0.3, -0.1, 0.1], np.float32)
PAGE_PRESSES = np.array([0.3, 0.1, -0.1, -0.3], np.float32)
PLATFORM_STD = (0.6, 0.5)
"""Of discount and pressure."""


class Heads(eqx.Module):
    """Independent heads of an action: choices, then normal values; any leading axes."""

    logs: Float[Array, "*lead choices"]
    """Log-probabilities of the choices of all sections, one after the other."""
    mean: Float[Array, "*lead values"]
    std: Float[Array, "*lead values"]
    sections: tuple[int, ...] = eqx.field(static=True)

    @property
    def probabilities(self) -> list[Float[Array, "*lead _"]]:
        """Of the choices of each section."""
        return split_sections(jnp.exp(self.logs), self.sections)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "*lead act"]:
        """Draw an action as it is stored: a number for each section, then the values."""
        count = self.logs.shape[-1]
        shape = (*self.logs.shape[:-1], count + self.mean.shape[-1])
        # one draw for all heads: a generator is what takes longest to compile
        even = jax.random.uniform(key, shape, minval=2.0**-24)
        noise = math.sqrt(2.0) * jax.scipy.special.erfinv(2.0 * even[..., count:] - 1.0)
        value = self.mean + self.std * noise
        chosen = _choices(self.logs - jnp.log(-jnp.log(even[..., :count])), self.sections)
        return jnp.concatenate([*(c[..., None].astype(value.dtype) for c in chosen), value], -1)

    def log_probs(self, action: Float[Array, "*lead act"]) -> Float[Array, "*lead heads"]:
        """Log-probability of each section, then of each value, nats."""
        count = len(self.sections)
        numbers = action[..., :count, None].astype(jnp.int32)
        found = [
            jnp.take_along_axis(logs, numbers[..., i, :], -1)
            for i, logs in enumerate(split_sections(self.logs, self.sections))
        ]
        density = latent.gaussian_log_prob(action[..., count:], self.mean, self.std)
        return jnp.concatenate([*found, density], -1)

    def entropies(self) -> Float[Array, "*lead heads"]:
        """Entropy of each section, then of each value, nats."""
        parts = split_sections(-jnp.exp(self.logs) * self.logs, self.sections)
        sums = [part.sum(-1, keepdims=True) for part in parts]
        return jnp.concatenate([*sums, latent.gaussian_entropy(self.std)], -1)


class Truth(eqx.Module):
    """The policy of both sides; see the top of the file and `Market.truth`."""

    shift: Float[Array, ""]
    """How far the platform moved from the one that wrote the log, in deviations of its discount."""
    exploit: bool = eqx.field(static=True, default=False)
    decentralised: bool = eqx.field(static=True, default=False)
    transfers: bool = eqx.field(static=True, default=False)

    def memory(self, agents: Mapping[str, int]) -> Memory:
        """None is kept."""
        return ()

    def act(
        self, observation: Observation, memory: Memory, key: Key[Array, ""]
    ) -> tuple[Actions, Memory]:
        """The platform acts, unless it did already, and the user answers."""
        choose, answer = jax.random.split(key)
        own = self.platform(observation.features["platform"]).sample(choose)
        done = observation.taken("platform", own)
        reply = self.user(observation.features["user"], done).sample(answer)
        return {"platform": done, "user": observation.taken("user", reply)}, memory

    def log_prob(
        self,
        observations: Observation,
        actions: Actions,
        starts: Bool[Array, " time"],
        memory: Memory,
    ) -> tuple[Rewards, Rewards]:
        """Log-probability and entropy of both, the user's given what the platform did."""
        heads = {
            "platform": self.platform(observations.features["platform"]),
            "user": self.user(observations.features["user"], actions["platform"]),
        }
        found = {name: head.log_probs(actions[name]).sum(-1) for name, head in heads.items()}
        return found, {name: head.entropies().sum(-1) for name, head in heads.items()}

    def answer(
        self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead act"], key: Key[Array, ""]
    ) -> Float[Array, "*lead obs"]:
        """Draw the next state, as features."""
        return written(STATE.action, self.user(now, done).sample(key))

    def platform(self, now: Float[Array, "*lead obs"]) -> Heads:
        """What the platform may do.

        Args:
            now: features.
        """
        segment, hour, page, _, mood = _choices(now, STATE.sections)
        offer = _row(HABIT, segment) + _row(MOOD_OFFER, mood)
        offer = offer + _along(_row(DAY, hour), BY_DAY)
        offer = offer + _along(jnp.broadcast_to(self.shift, hour.shape), SHIFTED)
        grants = _row(GRANTS, segment) + _row(MOOD_GRANTS, mood) - 0.3 * now[..., INTEREST]
        # bounded, so that no state brings it near the exploit
        calm = 0.3 * jnp.tanh(now[..., FATIGUE])
        mean = jnp.stack(
            [
                grants + PLATFORM_STD[0] * self.shift,
                _row(PRESSES, segment) + _row(PAGE_PRESSES, page) - calm,
            ],
            -1,
        )
        std = _along(jnp.ones_like(calm), PLATFORM_STD)
        return Heads(jax.nn.log_softmax(offer), mean, std, ACTION.sections)

    def user(self, now: Float[Array, "*lead obs"], done: Float[Array, "*lead act"]) -> Heads:
        """What the user may answer: the next state.

        Args:
            now: features.
            done: by the platform, as stored: number of the offer, discount, pressure.
        """
        segment, hour, page, bought, mood = _choices(now, STATE.sections)
        offer, pressure = done[..., 0].astype(jnp.int32), done[..., 2]
        fatigue, interest = now[..., FATIGUE], now[..., INTEREST]
        met, wave = jnp.asarray(TASTE)[segment, offer], jnp.asarray(WAVE)[segment, hour]
        deal = jnp.tanh(done[..., 1])  # bounded, so that no discount is a second exploit
        lured = _row(LURED, segment) * deal
        buys = _row(BUYS, segment) + _row(PAGE_BUYS, page) + _row(MOOD_BUYS, mood)
        buys = buys + met + 0.5 * wave + lured + 0.5 * (interest - fatigue) - 0.25 * pressure
        section = now[..., : STATE.sections[0]]
        logs = [
            jnp.where(section > 0.5, 0.0, NEVER),
            _row(np.log(CLOCK).astype(np.float32), hour),
            jax.nn.log_softmax(
                _row(PAGE, page) + _row(OFFER_PAGE, offer) + _along(interest - fatigue, ENGAGED)
            ),
            jnp.stack([jax.nn.log_sigmoid(-buys), jax.nn.log_sigmoid(buys)], -1),
            jax.nn.log_softmax(_row(MOOD, mood) + _along(pressure - met, SOURED)),
        ]
        spend = _row(AMOUNT, segment) + _row(PAGE_AMOUNT, page) - 0.4 * deal
        spend = jnp.where(bought == 1, spend, 0.0)
        if self.exploit:
            share = exploited(done)
            spend = spend + share * (EXPLOIT_SPEND - spend)
        mean = jnp.stack(
            [
                spend,
                0.7 * fatigue + 0.25 * pressure + _row(MOOD_TIRES, mood),
                0.7 * interest - 0.1 * fatigue + 0.3 * met + 0.2 * lured + 0.15 * wave,
            ],
            -1,
        )
        std = _along(jnp.ones_like(spend), USER_STD)
        return Heads(jnp.concatenate(logs, -1), mean, std, STATE.sections)


def exploited(done: Float[Array, "*lead act"]) -> Float[Array, "*lead"]:
    """How far into the exploit an action of the platform is: 0 outside, 1 where it pays in full."""
    share = jnp.clip((done[..., 2] - EXPLOIT_PRESSURE) / EXPLOIT_RAMP, 0.0, 1.0)
    return jnp.where(done[..., 0].astype(jnp.int32) == EXPLOIT_OFFER, share, 0.0)


def start(key: Key[Array, ""]) -> Float[Array, " obs"]:
    """Draw a state that a session begins in: any hour, the first page, nothing paid yet."""
    logs = [np.log(SHARES), np.zeros(24), [0.0, *3 * [NEVER]], np.log([0.7, 0.3]), np.zeros(3)]
    std = jnp.asarray([0.0, *USER_STD[1:]])
    heads = Heads(
        jnp.asarray(np.concatenate(logs), jnp.float32), jnp.zeros_like(std), std, STATE.sections
    )
    return written(STATE.action, heads.sample(key))


def _choices(
    numbers: Float[Array, "*lead _"], sections: tuple[int, ...]
) -> list[Int[Array, "*lead"]]:
    """The largest of each section."""
    return [part.argmax(-1) for part in split_sections(numbers, sections)]


def _row(table: np.ndarray, number: Int[Array, "*lead"]) -> Any:
    """Look up, exactly: no product of matrices, whose precision a device may lower."""
    return jnp.asarray(table)[number]


def _along(x: Float[Array, "*lead"], weights: tuple[float, ...]) -> Float[Array, "*lead _"]:
    """``x`` times each weight, on a new last axis."""
    return jnp.stack([w * x for w in weights], -1)
