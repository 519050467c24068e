import gzip
import io
import tarfile

import numpy as np
import pytest
from tracking_files import SCENE, basketball_text, frames_text, walk

from understudy.data.readers import frames, guess, read
from understudy.types import UserError


def put(path, text):
    path.write_text(text)
    return path


def test_tabs_or_spaces_with_agents_that_come_and_go(tmp_path):
    tracks = walk(12, 3)
    tracks[:4, 1] = np.nan
    for separator in ("\t", " ", "   "):
        path = put(tmp_path / "walk.txt", frames_text(tracks, separator=separator))
        d = read("frames", path, rate=2.5, unit="m")
        assert (d.rate, d.unit, d.starts.tolist()) == (2.5, "m", [0, 12])
        assert d.spec.names == ("agents",)
        order = [0, 2, 1]  # as they appear
        alive = ~np.isnan(tracks[:, order, 0])
        np.testing.assert_array_equal(d.alive["agents"], alive)
        expected = np.nan_to_num(tracks[:, order]).astype(np.float32)
        np.testing.assert_array_equal(d.features["agents"], expected)
        assert d.agent_labels["id"]["agents"].tolist() == [["1", "3", "2"]]
        assert d.labels["episode"].tolist() == ["walk"]


def test_rows_may_come_in_any_order(tmp_path):
    text = frames_text(walk(9, 2))
    lines = text.splitlines()
    forward = read("frames", put(tmp_path / "a.txt", text), rate=1)
    backward = read("frames", put(tmp_path / "b.txt", "\n".join(lines[::-1])), rate=1)
    assert backward.agent_labels["id"]["agents"].tolist() == [["2", "1"]]
    np.testing.assert_array_equal(forward.features["agents"], backward.features["agents"][:, ::-1])


def test_a_gap_ends_the_episode_and_keeps_the_game(tmp_path):
    tracks = walk(10, 2)
    tracks[6:8] = np.nan  # nobody for two frames
    said = []
    path = put(tmp_path / "street.txt", frames_text(tracks))
    d = read("frames", path, rate=2.5, say=said.append)
    assert d.starts.tolist() == [0, 6, 8]
    assert d.labels["episode"].tolist() == ["street#0", "street#1"]
    assert d.labels["game"].tolist() == ["street", "street"]
    assert said == ["frame gaps split the recordings 1 times; the pieces share the label game"]


def test_basketball_form_brings_rate_unit_groups_and_teams(tmp_path):
    tracks = walk(7, 11)
    d = read("frames", put(tmp_path / f"{SCENE}.txt", basketball_text(tracks)))
    assert [(g.name, g.agents, g.observation) for g in d.spec.groups] == [
        ("player", 10, 2), ("ball", 1, 2),
    ]  # fmt: skip
    assert (d.rate, d.unit) == (25 / 3, "ft")
    assert d.labels["game"].tolist() == ["0029900001"]
    np.testing.assert_array_equal(d.features["ball"][:, 0], tracks[:, 0].astype(np.float32))
    np.testing.assert_array_equal(d.features["player"], tracks[:, 1:].astype(np.float32))
    assert d.agent_labels["id"]["player"][0, :2].tolist() == ["99", "98"]
    assert d.agent_labels["team"]["player"][0].tolist() == ["home"] * 5 + ["visitor"] * 5


def test_archives_and_folders_hold_many(tmp_path):
    for name, agents in (("a", 2), ("b", 5)):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "one.txt", frames_text(walk(6, agents)))
    (tmp_path / "b" / "two.txt.gz").write_bytes(gzip.compress(frames_text(walk(4, 1)).encode()))
    d = read("frames", tmp_path, rate=1)
    assert d.labels["episode"].tolist() == ["a/one", "b/one", "b/two"]
    assert d.spec["agents"].agents == 8  # 2, 5 and 1 agents: the next of 4, 8, 16, ...
    assert d.alive["agents"].sum() == 6 * 2 + 6 * 5 + 4
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a" / "one.txt", "set/one.txt")
    packed = read("frames", tmp_path / "all.tar.gz", rate=1)
    assert packed.labels["source"].tolist() == ["set/one.txt"]
    assert guess(tmp_path / "all.tar.gz") == guess(tmp_path / "b") == "frames"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 2 3\n10 1 2\n", "found 3 columns in f.txt line 2"),
        ("0 1 2 3\n\n10 1 x 3\n", "expected a finite number for x, found 'x' in f.txt line 3"),
        ("0 1 2 nan\n", "expected a finite number for y, found 'nan' in f.txt line 1"),
        ("0 1 2 3\n10 1 2 3\n0 1.0 5 5\n", "second row in f.txt line 3"),
        ("0,1,2,3\n", "found 1 columns in f.txt line 1"),
        ("   \n\n", "found only blanks"),
        ("", "found an empty file"),
        ("0 1 2 3\0\n", "binary data"),
        (f"0 {'1' * 99} 2 3\n", "word of over 64 bytes in f.txt line 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read("frames", put(tmp_path / "f.txt", text), rate=1)


def test_rate_is_asked_for_and_must_be_one(tmp_path):
    a = put(tmp_path / "a.txt", frames_text(walk(5, 1)))
    b = put(tmp_path / "b.txt", frames_text(walk(5, 1), step=6))
    with pytest.raises(UserError, match="give rate=HZ"):
        read("frames", a)
    with pytest.raises(UserError, match=r"found 10 in a.txt and 6 in b.txt"):
        read("frames", [a, b], rate=1)
    with pytest.raises(UserError, match="expected a unit among"):
        read("frames", a, rate=1, unit="miles")
    with pytest.raises(UserError, match="no option colour"):
        read("frames", a, rate=1, colour="red")
    with pytest.raises(UserError, match="expected a reader among"):
        read("framez", a, rate=1)


def test_a_set_too_large_for_memory_is_refused_before_it_is_allocated(tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.data.readers.tracks.CELLS", 100)
    rows = "\n".join(f"{t} {t} 0 0" for t in range(50))
    with pytest.raises(UserError, match="2500 positions are too many"):
        read("frames", put(tmp_path / "f.txt", rows), rate=1)


def test_an_archive_that_unpacks_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.data.readers.files.LIMIT", 1000)
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(b"0 " * 10_000))
    with pytest.raises(UserError, match="unpacks to more than"):
        read("frames", tmp_path / "bomb.txt.gz", rate=1)


def test_an_empty_archive_is_refused(tmp_path):
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w").close()
    (tmp_path / "none.tar").write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match=r"expected files ending in .txt"):
        read("frames", tmp_path / "none.tar", rate=1)


def test_ids_may_be_names():
    episodes, step = frames.parse(b"0 anna 1 2\n0 bo 3 4\n1 anna 1 2\n", "f.txt")
    assert step == 1
    assert episodes[0].agents["id"] == {"agents": ["anna", "bo"]}
