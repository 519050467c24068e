"""Replay buffers are counted before training, and must fit into memory."""

import pytest

from contracts.envs import Home
from understudy.algorithms import presets
from understudy.algorithms.stages import Stages
from understudy.experiment import room
from understudy.types import UserError

TINY = {"hidden": (4,), "envs": 2, "rollout": 3, "batch": 4}


def test_a_transition_of_two_agents_by_hand():
    """Seen and seen after (8 bytes and 2 of who is there), done and paid 8 each, 1 of the end,
    4 of the discount."""
    algorithm = presets.DDPG(remembered=1_000, **TINY)
    found = room.remembered_bytes(algorithm, Home().spec, None)
    assert found == 1_000 * (2 * (8 + 2) + 8 + 8 + 1 + 4) + 2 * 4
    assert room.remembered_bytes(presets.IPPO(hidden=(4,)), Home().spec, None) == 0


def test_buffers_that_do_not_fit_are_refused(monkeypatch):
    stages = Stages(((presets.DDPG(remembered=1_000, **TINY), 1),))
    room.check(stages, Home().spec, None, seeds=5)
    monkeypatch.setattr(room, "machine_bytes", lambda: 2 * 4 * 41_008)
    room.check(stages, Home().spec, None, seeds=4)
    with pytest.raises(UserError, match=r"replay buffers of at most .* for each of 5 seeds"):
        room.check(stages, Home().spec, None, seeds=5)
