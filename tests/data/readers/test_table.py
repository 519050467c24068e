import numpy as np
import pytest
from tracking_files import crowds, ngs, ngs_rows, sdd, walk

from understudy.data.readers import guess, read
from understudy.types import UserError


@pytest.mark.parametrize("name", ["plays.parquet", "raw.tsv.gz"])
def test_ngs_plays(tmp_path, name):
    said = []
    path = ngs(tmp_path / name)
    d = read("table", path, say=said.append)
    assert guess(path) == "table"
    assert said == ["columns recognised as preset ngs"]
    assert (d.rate, d.unit, d.starts.tolist()) == (10.0, "yd", [0, 8, 16])
    assert [(g.name, g.agents) for g in d.spec.groups] == [("player", 22), ("ball", 1)]
    np.testing.assert_array_equal(
        d.features["player"][8:], walk(8, 23, seed=1)[:, :22].astype("f4")
    )
    np.testing.assert_array_equal(d.features["ball"][8:], walk(8, 23, seed=1)[:, 22:].astype("f4"))
    assert d.labels["episode"].tolist() == ["2019120000_100", "2019120001_101"]
    assert d.labels["game"].tolist() == ["2019120000", "2019120001"]
    assert d.agent_labels["id"]["player"][0, :2].tolist() == ["5000", "5001"]
    assert d.agent_labels["team"]["player"][0].tolist() == ["home"] * 11 + ["visitor"] * 11
    assert d.agent_labels["kind"]["player"][0, 0] == "QB"


def test_a_row_logged_twice_is_read_once_and_one_that_contradicts_is_refused(tmp_path):
    columns = ngs_rows(plays=1)
    for values in columns.values():
        values.append(values[3])
    said = []
    path = ngs(tmp_path / "plays.parquet", columns)
    d = read("table", path, say=said.append)
    assert d.alive["player"].all()
    assert said[1] == "plays.parquet: 1 rows that repeat another left out"
    columns["x"][-1] += 1.0
    ngs(path, columns)
    with pytest.raises(UserError, match=r"second row in .*frame 3, agent 5000"):
        read("table", path)


def test_sdd_centres_without_lost_boxes(tmp_path):
    path = sdd(tmp_path / "video7.txt.gz")
    d = read("table", path)
    assert guess(path) == "table"
    assert (d.rate, d.unit, d.starts.tolist()) == (30.0, "px", [0, 5, 11])  # all lost in row 5
    assert d.features["agents"][0, 0].tolist() == [2, 7]  # centre of (0, 5, 4, 9)
    assert d.alive["agents"].sum(0).tolist() == [11, 8, 11]
    assert d.agent_labels["kind"]["agents"][0, 0] == "Biker"
    assert d.labels["game"].tolist() == ["video7", "video7"]


def test_crowds_with_goals_and_obstacles(tmp_path):
    d = read("table", crowds(tmp_path))
    assert (d.rate, d.unit, d.starts.tolist()) == (12.5, "m", [0, 10, 16])
    assert d.labels["episode"].tolist() == ["GC_0-1", "UCY_0-1"]
    assert d.agent_labels["id"]["agents"].tolist() == [["7", "9", "4", ""], ["7", "", "", ""]]
    assert d.context["goals"][0].tolist() == [[27, 30], [29, 30], [24, 30], [0, 0]]
    assert d.context["obstacles"].shape == (2, 2, 2)
    assert d.context["obstacles_known"].tolist() == [[True, True], [False, False]]


def test_columns_of_any_name_split_by_episode_and_group(tmp_path):
    path = tmp_path / "mine.csv"
    lines = ["t,who,px,py,trial,sort"]
    for trial in ("a", "b"):
        for t in range(4):
            lines.append(f"{0.1 * t:.1f},dog,{t},0,{trial},dog")
            lines.append(f"{0.1 * t:.1f},ann,0,{t},{trial},person")
            if t != 2:
                lines.append(f"{0.1 * t:.1f},ball,5,,{trial},ball" if t else "0.0,ball,5,5,a,ball")
    lines = list(dict.fromkeys(lines))
    path.write_text("\n".join(lines) + "\n")
    names = {
        "frame": "t",
        "agent": "who",
        "x": "px",
        "y": "py",
        "episode": "trial",
        "group": "sort",
    }
    d = read("table", path, columns=names, rate=10, unit="m")
    assert d.spec.names == ("dog", "person", "ball")
    assert d.starts.tolist() == [0, 4, 8]
    assert d.labels["episode"].tolist() == ["a", "b"]
    assert d.alive["ball"][:, 0].tolist() == [True] + [False] * 7
    assert d.features["person"][:4, 0].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected a column 'frame'"),
        ("frame,agent,x,y\n0,1,far,2\n", "numbers in column 'x'"),
        ("frame,agent,x,y\n,1,2,2\n", "expected a frame in row 1"),
        ("frame,agent,x,y\n0,,2,2\n", "expected an agent in every row"),
        ("frame,agent,x,y\n0,1,inf,2\n", "expected finite positions"),
        ("frame,agent,x,y\n0,1,2\n", "expected a table"),
        ("frame,agent,x,y\n0,1,,\n", "expected rows with positions"),
        ("frame,agent,x,x,y\n0,1,1,1,1\n", "of different names"),
        ("", "empty file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read("table", path, rate=1)


def test_unknown_roles_and_presets_are_refused(tmp_path):
    path = ngs(tmp_path / "plays.parquet")
    with pytest.raises(UserError, match="expected columns among"):
        read("table", path, columns={"colour": "x"})
    with pytest.raises(UserError, match="expected a preset among"):
        read("table", path, preset="mls")
