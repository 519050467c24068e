"""Metrics that are small arrays: logged per seed, averaged over a chunk, kept out of curves."""

from __future__ import annotations

import json
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator
from contracts.harness import walks
from contracts.policies import Reinforce
from contracts.toys import LearnDrift
from understudy.envs.host import Batched
from understudy.experiment import folder, trackers
from understudy.experiment.report import report
from understudy.experiment.train import TrainOptions, train
from understudy.types import hyperparameters
from understudy.visualise.curves import arrays, draw_curves, scalars, series

FAST = TrainOptions(log_every=2, checkpoint_every=4)
TABLE = jnp.arange(6, dtype=jnp.float32).reshape(3, 2)


@hyperparameters
class Tabular(LearnDrift):
    """Logs ``step + [[0, 1], [2, 3], [4, 5]]``; turns to NaN at update `doom`."""

    doom: int = 99

    def update(self, state, batch, step, key):
        state, metrics = super().update(state, batch, step, key)
        dies = jnp.where(step == self.doom, jnp.nan, 0.0)
        state = type(state)({name: value + dies for name, value in state.params.items()})
        return state, metrics | {"table": TABLE + step.astype(jnp.float32)}


@hyperparameters
class Acting(Reinforce):
    """Logs the mean action of every agent."""

    needs: ClassVar[frozenset[str]] = frozenset({"env"})

    def update(self, state, batch, step, key):
        state, metrics = super().update(state, batch, step, key)
        return state, metrics | {"action": batch.rollout.action["agents"].mean((0, 1))}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "run"
    return train(Tabular(), demonstrations=walks(), steps=4, seeds=2, out=place, options=FAST)


def test_a_line_holds_a_nested_list_per_seed(run):
    """Updates 0 and 1, then 2 and 3: the mean of a chunk is half an update after its first."""
    table = np.arange(6.0).reshape(3, 2)
    found = [row["table"] for row in run.metrics]
    np.testing.assert_array_equal(found, [[table + 0.5] * 2, [table + 2.5] * 2])
    assert all(len(row["error"]) == 2 for row in run.metrics)


def test_what_is_not_finite_is_null_at_any_depth():
    values = np.array([[1.5, np.nan], [np.inf, -2.0]], np.float32)
    assert folder.numbers(values) == [[1.5, None], [None, -2.0]]
    assert folder.numbers(values[0]) == [1.5, None]


def test_a_diverged_seed_keeps_the_shape_and_knows_no_number(tmp_path):
    run = train(
        Tabular(doom=2), demonstrations=walks(), steps=4, seeds=2, out=tmp_path / "run",
        options=FAST,
    )  # fmt: skip
    assert run.diverged == {0: 2, 1: 2}
    last = json.loads((run.folder / folder.METRICS).read_text().splitlines()[-1])
    assert last["table"] == [[[None, None]] * 3] * 2


@pytest.mark.parametrize("host", [False, True], ids=["in JAX", "in a simulator"])
def test_an_algorithm_that_acts_logs_arrays_too(tmp_path, host):
    env = Batched(HomeSimulator, envs=6) if host else Home()
    run = train(Acting(), env=env, steps=24, seeds=2, out=tmp_path / "run", options=FAST)
    found = np.array(run.metrics[-1]["action"])
    assert found.shape == (2, 2, 1)  # seeds, agents, columns of an action
    assert (np.abs(found) <= 1).all()
    if isinstance(env, Batched):
        env.close()


def test_live_curves_and_pictures_leave_arrays_out(run):
    assert trackers._scalars(run.metrics[0] | {"step": 2}).keys() == {
        "error/seed_0", "error/seed_1",
    }  # fmt: skip
    assert "table" not in scalars(run.metrics)
    titles = [axis.get_title(loc="left") for axis in draw_curves(run.metrics).axes]
    assert titles == ["error"]


def test_an_array_is_read_back_with_gaps_as_nan():
    rows = [
        {"stage": 0, "step": 2, "table": [[1.0, 2.0], [3.0, None]], "loss": [1.0, None]},
        {"stage": 0, "step": 3, "loss": [2.0, 2.0]},
        {"stage": 0, "step": 4, "table": [[5.0, 6.0], [None, None]], "loss": [3.0, 2.0]},
    ]
    steps, values = arrays(rows, "table")
    np.testing.assert_array_equal(steps, [2, 4])
    np.testing.assert_array_equal(values, [[[1, 2], [3, np.nan]], [[5, 6], [np.nan, np.nan]]])
    assert scalars(rows) == ["stage", "step", "loss"]
    np.testing.assert_array_equal(series(rows, "loss")[0], [2, 3, 4])


def test_a_report_of_such_a_run_is_written(run):
    assert "How it learned" in report(run).read_text()
