"""The quick start at its smallest: every file it promises, and the same numbers every time."""

import json

import pytest

from understudy.experiment.quickstart import Size, quickstart
from understudy.types import UserError

pytestmark = pytest.mark.usefixtures("compiled_quickly")

TINY = Size(episodes=20, steps=2, width=4, batch=2, windows=2, commanded=2, samples=2)


def test_the_quick_start_leaves_what_it_promises(tmp_path):
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


def test_an_unknown_problem_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a problem among"):
        quickstart("chess", out=tmp_path / "quickstart")
    assert not (tmp_path / "quickstart").exists()
