import json
import os
from pathlib import Path

import numpy as np
import pytest
from tracking_files import TRANSITIONS as SCHEMA
from tracking_files import state, transition_rows, transitions

from understudy.data import quality, store
from understudy.data.readers import read
from understudy.types import UserError

ROWS = transition_rows()


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_transitions_become_sessions_of_two_groups_in_turn(tmp_path, name):
    said = []
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    d = read("transitions", transitions(tmp_path / name, ROWS), schema=str(path), say=said.append)
    assert said == [
        "3 transitions linked to 2 sessions of 1 to 2",
        "1 sections never change in a session and will be copied: kind",
    ]
    user, platform = d.spec.groups
    assert (user.name, user.sees, user.advances) == ("user", (), False)
    assert (platform.name, platform.sees, platform.advances) == ("platform", ("user",), True)
    assert platform.features == ("kind=0", "kind=1", "page=0", "page=1", "page=2", "clicks")
    assert platform.action is not None
    assert platform.action.sections == (2, 3)
    assert d.actions is not None
    assert platform.constant == (0,)
    assert d.legal is not None
    assert d.legal["platform"][:, 0].tolist() == (
        2 * [[False, True, True, True, True]] + 3 * [[True, False, True, True, True]]
    )
    assert d.starts.tolist() == [0, 2, 5]
    np.testing.assert_array_equal(d.features["user"][2:, 0], [
        state(0, 0, 0.0), state(0, 1, 0.5), state(0, 2, 1.5)
    ])  # fmt: skip
    np.testing.assert_array_equal(d.features["user"], d.features["platform"])
    np.testing.assert_allclose(d.actions["user"][:, 0, 0], [0.3, 0, 0.2, 0.1, 0], rtol=1e-6)
    np.testing.assert_array_equal(d.actions["platform"][2:4, 0], [[0, 1, 0.5], [0, 2, 1.5]])
    assert d.known_actions()["platform"][:, 0].tolist() == [True, False, True, True, False]


def test_the_set_is_the_same_after_saving(tmp_path):
    d = read("transitions", transitions(tmp_path / "log.csv", ROWS), schema=SCHEMA)
    store.save(d, tmp_path / "set")
    assert store.load(tmp_path / "set").spec == d.spec


def test_sessions_a_file_names_are_kept(tmp_path):
    schema = {**SCHEMA, "session": True}
    rows = [["b", *ROWS[2]], ["a", *ROWS[1]], ["b", *ROWS[0]]]
    d = read("transitions", transitions(tmp_path / "log.csv", rows), schema=schema)
    assert d.lengths.tolist() == [3, 2]
    rows[2][0], rows[1][0] = "a", "b"
    with pytest.raises(UserError, match="go on from the one before, found another state in row 2"):
        read("transitions", transitions(tmp_path / "log.csv", rows), schema=schema)


def changed(number, column, value):
    rows = [list(r) for r in ROWS]
    rows[number][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "schema", "message"),
    [
        (changed(1, 0, 1.0), SCHEMA, r"one-hot section of columns 1 to 2, found a sum of 2 in row 2"
                                     r", column 1 \(kind=0\)"),
        (changed(2, 9, 0.5), SCHEMA, r"columns 10 to 12, found 0.5 in row 3, column 10 "
                                     r"\(next page=0\)"),
        (changed(0, 6, "cheap"), SCHEMA, r"number in row 1, column 7 \(action value 0\) .*'cheap'"),
        (changed(2, 5, "nan"), SCHEMA, r"finite number of 32 bits, found nan in row 3, column 6 "
                                       r"\(clicks\)"),
        (changed(1, 6, 1e39), SCHEMA, r"32 bits, found 1e\+39 in row 2, column 7"),
        (changed(2, 5, ""), SCHEMA, r"number in row 3, column 6 \(clicks\) .* found ''"),
        ([*ROWS, ROWS[0][:-1]], SCHEMA, "expected 13 columns in row 4 .*, found 12"),
        (ROWS, {**SCHEMA, "action": {"continuous": 2}}, "14 columns of the schema .*, found 13"),
        ([["s", *ROWS[0]], [" ", *ROWS[1]]], {**SCHEMA, "session": True},
         r"found none in row 2, column 1 \(session\)"),
        (ROWS, {**SCHEMA, "state": {"sections": {"kind": 0}}}, "choices above 0"),
        (ROWS, {"state": {}}, "expected state and action"),
        (ROWS, {**SCHEMA, "state": {}}, "state with columns"),
        (ROWS, {**SCHEMA, "environment": "user"}, "two names"),
        (ROWS, {**SCHEMA, "constant": ["page"]}, "'page' never to change, .* change in row 1"),
        (ROWS, {**SCHEMA, "constant": ["colour"]}, r"among \['kind', 'page'\]"),
        (ROWS, None, "give a schema file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_row_and_column(tmp_path, rows, schema, message):
    with pytest.raises(UserError, match=message):
        read("transitions", transitions(tmp_path / "log.csv", rows), schema=schema)


def test_mixed_encodings_are_found(tmp_path):
    path = transitions(tmp_path / "log.csv", ROWS)
    data = path.read_bytes().split(b"\n")
    data[1] = data[1].replace(b"0.3", "0,3 €".replace(",", ".").encode("cp1252"))
    path.write_bytes(b"\n".join(data))
    with pytest.raises(UserError, match=r"UTF-8 .* another encoding in row 2, column 7"):
        read("transitions", path, schema=SCHEMA)


def test_states_on_both_sides_of_a_split_are_a_leak(tmp_path):
    d = read("transitions", transitions(tmp_path / "log.csv", ROWS), schema=SCHEMA)
    splits = d.split("session", (0.5, 0.0, 0.5))
    assert quality.check_leaks(splits) == []
    assert [f.message for f in quality.check_leaks(splits._replace(test=splits.train))][-1] == (
        "100.0% of the states of test also occur in train; split by session"
    )


@pytest.mark.skipif("UNDERSTUDY_DATA" not in os.environ, reason="needs the shared data")
def test_a_real_log():
    path = Path(os.environ["UNDERSTUDY_DATA"]) / "virtualtaobao_sas" / "train_data_sas.csv.gz"
    sections = [5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3]
    schema = {"state": {"sections": sections, "continuous": 23}, "action": {"continuous": 6}}
    d = read("transitions", path, schema=schema)
    assert d.frames - d.episodes == 1403
    platform = d.spec["environment"]
    assert (platform.observation, d.spec.inputs("environment")) == (155, 161)
    splits = d.split("session", (0.8, 0.0, 0.2))
    leaks = [f for f in quality.check_leaks(splits) if "states" in f.message]
    assert all(f.level == "warning" for f in leaks)
