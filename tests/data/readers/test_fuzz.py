"""Whatever the bytes, a reader ends in demonstrations or in one sentence; never a traceback."""

import gzip
import json
import tarfile

import pytest
import tracking_files as write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.data import schema
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import READERS, guess, read, unpickle
from understudy.types import UserError


def text(path, content):
    path.write_text(content)
    return path


def tar(path):
    inside = text(path.with_name("inside.txt"), write.frames_text(write.walk(6, 2)))
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inside, "inside.txt")
    return path


FORMS = {
    "f.txt": ("frames", lambda path: text(path, write.frames_text(write.walk(9, 3)))),
    f"{write.SCENE}.txt": ("frames", lambda p: text(p, write.basketball_text(write.walk(3, 11)))),
    "f.tar.gz": ("frames", tar),
    "g.json": ("sportvu", write.sportvu),
    "g.json.gz": ("sportvu", write.sportvu),
    "g.7z": ("sportvu", write.sportvu),
    "stats.npz": ("stats_npz", lambda path: write.stats(path, scenes=1)),
    "groupnet.npy": ("groupnet", lambda path: write.groupnet(path, scenes=1)),
    "scenes.npz": ("scenes", write.scenes),
    "scenes.pkl": ("scenes", write.pickled_scenes),
    "plays.parquet": ("table", write.ngs),
    "plays.tsv.gz": ("table", write.ngs),
    "boxes.txt.gz": ("table", write.sdd),
    "log.csv": ("transitions", write.transitions),
    "log.csv.gz": ("transitions", write.transitions),
    "men.csv": ("open_bandit", write.open_bandit),
    "men.csv.gz": ("open_bandit", write.open_bandit),
    "trajectories.parquet": ("table", lambda path: write.crowds(path.parent)),
}
OPTIONS = {"transitions": {"schema": write.TRANSITIONS}}
"""What a reader needs to be told."""
FUZZ = settings(
    max_examples=60,
    deadline=10_000,  # milliseconds; nothing hangs
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PIECES = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from([b"\0", b"\n", b"-1", b"nan", b"1e999", b"\xff" * 8, b"[" * 40, b","]),
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "truncate"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 7),
        PIECES,
    ),
    min_size=1,
    max_size=6,
)


def edited(data, edits):
    """`data` after flips, insertions, deletions and truncations at relative places."""
    for kind, place, bit, piece in edits:
        at = int(place * len(data))
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + piece + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + len(piece) :]
        elif kind == "truncate":
            data = data[:at]
    return data


def outcome(call, *arguments, **options):
    """What a call returns, or the sentence of its `UserError`; other exceptions pass."""
    try:
        return call(*arguments, **options)
    except UserError as error:
        return str(error)


def ends_well(reader, path):
    found = outcome(read, reader, path, rate=5, **OPTIONS.get(reader, {}))
    if isinstance(found, str):
        assert len(found) > 10
        assert "\n" not in found
    else:
        assert isinstance(found, Demonstrations)


def test_every_reader_of_files_is_fuzzed():
    assert {reader for reader, _ in FORMS.values()} == set(READERS) - {"kloppy"}


@pytest.mark.parametrize("name", FORMS)
def test_damaged_files(name, tmp_path):
    reader, make = FORMS[name]
    path = make(tmp_path / name)
    good = path.read_bytes()

    @FUZZ
    @given(edits=EDITS, inside=st.booleans())
    def damage(edits, inside):
        if inside and good[:2] == b"\x1f\x8b":  # beneath the checksum of the packing
            path.write_bytes(gzip.compress(edited(gzip.decompress(good), edits), 1))
        else:
            path.write_bytes(edited(good, edits))
        ends_well(reader, path)

    damage()


@pytest.mark.parametrize("name", FORMS)
def test_any_bytes(name, tmp_path):
    reader, _ = FORMS[name]
    path = tmp_path / name

    @FUZZ
    @given(data=st.binary(max_size=300))
    def anything(data):
        path.write_bytes(data)
        ends_well(reader, path)
        found = outcome(guess, path)
        assert found in READERS or "\n" not in found

    anything()


def test_damaged_schemas(tmp_path):
    path, good = tmp_path / "schema.json", json.dumps(write.TRANSITIONS).encode()

    @FUZZ
    @given(EDITS)
    def damage(edits):
        path.write_bytes(edited(good, edits))
        found = outcome(schema.load, path)
        assert isinstance(found, schema.Schema) or "\n" not in found

    damage()


@FUZZ
@given(st.binary(max_size=200))
def test_any_pickle(data):
    for start in (b"\x80\x04", b"(", b"}"):
        found = outcome(unpickle.load, start + data + b".", "any.pkl")
        if isinstance(found, str) and found.startswith("expected"):
            assert "any.pkl" in found or "never run" in found
