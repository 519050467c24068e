"""Pictures of adversarial training: what is drawn where, and files that say the same."""

import json

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.patches import Rectangle
from PIL import Image

from adversarial_metrics import training, written
from understudy import cli
from understudy.algorithms.adversarial import Adversarial
from understudy.algorithms.presets import BC, MAPPO
from understudy.envs.xor import Xor
from understudy.experiment.diagnose import diagnose, pictures
from understudy.experiment.history import History
from understudy.experiment.report import report
from understudy.experiment.run import Run
from understudy.types import UserError
from understudy.visualise.adversarial import (
    MOST,
    Histograms,
    Lines,
    Panel,
    Quantiles,
    draw_histograms,
    draw_lines,
    draw_rewards,
)

STEPS = np.linspace(1e5, 1e6, 10)
NAMES = {"rewards", "histograms", "discriminator", "generator", "returns"}


def quantiles(label, agents):
    spread = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[None] + STEPS[:, None] / 1e6
    return Quantiles(label, STEPS, {name: spread + i for i, name in enumerate(agents)})


def lines(label, *names, seeds=3):
    values = np.arange(10.0)[:, None] + np.arange(seeds)
    return Lines(label, dict.fromkeys(names, (STEPS, values)))


def height(line) -> np.ndarray:
    return np.asarray(line.get_ydata(), float)


def outline(band) -> np.ndarray:
    return np.asarray(band.get_paths()[0].vertices)[:, 1]


def titles(figure):
    return [a.get_title(loc="left") for a in figure.axes if a.get_title(loc="left")]


def test_rewards_have_a_column_per_run_and_a_row_per_agent():
    figure = draw_rewards([quantiles("one", ["all agents", "a", "b"]), quantiles("two", ["a"])])
    assert titles(figure) == ["one", "two"]
    assert len(figure.axes) == 6
    first, off = figure.axes[2], figure.axes[1]  # row a of one; all agents of two, who has one
    assert first.get_ylabel() == "a\nreward"
    assert not off.axison
    (line,) = first.get_lines()
    np.testing.assert_allclose(height(line), 1 + STEPS / 1e6)
    bands = [c for c in first.collections if isinstance(c, FillBetweenPolyCollection)]
    heights = [np.ptp(outline(band)) for band in bands]
    np.testing.assert_allclose(heights, [4.9, 2.9])  # 5 to 95 %, 25 to 75 %
    assert len({axis.get_ylim() for axis in figure.axes if axis.axison}) == 1
    assert figure.axes[4].get_xlabel() == "env steps"


def test_many_agents_are_cut_to_the_first():
    many = quantiles("one", [f"agent {i}" for i in range(30)])
    assert len(draw_rewards([many]).axes) == MOST + 1


def test_histograms_show_the_bins_that_hold_something():
    shares = np.zeros(40)
    shares[[10, 11]] = 0.5
    last = np.zeros(40)
    last[39] = 1.0
    figure = draw_histograms([Histograms("one", {"a": shares}, 0.0, 5.0, (False, True))])
    (axis,) = figure.axes
    np.testing.assert_allclose(axis.get_xlim(), (9 / 8, 13 / 8))  # a bin to spare on either side
    heights = [bar.get_height() for bar in axis.patches if isinstance(bar, Rectangle)]
    np.testing.assert_array_equal(heights, shares)
    assert [text.get_text() for text in axis.texts] == []
    figure = draw_histograms([Histograms("one", {"a": last}, 0.0, 5.0, (False, True))])
    assert [text.get_text() for text in figure.axes[0].texts] == ["last bar: and more"]


def test_lines_have_a_mean_a_band_and_the_expert():
    figure = draw_lines(
        [lines("one", "return"), lines("two", "return", seeds=1)],
        [Panel("earned", "per episode", ("return",)), Panel("nowhere", "", ("missing",))],
        references={"return": {"expert": 20.0}},
    )
    (axis,) = figure.axes
    assert axis.get_title(loc="left") == "earned"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("env steps", "per episode")
    one, two, expert = axis.get_lines()
    np.testing.assert_allclose(height(one), np.arange(10.0) + 1)
    np.testing.assert_allclose(height(two), np.arange(10.0))
    np.testing.assert_array_equal(height(expert), [20.0, 20.0])
    assert [text.get_text() for text in axis.texts] == ["expert"]
    (band,) = axis.collections  # one seed has no interval
    low, high = outline(band).min(), outline(band).max()
    assert 0 <= low < 1
    assert 10 < high <= 11
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["one", "two"]


def test_seeds_that_are_lost_leave_the_mean_to_the_others():
    values = np.stack([np.arange(10.0), np.arange(10.0) + 2], 1)
    values[5:, 1] = np.nan
    run = Lines("one", {"loss": (STEPS, values), "gone": (STEPS, values * np.nan)})
    figure = draw_lines([run], [Panel("loss", "", ("loss",)), Panel("gone", "", ("gone",))])
    (axis,) = figure.axes
    drawn = height(axis.get_lines()[0])
    np.testing.assert_allclose(drawn, [*(np.arange(5.0) + 1), *np.arange(5.0, 10)])


