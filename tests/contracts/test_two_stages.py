"""Two stages: weights are handed over, the optimiser is not, and steps are shared out."""

import numpy as np
import pytest

from contracts.harness import walks
from contracts.toys import DriftState, LearnDrift
from understudy.algorithms.stages import Stages, copy_weights
from understudy.types import UserError


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
