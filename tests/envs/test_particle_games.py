"""The other particle games: the contract, golden values, and envs in the last axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy import envs
from understudy.envs import conformance
from understudy.envs.push import Push
from understudy.envs.speaker_listener import SpeakerListener
from understudy.envs.spread import Spread
from understudy.envs.tag import Tag, TagState
from understudy.types import UserError

pytestmark = pytest.mark.usefixtures("compiled_quickly")

GAMES = {
    "speaker-listener": SpeakerListener(),
    "speaker-listener, boxes": SpeakerListener(action="boxes"),
    "push": Push(),
    "push, boxes": Push(action="boxes"),
    "tag": Tag(),
    "tag, boxes, two prey": Tag(adversaries=2, good=2, obstacles=0, action="boxes"),
}


@pytest.mark.parametrize("env", GAMES.values(), ids=GAMES)
def test_it_keeps_the_contract(env):
    conformance.check(env, steps=8)
