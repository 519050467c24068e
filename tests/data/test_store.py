import hashlib
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sets import assert_same, everything, tracks

from understudy.data import Writer, describe, load, save, statistics, store
from understudy.data.statistics import from_json
from understudy.data.writer import checksum
from understudy.types import UserError


@pytest.fixture
def folder(tmp_path):
    save(everything(), tmp_path / "set")
    return tmp_path / "set"


def rewrite_meta(folder, **changes):
    """Change the description as a program would: with a new checksum."""
    path = folder / "meta.json"
    meta = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**meta, "checksum": checksum(meta)}))


def rewrite_shard(folder, change):
    """Change the columns of a shard and make every checksum agree with it."""
    path = folder / "data" / "00000.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    agree(folder, path.read_bytes())


def agree(folder, content):
    files = describe(folder)["files"]
    files["data/00000.parquet"] |= {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    rewrite_meta(folder, files=files)


@pytest.mark.parametrize("make", [everything, lambda: tracks(ragged=True)])
@pytest.mark.parametrize("resident_bytes", [2**30, 0])
def test_a_set_survives_the_disk_bit_for_bit(make, resident_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.data.scratch.SMALL_BYTES", 0)
    d = make()
    save(d, tmp_path / "set")
    again = load(tmp_path / "set", resident_bytes=resident_bytes)
    assert_same(d, again)
    mapped = isinstance(again.features[d.spec.names[0]], np.memmap)
    assert mapped == (resident_bytes == 0)


def test_a_mapped_set_is_cut_and_resampled_into_scratch_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.data.scratch.SMALL_BYTES", 0)
    monkeypatch.setattr("understudy.data.scratch.CHUNK_BYTES", 64)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    d = tracks(lengths=(5, 9, 3, 4), ragged=True)
    save(d, tmp_path / "set")
    mapped = load(tmp_path / "set", resident_bytes=0)
    part = mapped[[3, 0, 2]]
    assert isinstance(part.features["player"], np.memmap)
    assert_same(part, d[[3, 0, 2]])
    assert_same(mapped.resample(3.0), d.resample(3.0))
    assert isinstance(mapped.resample(3.0).features["player"], np.memmap)
    assert os.listdir(tmp_path) == ["set"], "scratch files have no name"


def test_the_description_says_what_is_inside(folder):
    meta = describe(folder)
    assert (meta["episodes"], meta["rows"], meta["shortest"], meta["longest"]) == (3, 17, 3, 9)
    assert meta["labels"] == {"episode": 3, "source": 1}
    assert meta["licence"] == "CC0"
    found, expected = from_json(meta["statistics"]), statistics(everything())
    np.testing.assert_array_equal(found.mean["agents"], expected.mean["agents"])
    np.testing.assert_array_equal(found.turn_std["agents"], expected.turn_std["agents"])


def test_polars_opens_it_as_it_is(folder):
    d = everything()
    table = polars.read_parquet(folder / "data" / "*.parquet")
    assert table.columns[:4] == ["episode", "step", "agents/0", "agents/1"]
    assert table["episode"].to_list() == [0] * 5 + [1] * 9 + [2] * 3
    assert table["step"].to_list() == [*range(5), *range(9), *range(3)]
    np.testing.assert_array_equal(table["agents/1"].to_numpy(), d.features["agents"][:, 1])
    np.testing.assert_array_equal(table["agents/1/alive"].to_numpy(), d.alive["agents"][:, 1])
    np.testing.assert_array_equal(table["agents/0/reward"].to_numpy(), d.rewards["agents"][:, 0])
    episodes = polars.read_parquet(folder / "episodes.parquet")
    assert episodes["label/episode"].to_list() == ["e0", "e1", "e2"]
    assert table.join(episodes, on="episode")["length"].to_list() == [5] * 5 + [9] * 9 + [3] * 3


def test_appending_in_any_portions_writes_the_same_set(tmp_path):
    d = everything(lengths=(5, 9, 3, 4, 4, 6))
    with Writer(tmp_path / "set", shard_bytes=600) as writer:
        writer.append(d[:1])
        writer.append(d[1:4])
        writer.append(d[4:])
    assert len(list((tmp_path / "set" / "data").iterdir())) > 2
    assert_same(load(tmp_path / "set"), d)


def write(folder, parts):
    with Writer(folder, shard_bytes=1) as writer:
        for part in parts:
            writer.append(part)


def test_appending_refuses_what_does_not_fit(tmp_path):
    d = tracks()
    rewarded = d.replace(rewards={n: a.astype("f4") for n, a in d.alive.items()})
    for parts, words in (
        ([d, d], "repeated"),
        ([d, rewarded], r"\['rewards'\] too in episode 'e0'"),
        ([tracks(players=2), tracks(players=3)], "append the widest"),
        ([d[:0]], "at least one episode"),
        ([], "at least one episode"),
    ):
        with pytest.raises(UserError, match=words):
            write(tmp_path / "set", parts)
    assert os.listdir(tmp_path) == []


def test_an_existing_folder_is_never_overwritten(folder):
    before = (folder / "meta.json").read_bytes()
    with pytest.raises(UserError, match="expected a new folder"):
        save(tracks(), folder)
    assert (folder / "meta.json").read_bytes() == before
    assert os.listdir(folder.parent) == ["set"]


def truncate(folder):
    path = folder / "data" / "00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def flip(name):
    def change(folder):
        path = folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return change


def plant_nan(table):
    position = table.schema.get_field_index("agents/1")
    values = table["agents/1"].combine_chunks()
    flat = values.flatten().to_numpy(zero_copy_only=False).copy()
    flat[6 * 4] = np.nan
    changed = pa.FixedSizeListArray.from_arrays(pa.array(flat), 4)
    return table.set_column(position, table.schema.field(position), changed)


def no_parquet(folder):
    (folder / "data" / "00000.parquet").write_bytes(b"some other file")
    agree(folder, b"some other file")


DAMAGES = {
    "truncated shard": (truncate, r"expected [\d,]+ bytes in .*00000.parquet, found"),
    "flipped byte": (flip("data/00000.parquet"), "00000.parquet to agree with its checksum"),
    "flipped byte in the episodes": (flip("episodes.parquet"), "agree with its checksum"),
    "flipped byte in the description": (flip("meta.json"), "meta.json"),
    "not a number": (
        lambda folder: rewrite_shard(folder, plant_nan),
        "00000.parquet: expected finite features of group 'agents', .* row 1 of episode 'e1'",
    ),
    "wrong version": (
        lambda folder: rewrite_meta(folder, version=7),
        "expected version 1 of the format in .*, found 7; convert",
    ),
    "missing shard": (
        lambda folder: (folder / "data" / "00000.parquet").unlink(),
        "expected the file .*00000.parquet, found none",
    ),
    "missing episodes": (lambda folder: (folder / "episodes.parquet").unlink(), "found none"),
    "empty folder": (
        lambda folder: [p.unlink() for p in folder.rglob("*") if p.is_file()],
        "a meta.json, found none in",
    ),
    "another json": (
        lambda folder: (folder / "meta.json").write_text("[1, 2]"),
        "expected a description of understudy demonstrations",
    ),
    "no json": (lambda folder: (folder / "meta.json").write_bytes(b"\xff\x00"), "expected JSON"),
    "a column less": (
        lambda folder: rewrite_shard(folder, lambda table: table.drop_columns(["agents/0"])),
        "expected the columns",
    ),
    "another order of rows": (
        lambda folder: rewrite_shard(folder, lambda t: t.take([1, 0, *range(2, len(t))])),
        "expected the episodes and steps of",
    ),
    "a row less": (
        lambda folder: rewrite_shard(folder, lambda table: table.slice(1)),
        "expected the episodes and steps of",
    ),
    "no parquet": (no_parquet, "expected a Parquet file at .*00000.parquet, found another"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_sentence(name, folder):
    damage, words = DAMAGES[name]
    damage(folder)
    with pytest.raises(UserError, match=words) as error:
        load(folder)
    assert "\n" not in str(error.value)
    assert "; " in str(error.value), "says what to do"


def test_a_missing_folder_and_a_file_are_named_too(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        with pytest.raises(UserError, match=f"a meta.json, found none in .*{name}"):
            describe(tmp_path / name)


def test_values_that_are_not_finite_are_never_written(tmp_path):
    d = tracks()
    d.features["ball"][14, 0, 2] = np.inf
    with pytest.raises(UserError, match=r"group 'ball', found one that is not in row 0 of .* 'e2'"):
        save(d, tmp_path / "set")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["data/00000.parquet", "episodes.parquet", "meta.json"])
def test_a_full_disk_leaves_nothing_behind(name, tmp_path):
    # /dev/full answers every write with "no space left on device", to root too
    writer = Writer(tmp_path / "sets" / "new")
    (writer._work / name).symlink_to("/dev/full")
    with (
        pytest.raises(UserError, match=r"no space left on device.*nothing was left behind"),
        writer,
    ):
        writer.append(everything())
    assert os.listdir(tmp_path / "sets") == []


def test_a_full_scratch_disk_is_one_sentence(folder, monkeypatch):
    monkeypatch.setattr("understudy.data.scratch.SMALL_BYTES", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(UserError, match=r"scratch space in .*, found the disk full"):
            load(folder, resident_bytes=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"to write the demonstrations to .*file/set, found"):
        save(tracks(), tmp_path / "file" / "set")


def test_a_killed_writer_leaves_no_set_and_is_not_in_the_way(tmp_path):
    target = tmp_path / "set"
    program = """
import sys, time
sys.path.insert(0, sys.argv[2])
from small_sets import tracks
from understudy.data import Writer
with Writer(sys.argv[1], shard_bytes=1) as writer:
    writer.append(tracks())
    time.sleep(60)
"""
    here = os.path.dirname(__file__)
    process = subprocess.Popen([sys.executable, "-c", program, str(target), here])
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".set-partial-*/data/*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert not target.exists()
    with pytest.raises(UserError, match="found none"):
        load(target)
    save(tracks(), target)
    assert_same(load(target), tracks())


def test_infinite_bounds_survive(folder):
    assert load(folder).spec == everything().spec
    assert "Infinity" not in (folder / "meta.json").read_text()
    assert store.spec_from_json(describe(folder)["spec"]) == everything().spec
