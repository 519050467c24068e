import numpy as np
import pytest
from small_sets import assert_same, everything, tracks

from understudy.data import concatenate
from understudy.types import UserError


def test_groups_merge_with_the_named_features():
    d = tracks()
    merged = d.regroup({"agents": ("ball", "player")}, ("x", "y"))
    assert merged.spec["agents"].agents == 4
    assert merged.spec["agents"].features == ("x", "y")
    np.testing.assert_array_equal(merged.features["agents"][:, 0], d.features["ball"][:, 0, :2])
    np.testing.assert_array_equal(merged.features["agents"][:, 1:], d.features["player"])
    assert merged.agent_labels["id"]["agents"][0].tolist() == ["ball", "p0", "p1", "p2"]


def test_groups_not_named_are_dropped_and_unlike_ones_do_not_merge():
    d = tracks()
    assert d.regroup({"team": ("player",)}).spec.names == ("team",)
    with pytest.raises(UserError, match="groups of equal observation"):
        d.regroup({"agents": ("player", "ball")})
    with pytest.raises(UserError, match="'visitor'"):
        d.regroup({"agents": ("visitor",)})
    with pytest.raises(UserError, match=r"features \['z'\] in group 'player'"):
        d.regroup({"player": ("player",)}, ("z",))


def test_agents_take_the_order_of_their_ids():
    d = tracks(lengths=(2, 3))
    mixed = d.agent_labels["id"]["player"].copy()
    mixed[1] = ["p2", "p0", "p1"]
    d = d.replace(agent_labels={"id": {**d.agent_labels["id"], "player": mixed}})
    ordered = d.reorder("player", ["p2", "p1", "p0"])
    x, y = d.features["player"], ordered.features["player"]
    np.testing.assert_array_equal(y[:2], x[:2][:, [2, 1, 0]])
    np.testing.assert_array_equal(y[2:], x[2:][:, [0, 2, 1]])
    assert ordered.agent_labels["id"]["player"].tolist() == [["p2", "p1", "p0"]] * 2
    np.testing.assert_array_equal(ordered.features["ball"], d.features["ball"])


def test_reordering_names_the_episode_whose_agents_are_others():
    d = tracks(lengths=(2, 3))
    ids = d.agent_labels["id"]["player"].astype("U8")
    ids[1, 0] = "stranger"
    d = d.replace(agent_labels={"id": {**d.agent_labels["id"], "player": ids}})
    with pytest.raises(UserError, match=r"found \['stranger', 'p1', 'p2'\] in episode 'e1'"):
        d.reorder("player", ["p0", "p1", "p2"])
    with pytest.raises(UserError, match="agent label 'id'"):
        d.replace(agent_labels={}).reorder("player", ["p0"])
    with pytest.raises(UserError, match="in episode 'e0'"):
        d.reorder("player", ["p0", "p1"])


def test_slots_that_are_never_used_vanish_when_reordering():
    d = tracks(lengths=(2,), players=2)
    ids = np.asarray([["", "p1"]])
    alive = {**d.alive, "player": np.asarray([[False, True]] * 2)}
    features = {**d.features, "player": d.features["player"] * alive["player"][..., None]}
    d = d.replace(agent_labels={"id": {"player": ids}}, alive=alive, features=features)
    assert d.reorder("player", ["p1"]).spec["player"].agents == 1


def test_joining_undoes_cutting():
    d = everything(lengths=(5, 9, 3))
    assert_same(concatenate([d[:1], d[1:2], d[2:]]), d)


def test_joining_pads_to_the_larger_capacity():
    a, b = tracks(lengths=(4,), players=2), tracks(lengths=(3,), players=3, seed=1)
    b = b.replace(labels={**b.labels, "episode": np.asarray(["other"]), "city": np.asarray(["X"])})
    both = concatenate([a, b])
    assert both.spec["player"].agents == 3
    assert both.alive["player"].sum(1).tolist() == [2] * 4 + [3] * 3
    assert both.agent_labels["id"]["player"][0].tolist() == ["p0", "p1", ""]
    assert both.labels["city"].tolist() == ["", "X"]


def test_joining_refuses_what_differs():
    d = tracks()
    other = d.replace(labels={**d.labels, "episode": np.asarray(["a", "b", "c"])})
    for change, words in (
        ({"rate": 2.0}, "rate in Hz"),
        ({"unit": "m"}, "same unit"),
        ({"context": {"goal": np.zeros((3, 2))}}, "surroundings"),
        ({"rewards": {n: a.astype(np.float32) for n, a in d.alive.items()}}, "recorded fields"),
    ):
        with pytest.raises(UserError, match=words):
            concatenate([d, other.replace(**change)])
    with pytest.raises(UserError, match="repeated"):
        concatenate([d, d])
