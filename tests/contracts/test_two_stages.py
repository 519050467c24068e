"""Two stages: weights are handed over, the optimiser is not, and steps are shared out."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import understudy as us
from contracts.harness import walks
from contracts.toys import DriftState, LearnDrift
from understudy.algorithms.presets import BC, MAPPO
from understudy.algorithms.stages import Stages, copy_policy, copy_weights
from understudy.experiment import config, loops
from understudy.types import UserError, record

TINY = {"hidden": (4,), "envs": 2, "rollout": 4, "minibatches": 2, "epochs": 1}


@record
class Outer:
    """A state that holds the one of an optimiser."""

    optimiser: Any
    discriminator: Any


@pytest.mark.parametrize("stop", [2, 6], ids=["in the first", "in the second"])
def test_two_stages_train_and_resume(goes_on, stop):
    stages = Stages(((LearnDrift(rate=0.5), 2), (LearnDrift(rate=0.0), 6)))
    run = goes_on(stages, steps=8, stop=stop, demonstrations=walks())
    assert [row["stage"] for row in run.metrics] == [0, 1, 1, 1]
    assert [row["step"] for row in run.metrics] == [2, 4, 6, 8]
    assert run.algorithm == LearnDrift(rate=0.0)


def test_the_second_stage_begins_where_the_first_ended(tmp_path):
    from understudy.experiment.train import train

    alone = train(LearnDrift(rate=0.5), demonstrations=walks(), steps=20, out=tmp_path / "alone")
    stages = Stages(((LearnDrift(rate=0.5), 10), (LearnDrift(rate=0.0), 1)))
    # 22 steps stretch the stages to 20 and 2; a rate of 0 leaves weights but for a little noise
    both = train(stages, demonstrations=walks(), steps=22, out=tmp_path / "both")
    np.testing.assert_allclose(
        both.generator().step["agents"], alone.generator().step["agents"], atol=0.01
    )
    fresh = train(
        Stages(stages.stages, handover="fresh"), demonstrations=walks(), steps=22,
        out=tmp_path / "fresh",
    )  # fmt: skip
    assert np.abs(fresh.generator().step["agents"] - alone.generator().step["agents"]).max() > 0.05


def test_weights_that_do_not_match_stay_fresh():
    old, new = (
        DriftState({"a": np.ones(2), "b": np.ones(3)}),
        DriftState({"a": np.zeros(2), "b": np.zeros(4)}),
    )
    handed = copy_weights(old, new)
    np.testing.assert_array_equal(handed.params["a"], np.ones(2))
    np.testing.assert_array_equal(handed.params["b"], np.zeros(4))
    with pytest.raises(UserError, match="no weight that both stages share"):
        copy_weights(DriftState({"c": np.ones(2)}), new)


def test_stages_say_what_is_wrong_with_them():
    with pytest.raises(UserError, match="at least one stage"):
        Stages(())
    with pytest.raises(UserError, match="at least 1 step, found 0"):
        Stages(((LearnDrift(), 0),))
    with pytest.raises(UserError, match="expected a handover among"):
        Stages(((LearnDrift(), 1),), handover="whatever")


@pytest.mark.parametrize("stop", [4, 8], ids=["between the stages", "in the second"])
def test_a_cloned_policy_goes_on_learning(goes_on, stop):
    env = us.envs.Xor()
    demonstrations = us.collect(env, us.experts.xor(env), episodes=20, envs=20)
    stages = Stages(
        ((BC(hidden=(4,), batch=4), 4), (MAPPO(**TINY), 8)),
        handover="copy_policy", stretch="last",
    )  # fmt: skip
    run = goes_on(
        stages, steps=4 + 8 * 8, stop=stop, make_env=us.envs.Xor, demonstrations=demonstrations
    )
    assert [row["stage"] for row in run.metrics] == [0, 0, 1, 1, 1, 1]
    assert run.step == 12


@functools.cache
def states(algorithm) -> Any:
    """Fresh states of two seeds in a small game."""
    keys = jax.random.split(jax.random.key(0), 2)
    return loops.initialise(algorithm, None, keys, spec=us.envs.Xor().spec)


def test_the_policy_goes_into_the_optimiser_and_nothing_else_does():
    cloned, fresh = states(BC(hidden=(4,))), states(MAPPO(**TINY))
    cloned = jax.tree.map(lambda leaf: leaf + jnp.ones((), leaf.dtype), cloned)
    handed = copy_policy(cloned, Outer(fresh, jnp.zeros(3)))
    for ours, theirs in (
        (handed.optimiser.params.actors, cloned.params.actors),
        (handed.optimiser.params.critics, fresh.params.critics),
        (handed.optimiser.optimiser, fresh.optimiser),
        (handed.discriminator, jnp.zeros(3)),
    ):
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)
    later = copy_policy(Outer(Outer(cloned, ()), ()), Outer(fresh, ()))
    np.testing.assert_array_equal(
        later.optimiser.params.actors["agents"].net.head.bias,
        cloned.params.actors["agents"].net.head.bias,
    )


def test_critics_are_no_part_of_a_policy():
    old = jax.tree.map(lambda leaf: leaf + jnp.ones((), leaf.dtype), states(MAPPO(**TINY)))
    handed = copy_policy(old, states(MAPPO(**TINY)))
    assert not handed.params.critics["agents"].net.head.bias.any()
    assert (handed.params.actors["agents"].net.head.bias == 1).all()


def test_a_policy_that_does_not_match_is_not_handed_over():
    for other in ({"hidden": (4,), "sharing": "independent"}, {"hidden": (4, 4)}):
        with pytest.raises(UserError, match="a place in the new state for every weight"):
            copy_policy(states(BC(**other)), states(MAPPO(**TINY)))
    with pytest.raises(UserError, match="found neither in dict; begin afresh"):
        copy_policy({}, states(MAPPO(**TINY)))


def test_the_last_stage_alone_is_stretched():
    stages = Stages(((LearnDrift(), 10), (LearnDrift(), 5), (LearnDrift(), 5)), stretch="last")
    assert [n for _, n in stages.scaled(100).stages] == [10, 5, 85]
    assert [n for _, n in stages.scaled(16).stages] == [10, 5, 1]
    assert config.from_json(config.to_json(stages)) == stages
    with pytest.raises(UserError, match=r"more than the 15 steps .* found 15; give more"):
        stages.scaled(15)
    with pytest.raises(UserError, match="'all' stages or the 'last', found 'first'"):
        Stages(((LearnDrift(), 1),), stretch="first")
