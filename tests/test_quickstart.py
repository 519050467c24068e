"""The quick start at its smallest: every file it promises, and the same numbers every time."""

import json

import pytest

from understudy.experiment import quickstart_boids, quickstart_spread
from understudy.experiment.quickstart import quickstart
from understudy.types import UserError

TINY = quickstart_boids.Size(
    episodes=20, steps=2, width=4, batch=2, windows=2, commanded=2, samples=2
)


def test_flocks_leave_what_they_promise(tmp_path):
    said = []
    outcome = quickstart("boids", out=tmp_path / "quickstart", size=TINY, tell=said.append)
    for path in outcome.files.values():
        assert path.exists()
    summary = json.loads((tmp_path / "quickstart" / "summary.json").read_text())
    assert [row["model"] for row in summary["rows"]][1:] == [
        "constant velocity", "stay put", "random walk",
    ]  # fmt: skip
    assert set(summary["obeyed"]) == {"together", "apart"}
    assert summary["updates"] == 2
    assert len(said) == 5
    assert "<img" in outcome.files["report"].read_text()
    with pytest.raises(UserError, match="already exists"):
        quickstart("boids", out=tmp_path / "quickstart")


def test_a_team_and_its_understudies_leave_what_they_promise(tmp_path, monkeypatch):
    size = quickstart_spread.Size(
        demonstrations=4, seeds=2, cloning=2, cloning_team=2, magail=6_400, mild2=1_600,
        episodes=2,
    )  # fmt: skip
    chosen = quickstart_spread.algorithms(size)
    assert list(chosen) == ["BC", "BC, in turn", "MAGAIL", "MILD²"]
    del chosen["MILD²"], chosen["BC, in turn"]  # take longest to compile
    monkeypatch.setattr(quickstart_spread, "algorithms", lambda size: chosen)
    said = []
    outcome = quickstart(out=tmp_path / "quickstart", size=size, tell=said.append)
    for path in outcome.files.values():
        assert path.exists()
    summary = json.loads((tmp_path / "quickstart" / "summary.json").read_text())
    assert [row["label"] for row in summary["rows"]] == ["bc", "magail", "expert", "random"]
    assert [row["execution"] for row in summary["rows"][:2]] == ["decentralised"] * 2
    assert [row[0] for row in outcome.table] == ["", "bc", "magail", "expert", "random"]
    assert outcome.files["report"].read_text().count("<img") >= 5
    assert len(said) == 5


def test_an_unknown_problem_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a problem among"):
        quickstart("chess", out=tmp_path / "quickstart")
    assert not (tmp_path / "quickstart").exists()
