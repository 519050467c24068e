from typing import Any

import numpy as np
import pytest
from small_sets import assert_same, everything, tracks

from understudy.data import resample
from understudy.types import UserError


def line(lengths=(11, 4), rate=10.0):
    """Everybody moves one unit per second along x; the y of an episode is its number."""
    d = tracks(lengths=lengths, rate=rate)
    second = np.concatenate([np.arange(n) / rate for n in lengths])
    number = np.repeat(np.arange(len(lengths)), lengths)
    x = np.broadcast_to(np.stack([second, number], -1)[:, None], d.features["player"].shape)
    return d.replace(features={**d.features, "player": x.astype(np.float32)})


@pytest.mark.parametrize("rate", [5.0, 4.0, 8.33, 25.0])
def test_a_straight_line_stays_one(rate):
    d = resample(line(), rate)
    assert d.rate == rate
    assert d.lengths.tolist() == [int(1.0 * rate) + 1, int(0.3 * rate) + 1]
    second = np.concatenate([np.arange(n) / rate for n in d.lengths])
    np.testing.assert_allclose(d.features["player"][:, 1, 0], second, atol=1e-6)
    np.testing.assert_array_equal(
        d.features["player"][:, 0, 1], np.repeat([0.0, 1.0], d.lengths).astype("f4")
    )


def test_a_whole_fraction_of_the_rate_takes_rows_unchanged():
    d = line()
    half = resample(d, 5.0)
    np.testing.assert_array_equal(half.features["ball"][:6], d.features["ball"][:11:2])
    assert_same(resample(d, 10.0), d)


def test_causal_rows_never_read_a_later_row():
    d = line(lengths=(11,))
    found = resample(d, 4.0, causal=True).features["player"][:, 0, 0]
    np.testing.assert_allclose(found, [0, 0.2, 0.5, 0.7, 1.0], atol=1e-6)
    late = d.features["player"].copy()
    late[6:] = 99
    changed = resample(d.replace(features={**d.features, "player": late}), 4.0, causal=True)
    np.testing.assert_array_equal(changed.features["player"][:3, 0, 0], found[:3])


def test_between_rows_an_agent_has_to_be_alive_in_both():
    d = line(lengths=(5,), rate=2.0)
    alive = d.alive["player"].copy()
    alive[2, 0] = False
    x = d.features["player"] * alive[..., None]
    d = d.replace(alive={**d.alive, "player": alive}, features={**d.features, "player": x})
    fine = resample(d, 4.0)
    assert fine.alive["player"][:, 0].tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert not fine.features["player"][3:6, 0].any()
    causal = resample(d, 4.0, causal=True)
    assert causal.alive["player"][:, 0].tolist() == [True] * 4 + [False] * 2 + [True] * 3


def test_ends_state_and_intents_follow():
    d = everything(lengths=(5, 9)).replace(actions=None, rewards=None, legal=None)
    half: Any = resample(d, 5.0)
    assert half.lengths.tolist() == [3, 5]
    assert np.flatnonzero(half.terminated).tolist() == [1, 6]
    assert half.spec.horizon == 10
    np.testing.assert_array_equal(half.state[:3], d.state[:5:2])
    np.testing.assert_array_equal(half.intents["agents"][3:], d.intents["agents"][5::2])


def test_steps_cannot_be_resampled():
    with pytest.raises(UserError, match=r"\['actions', 'rewards', 'legal'\], which describe"):
        everything().resample(5.0)
    with pytest.raises(UserError, match="rate in Hz above 0"):
        tracks().resample(0.0)
