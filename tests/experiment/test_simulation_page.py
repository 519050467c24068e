import json
import re

import pytest

from simulated_logs import Law, log
from understudy.diagnostics.simple_simulators import Mean
from understudy.experiment.simulation_page import BASELINES, HEADLINES, simulation_report
from understudy.types import UserError

TRAIN, HELD = log(200, seed=1), log(120, seed=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    simulators = {"the <law>": Law(), "guess": Mean.of(TRAIN)}
    report = simulation_report(
        simulators, TRAIN, HELD, outcome="mood=2", group="kind", time="step", out=folder
    )
    return folder, report


def test_what_is_written_is_what_is_returned(place):
    folder, report = place
    kept = json.loads((folder / "simulation.json").read_text())
    assert kept == report.to_json()
    assert list(kept["simulators"]) == [*BASELINES, "the <law>", "guess"]
    ridge = kept["simulators"]["Ridge"]
    for key, _, _ in HEADLINES:
        if key in ridge:
            assert ridge[key].keys() >= {"estimate", "low", "high"}
    assert ridge["drift_values"]["names"] == ["1", "2", "3", "4", "5"]
    assert len(ridge["world_log_probs"]["low"]) == 5
    assert kept["setting"]["held-out rows"] == HELD.frames - HELD.episodes
    assert kept["setting"]["rules"] == [
        "change of knob = 0.5 · action value 0 +0.1 (R² 1.0000)", "level = twin"
    ]  # fmt: skip
    assert sorted(p.name for p in folder.iterdir()) == ["simulation.html", "simulation.json"]


def test_the_words_say_who_can_be_trusted(place):
    said = {}
    for finding in place[1].findings:
        said.setdefault("law" if "<law>" in finding.text else "guess", []).append(finding)
    law = {f.text: f.level for f in said["law"]}
    for words, level in (
        ("predicts the action no better than ridge", None),
        ("hardly tells the answers of the <law> from the log", "good"),
        ("does not say how likely next states are", "warning"),
        ("keeps all 2 rules", "good"),
        ("Left to itself for 5 steps, the <law> is", "good"),
    ):
        own = [v for text, v in law.items() if words in text]
        if level is not None:
            assert own == [level], words
    guess = {f.text: f.level for f in said["guess"]}
    for words in ("worse than ridge", "tells the answers of guess", "breaks 2 of 2 rules",
                  "less likely than ridge"):  # fmt: skip
        assert [v for text, v in guess.items() if words in text][:1] == ["bad"], words
    levels = [f.level for f in place[1].findings]
    assert levels == sorted(levels, key=["bad", "warning", "good"].index)


def test_the_page_is_one_file_with_table_pictures_and_words(place):
    text = (place[0] / "simulation.html").read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "the &lt;law&gt;" in text
    assert "<law>" not in text
    for words in ("Persistence", "training log", "held-out log", "95 % intervals", "level = twin",
                  "In plain words", "Calibration", "mood=2 by kind"):  # fmt: skip
        assert words in text, words
    assert text.count("<img") >= 7
    table = re.search(r"<table>.*?</table>", text, re.S)
    assert table is not None
    assert table[0].count("* <small>") >= 8  # the best of each column is marked


def test_a_report_is_the_same_again_whoever_else_is_in_it(place):
    again = simulation_report({}, TRAIN, HELD, outcome="mood=2", group="kind", time="step")
    assert list(again.figures) == list(BASELINES)
    assert not again.findings
    for name, own in again.to_json()["simulators"].items():
        assert own == place[1].to_json()["simulators"][name]


def test_what_cannot_be_reported_is_said():
    with pytest.raises(UserError, match=r"other names than .*, found \['Ridge'\]"):
        simulation_report({"Ridge": Law()}, TRAIN, HELD)
    with pytest.raises(UserError, match="held-out log of the training log's spec"):
        simulation_report({}, TRAIN, HELD.regroup({"user": ("user",)}))
