"""Trained experts load in one line, play their games well, and stay small."""

import numpy as np
import pytest

import understudy as us
from understudy import cli, zoo
from understudy.envs.chance import Random
from understudy.experiment.returns import episode_returns

EARN_MORE = {
    "cartpole": ("agents", 300.0),
    "push": ("agent", 12.0),
    "speaker-listener": ("listener", 15.0),
    "spread": ("agents", 14.0),
    "tag": ("adversary", 5.0),
}
"""A group, and by how much an expert beats a random policy there at the least, per agent."""


@pytest.mark.parametrize("name", zoo.ZOO)
def test_an_expert_earns_more_than_chance(name):
    env = us.envs.make(zoo.ZOO[name].env)
    players = us.load_policy(f"zoo:{name}", mode="mode"), Random(env.spec)
    group, more = EARN_MORE[name]
    earned = [float(np.mean(episode_returns(p, env, episodes=50, seed=1)[group])) for p in players]
    assert earned[0] > earned[1] + more


def test_all_together_they_are_small():
    files = list(zoo.FOLDER.rglob("*.safetensors"))
    assert len(files) == len(zoo.ZOO)
    assert sum(file.stat().st_size for file in files) < 400_000


def test_the_command_that_trains_one_again_can_be_read():
    words = zoo.ZOO["spread"].command.split()
    assert words[0] == "understudy"
    assert cli.parse(words[1:]).job.env == "spread"


def test_unknown_experts_and_other_games_are_refused(tmp_path, capsys):
    with pytest.raises(us.UserError, match="trained experts"):
        us.load_policy("zoo:chess")
    words = ["collect", "tag", "--expert", "zoo:spread", "--out", str(tmp_path / "demos")]
    assert cli.main(words) == 2
    assert "trained for" in capsys.readouterr().err
    assert not (tmp_path / "demos").exists()


def test_demonstrations_of_an_expert_are_collected(tmp_path):
    words = ["collect", "spread", "--expert", "zoo:spread", "--deterministic", "--episodes", "3"]
    assert cli.main([*words, "--out", str(tmp_path / "demos")]) == 0
    assert us.data.load(tmp_path / "demos").provenance["policy"] == "zoo:spread"
