import numpy as np
import pytest
from tracking_files import OTHER_SCENE, SCENE, pickled_scenes, scenes, walk

from understudy.data.readers import guess, read
from understudy.types import UserError


def test_two_scenes_as_documented(tmp_path):
    d = read("scenes", scenes(tmp_path / "score.npz"))
    assert d.starts.tolist() == [0, 30, 55]
    assert [(g.name, g.agents) for g in d.spec.groups] == [("player", 10), ("ball", 1)]
    assert (d.rate, d.unit) == (25 / 3, "ft")
    assert d.labels["episode"].tolist() == [SCENE, OTHER_SCENE]
    assert d.labels["game"].tolist() == ["0029900001", "0029900002"]
    np.testing.assert_array_equal(d.features["ball"][:30, 0], walk(30, 11)[:, 0].astype("f4"))
    np.testing.assert_array_equal(d.features["player"][:30], walk(30, 11)[:, 1:].astype("f4"))
    assert d.agent_labels["id"]["player"][1].tolist() == [str(i) for i in range(200, 210)]
    assert d.agent_labels["team"]["player"][0].tolist() == ["home"] * 5 + ["visitor"] * 5


def test_absent_agents_are_nan_and_columns_may_be_grouped(tmp_path):
    xy = walk(8, 3)
    xy[:2, 1] = np.nan
    path = tmp_path / "herd.npz"
    np.savez(path, xy_m=xy, group=np.array(["dog", "sheep", "sheep"]), rate=np.array(2.0))
    d = read("scenes", path)
    assert (d.rate, d.unit, d.spec.names) == (2.0, "m", ("dog", "sheep"))
    assert d.alive["sheep"][:, 0].tolist() == [False] * 2 + [True] * 6
    assert (d.features["sheep"][:2, 0] == 0).all()
    assert d.labels["episode"].tolist() == ["herd#0"]


def test_parts_of_a_unit_court_become_feet(tmp_path):
    players = np.full((5, 10, 2), 0.5, np.float32)
    ball = np.full((5, 3), 0.25, np.float32)
    stops = np.array([-1, 1, 5])  # last rows of the examples; the last one is off by one
    path = tmp_path / "unit.npz"
    np.savez(path, player_coords=players, ball_coords=ball, example_stop_idxs=stops)
    d = read("scenes", path)
    assert (d.rate, d.unit, d.starts.tolist()) == (5.0, "ft", [0, 2, 5])
    assert d.features["player"][0, 0].tolist() == [47, 25]
    assert d.features["ball"][0, 0].tolist() == [23.5, 12.5]


def test_a_pickled_dict_holds_the_same_keys(tmp_path):
    path = pickled_scenes(tmp_path / "walks.pkl")
    d = read("scenes", path)
    assert (d.rate, d.unit, d.starts.tolist()) == (2.5, "m", [0, 5, 12])
    np.testing.assert_array_equal(d.features["agents"], walk(12, 3).astype("f4"))
    assert guess(path) == "scenes"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xy_ft": None}, "expected one of the keys xy_ft"),
        ({"xy_ft": np.zeros((55, 11, 3))}, r"shape \(frames, agents, 2\)"),
        ({"xy_ft": np.full((55, 11, 2), np.inf)}, "expected finite positions"),
        ({"xy_ft": np.full((55, 11, 2), 1e300)}, "expected finite positions"),
        ({"scene_start": np.array([0, 30, 60])}, "rise from 0 to the 55 frames"),
        ({"scene_start": np.array([0, 30, 30, 55])}, "an empty scene"),
        ({"scene_start": np.array([0.0, 55.0])}, "whole numbers"),
        ({"agent_ids": np.zeros((2, 10), int)}, r"expected agent_ids of shape \(2, 11\)"),
        ({"scene_name": np.array([SCENE, SCENE])}, "appears twice"),
        ({"rate": np.array(10.0)}, "expected one rate"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read("scenes", scenes(tmp_path / "s.npz", **changes), rate=8.333)


def test_object_arrays_are_never_unpickled(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, xy_ft=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="never loaded"):
        read("scenes", path)


def test_same_names_from_two_files_get_their_file_in_front(tmp_path):
    paths = [scenes(tmp_path / "score.npz"), scenes(tmp_path / "rebound.npz")]
    d = read("scenes", paths)
    assert d.labels["episode"].tolist()[::2] == [f"score/{SCENE}", f"rebound/{SCENE}"]
