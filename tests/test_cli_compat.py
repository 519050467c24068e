"""Flags of a published program: what was published stands unless a flag is given."""

import json

import numpy as np
import pytest

from understudy import cli, envs
from understudy.algorithms import presets
from understudy.cli.console import UsageError
from understudy.envs.spread import Spread
from understudy.experiment import goodai

GOODAI = ["train", "ddpg", "--compat", "goodai"]


def asked(*words):
    """What a command would train, and the game."""
    command = cli.parse([*GOODAI, "--out", "x", *words])
    return command, envs.make(command.job.env)


@pytest.mark.parametrize(
    ("kind", "name", "rules"),
    [
        ("DDPG", "independent", {}),
        ("GLOBAL", "global", {"velocities": False, "horizon": 30}),
        ("ATOC", "shared", {}),
    ],
)
def test_without_flags_everything_is_as_published(kind, name, rules):
    """The program itself took 5 agents that see 3 landmarks, 100,000 steps and no noise."""
    command, env = asked("--type", kind)
    assert env == Spread.goodai(4, landmarks=4, near_agents=3, near_landmarks=4, **rules)
    assert command.algorithm == presets.published_ddpg(name)
    assert command.algorithm.noise > 0
    assert command.algorithm.noise_decay == 10_000
    assert command.job.steps == 1_000_000
    assert (command.job.seeds, command.job.seed) == (1, 0)
    assert command.remarks == (f"{kind} of run_multiagent.py of badger-2019, as published",)


def test_without_a_type_it_is_ddpg():
    assert asked()[0].algorithm == presets.published_ddpg("independent")


def test_flags_change_what_they_name_and_are_said():
    command, env = asked(
        "--type", "ATOC", "--num-agents", "12", "--num_landmarks", "10", "--num-steps=350000",
        "--num_perceived_agents", "5", "--num-perceived-landmarks", "3", "--name", "ATOC12-0",
        "--seeds", "5", "--seed", "7", "--log-every", "100",
    )  # fmt: skip
    assert env == Spread.goodai(12, landmarks=10, near_agents=5, near_landmarks=3)
    assert command.algorithm == presets.published_ddpg("shared", steps=350_000)
    assert command.algorithm.noise_decay == 3_500
    job = command.job
    assert (str(job.out), job.steps, job.seeds, job.seed) == ("x/ATOC12-0", 350_000, 5, 7)
    assert command.options.log_every == 100
    (said,) = command.remarks
    for change in ("num agents 12 (published: 4)", "num steps 350,000 (published: 1,000,000)"):
        assert change in said
    assert "epsilon" not in said


def test_a_flag_that_says_what_was_published_changes_nothing():
    command, _ = asked("--num-agents", "4", "--epsilon", "-1", "--num-steps", "1000000")
    assert command.remarks[0].endswith("as published")


@pytest.mark.parametrize(
    ("epsilon", "noise", "decay"),
    [(None, 0.55, 10_000), ("-1", 0.55, 10_000), ("0.5", 0.275, 0), ("1", 0.55, 0), ("0", 0, 0)],
)
def test_epsilon_is_a_constant_share_of_noise_or_the_schedule(epsilon, noise, decay):
    algorithm = asked(*([] if epsilon is None else ["--epsilon", epsilon]))[0].algorithm
    assert algorithm.noise == pytest.approx(noise)
    assert algorithm.noise_decay == decay
    assert (algorithm.concern is None) == (noise > 0)


def test_more_landmarks_than_there_are_cannot_be_seen():
    command, env = asked("--num-landmarks", "2")
    assert env.near_landmarks == 2
    assert "perceived landmarks 2" in command.remarks[0]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--render", "understudy render RUN"),
        ("--sleep 0.1", "understudy render RUN"),
        ("--benchmark", "understudy evaluate RUN --write-goodai FOLDER"),
        ("--deserialize data/models/ATOC4-0_99.model", "understudy train --resume RUN"),
        ("--epsilon 2", "from 0 to 1, or -1"),
        ("--epsilon nan", "from 0 to 1, or -1"),
        ("--num-agents 3", "expected --num_perceived_agents below --num-agents, found 3 and 3"),
        ("--num-agents four", "four"),
        ("--type MADDPG", "MADDPG"),
        ("--name data/ATOC4", "expected --name without folders"),
        ("--name ..", "expected --name without folders"),
        ("--hidden 64", "--hidden"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(capsys, tmp_path, words, part):
    code = cli.main([*GOODAI, "--out", str(tmp_path / "run"), *words.split()])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert part in err
    assert not list(tmp_path.iterdir())


def test_flags_that_say_their_default_are_not_refused():
    assert asked("--sleep", "0.0", "--deserialize", "")[0] == asked()[0]


@pytest.mark.parametrize("words", ["mappo --compat goodai", "ddpg --compat openai"])
def test_a_mode_that_is_not_there_is_refused(words):
    with pytest.raises(UsageError, match="expected train ddpg --compat goodai, found train"):
        cli.parse(["train", *words.split(), "--out", "x"])


def test_help_names_the_mode_and_its_flags(capsys):
    for words, part in ((GOODAI[:2], "--compat goodai"), (GOODAI, "--num-agents")):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, "--help"])
        assert stop.value.code == 0
        assert part in capsys.readouterr().out


SMALL = ["--num-agents", "2", "--num_perceived_agents", "1", "--num-landmarks", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compat")
    words = [*GOODAI, "--type", "ATOC", *SMALL, "--num-steps", "200", "--out", str(folder)]
    assert cli.main([*words, "--name", "ATOC2"]) == 0
    return folder / "ATOC2"


def test_without_noise_somebody_is_told(capsys, tmp_path):
    words = [*GOODAI, *SMALL, "--num-steps", "100", "--epsilon", "0", "--out", str(tmp_path / "r")]
    assert cli.main(words) == 0
    err = capsys.readouterr().err
    assert "epsilon 0 (published: -1)" in err
    assert "noise=0 explores nothing" in err


def test_a_run_is_played_and_written_as_the_program_wrote(capsys, run, tmp_path):
    words = ["evaluate", str(run), "--episodes", "3", "--no-report", "--json"]
    words += ["--write-goodai", str(tmp_path / "stats")]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["setting"]["env"] == "Spread"
    assert "ATOC2-0.bench" in err
    rewards = goodai.read_rewards(tmp_path / "stats" / "ATOC2-0.rewards")
    episodes = goodai.read_bench(tmp_path / "stats" / "ATOC2-0.bench")
    assert rewards.shape == (300,)
    assert [len(episode.reward) for episode in episodes] == [100] * 3
    assert np.isfinite(rewards).all()
    assert cli.main(words) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--agents 3", "--env spread-goodai:agents=N"),
        ("--mode both", "--env spread-goodai:agents=N"),
        ("--env xor", "expected the game Spread"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_a_game_is_played(
    capsys, run, tmp_path, words, part
):
    folder = tmp_path / "stats"
    code = cli.main(["evaluate", str(run), "--write-goodai", str(folder), *words.split()])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err
    assert not folder.exists()
