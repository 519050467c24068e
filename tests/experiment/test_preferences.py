"""Blind studies: sides are drawn and undone, votes are counted, sheets are checked."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from algorithms.little_plays import straight
from understudy import cli
from understudy.experiment.generate import Plays
from understudy.experiment.preferences import KEY, SHEET, Preference, count, prepare
from understudy.types import UserError

TRUTH = straight(episodes=4)


def plays(shift=0.0, truth=TRUTH):
    drawn = truth.features["agents"].reshape(len(truth), 6, 2, 2)[:, None, 3:] + np.float32(shift)
    return Plays(truth, {"agents": drawn}, None, 3)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "pairs"
    return prepare({"ours": plays(), "theirs": plays(0.5)}, out, pairs=3, seed=1, speed=5)


def answer(study, path, choices):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["pair", "choice"])
        rows.writerows(enumerate(choices, 1))
    return path


def test_a_study_is_animations_a_sheet_and_a_key(study):
    names = sorted(path.name for path in study.iterdir())
    assert names == [SHEET, "how.txt", KEY, "pair_01.gif", "pair_02.gif", "pair_03.gif"]
    assert (study / SHEET).read_text() == "pair,choice\n1,\n2,\n3,\n"
    kept = json.loads((study / KEY).read_text())
    assert len(set(kept["scenes"])) == 3
    assert set(kept["left"]) <= {"ours", "theirs"}
    shown = b"".join((study / f"pair_0{i}.gif").read_bytes() for i in (1, 2, 3))
    assert b"ours" not in shown


def test_votes_count_for_models_and_not_for_sides(study, tmp_path):
    left = json.loads((study / KEY).read_text())["left"]
    ours = ["left" if name == "ours" else "right" for name in left]
    theirs = ["right" if side == "left" else "left" for side in ours]
    first = answer(study, tmp_path / "a.csv", ours)
    second = answer(study, tmp_path / "b.csv", [ours[0], "tie", theirs[2]])
    found = count(study, [first, second])
    assert found.votes.tolist() == [[1, 1], [1, 0], [1, -1]]
    assert (found.wins, found.ties, found.losses) == (2, 1, 0)
    assert found.gain == pytest.approx(0.5)
    assert found.p == pytest.approx(stats.ttest_1samp([1.0, 0.5, 0.0], 0.0).pvalue)
    assert "ours against theirs, 3 comparisons, 2 raters: won 2, tied 1, lost 0" in str(found)


def test_a_published_kind_of_table_comes_out():
    """14 raters, 25 comparisons all won by 11 votes to 3: 25 / 0 / 0 with a gain of 0.57."""
    votes = np.tile(np.repeat([1, -1], [11, 3]), (25, 1))
    found = Preference(("ours", "theirs"), votes)
    assert (found.wins, found.ties, found.losses) == (25, 0, 0)
    assert round(found.gain, 2) == 0.57
    assert found.p == 0.0
    assert Preference(("a", "b"), np.zeros((4, 2))).p == 1.0


def test_sheets_that_are_not_answered_are_refused(study, tmp_path):
    with pytest.raises(UserError, match="found other answers for 1, 2, 3; fill in the sheet"):
        count(study)
    with pytest.raises(UserError, match="found other answers for 2"):
        count(study, [answer(study, tmp_path / "a.csv", ["left", "both", "tie"])])
    with pytest.raises(UserError, match="pairs that there are not"):
        count(study, [answer(study, tmp_path / "b.csv", ["left"] * 4)])
    with pytest.raises(UserError, match="found no file"):
        count(study, [tmp_path / "none.csv"])
    with pytest.raises(UserError, match="prepare one first"):
        count(tmp_path)


def test_models_of_other_scenes_are_refused(tmp_path):
    other = straight(episodes=4, seed=3)
    names = np.array([f"other-{i}" for i in range(4)])
    other = dataclasses.replace(other, labels={"episode": names, "source": names})
    with pytest.raises(UserError, match="plays of the same scenes"):
        prepare({"a": plays(), "b": plays(truth=other)}, tmp_path / "out")
    with pytest.raises(UserError, match="plays of two models"):
        prepare({"a": plays()}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_prepares_and_counts(tmp_path, capsys):
    for name, shift in (("ours", 0.0), ("theirs", 0.3)):
        plays(shift).save(tmp_path / name)
    words = f"{tmp_path}/ours {tmp_path}/theirs --pairs 2 --out {tmp_path}/study --speed 5"
    assert cli.main(["study", "prepare", *words.split()]) == 0
    assert "give raters everything but key.json" in capsys.readouterr().out
    sheet = answer(tmp_path / "study", tmp_path / "a.csv", ["left", "tie"])
    assert cli.main(f"study count {tmp_path}/study --answers {sheet} --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["models"] == ["ours", "theirs"]
    assert found["tied"] == 1
    assert cli.main(["study", "prepare", *words.split()]) == 2
    assert "already exists" in capsys.readouterr().err
