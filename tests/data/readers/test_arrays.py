"""The two array formats of basketball: STATS and GroupNet / LED."""

import numpy as np
import pytest
from tracking_files import groupnet, stats, walk

from understudy.data.readers import guess, read
from understudy.types import UserError


def test_stats_columns_are_ball_offence_defence(tmp_path):
    said = []
    path = stats(tmp_path / "bball.npz")
    d = read("stats_npz", path, say=said.append)
    assert guess(path) == "stats_npz"
    assert d.spec.names == ("offence", "defence", "ball")
    assert (d.rate, d.unit, d.starts.tolist()) == (5.0, "ft", [0, 50, 100, 150])
    assert said == ["the format does not say its rate; taken as 5 Hz"]
    truth = walk(50, 11).astype("f4")
    np.testing.assert_array_equal(d.features["ball"][:50], truth[:, :1])
    np.testing.assert_array_equal(d.features["offence"][:50], truth[:, 1:6])
    np.testing.assert_array_equal(d.features["defence"][:50], truth[:, 6:])


def test_stats_columns_in_another_order(tmp_path):
    order = ("defence", "offence", "ball")
    d = read("stats_npz", stats(tmp_path / "b.npz"), rate=6, order=order)
    truth = walk(50, 11).astype("f4")
    assert d.rate == 6
    np.testing.assert_array_equal(d.features["ball"][:50], truth[:, 10:])
    np.testing.assert_array_equal(d.features["defence"][:50], truth[:, :5])
    with pytest.raises(UserError, match="once each"):
        read("stats_npz", tmp_path / "b.npz", order=("ball", "offence"))


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 50, 21)), np.zeros((2, 22)), np.zeros((0, 50, 22)), np.zeros((2, 50, 22), int)],
)
def test_stats_of_another_shape_is_refused(tmp_path, array):
    np.savez(tmp_path / "b.npz", data=array)
    with pytest.raises(UserError, match=r"expected (an array 'data'|real numbers)"):
        read("stats_npz", tmp_path / "b.npz")


@pytest.mark.parametrize(("time", "rate"), [(30, 5.0), (15, 2.5)])
def test_groupnet_has_the_ball_last(tmp_path, time, rate):
    path = groupnet(tmp_path / "test.npy", time=time)
    d = read("groupnet", path)
    assert guess(path) == "groupnet"
    assert (d.rate, d.unit, d.spec.names) == (rate, "ft", ("player", "ball"))
    truth = walk(time, 11, seed=1).astype("f4")
    np.testing.assert_array_equal(d.features["player"][time : 2 * time], truth[:, :10])
    np.testing.assert_array_equal(d.features["ball"][time : 2 * time], truth[:, 10:])
    assert d.agent_labels["team"]["player"][0, [0, 9]].tolist() == ["home", "visitor"]


def test_groupnet_of_another_length_needs_a_rate(tmp_path):
    path = groupnet(tmp_path / "a.npy", time=20)
    with pytest.raises(UserError, match="give rate=HZ"):
        read("groupnet", path)
    assert read("groupnet", path, rate=4).rate == 4


def test_pickled_and_truncated_arrays_are_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([None, {}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="never loaded"):
        read("groupnet", tmp_path / "objects.npy")
    whole = groupnet(tmp_path / "whole.npy").read_bytes()
    (tmp_path / "part.npy").write_bytes(whole[:-8])
    with pytest.raises(UserError, match="expected 7920 bytes for shape"):
        read("groupnet", tmp_path / "part.npy")
