"""Speaker-listener, push and tag: the contract and golden values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.envs import conformance
from understudy.envs.push import Push, PushState
from understudy.envs.speaker_listener import SpeakerListener, SpeakerListenerState
from understudy.envs.tag import Tag, TagState
from understudy.types import UserError

GAMES = {
    "speaker-listener": SpeakerListener(),
    "push": Push(action="boxes"),
    "tag": Tag(),
}
KEY = jax.random.key(0)


@pytest.mark.parametrize("env", GAMES.values(), ids=GAMES)
def test_it_keeps_the_contract(env):
    conformance.check(env, steps=4)


def rows(*places):
    return jnp.array(places, jnp.float32).reshape(-1, 2)


def act(env, before, **actions):
    actions = {name: jnp.array(action, jnp.float32) for name, action in actions.items()}
    return jax.jit(env.step)(before, actions, KEY)


def test_the_listener_hears_the_word_after_it_was_said():
    marks = rows((0.3, 0.4), (1, 0), (0, 1))
    before = SpeakerListenerState(
        rows((0, 0)), rows((0, 0)), marks, jnp.int32(0), jnp.zeros((1, 3)), jnp.int32(0)
    )
    after, step = act(SpeakerListener(), before, speaker=[[2]], listener=[[4]])
    # it moves with its old velocity, 0: 0.3² + 0.4² = 0.25 from the goal
    np.testing.assert_allclose(step.reward["speaker"], [-0.25], rtol=1e-6)
    np.testing.assert_allclose(step.reward["listener"], [-0.25], rtol=1e-6)
    np.testing.assert_allclose(step.observation.features["speaker"], [[0.65, 0.15, 0.15]])
    heard = [0, 0.5, 0.3, 0.4, 1, 0, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(step.observation.features["listener"], [heard], atol=1e-6)
    np.testing.assert_array_equal(after.word, [[0, 0, 1]])
    assert not bool(step.info["success"])
    strength = SpeakerListener().scene(after).strength
    np.testing.assert_allclose(strength, [1, 1, 0.3, 0.3])


def test_push_pays_for_distances_to_the_goal():
    before = PushState(
        rows((0, 0), (0, 1)), rows((0, 0), (0, 0)), rows((0, 0.5), (1, 1)),
        jnp.int32(1), jnp.int32(0),
    )  # fmt: skip
    _, step = act(Push(), before, adversary=[[2]], agent=[[0]])
    np.testing.assert_allclose(step.reward["agent"], [-1.0], rtol=1e-6)
    np.testing.assert_allclose(step.reward["adversary"], [1 - 2**0.5], rtol=1e-6)
    adversary = [0.5, 0, 0, 0.5, 1, 1, 0, 1]
    np.testing.assert_allclose(step.observation.features["adversary"], [adversary], atol=1e-6)
    agent = [0, 0, 1, 0, 0.25, 0.25, 0.75, 0, -0.5, 1, 0, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0, -1]
    np.testing.assert_allclose(step.observation.features["agent"], [agent], atol=1e-6)


def test_tag_pays_for_touches_and_for_leaving():
    env = Tag(adversaries=1, good=1, obstacles=0)
    # 0.1 apart, touching below 0.125: 100 * 0.025 = 2.5 against the hunter's push of 3
    before = TagState(rows((0, 0), (0.1, 0)), rows((0, 0), (0, 0)), rows(), jnp.int32(0))
    after, step = act(env, before, adversary=[[2]], good=[[0]])
    np.testing.assert_allclose(after.velocities, [[0.05, 0], [0.25, 0]], atol=1e-6)
    np.testing.assert_allclose(step.reward["adversary"], [10.0])
    np.testing.assert_allclose(step.reward["good"], [-10.0])
    assert bool(step.info["success"])
    # 0.95 and 1.2 from the middle: 10 * 0.05 + exp(0.4); a speed of 1.375 is cut to 1.3
    fleeing = TagState(rows((0, 0), (0.95, 1.2)), rows((0, 0), (1.3, 0)), rows(), jnp.int32(0))
    still = TagState(fleeing.positions, rows((0, 0), (0, 0)), rows(), jnp.int32(0))
    after, _ = act(env, fleeing, adversary=[[0]], good=[[2]])
    np.testing.assert_allclose(after.velocities[1], [1.3, 0.0], rtol=1e-6)
    _, step = act(env, still, adversary=[[0]], good=[[0]])
    np.testing.assert_allclose(step.reward["good"], [-0.5 - np.exp(0.4)], rtol=1e-5)
    np.testing.assert_allclose(step.reward["adversary"], [0.0])


def test_any_numbers_can_play_tag():
    env = Tag(adversaries=4, good=2, obstacles=3, ends_when_caught=True)
    _, seen = jax.eval_shape(env.reset, KEY)
    # 4 own, 6 of obstacles, 10 of others, 4 or 2 of the speeds of (other) prey
    assert seen.features["adversary"].shape == (4, 24)
    assert seen.features["good"].shape == (2, 22)
    caught = TagState(
        rows((0, 0), (1, 1), (2, 2), (3, 3), (0.05, 0), (1.05, 1)), jnp.zeros((6, 2)),
        rows((-2, 0), (-2, 1), (-2, 2)), jnp.int32(0),
    )  # fmt: skip
    _, step = act(env, caught, adversary=jnp.zeros((4, 1)), good=jnp.zeros((2, 1)))
    np.testing.assert_allclose(step.reward["adversary"], [20.0] * 4)
    assert bool(step.terminated)
    with pytest.raises(UserError, match="expected adversaries, prey"):
        Tag(good=0)
