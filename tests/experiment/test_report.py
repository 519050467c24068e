"""A tiny model of intents is trained once; its report and comparison are read back."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
from walkers import tracks

from understudy.algorithms.intents import IntentVRNN
from understudy.algorithms.presets import RNNGauss
from understudy.data import store
from understudy.data.labels import Cells
from understudy.experiment.arena import Options
from understudy.experiment.compare import compare
from understudy.experiment.evaluate import evaluate
from understudy.experiment.protocols import Protocol
from understudy.experiment.report import report
from understudy.experiment.run import Run
from understudy.experiment.train import train
from understudy.types import UserError

PROTOCOL = Protocol("toy", 5, 10, stride=15)
QUICK = Options(particles=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two sets on disk, and two evaluated runs: intents with two seeds, and a plain one."""
    folder = tmp_path_factory.mktemp("runs")
    store.save(tracks(episodes=8).replace(licence="for tests"), folder / "train")
    store.save(tracks(episodes=6, seed=9), folder / "held_out")
    models = {
        "intents": (IntentVRNN(**IntentVRNN.TINY, rule=Cells(), layers=1), 2),
        "plain": (RNNGauss(width=4, rnn=4, layers=1, window=6, batch=2), 1),
    }
    for name, (algorithm, seeds) in models.items():
        run = train(
            algorithm, demonstrations=folder / "train", validation=folder / "held_out",
            steps=4, seeds=seeds, out=folder / name,
        )  # fmt: skip
        beside = Options(particles=2, baselines=name == "intents")
        evaluate(run, protocol=PROTOCOL, samples=3, options=beside)
    return folder


@pytest.fixture(scope="module")
def written(place):
    return report(place / "intents").read_text()


def test_seeds_have_a_row_each_and_one_for_their_mean(place):
    rows = json.loads((place / "intents" / "evaluation.json").read_text())["rows"]
    own = [r for r in rows if r["model"] == "IntentVRNN"]
    assert [r["seed"] for r in own] == [0, 1, "mean"]
    for name in ("minADE", "elbo", "speed"):
        first, second, whole = (r[name] for r in own)
        assert whole == pytest.approx((first + second) / 2, rel=1e-9)
        assert own[2]["spread"][name] == [min(first, second), max(first, second)]
    assert own[0]["minADE"] != own[1]["minADE"]
    bound = own[0]
    assert bound["elbo"] == pytest.approx(
        bound["reconstruction"] - bound["kl"] + bound["intents"], rel=1e-5
    )


def test_the_report_is_one_file_that_asks_for_nothing(written):
    assert written.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=\"(?!data:)", written)
    assert "http" not in re.sub(r"data:[^\"]*", "", written)
    assert "prefers-color-scheme: dark" in written


def test_the_report_tells_the_whole_story(written, place):
    for words in (
        "In plain words", "constant velocity", "stay put", "random walk", "IntentVRNN, mean",
        "minSADE", "ELBO | intents", "How it learned", "How far to trust it", "for tests",
        "8 episodes", "config.json", "toy", "Settings",
    ):  # fmt: skip
        assert words in written, words
    assert written.count("data:image/gif") == 1
    assert written.count("data:image/png") == 4  # plays, curves, spread, intents
    assert len(written) < 6_000_000


def test_what_is_skipped_is_counted(place, tmp_path):
    """Episodes of 30 rows, windows of 6: 25 each; nothing is too short."""
    text = report(place / "plain", path=tmp_path / "other.html").read_text()
    assert "200 of 6 rows" in text
    assert "0 episodes shorter than a window" in text
    assert (tmp_path / "other.html").exists()
    assert text.count("data:image/png") == 3  # no intents


def test_a_run_that_was_not_evaluated_says_so_in_its_report(place, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(place / "plain", bare)
    (bare / "evaluation.json").unlink()
    text = report(bare).read_text()
    assert "not evaluated" in text
    assert "Beside the baselines" not in text


def test_names_are_escaped(place, tmp_path):
    odd = tmp_path / "odd"
    shutil.copytree(place / "plain", odd)
    rows = json.loads((odd / "evaluation.json").read_text())
    rows["notes"].append("<script>alert(1)</script>")
    (odd / "evaluation.json").write_text(json.dumps(rows))
    text = report(odd).read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_runs_evaluated_alike_are_compared(place, tmp_path):
    found = compare([place / "intents", Run(place / "plain")], out=tmp_path / "both")
    names = [row["model"] for row in found.evaluation.rows]
    assert names[0] == "truth"
    assert names[1:5] == ["intents", "intents", "intents", "plain"]
    assert names[5:] == ["constant velocity", "stay put", "random walk"]
    assert (tmp_path / "both" / "comparison.png").stat().st_size > 5_000
    page = (tmp_path / "both" / "comparison.html").read_text()
    assert "plain" in page
    assert "data:image/png" in page
    assert "intents" in str(found)
    assert found.json() == json.loads((tmp_path / "both" / "comparison.json").read_text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 4}, "samples 3 for intents and 4 for plain"),
        ({"protocol": Protocol("toy", 4, 10, stride=15)}, "observed 5 for intents and 4 for plain"),
    ],
)
def test_runs_evaluated_otherwise_are_refused(place, tmp_path, change, words):
    for name in ("intents", "plain"):
        shutil.copytree(place / name, tmp_path / name)
    settings = {"protocol": PROTOCOL, "samples": 3, **change}
    evaluate(tmp_path / "plain", options=Options(baselines=False, particles=2), **settings)
    with pytest.raises(UserError, match=words):
        compare([tmp_path / "intents", tmp_path / "plain"])


def test_a_run_without_evaluation_cannot_be_compared(place, tmp_path):
    shutil.copytree(place / "plain", tmp_path / "bare")
    (tmp_path / "bare" / "evaluation.json").unlink()
    with pytest.raises(UserError, match="understudy evaluate"):
        compare([tmp_path / "bare"])
    with pytest.raises(UserError, match="at least one"):
        compare([])


def test_diverged_seeds_count_as_failed(place, monkeypatch):
    monkeypatch.setattr(Run, "diverged", property(lambda self: {1: 2}))
    found = evaluate(
        Run(place / "intents"), demonstrations=place / "held_out", protocol=PROTOCOL, samples=2,
        options=Options(baselines=False, particles=2),
    )  # fmt: skip
    assert [r["seed"] for r in found.rows if r["model"] == "IntentVRNN"] == [0]
    assert any("seed 1 diverged at update 2" in note for note in found.notes)
    evaluate(Run(place / "intents"), protocol=PROTOCOL, samples=3, options=QUICK)


def test_pictures_of_the_report_are_pictures(written):
    found = re.findall(r"data:image/(png|gif);base64,([A-Za-z0-9+/=]+)", written)
    for kind, code in found:
        head = base64.b64decode(code[:64])
        assert head.startswith(b"\x89PNG" if kind == "png" else b"GIF89a")
    assert np.mean([len(code) for _, code in found]) > 5_000
