import numpy as np
import pytest
from small_sets import assert_same, everything, tracks

from understudy.types import UserError


def test_episodes_are_selected_by_number_slice_list_and_mask():
    d = tracks(lengths=(5, 9, 3))
    assert (len(d), d.frames, d.lengths.tolist()) == (3, 17, [5, 9, 3])
    assert d[1].lengths.tolist() == [9]
    assert d[-1].labels["episode"].tolist() == ["e2"]
    assert d[1:].starts.tolist() == [0, 9, 12]
    chosen = d[[2, 0]]
    np.testing.assert_array_equal(
        chosen.features["player"],
        np.concatenate([d.features["player"][14:17], d.features["player"][0:5]]),
    )
    assert chosen.agent_labels["id"]["player"].shape == (2, 3)
    assert_same(d[np.asarray([False, True, False])], d[1])
    assert len(d[:0]) == 0
    assert [part.frames for part in d] == [5, 9, 3]


def test_a_contiguous_selection_shares_memory():
    d = tracks()
    assert np.shares_memory(d[1:].features["player"], d.features["player"])


def test_every_field_follows_its_episode():
    d = everything(lengths=(5, 9, 3))
    part = d[[1]]
    np.testing.assert_array_equal(part.actions["agents"], d.actions["agents"][5:14])
    np.testing.assert_array_equal(part.state, d.state[5:14])
    np.testing.assert_array_equal(part.terminated, d.terminated[5:14])
    np.testing.assert_array_equal(part.context["goal"], d.context["goal"][1:2])


def test_repr_shows_shapes_and_no_values():
    text = repr(everything(lengths=(5, 9)))
    assert text == (
        "Demonstrations(2 episodes; 14 rows at 10 Hz; unit none; groups agents 2 x 4; with "
        "actions, rewards, legal, intents, state, terminated, truncated; labels episode, source)"
    )


def test_actions_are_known_where_alive_except_in_the_last_row():
    d = everything(lengths=(3, 2))
    known = d.known_actions()["agents"]
    inner = np.asarray([True, True, False, True, False])
    np.testing.assert_array_equal(known, d.alive["agents"] & inner[:, None])
    assert not tracks().known_actions()["player"].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: {"starts": np.asarray([0, 5, 5, 17])}, "drop empty episodes"),
        (lambda d: {"rate": 0.0}, "rate in Hz above 0"),
        (lambda d: {"features": {"player": d.features["player"]}}, "expected features of the gro"),
        (
            lambda d: {"features": {**d.features, "ball": d.features["ball"][:, :, :2]}},
            r"features\['ball'\] of shape \(17, 1, 3\)",
        ),
        (
            lambda d: {"alive": {**d.alive, "ball": d.alive["ball"].astype(np.int32)}},
            "type bool, found .* int32",
        ),
        (lambda d: {"labels": {"episode": d.labels["episode"]}}, "a label 'source'"),
        (lambda d: {"labels": {**d.labels, "game": np.asarray(["g"])}}, "3 values of 'game'"),
        (
            lambda d: {"labels": {**d.labels, "episode": np.asarray(["a", "b", "a"])}},
            r"found \['a'\] repeated",
        ),
        (lambda d: {"alive": {**d.alive, "ball": ~d.alive["ball"]}}, "0 where an agent of group"),
        (lambda d: {"intent_classes": 3}, "3 classes without intents"),
        (
            lambda d: {"agent_labels": {"id": {"ball": np.full((3, 2), "")}}},
            "agent label 'id' of 'ball'",
        ),
    ],
)
def test_invariants_are_checked_when_built(change, words):
    d = tracks()
    with pytest.raises(UserError, match=words):
        d.replace(**change(d))


def test_labels_select_and_unknown_ones_are_named():
    d = tracks(lengths=(3, 3, 3, 3))
    assert d.by(game="g1").labels["episode"].tolist() == ["e2", "e3"]
    assert d.by(game=["g0", "g1"], episode="e1").episodes == 1
    with pytest.raises(UserError, match="found 'team'"):
        d.by(team="home")
    with pytest.raises(UserError, match="found none"):
        d.by(game="g9")


def test_a_split_keeps_every_id_in_one_part():
    d = tracks(lengths=(3,) * 40)
    parts = d.split(by="game", fractions=(0.6, 0.2, 0.2), seed=3)
    games = [set(part.labels["game"]) for part in parts]
    assert not games[0] & games[1] | games[0] & games[2] | games[1] & games[2]
    assert sum(part.episodes for part in parts) == 40
    assert [part.episodes for part in parts] == [24, 8, 8]
    again = d.split(by="game", fractions=(0.6, 0.2, 0.2), seed=3)
    assert_same(parts.test, again.test)
    other = d.split(by="game", fractions=(0.6, 0.2, 0.2), seed=4)
    assert set(other.test.labels["game"]) != games[2]


def test_few_ids_still_reach_every_part_and_too_few_are_refused():
    d = tracks(lengths=(3,) * 6)
    assert [len(part) for part in d.split("game", (0.98, 0.01, 0.01))] == [2, 2, 2]
    even = tracks(lengths=(3,) * 8).split("game", (0.5, 0.5, 0.0))
    assert [len(part) for part in even] == [4, 4, 0]
    with pytest.raises(UserError, match="at least 3 values of the label 'source'"):
        d.split("source")
    with pytest.raises(UserError, match="sum to 1"):
        d.split("game", (0.5, 0.1, 0.1))


def test_blocks_hold_whole_episodes():
    d = tracks(lengths=(5, 9, 3, 2, 2))
    assert [block.lengths.tolist() for block in d.blocks(7)] == [[5], [9], [3, 2, 2]]
