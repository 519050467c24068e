"""Speaker and listener: one knows which landmark is meant, the other goes there.

The speaker sees the colour of the goal and says a word; in the next step the listener, who sees
the landmarks but not which is meant, hears it. Both are paid minus the squared distance from the
listener to the goal.

Source: Lowe et al., Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments
(arXiv 1706.02275), by the rules of mpe2 1.1.1 (simple_speaker_listener). The speaker's own place,
which nothing depends on, is left out.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.envs import particles
from understudy.envs.scenes import THING, Scene, discs
from understudy.types import (
    Actions,
    ActionSpec,
    Group,
    Observation,
    Spec,
    Step,
    hyperparameters,
    record,
)

WORDS = LANDMARKS = 3
LISTENER_RADIUS, LANDMARK_RADIUS = 0.075, 0.04
FORCE = 5.0
REACHED = 0.1
"""The listener is at the goal when nearer than this."""
BRIGHT, DARK = 0.65, 0.15
"""A landmark's colour is bright in the channel of its number."""

WORD = {
    "discrete": ActionSpec(sections=(WORDS,)),
    "boxes": ActionSpec(low=(0.0,) * WORDS, high=(1.0,) * WORDS),
}


@record
class SpeakerListenerState:
    """Where the listener and the landmarks are, what is meant and said; envs may follow."""

    position: Float[Array, "1 2 *envs"]
    velocity: Float[Array, "1 2 *envs"]
    landmarks: Float[Array, "landmarks 2 *envs"]
    goal: Int[Array, "*envs"]
    word: Float[Array, "1 words *envs"]
    """As said in the last step."""
    time: Int[Array, "*envs"]


@hyperparameters
class SpeakerListener:
    """Cooperative communication; groups ``"speaker"`` and ``"listener"`` act at once."""

    action: Literal["discrete", "boxes"] = "discrete"
    """One of 3 words and one of 5 moves (nothing, left, right, down, up), or an amount of each."""
    horizon: int = 25
    """Steps of an episode."""

    lanes: ClassVar[bool] = True
    """Arrays may carry an axis of envs after all others; see `rollout.advance`."""
    rate: ClassVar[float] = 1 / particles.DT
    """Steps per second (Hz)."""

    @property
    def spec(self) -> Spec:
        """The state is the listener's place and velocity, landmarks, goal (one-hot), word."""
        speaker = Group("speaker", 1, LANDMARKS, WORD[self.action])
        size = 2 + 2 * LANDMARKS + WORDS
        listener = Group("listener", 1, size, particles.ACTIONS[self.action])
        state = 4 + 2 * LANDMARKS + LANDMARKS + WORDS
        return Spec((speaker, listener), state=state, horizon=self.horizon)

    def reset(self, key: Key[Array, ""]) -> tuple[SpeakerListenerState, Observation]:
        """Scatter the listener, at rest, and the landmarks; draw the goal."""
        place_key, goal_key = jax.random.split(key)
        places = particles.scatter(place_key, 1 + LANDMARKS)
        state = SpeakerListenerState(
            places[:1],
            jnp.zeros_like(places[:1]),
            places[1:],
            jax.random.randint(goal_key, (), 0, LANDMARKS, jnp.int32),
            jnp.zeros((1, WORDS), places.dtype),
            jnp.zeros((), jnp.int32),
        )
        return state, self.observe(state)

    def step(
        self, state: SpeakerListenerState, action: Actions, key: Key[Array, ""]
    ) -> tuple[SpeakerListenerState, Step]:
        """Say, go, pay; nothing is left to chance."""
        talk, walk = WORD[self.action], particles.ACTIONS[self.action]
        said = particles.executed(talk, action["speaker"])
        done = particles.executed(walk, action["listener"])
        force = FORCE * particles.direction(walk, done)
        position, velocity = particles.move(state.position, state.velocity, force)
        word = particles.amounts(talk, said)
        after = SpeakerListenerState(
            position, velocity, state.landmarks, state.goal, word, state.time + 1
        )
        apart = position - particles.chosen(state.landmarks, state.goal)
        squared = particles.add(jnp.square(apart), 1)
        truncated = after.time >= self.horizon
        return after, Step(
            observation=self.observe(after),
            action={"speaker": said, "listener": done},
            reward={"speaker": -squared, "listener": -squared},
            terminated=jnp.zeros_like(truncated),
            truncated=truncated,
            info={"success": squared[0] < REACHED**2},
        )

    def observe(self, state: SpeakerListenerState) -> Observation:
        """The goal's colour for one; velocity, landmarks and the last word for the other."""
        meant = particles.one_hot(state.goal, LANDMARKS, 0)
        dtype = state.position.dtype
        colour = jnp.where(meant, BRIGHT, DARK).astype(dtype)
        landmarks = particles.flat(particles.between(state.position, state.landmarks))
        heard = jnp.concatenate([state.velocity, landmarks, state.word], 1)
        alive = jnp.ones((1, *state.time.shape), bool)
        places = particles.joined(state.position, state.velocity, state.landmarks)
        return Observation(
            {"speaker": colour[None], "listener": heard},
            {"speaker": alive, "listener": alive},
            None,
            jnp.concatenate([places, meant.astype(dtype), state.word[0]]),
        )

    def scene(self, state: SpeakerListenerState) -> Scene:
        """The listener, and landmarks of which only the goal is drawn fully."""
        radii = np.asarray([LISTENER_RADIUS] + [LANDMARK_RADIUS] * LANDMARKS, np.float32)
        teams = np.asarray([0] + [THING] * LANDMARKS, np.int32)
        strength = jnp.where(particles.one_hot(state.goal, LANDMARKS, 0), 1.0, 0.3)
        scene = discs(
            jnp.concatenate([state.position, state.landmarks]),
            jnp.asarray(radii),
            jnp.asarray(teams),
            half_size=jnp.asarray(1.2),
        )
        return dataclasses.replace(scene, strength=jnp.append(1.0, strength))
