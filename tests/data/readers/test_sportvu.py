import copy
import json

import numpy as np
import pytest
from tracking_files import TEAMS, game, moment, sportvu, walk

from understudy.data.readers import guess, read
from understudy.types import UserError

TRACKS = walk(100, 11)


def moments(count=100):
    return [moment(t, TRACKS[t]) for t in range(count)]


@pytest.mark.parametrize("ending", [".json", ".json.gz", ".7z"])
def test_a_game_in_every_wrapping(tmp_path, ending):
    path = sportvu(tmp_path / f"game{ending}")
    d = read("sportvu", path)
    assert guess(path) == "sportvu"
    assert (d.rate, d.unit, d.starts.tolist()) == (25.0, "ft", [0, 60])
    assert [(g.name, g.agents) for g in d.spec.groups] == [("player", 10), ("ball", 1)]
    truth = walk(60, 11).astype("f4")
    np.testing.assert_array_equal(d.features["player"], truth[:, 1:])
    np.testing.assert_array_equal(d.features["ball"], truth[:, :1])
    assert d.labels["episode"].tolist() == ["0029900001_1_700.00_697.64"]
    assert (d.labels["game"].tolist(), d.labels["period"].tolist()) == (["0029900001"], ["1"])
    assert d.agent_labels["team"]["player"][0].tolist() == ["home"] * 5 + ["visitor"] * 5


def broken():
    """A game with every known defect, whose sound moments are rows 0..99."""
    good = moments()
    short = copy.deepcopy(good[10])
    short[1] += 5
    short[5] = short[5][:9]
    no_ball = copy.deepcopy(good[11])
    no_ball[1] += 5
    no_ball[5][0][:2] = [TEAMS[0], 1234]
    frozen = copy.deepcopy(good[20])
    frozen[1] += 40  # unix time runs, the clock does not
    back = good[30]
    back[1] -= 60_000
    for one in good[40:50]:
        one[3] = None  # no shot clock
    shuffled = good[60]
    shuffled[5] = shuffled[5][::-1]  # rows of a moment in another order
    listed = [*good[:12], short, no_ball, [], *good[12:21], frozen, *good[21:70]]
    log = game(listed)
    log["events"].append({**log["events"][0], "eventId": "2", "moments": good[50:]})  # overlap
    log["events"].append({**log["events"][0], "eventId": "3", "moments": []})
    return log


def test_every_known_defect_is_left_out_and_counted(tmp_path):
    said = []
    d = read("sportvu", sportvu(tmp_path / "game.json", broken()), say=said.append)
    assert d.starts.tolist() == [0, 100]
    np.testing.assert_array_equal(d.features["player"], TRACKS[:, 1:].astype("f4"))
    np.testing.assert_array_equal(d.features["ball"], TRACKS[:, :1].astype("f4"))
    assert said == [
        "game.json: 1 runs, 100 moments; left out: 1 malformed, 1 without eleven rows, "
        "1 without a ball or not five against five, 20 repeated, 1 with the clock stopped"
    ]


def test_substitutions_pauses_and_periods_end_runs(tmp_path):
    log = moments()
    for one in log[40:]:
        one[5][3][1] = 7777  # a substitution
    for one in log[60:]:
        one[1] += 30_000  # a dead ball: unix time passes, the clock goes on after it
    for one in log[80:]:
        one[0], one[2] = 2, one[2] + 20
    log += [moment(200, TRACKS[0], clock=650.0)]  # a run of one moment
    said = []
    path = sportvu(tmp_path / "game.json", game(log))
    d = read("sportvu", path, shortest=0.5, say=said.append)
    assert d.starts.tolist() == [0, 40, 60, 80, 100]
    assert d.labels["period"].tolist() == ["1", "1", "1", "2"]
    assert "1 in runs that are too short" in said[0]
    assert d.agent_labels["id"]["player"][:, 2].tolist() == ["1002", "7777", "7777", "7777"]


def test_a_game_without_moments_is_one_clear_sentence(tmp_path):
    path = sportvu(tmp_path / "empty.json", game([], events=466))
    with pytest.raises(UserError, match=r"empty.json has 466 events and no usable moments"):
        read("sportvu", path)


def test_bad_games_among_good_ones_are_left_out_and_said(tmp_path):
    sportvu(tmp_path / "a.json", game([]))
    (tmp_path / "b.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(26))
    sportvu(tmp_path / "c.7z")
    said = []
    d = read("sportvu", tmp_path, say=said.append)
    assert d.starts.tolist() == [0, 60]
    assert said[1:] == [
        "left out: a.json has 1 events and no usable moments",
        "left out: b.7z is an empty archive; fetch it again",
    ]
    with pytest.raises(UserError, match=r"b.7z is an empty archive"):
        read("sportvu", tmp_path / "b.7z")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"events": 3}', '{"events": [3]}', "[" * 100_000, '{"events": [{}]}']
)
def test_other_json_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError):
        read("sportvu", path)


def test_moments_of_wrong_types_are_counted_not_raised(tmp_path):
    log = moments(40)
    log[3][2] = "late"
    log[4][5][2][2] = None
    log[5][5] = "rows"
    log[6][1] = 10**400
    path = tmp_path / "x.json"
    path.write_text(json.dumps(game(log)))
    with pytest.raises(UserError, match="numbers of usual size"):
        read("sportvu", path, shortest=0.0)
    log[6][1] = 1e300
    path.write_text(json.dumps(game(log)))
    d = read("sportvu", path, shortest=0.0)
    assert d.starts.tolist() == [0, 3, 36]  # 3, 4, 5 and 6 are left out
