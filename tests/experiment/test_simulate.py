import dataclasses
import json

import numpy as np
import pytest

import understudy as us
from simulated_logs import SPEC, log
from understudy import cli
from understudy.experiment import simulate as page
from understudy.types import UserError


def without_constant(logged):
    """The same log, read by a schema that says nothing of constant sections."""
    groups = tuple(dataclasses.replace(group, constant=()) for group in logged.spec.groups)
    return dataclasses.replace(logged, spec=dataclasses.replace(logged.spec, groups=groups))


def test_a_simulator_is_learned_from_one_log_and_measured_on_another(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "UPDATES", {"cloning": 60, "world": 300})
    learned, test = log(150, seed=1), without_constant(log(80, seed=2))
    report = us.simulate(learned, tmp_path / "out", test=test, methods=("cloning", "world"))
    found = report.to_json()
    assert found["setting"]["train sessions"] == 150
    assert found["setting"]["held-out sessions"] == 80
    error = {name: rows["world_rmse"]["estimate"] for name, rows in found["simulators"].items()}
    assert error["world"] < 0.7 * error["Persistence"]
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["share"] is None
    with pytest.raises(UserError, match="expected an empty folder"):
        us.simulate(learned, tmp_path / "out", test=test)


def test_a_test_log_keeps_the_constant_sections_of_the_log_that_is_learned_from():
    test = log(20, seed=3)
    found = page.as_learned(without_constant(test), SPEC)
    assert found.spec == SPEC
    shop = found.legal["shop"][0, 0]
    assert shop.tolist() == [*(test.features["shop"][0, 0, :2] > 0.5), True, True, True]
    moved = without_constant(test)
    frame = np.flatnonzero(moved.known_actions()["shop"][:, 0])[3]
    moved.actions["shop"][frame, 0, 0] = 1 - moved.features["shop"][frame, 0, :2].argmax()
    with pytest.raises(UserError, match=f"section 0 never to change .* frame {frame} of the test"):
        page.as_learned(moved, SPEC)
    other = dataclasses.replace(test.spec.groups[0], name="client")
    spec = dataclasses.replace(SPEC, groups=(other, dataclasses.replace(
        SPEC.groups[1], sees=("client",))))  # fmt: skip
    with pytest.raises(UserError, match="read both with one schema"):
        page.as_learned(test, spec)


def test_a_table_without_a_schema_is_refused(tmp_path, capsys):
    table = tmp_path / "log.csv"
    np.savetxt(table, np.zeros((3, 4)), delimiter=",")
    assert cli.main(["simulate", str(table), "--out", str(tmp_path / "out")]) == 2
    assert "expected --schema" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
