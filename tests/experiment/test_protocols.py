import dataclasses

import numpy as np
import pytest
from walkers import tracks

from understudy.experiment.protocols import (
    PROTOCOLS,
    Protocol,
    bounds_of,
    choose,
    cut,
    horizons,
    scored_groups,
    thin,
)
from understudy.types import Group, Spec, UserError


def test_published_protocols_hold_the_published_numbers():
    """Observed and predicted rows, rate and unit as their papers' readmes state them."""
    found = {n: (p.observed, p.horizon, p.rate, p.unit) for n, p in PROTOCOLS.items()}
    assert found["eth_ucy"] == (8, 12, 2.5, "m")
    assert found["groupnet"] == (10, 20, 5.0, "m")
    assert found["socialvae"] == (8, 12, pytest.approx(8.3333, abs=1e-3), "ft")
    assert found["halfcourt"] == (10, 40, 5.0, "ft")
    assert PROTOCOLS["eth_ucy"].least == 2
    assert all(PROTOCOLS[name].name == name for name in PROTOCOLS)


def test_without_a_protocol_a_fifth_of_the_training_window_is_observed():
    protocol = choose(None, 50, ("player",))
    assert (protocol.observed, protocol.horizon) == (10, 40)
    assert protocol.stride == 50
    assert protocol.predicted == ("player",)


@pytest.mark.parametrize("wrong", ["socialvea", None])
def test_an_unknown_protocol_is_refused_with_the_known_ones(wrong):
    with pytest.raises(UserError, match="eth_ucy"):
        choose(wrong)


def test_a_protocol_without_a_horizon_is_refused():
    with pytest.raises(UserError, match="at least 1"):
        Protocol("bad", 8, 0)


SPEC = Spec((Group("player", 10, 2), Group("ball", 1, 2)))


def test_neighbours_are_seen_and_not_scored():
    assert scored_groups(SPEC, PROTOCOLS["socialvae"]) == ("player",)
    assert scored_groups(SPEC, PROTOCOLS["groupnet"]) == ("player", "ball")


def test_a_protocol_that_scores_an_absent_group_is_refused():
    with pytest.raises(UserError, match="regroup"):
        scored_groups(SPEC, PROTOCOLS["halfcourt"])
    with pytest.raises(UserError, match="no group"):
        scored_groups(Spec((Group("ball", 1, 2),)), PROTOCOLS["socialvae"])


def test_windows_are_counted_by_hand():
    """6 episodes of 30 rows, windows of 15: 16 each at stride 1, 2 each at stride 15."""
    demonstrations = tracks()
    assert len(cut(demonstrations, Protocol("toy", 5, 10))) == 6 * 16
    assert len(cut(demonstrations, Protocol("toy", 5, 10, stride=15))) == 6 * 2


def test_a_window_needs_its_agents_throughout():
    """In 3 of 6 episodes one of 3 agents leaves at row 15: only the first window keeps three."""
    demonstrations = tracks(gap=True)
    assert len(cut(demonstrations, Protocol("toy", 5, 10, least=3))) == 3 * 16 + 3 * 1


@pytest.mark.parametrize(
    ("field", "value", "words"), [("rate", 25.0, "resample"), ("unit", "m", "unit")]
)
def test_another_rate_or_unit_is_refused(field, value, words):
    protocol = dataclasses.replace(Protocol("toy", 5, 10), **{field: value})
    with pytest.raises(UserError, match=words):
        cut(tracks(), protocol)


def test_too_long_a_protocol_is_refused():
    with pytest.raises(UserError, match="31 rows"):
        cut(tracks(), Protocol("toy", 10, 21))


def test_a_subset_is_drawn_once_by_the_seed():
    whole = np.arange(1000)
    some = thin(whole, 50, seed=3)
    assert len(some) == 50
    assert len(set(some.tolist())) == 50
    assert (np.diff(some) > 0).all()
    np.testing.assert_array_equal(some, thin(whole, 50, seed=3))
    assert not np.array_equal(some, thin(whole, 50, seed=4))
    assert thin(whole, None, seed=3) is whole


def test_bounds_come_from_the_protocol_then_from_the_data():
    demonstrations = tracks()
    assert bounds_of(demonstrations, PROTOCOLS["socialvae"]) == ((0.0, 0.0), (94.0, 50.0))
    assert bounds_of(demonstrations, Protocol("toy", 5, 10)) == ((0.0, 0.0), (40.0, 40.0))
    assert bounds_of(demonstrations.replace(context={}), Protocol("toy", 5, 10)) is None


def test_horizons_are_whole_seconds_and_the_last_row():
    assert horizons(PROTOCOLS["groupnet"], 5.0) == (5, 10, 15, 20)
    assert horizons(PROTOCOLS["socialvae"], 25 / 3) == (8, 12)
    assert horizons(Protocol("short", 2, 3), 10.0) == (3,)
