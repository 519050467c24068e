"""A training begins with the policies of an earlier one."""

import jax
import numpy as np
import pytest

import understudy as us
from understudy.cli import main
from understudy.experiment.train import train
from understudy.types import UserError

SMALL = {"hidden": (4,), "envs": 2, "rollout": 4, "minibatches": 2, "epochs": 1}


def demonstrations():
    env = us.envs.Xor()
    return us.collect(env, us.experts.xor(env), episodes=8)


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "bc"
    return train(us.BC(hidden=(4,)), demonstrations=demonstrations(), steps=3, seeds=2, out=out)


def weights(policy):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(policy.network)]


def same(one, other):
    return all((a == b).all() for a, b in zip(weights(one), weights(other), strict=True))


def test_each_seed_begins_with_its_own_policy(cloned, tmp_path):
    # a step size of 0 leaves the policy as it began
    algorithm = us.IPPO(learning_rate=0.0, **SMALL)
    run = train(algorithm, env=us.envs.Xor(), steps=16, seeds=2, warm_start=cloned,
                out=tmp_path / "run")  # fmt: skip
    for seed in range(2):
        assert same(run.policy(seed), cloned.policy(seed))
    assert not same(run.policy(0), run.policy(1))


def test_one_policy_begins_all_seeds_also_from_the_command_line(cloned, tmp_path):
    folder = cloned.folder / "policy" / "seed_1"
    words = f"train ippo --env xor --steps 16 --seeds 2 --learning-rate 0 --warm-start {folder}"
    flags = "--network.hidden 4 --envs 2 --rollout 4 --minibatches 2 --epochs 1"
    assert main([*words.split(), *flags.split(), "--out", str(tmp_path / "run")]) == 0
    run = us.Run(tmp_path / "run")
    assert same(run.policy(0), cloned.policy(1))
    assert same(run.policy(1), cloned.policy(1))


def test_a_team_of_four_begins_a_team_of_six(tmp_path):
    four, six = (us.envs.make(f"spread-goodai:agents={n}") for n in (4, 6))
    first = train(us.IPPO(**SMALL), env=four, steps=16, out=tmp_path / "four")
    run = train(us.IPPO(learning_rate=0.0, **SMALL), env=six, steps=16, warm_start=first.folder,
                out=tmp_path / "six")  # fmt: skip
    assert same(run.policy(), first.policy())


def test_a_training_killed_before_its_first_checkpoint_begins_with_it_again(cloned, tmp_path):
    class Killed(Exception):
        pass

    def kill(event):
        if event["event"] == "step":
            raise Killed

    given = {"env": us.envs.Xor(), "steps": 32, "warm_start": cloned}
    whole = train(us.IPPO(**SMALL), out=tmp_path / "whole", **given)
    with pytest.raises(Killed):
        train(us.IPPO(**SMALL), out=tmp_path / "killed", progress=kill, **given)
    assert same(us.resume(tmp_path / "killed").policy(), whole.policy())


def test_what_cannot_begin_is_refused_and_nothing_is_written(cloned, tmp_path):
    out = tmp_path / "run"
    for algorithm, more, words in (
        (us.IPPO(**{**SMALL, "hidden": (8,)}), {}, "a place in the new state for every weight"),
        (us.IPPO(**SMALL), {"seeds": 3}, "one seed or of at least 3, found 2"),
        (us.IPPO(**SMALL), {"warm_start": tmp_path / "nowhere"}, "expected an exported policy"),
    ):
        with pytest.raises(UserError, match=words):
            train(algorithm, env=us.envs.Xor(), steps=16, out=out,
                  **{"warm_start": cloned, **more})  # fmt: skip
        assert not (out / "config.json").exists()
