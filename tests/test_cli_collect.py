"""``understudy collect``: experts and runs play, a mistake is one sentence and leaves nothing."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from contracts.policies import Recall, Reinforce
from understudy import cli, envs
from understudy.data import store
from understudy.experiment.train import train
from understudy.types import hyperparameters


class Player(Recall):
    """Draws its actions, or takes their mean."""

    mode: str = eqx.field(static=True, default="sample")

    def act(self, observation, memory, key):
        certain = jnp.asarray(0.0) if self.mode == "mode" else self.scale
        return Recall(self.weights, certain, self.spec).act(observation, memory, key)


@hyperparameters
class Drawing(Reinforce):
    def policy(self, state, mode="sample"):
        learned = state.params
        return Player(learned.weights, learned.scale, learned.spec, mode=mode)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "home"
    train(Drawing(), env=Home(), steps=24, out=folder)
    return folder


@pytest.fixture(autouse=True)
def home_is_a_game(monkeypatch):
    monkeypatch.setitem(envs.ENVS, "home", "contracts.envs:Home")


def test_an_expert_is_collected(capsys, tmp_path):
    out = tmp_path / "demos"
    words = "collect roles:agents=4 --expert roles --episodes 3 --seed 5 --out"
    assert cli.main([*words.split(), str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 episodes; 33 rows" in said
    assert said.endswith("mean return 10; success rate 1\n")
    found = store.load(out)
    assert found.spec["agents"].agents == 4
    assert found.provenance["env"]["agents"] == 4
    assert (found.provenance["policy"], found.provenance["seed"]) == ("roles", 5)
    assert cli.main(["data", "inspect", str(out)]) == 0
    assert "made by         policy roles, seed 5, envs 3" in capsys.readouterr().out


def test_a_run_is_collected_as_it_plays_or_as_it_would_rather(tmp_path, run):
    sets = {}
    for name, more in (("drawn", []), ("certain", ["--deterministic"])):
        words = ["collect", "home", "--expert", str(run), "--transitions", "12", *more]
        assert cli.main([*words, "--out", str(tmp_path / name)]) == 0
        sets[name] = store.load(tmp_path / name)
        assert sets[name].provenance["policy"] == "Drawing of home"
        assert sets[name].lengths.tolist() == [6, 6, 3]
    first = [s.actions["agents"][0] for s in sets.values() if s.actions is not None]
    assert not np.allclose(*first)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("xor --expert xr --out y", "did you mean 'xor'?"),
        ("xor --expert roles --out y", "expected the game Roles for the expert 'roles', found Xor"),
        ("xor --expert xor --deterministic --out y", "expected the folder of a run"),
        ("xor --expert xor --episodes 1 --transitions 1 --out y", "give one of them"),
        ("xor --expert xor --episodes 0 --out y", "expected episodes above 0, found 0"),
        ("xor:agents=1 --expert xor --out y", "expected at least 2 agents, found 1"),
        ("xor --expert RUN --out y", "name another env"),
        ("xor --expert xor --out taken", "already exists"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, part, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    given = [str(run) if word == "RUN" else word for word in words.split()]
    assert cli.main(["collect", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
