"""Flags of a published program: what was published stands unless a flag is given."""

import json

import numpy as np
import pytest

from simulated_logs import log
from understudy import cli, envs
from understudy.algorithms import presets
from understudy.cli.console import UsageError
from understudy.data import schema, store
from understudy.envs.spread import Spread
from understudy.experiment import goodai, webeye, webeye_file
from understudy.experiment.run import Run

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
    expected = "expected train ddpg --compat goodai or train magail --compat webeye, found train"
    with pytest.raises(UsageError, match=expected):
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


WEBEYE = ["train", "magail", "--compat", "webeye"]
SHOP = """\
general: {seed: 7, expert_batch_size: 30, training_epochs: 3, expert_data_path: ../data/shop.csv}
gae: {gamma: 0.9, tau: 0.8}
ppo: {clip_ratio: 0.1, ppo_optim_epochs: 1, ppo_mini_batch_size: 4, sample_batch_size: 8}
policy:
  learning_rate: !!float 1e-3
  trajectory_length: 4
  user:
    num_states: 8
    num_actions: 3
    num_discrete_actions: 2
    discrete_actions_sections: !!python/tuple [2]
    action_log_std: 0.0
    num_hiddens: !!python/tuple [8]
    activation: nn.LeaklyReLU
    drop_rate: 0.5
  env:
    num_states: 11
    num_actions: 8
    num_discrete_actions: 5
    discrete_actions_sections: !!python/tuple [2, 3]
    action_log_std: 0.0
    num_hiddens: !!python/tuple [8]
    activation: LeakyReLU
    drop_rate: 0.5
value: {num_states: 8, num_hiddens: [8], activation: tanh, drop_rate: 0, learning_rate: 0.001,
        l2_reg: 0}
discriminator: {num_states: 8, num_actions: 3, num_hiddens: [6], activation: ReLU, drop_rate: 0.5,
                learning_rate: 0.002}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A published kind of file, and a log of its columns: 51 transitions."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "config.yml").write_text(SHOP)
    demonstrations = log(20)
    store.save(demonstrations, folder / "demos")
    store.save(demonstrations, folder / "split" / "train")
    (folder / "log.csv").write_text("1,0\n")
    assert demonstrations.frames - demonstrations.episodes > 30
    return folder


def asked_of_file(shop, *words, demos="demos"):
    """What a command would train."""
    paths = ["--demos", str(shop / demos), "--out", str(shop / "new")]
    return cli.parse([*WEBEYE, str(shop / "config.yml"), *paths, *words])


def test_a_file_is_a_training(shop):
    command = asked_of_file(shop)
    found = webeye_file.read(shop / "config.yml")
    rows = webeye.check(found, log(20))
    assert command.algorithm == webeye.magail(found, rows=rows)
    assert command.algorithm.passes == -(-rows // 30)
    assert command.algorithm.discriminator.judges == "sas"
    assert (command.job.steps, command.job.seed, command.job.seeds) == (3 * 8, 7, 1)
    env = envs.make(command.job.env)
    assert (env.spec.horizon, env.starts.shape) == (4, (rows, 8))


def test_flags_go_before_the_file(shop):
    words = "--steps 80 --seed 1 --seeds 2 --judges sa --warm-start runs/a --log-every 5"
    command = asked_of_file(shop, *words.split(), demos="split")
    job = command.job
    assert (job.steps, job.seed, job.seeds, job.warm_start) == (80, 1, 2, "runs/a")
    assert command.algorithm.discriminator.judges == "sa"
    assert command.options.log_every == 5
    assert f"demos={shop / 'split' / 'train'}," in job.env


def test_remarks_name_keys_as_the_file_has_them(shop):
    first, sizes, *others = asked_of_file(shop).remarks
    assert "the first configuration of magail_main.py" in first
    assert "gae.tau 0.8 (published: 0.96)" in first
    assert "the agent reads 8 numbers and decides 3: 1 sections of 2 choices and 1 values" in sizes
    assert "the environment reads 11 numbers and decides 8: 2 sections of 5 choices" in sizes
    for key in (
        "policy.user.activation: nn.LeaklyReLU is read as LeakyReLU",
        "general.expert_data_path: not opened",
        "value.activation: critics have that of actors, leaky_relu",
        "policy.user.drop_rate, policy.env.drop_rate: left out",
    ):
        assert any(text.startswith(key) for text in others)
    assert not any("value.l2_reg" in text or "value.num_hiddens" in text for text in others)


def test_check_prints_the_schema_and_trains_nothing(capsys, shop):
    assert cli.main([*WEBEYE, str(shop / "config.yml"), "--check"]) == 0
    out, err = capsys.readouterr()
    known = schema.parse(json.loads(out))
    assert known.state.size == 8
    assert known.state.sections == (2, 3)
    assert (known.action.sections, known.action.size) == ((2,), 3)
    assert "the environment reads 11 numbers" in err
    assert not (shop / "new").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--out OUT", "found no --demos; to see what the file asks for, use --check"),
        ("--demos DEMOS", "found no --out"),
        ("--demos CSV --out OUT", "--reader transitions --options schema=SCHEMA --out DIR"),
        ("--demos DEMOS --out OUT --train_mode True", "expected no --train_mode"),
        ("--demos DEMOS --out OUT --load_model True", "--warm-start RUN"),
        ("--demos DEMOS --out OUT --save-model-path x", "use --out RUN"),
        ("--demos DEMOS --out OUT --save_model_epoch 10", "--checkpoint-every"),
        ("--demos DEMOS --out OUT --eval_model_epoch 10", "--evaluate-every"),
        ("--demos DEMOS --out OUT --judges s", "judges"),
        ("--demos OUT --out OUT", "expected a folder of demonstrations"),
    ],
)
def test_what_a_file_cannot_be_asked_is_one_sentence(capsys, shop, words, part):
    places = {"OUT": shop / "new", "DEMOS": shop / "demos", "CSV": shop / "log.csv"}
    given = [str(places.get(word, word)) for word in words.split()]
    code = cli.main([*WEBEYE, str(shop / "config.yml"), *given])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert part in err
    assert not (shop / "new").exists()


def test_a_folder_whose_name_cannot_be_told_is_refused(shop):
    with pytest.raises(UsageError, match="without a comma"):
        asked_of_file(shop, demos="a,b")


def test_a_broken_file_is_one_sentence(capsys, shop, tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(SHOP.replace("gamma: 0.9", "gamma: high"))
    assert cli.main([*WEBEYE, str(path), "--check"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "expected a number from 0 to 1 at gae.gamma" in err


def test_a_file_is_trained_from_end_to_end(capsys, shop):
    paths = ["--demos", str(shop / "demos"), "--out", str(shop / "run")]
    assert cli.main([*WEBEYE, str(shop / "config.yml"), *paths]) == 0
    err = capsys.readouterr().err
    assert "policy.user.activation: nn.LeaklyReLU is read as LeakyReLU" in err
    run = Run(shop / "run")
    assert run.config["stages"][0]["updates"] == 3
    assert not run.diverged
    lines = (shop / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert all("discriminator_loss" in line and "NaN" not in line for line in lines)
    assert run.policy(0).network.spec.names == ("user", "shop")