def test_nothing_to_draw_is_said():
    with pytest.raises(UserError, match="evaluate_every"):
        draw_lines([lines("one", "loss")], [Panel("gap", "", ("score_gap",))])
    with pytest.raises(UserError, match="reward_quantiles"):
        draw_rewards([])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of 40 lines, 10 updates and 10,000 env steps each; the second goes wrong."""
    folder = tmp_path_factory.mktemp("runs")
    algorithm, env = Adversarial(MAPPO(envs=10, rollout=100)), Xor(agents=3)
    for name, kind in (("one", "healthy"), ("two", "won")):
        written(folder / name, training(40, 2, kind=kind), algorithm, env, steps=400_000)
    return folder


@pytest.fixture(scope="module")
def diagnosed(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("diagnosis")
    return diagnose([runs / "one", runs / "two"], out=out, expert="xor", episodes=10), out


def test_every_picture_is_written_twice(diagnosed):
    found, out = diagnosed
    names = {path.name for path in out.iterdir()}
    assert names == {f"{n}.{kind}" for n in NAMES for kind in ("svg", "png")} | {"diagnostics.json"}
    assert {path.name for path in found.files} == names
    for name in NAMES:
        with Image.open(out / f"{name}.png") as image:
            assert min(image.size) > 200
        assert "<svg" in (out / f"{name}.svg").read_text()[:2_000]


def test_numbers_and_warnings_are_in_the_json(diagnosed, runs):
    found, out = diagnosed
    content = json.loads((out / "diagnostics.json").read_text())
    assert content == found.json()
    one, two = content["runs"]
    assert (one["label"], two["label"]) == ("one", "two")  # both are called MAGAIL
    assert one["warnings"] == []
    assert "has won" in two["warnings"][0]
    assert "one: no warnings." in str(found)
    gap = one["numbers"]["score_gap"]
    row = History(Run(runs / "one")).metrics[3]
    assert gap["steps"][3] == pytest.approx(40_000)
    assert gap["seeds"][3][1] == pytest.approx(row["expert_score"][1] - row["policy_score"][1])
    rewards = one["reward_quantiles"]
    assert set(rewards) == {"at", "steps", "all agents", "agent 0", "agent 1", "agent 2"}
    own = np.mean([row["reward_quantiles/agents"][s][2] for s in (0, 1)], 0)
    np.testing.assert_allclose(rewards["agent 2"][3], own)
    pooled = rewards["all agents"][3]
    middle = [rewards[f"agent {i}"][3][2] for i in range(3)]
    assert min(middle) < pooled[2] < max(middle)
    assert sum(one["reward_histogram"]["agent 1"]) == pytest.approx(1)
    assert content["references"]["evaluation/return"] == {"expert": 1.0}  # it always wins
    (raw, free) = content["variance_ratios"]
    assert raw["metric"] == "advantage_variance"
    assert raw["ratio"] < 1 < 1 / raw["interval"][1]
    assert free["ratio"] == pytest.approx(1, abs=0.2)


def test_updates_and_env_steps_do_not_share_an_axis(runs, tmp_path):
    rows = [{"stage": 0, "step": i, "entropy": [1.0, 1.0]} for i in range(1, 5)]
    written(tmp_path / "bc", rows, BC(), Xor(agents=3), steps=4)
    acted, cloned = History(Run(runs / "one")), History(Run(tmp_path / "bc"))
    found = {made.name: made.figure for made in pictures([cloned, acted], {})}
    assert {axes.get_xlabel() for axes in found["generator"].axes} <= {"env steps", ""}
    drawn = [text.get_text() for text in found["generator"].legends[0].get_texts()]
    assert drawn == ["MAGAIL"]


def test_histograms_are_of_the_step_asked_for(runs):
    history = History(Run(runs / "one"))
    early, last = history.bars(95_000), history.bars()
    assert early is not None
    assert last is not None
    assert (early.step, last.step) == (90_000, 400_000)
    row = history.metrics[8]["reward_histogram/agents"]
    np.testing.assert_allclose(early.panels["agent 0"], np.mean([row[0][0], row[1][0]], 0))
    assert last.beyond == (False, True)  # softplus


def test_one_command_does_it_and_does_it_again(runs, capsys, tmp_path):
    words = ["diagnose", str(runs / "two"), "--expert", "none", "--step", "2e5", "--out"]
    assert cli.main([*words, str(tmp_path / "a")]) == 0
    said = capsys.readouterr().out
    assert "diagnostics.json" in said
    assert "MAGAIL: The discriminator has won since update 60" in said
    assert cli.main([*words, str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["references"] == {}
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_the_report_shows_them_too(runs):
    text = report(Run(runs / "two")).read_text()
    assert "The discriminator" in text
    assert "has won since update 60" in text
    for words in ("What the discriminator paid", "Rewards of single rows", "Episodes played while"):
        assert words in text


def test_runs_that_do_not_belong_are_refused(runs, tmp_path):
    rows = training(10, 2)
    other = Adversarial(MAPPO(envs=10, rollout=100))
    written(tmp_path / "elsewhere", rows, other, Xor(agents=2))
    with pytest.raises(UserError, match="found others in one and elsewhere"):
        diagnose([runs / "one", tmp_path / "elsewhere"], out=tmp_path / "d")
    plain = [{n: row[n] for n in ("stage", "step", "entropy")} for row in rows]
    written(tmp_path / "plain", plain, MAPPO(), Xor(agents=3))
    with pytest.raises(UserError, match="expected a run of adversarial imitation"):
        diagnose(tmp_path / "plain", out=tmp_path / "d")
    with pytest.raises(UserError, match="at least one run"):
        diagnose([], out=tmp_path / "d")
    assert not (tmp_path / "d").exists()
