"""Sets as people have them on their first day."""

from typing import Any

import numpy as np
import pytest
from small_sets import assert_same, everything, tracks

from understudy.data import check, load, save, statistics, windows
from understudy.data.actions import encode_actions
from understudy.data.sampling import gather, rows
from understudy.types import ActionSpec, UserError


def test_one_agent(tmp_path):
    d = tracks(players=1).regroup({"player": ("player",)})
    save(d, tmp_path / "set")
    assert_same(load(tmp_path / "set"), d)
    batch = gather(rows(d), windows(d, 3), np.arange(2))
    assert batch.observation.features["player"].shape == (2, 3, 1, 2)
    assert np.isfinite(statistics(d).std["player"]).all()


def test_one_episode(tmp_path):
    d = tracks(lengths=(6,))
    save(d, tmp_path / "set")
    assert len(windows(load(tmp_path / "set"), 6)) == 1
    with pytest.raises(UserError, match=r"at least 3 values of the label 'game', .* found 1"):
        d.split()


def test_an_episode_shorter_than_a_window_is_named_skipped_and_counted():
    found = windows(tracks(lengths=(5, 2, 9, 3)), 4)
    assert found.skipped == ("e1", "e3")
    assert set(found.episode.tolist()) == {0, 2}
    assert str(found) == (
        "8 windows of 4 rows, agents player 3, ball 1; skipped 2 episodes shorter than that: e1, e3"
    )
    with pytest.raises(
        UserError, match=r"windows of 10 rows .* at most 9 rows; shorten the window"
    ):
        windows(tracks(lengths=(5, 2, 9, 3)), 10)


def test_a_constant_feature_can_be_divided_by():
    d = tracks()
    x = {**d.features, "ball": d.features["ball"] * 0 + np.float32(3.05)}
    found = statistics(d.replace(features=x))
    assert found.std["ball"].tolist() == found.step_std["ball"].tolist() == [1, 1, 1]


def test_agents_in_another_order_than_the_env(tmp_path):
    d = everything()
    ids = np.asarray([["b", "a"]] * 3)
    d = d.replace(agent_labels={"id": {"agents": ids}})
    save(d, tmp_path / "set")
    ordered = load(tmp_path / "set").reorder("agents", ["a", "b"])
    for name in ("features", "alive", "actions", "rewards", "legal", "intents"):
        np.testing.assert_array_equal(
            getattr(ordered, name)["agents"], getattr(d, name)["agents"][:, ::-1]
        )


@pytest.mark.parametrize("form", ["integers", "one-hot"])
def test_integer_and_one_hot_actions(form):
    d, spec = tracks(lengths=(3, 2), players=2).regroup({"player": ("player",)}), ActionSpec((4,))
    choice = np.asarray([[0, 3], [1, 2], [0, 0], [3, 3], [0, 0]])
    logged = choice if form == "integers" else np.eye(4)[choice]
    actions = encode_actions(spec, logged, starts=d.starts, episodes=d.labels["episode"])
    group = d.spec["player"].__class__("player", 2, 2, spec)
    d = d.replace(spec=d.spec.__class__((group,)), actions={"player": actions})
    batch: Any = gather(rows(d), windows(d, 2), np.asarray([2]))
    assert batch.action["player"][0, :, :, 0].tolist() == [[3, 3], [0, 0]]
    assert batch.action_known["player"][0].tolist() == [[True, True], [False, False]]


def test_no_final_observation(tmp_path):
    # the log ends with an action whose result nobody wrote down: it is known all the same
    d = everything(lengths=(4,))
    d = d.replace(action_known={"agents": d.alive["agents"]})
    save(d, tmp_path / "set")
    again = load(tmp_path / "set")
    np.testing.assert_array_equal(again.known_actions()["agents"][-1], d.alive["agents"][-1])
    batch = gather(rows(again), windows(again, 4, agents="any"), np.asarray([0]))
    np.testing.assert_array_equal(
        batch.action_known["agents"][0, -1], batch.observation.alive["agents"][0, -1]
    )


def test_an_unknown_end_of_episode(tmp_path):
    d = everything().replace(terminated=None, truncated=None)
    save(d, tmp_path / "set")
    again = load(tmp_path / "set")
    assert again.terminated is None
    assert again.truncated is None
    batch = gather(rows(again), windows(again, 3, least=0), np.arange(3))
    assert batch.terminated.shape == batch.truncated.shape == (3, 3)
    assert not batch.terminated.any()
    assert not batch.truncated.any()


def test_a_single_row_is_an_episode(tmp_path):
    d = tracks(lengths=(1, 1, 1))
    save(d, tmp_path / "set")
    assert_same(load(tmp_path / "set"), d)
    assert len(windows(d, 1)) == 3
    assert check(d) == []
    assert statistics(d).step_std["player"].tolist() == [1, 1]
    assert d.resample(2.0).lengths.tolist() == [1, 1, 1]
