"""The command line for runs that act: evaluated, compared and drawn in the env they learned in."""

import json

import pytest
from PIL import Image

from contracts.policies import Reinforce
from understudy import cli
from understudy.envs.xor import Xor
from understudy.experiment.train import train

FORMS = [
    "evaluate RUN --env spread:agents=6 --expert hungarian --episodes 20 --json",
    "evaluate RUN --agents 3 6 12 --expert RUN --mode both",
    "evaluate RUN --expert none",
    "render RUN --env smax --out x.gif",
    "render RUN --expert own --out x.png",
    "render spread:agents=8 --expert hungarian --scenes 3 --seed 1 --out x.gif",
]


def call(capsys, *words):
    """Exit code, stdout and stderr of one command."""
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "two")):
        train(Reinforce(), env=Xor(), steps=24, seeds=2, seed=seed, out=folder / name)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form):
    assert callable(cli.parse(form.split()))


def test_a_run_that_acts_is_evaluated_in_its_env(capsys, runs):
    code, out, err = call(capsys, "evaluate", runs / "one", "--episodes", 20, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["setting"]["env"] == "Xor"
    assert found["setting"]["expert"] == "xor"
    rows = {r["model"]: r for r in found["rows"] if r["seed"] in (None, "mean")}
    assert set(rows) == {"Reinforce", "expert", "random"}
    assert rows["expert"]["mean_return"] == 1  # it draws one of the joint actions that win
    assert (runs / "one" / "report.html").exists()
    assert "report.html" in err


def test_another_env_number_of_agents_and_expert_can_be_asked_for(capsys, runs):
    code, out, err = call(
        capsys, "evaluate", runs / "two", "--env", "xor:agents=3", "--expert", runs / "one",
        "--episodes", 5, "--agents", 2, 4, "--no-report",
    )  # fmt: skip
    assert code == 0, err
    assert "2 agents" in out
    assert "Reinforce, seed 0" in " ".join(out.split())


def test_runs_that_act_are_compared(capsys, runs, tmp_path):
    for name in ("one", "two"):
        assert call(capsys, "evaluate", runs / name, "--episodes", 20, "--no-report")[0] == 0
    code, out, err = call(capsys, "compare", runs / "one", runs / "two", "--out", tmp_path / "c")
    assert code == 0, err
    assert "Probability that a seed" in " ".join(out.split())
    assert {p.name for p in (tmp_path / "c").iterdir()} == {
        "comparison.html", "comparison.json", "comparison.png", "profiles.png",
    }  # fmt: skip


def test_runs_that_act_and_envs_are_drawn(capsys, runs, tmp_path):
    sizes = []
    for words in ([runs / "one"], [runs / "one", "--expert", "own"], ["xor:agents=3"]):
        path = tmp_path / "x.png"
        code, _, err = call(capsys, "render", *words, "--out", path)
        assert code == 0, err
        with Image.open(path) as image:
            sizes.append(image.size)
    assert sizes[1][1] > 1.5 * sizes[0][1]  # a row of panels for the expert
    assert sizes[2] == sizes[0]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["render", "xor", "--expert", "nobody"], "'nobody'"),
        (["render", "xor", "--expert", "hungarian"], "expected the game Spread"),
        (["evaluate", "RUN", "--expert", "nobody"], "'nobody'"),
        (["evaluate", "RUN", "--env", "xro"], "'xro'"),
        (["evaluate", "RUN", "--env", "xor", "--demos", "x"], "both"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, runs, tmp_path, words, part):
    words = [runs / "one" if word == "RUN" else word for word in words]
    if words[0] == "render":
        words += ["--out", tmp_path / "x.png"]
    code, out, err = call(capsys, *words)
    assert code == 2, err
    assert out == ""
    assert err.count("\n") == 1
    assert part in err
