"""Runs that act are evaluated over seeds, compared with each other, and reported."""

import json
import re
import shutil

import pytest

from contracts.envs import Home
from contracts.policies import Reinforce
from understudy.experiment.compare import compare
from understudy.experiment.evaluate import evaluate
from understudy.experiment.report import report
from understudy.experiment.run import Run
from understudy.experiment.train import TrainOptions, train
from understudy.types import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two runs of three seeds: one that has learned, and one that has hardly begun."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps, seed in (("long", 360, 0), ("short", 12, 5)):
        train(
            Reinforce(rate=0.1), env=Home(), steps=steps, seeds=3, seed=seed, out=folder / name,
            options=TrainOptions(log_every=1),
        )  # fmt: skip
    expert = Run(folder / "long").policy(0)
    for name in ("long", "short"):
        evaluate(folder / name, env=Home(), expert=expert, episodes=6)
    return folder


def rows_of(folder):
    return json.loads((folder / "evaluation.json").read_text())["rows"]


def test_seeds_have_a_row_each_and_all_together_one(place):
    own = [r for r in rows_of(place / "long") if r["model"] == "Reinforce"]
    assert [r["seed"] for r in own] == [0, 1, 2, "mean"]
    assert [r["mode"] for r in own] == ["sample"] * 4
    scores = [r["normalised"] for r in own[:3]]
    assert scores[0] == pytest.approx(1)  # it is its own expert
    assert own[3]["normalised"] == pytest.approx(sum(scores) / 3)
    # a quarter of three, rounded down, is none: nothing is dropped at either end
    assert own[3]["normalised_iqm"] == pytest.approx(sum(scores) / 3)
    low, high = own[3]["intervals"]["normalised"]
    assert low < own[3]["normalised"] < high
    step = json.loads((place / "long" / "evaluation.json").read_text())["returns"]
    seed = step["Home"]["agents"]["Reinforce"]["seed_2"]
    assert seed["step_0"]["step_count"] == 360
    assert len(seed["absolute_metrics"]["normalised_score"]) == 6


def test_a_diverged_seed_counts_as_the_worst(place, monkeypatch, tmp_path):
    shutil.copytree(place / "long", tmp_path / "long")
    monkeypatch.setattr(Run, "diverged", property(lambda self: {2: 7}))
    found = evaluate(Run(tmp_path / "long"), env=Home(), expert=Run(place / "long"), episodes=6)
    lost, mean = found.row("Reinforce", 2), found.row("Reinforce", "mean")
    own = [found.row("Reinforce", seed) for seed in (0, 1)]
    assert lost["failed"] is True
    assert lost["normalised"] == min(0.0, *(r["normalised"] for r in own))
    assert lost["mean_return"] == min(r["mean_return"] for r in (*own, found.row("random")))
    assert mean["normalised"] == pytest.approx(sum(r["normalised"] for r in (*own, lost)) / 3)
    assert mean["failed"] == [2]
    assert "2, failed" in str(found)
    assert any("seed 2 diverged at update 7 and counts as failed" in n for n in found.notes)


def test_both_ways_to_act_are_measured_when_asked(place, tmp_path):
    shutil.copytree(place / "short", tmp_path / "short")
    found = evaluate(tmp_path / "short", env=Home(), expert=None, episodes=2, mode="both")
    assert {(r["model"], r["mode"]) for r in found.rows} == {
        ("Reinforce, sample", "sample"), ("Reinforce, mode", "mode"), ("random", None),
    }  # fmt: skip
    with pytest.raises(UserError, match="'sample', 'mode' or 'both'"):
        evaluate(tmp_path / "short", env=Home(), episodes=2, mode="explore")


def test_several_numbers_of_agents_are_summed_up(place, tmp_path):
    shutil.copytree(place / "long", tmp_path / "long")
    found = evaluate(tmp_path / "long", env=Home(), expert=Run(place / "long"), episodes=2,
                     agents=[1, 3])  # fmt: skip
    whole = found.row("Reinforce", task="all")
    parts = [found.row("Reinforce", task=f"{n} agents")["normalised"] for n in (1, 3)]
    assert whole["normalised"] == pytest.approx(sum(parts) / 2)
    assert whole["seeds"] == 3


def test_an_env_that_is_not_kept_has_to_be_given(place):
    with pytest.raises(UserError, match="give env="):
        evaluate(place / "long")


def test_policies_are_compared(place, tmp_path):
    found = compare([place / "long", place / "short"], out=tmp_path / "both")
    names = [row["model"] for row in found.evaluation.rows]
    assert names == ["long"] * 4 + ["short"] * 4 + ["expert", "random"]
    chances = found.json()["improvements"]
    assert [(c["model"], c["other"]) for c in chances] == [("long", "short"), ("short", "long")]
    assert chances[0]["probability"] == pytest.approx(1 - chances[1]["probability"])
    assert chances[0]["probability"] > 0.5
    assert set(found.json()["returns"]["Home"]["agents"]) == {"long", "short", "expert", "random"}
    page = (tmp_path / "both" / "comparison.html").read_text()
    assert page.count("data:image/png") == 2
    assert "Probability that a seed" in page
    assert "Probability that a seed" in str(found)
    assert (tmp_path / "both" / "profiles.png").stat().st_size > 5_000
    assert found.json() == json.loads((tmp_path / "both" / "comparison.json").read_text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"episodes": 3}, "episodes 6 for long and 3 for short"),
        ({"seed": 1}, "initial_states 0 for long and 1 for short"),
        ({"expert": None}, "expert 'recall' for long and None for short"),
        ({"mode": "mode"}, r"modes \['sample'\] for long and \['mode'\] for short"),
    ],
)
def test_policies_evaluated_otherwise_are_refused(place, tmp_path, change, words):
    for name in ("long", "short"):
        shutil.copytree(place / name, tmp_path / name)
    expert = Run(place / "long").policy(0)
    evaluate(tmp_path / "short", env=Home(), **{"expert": expert, "episodes": 6, **change})
    with pytest.raises(UserError, match=words):
        compare([tmp_path / "long", tmp_path / "short"])


def test_the_report_shows_games_not_plays(place, tmp_path):
    text = report(place / "long", env=Home(), path=tmp_path / "r.html").read_text()
    for words in (
        "In plain words", "How it plays",
        "Learned in Home, 360 steps of it, in 30 updates, 3 seeds",
        "Between random and expert", "How it learned", "Played in:", "of the way to the expert",
        "score, IQM",
    ):  # fmt: skip
        assert words in text, words
    for words in ("Samples mean nothing", "constant velocity", "How far to trust it"):
        assert words not in text, words
    assert text.count("data:image/gif") == 1
    assert text.count("data:image/png") == 2  # episodes as they ended, curves
    assert not re.search(r"(src|href)=\"(?!data:)", text)


def test_a_report_without_its_env_says_so(place, tmp_path):
    text = report(place / "short", path=tmp_path / "r.html").read_text()
    assert "Nothing is shown: " in text
    assert "give env=" in text
